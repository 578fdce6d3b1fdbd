//! The best table of a node, and the best source for one of its inputs.

use lutweave_backend::{Cpu, Dispatch};
use lutweave_lut::TruthTable;
use rayon::prelude::*;

use super::block::{Block, ENTRIES};
use super::lanes::Divided;
use super::nodes::Layer;
use crate::Result;

/// What all frames together say of a node: [`Block`]'s sums over all blocks.
#[derive(Debug)]
pub(super) struct Sums {
    entries: usize,
    totals: [f64; ENTRIES],
    seen: [u32; ENTRIES],
    /// `[patterns][candidates]`, where sources are looked for.
    parts: Vec<f32>,
}

/// Another source for an input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Switch {
    pub(super) input: usize,
    /// The candidate's number.
    pub(super) candidate: usize,
    /// What the best table then is worth, less how much dearer the sources are.
    pub(super) worth: f64,
}

impl Sums {
    /// Adds up the blocks, in order.
    pub(super) fn of(blocks: &[Block], fan_in: usize, candidates: usize) -> Self {
        let entries = 1 << fan_in;
        let (mut totals, mut seen) = ([0.0; ENTRIES], [0; ENTRIES]);
        for block in blocks {
            for (total, more) in totals.iter_mut().zip(&block.totals) {
                *total += more;
            }
            for (seen, more) in seen.iter_mut().zip(&block.seen) {
                *seen += more;
            }
        }
        let mut parts = vec![0f32; entries * candidates];
        if candidates > 0 {
            parts.par_chunks_mut(candidates).enumerate().for_each(|(pattern, parts)| {
                for block in blocks {
                    let more = &block.sums[pattern * candidates..][..candidates];
                    for (part, more) in parts.iter_mut().zip(more) {
                        *part += more;
                    }
                }
            });
        }
        Self { entries, totals, seen, parts }
    }

    /// What the best table is worth against one of zeros: the sum of all totals above zero.
    pub(super) fn worth(&self) -> f64 {
        self.totals[..self.entries].iter().map(|total| total.max(0.0)).sum()
    }

    /// The table with the smallest loss: a one where ones are worth more than zeros. A pattern that
    /// no frame shows goes with those that differ from it in one input.
    pub(super) fn table(&self, fan_in: usize) -> Result<TruthTable> {
        let entry = |k: usize| {
            if self.seen[k] > 0 {
                return self.totals[k] > 0.0;
            }
            (0..fan_in).map(|input| self.totals[k ^ 1 << input]).sum::<f64>() > 0.0
        };
        Ok(TruthTable::from_fn(fan_in, entry).map_err(lutweave_nn::Error::from)?)
    }

    /// The candidate that makes the best table worth most, in place of one of the sources; the lowest
    /// input and the first candidate of equals. None where there is none, sources of the node left out.
    /// All inputs that read a source share its `price`.
    ///
    /// Without input `i` the node tells patterns apart only in pairs; a candidate divides each pair
    /// anew, into the frames in which it is one and the others.
    pub(super) fn switch(
        &self,
        layer: &Layer,
        node: usize,
        candidates: &[u32],
        price: f64,
        cpu: Cpu,
    ) -> Option<Switch> {
        let sources = layer.sources(node);
        let best_of = |input: usize| -> Option<Switch> {
            let mut worth = vec![0f32; candidates.len()];
            for low in (0..self.entries).filter(|k| k >> input & 1 == 0) {
                let high = low | 1 << input;
                let total = (self.totals[low] + self.totals[high]) as f32;
                let row = |k: usize| &self.parts[k * candidates.len()..][..candidates.len()];
                cpu.isa().run(Divided { total, parts: [row(low), row(high)], worth: &mut worth });
            }
            let mut best: Option<Switch> = None;
            for (candidate, (&worth, source)) in worth.iter().zip(candidates).enumerate() {
                let worth = f64::from(worth) - price * layer.dearer(sources[input], *source);
                if best.is_none_or(|best| worth > best.worth) && !sources.contains(source) {
                    best = Some(Switch { input, candidate, worth });
                }
            }
            best
        };
        let found: Vec<Option<Switch>> = (0..layer.fan_in).into_par_iter().map(best_of).collect();
        let better = |a: Switch, b: Switch| if b.worth > a.worth { b } else { a };
        found.into_iter().flatten().reduce(better)
    }
}
