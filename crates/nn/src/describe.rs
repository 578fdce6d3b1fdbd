//! What a network is made of, as a table.

use std::fmt;

use serde_json::{Value, json};

use crate::Layer;
use crate::layer::{Cost, Signal};

/// One layer of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Path in the network, ending with the kind.
    pub path: String,
    /// What it gives.
    pub output: Signal,
    /// Number of trained numbers.
    pub parameters: usize,
    /// What it costs for each frame that the network reads.
    pub cost: Cost,
    /// Bytes of its answer for each frame that the network reads.
    pub bytes: u64,
    /// How it stands: `frozen`, `binary`.
    pub state: String,
}

/// The layers of a network, one a line. It prints as text of aligned columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The lines, in the order of the data flow.
    pub layers: Vec<Description>,
}

const COLUMNS: usize = 9;
const HEADS: [&str; COLUMNS] =
    ["layer", "output", "parameters", "LUTs", "unrolled", "MACs", "binary MACs", "bytes", "state"];

impl Table {
    /// The layers inside `root` that have none inside themselves.
    pub(crate) fn of(root: &dyn Layer) -> Self {
        let mut table = Self::default();
        table.add(root, 1);
        table
    }

    fn add(&mut self, layer: &dyn Layer, times: u64) {
        let children = layer.children();
        for (_, child) in children.iter().filter(|(name, _)| !layer.is_idle(name)) {
            self.add(*child, times.saturating_mul(layer.repeats()));
        }
        if !children.is_empty() {
            return;
        }
        let (base, cost) = (layer.base(), layer.cost());
        let mut state = vec![layer.mode()];
        if base.frozen() {
            state.push("frozen".to_owned());
        }
        state.retain(|word| !word.is_empty());
        let bytes: usize = base.outputs().iter().map(Signal::bytes).sum();
        self.layers.push(Description {
            path: base.path().to_owned(),
            output: base.output().clone(),
            parameters: layer.parameters().iter().map(|p| p.values.len()).sum(),
            cost: Cost {
                luts: cost.luts,
                unrolled: cost.unrolled.saturating_mul(times),
                macs: cost.macs.saturating_mul(times),
                binary_macs: cost.binary_macs.saturating_mul(times),
            },
            bytes: (bytes as u64).saturating_mul(times),
            state: state.join(", "),
        });
    }

    /// What all layers cost together.
    pub fn cost(&self) -> Cost {
        self.layers.iter().fold(Cost::default(), |sum, layer| Cost {
            luts: sum.luts.saturating_add(layer.cost.luts),
            unrolled: sum.unrolled.saturating_add(layer.cost.unrolled),
            macs: sum.macs.saturating_add(layer.cost.macs),
            binary_macs: sum.binary_macs.saturating_add(layer.cost.binary_macs),
        })
    }

    /// Trained numbers of all layers.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    fn rows(&self) -> Vec<[String; COLUMNS]> {
        let row =
            |path: &str, output: String, parameters: usize, cost: Cost, bytes, state: &str| {
                [
                    path.to_owned(),
                    output,
                    parameters.to_string(),
                    cost.luts.to_string(),
                    cost.unrolled.to_string(),
                    cost.macs.to_string(),
                    cost.binary_macs.to_string(),
                    bytes,
                    state.to_owned(),
                ]
            };
        let mut rows: Vec<[String; COLUMNS]> = Vec::with_capacity(self.layers.len() + 1);
        for layer in &self.layers {
            let output = format!("{} {:?}", layer.output.dtype, layer.output.shape);
            let bytes = layer.bytes.to_string();
            rows.push(row(&layer.path, output, layer.parameters, layer.cost, bytes, &layer.state));
        }
        let bytes = self.layers.iter().map(|layer| layer.bytes).sum::<u64>().to_string();
        rows.push(row("total", String::new(), self.parameters(), self.cost(), bytes, ""));
        rows
    }

    /// The table in Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&HEADS.map(str::to_owned));
        text.push_str(&line(
            &["---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "---"].map(str::to_owned),
        ));
        for row in self.rows() {
            text.push_str(&line(&row));
        }
        text
    }

    /// The table in JSON: a list of one object a layer.
    pub fn to_json(&self) -> Value {
        let layers = self.layers.iter().map(|layer| {
            json!({
                "layer": layer.path,
                "dtype": layer.output.dtype.to_string(),
                "shape": layer.output.shape,
                "parameters": layer.parameters,
                "luts": layer.cost.luts,
                "unrolled": layer.cost.unrolled,
                "macs": layer.cost.macs,
                "binary_macs": layer.cost.binary_macs,
                "bytes": layer.bytes,
                "state": layer.state,
            })
        });
        Value::Array(layers.collect())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADS.map(str::to_owned)];
        rows.extend(self.rows());
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..HEADS.len()).map(|c| width(c).unwrap_or(0)).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                let cell = if (2..8).contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                };
                line.push_str(&cell);
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// LUT nodes of a layer and all in it, each once: what is trained and frozen, however often a
/// convolution repeats it.
pub(crate) fn luts(layer: &dyn Layer) -> usize {
    let children = layer.children().into_iter().filter(|(name, _)| !layer.is_idle(name));
    children.map(|(_, child)| luts(child)).sum::<usize>() + layer.cost().luts as usize
}
