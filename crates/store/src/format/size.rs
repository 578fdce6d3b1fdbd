//! Refuses settings that ask for far more than a file holds, before anything is built.
//!
//! What training has determined is in the file, so nodes and weights cannot be more than its
//! numbers. Layers without trained numbers only move or repeat what they read: what they may come
//! to is estimated from the input and everything that multiplies it.

use lutweave_nn::{Signal, StateTensor};
use serde_json::Value;

use super::malformed;
use crate::Result;

/// Any whole number of the settings may be this much above the numbers in the file.
const ROOM: u64 = 4096;
/// Nodes that layers without trained numbers may have, beyond `REPEATS` for each number.
const MOVED: u64 = 1 << 24;
const REPEATS: u64 = 64;
/// Numbers that are no sizes.
const NO_SIZES: [&str; 3] = ["seed", "frozen_after", "explicit"];
/// Lists that are the axes of something whose size is their product.
const AXES: [&str; 6] = ["shape", "output", "filter", "factor", "around", "size"];
/// Settings by which a layer gives more nodes than it reads.
const GROWTH: [&str; 5] = ["levels", "bits", "depth", "factor", "channels"];

/// What the settings ask for.
struct Wanted {
    /// Nodes of LUT layers, which all have trained numbers.
    nodes: u64,
    /// The largest number, product of axes included.
    largest: u64,
    /// All growth multiplied.
    growth: u64,
    /// The largest window.
    window: u64,
}

/// Refuses them.
pub(super) fn check(inputs: &[Signal], config: &Value, state: &[StateTensor]) -> Result<()> {
    let stored = state.iter().map(|tensor| tensor.data.len() as u64).sum::<u64>();
    let mut wanted = Wanted { nodes: 0, largest: 0, growth: 1, window: 1 };
    wanted.add("", config);
    if wanted.nodes > stored {
        let what =
            format!("settings speak of {} nodes, the file holds {stored} numbers", wanted.nodes);
        return malformed("header", what);
    }
    if wanted.largest > stored.saturating_add(ROOM) {
        let what = format!(
            "a size of {} in the settings is out of proportion to the {stored} numbers in the file",
            wanted.largest
        );
        return malformed("header", what);
    }
    let read = inputs.iter().map(|input| product(input.shape.iter().map(|&axis| axis as u64)));
    let moved = read
        .fold(0, u64::saturating_add)
        .saturating_mul(wanted.growth)
        .saturating_mul(wanted.window);
    if moved > stored.saturating_mul(REPEATS).saturating_add(MOVED) {
        let what = format!(
            "an input that grows to {moved} nodes is out of proportion to the {stored} numbers \
             in the file"
        );
        return malformed("header", what);
    }
    Ok(())
}

fn product(axes: impl Iterator<Item = u64>) -> u64 {
    axes.fold(1, u64::saturating_mul)
}

impl Wanted {
    fn add(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.add(key, field);
                }
            }
            Value::Array(items) if AXES.contains(&key) => {
                self.size(key, product(items.iter().filter_map(Value::as_u64)));
            }
            Value::Array(items) if !NO_SIZES.contains(&key) => {
                for item in items {
                    self.add("", item);
                }
            }
            Value::Number(number) if !NO_SIZES.contains(&key) => {
                if let Some(size) = number.as_u64() {
                    self.size(key, size);
                }
            }
            _ => {}
        }
    }

    fn size(&mut self, key: &str, size: u64) {
        match key {
            "nodes" => self.nodes = self.nodes.saturating_add(size),
            "filter" => self.window = self.window.max(size),
            _ => {}
        }
        if GROWTH.contains(&key) {
            self.growth = self.growth.saturating_mul(size.max(1));
        }
        self.largest = self.largest.max(size);
    }
}
