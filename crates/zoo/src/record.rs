//! What entries were measured to be: `results.json`, written by `lutweave zoo train --record`.

use serde::{Deserialize, Serialize};

use crate::Result;

/// The recorded figures, as they are in the file.
const RESULTS: &str = include_str!("../results.json");

/// The figures of one entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The entry.
    pub name: String,
    /// Samples of the full test set.
    pub samples: usize,
    /// Of these the ones whose class the frozen netlist names right.
    pub right: usize,
    /// LUT nodes that were trained.
    pub nodes: usize,
    /// The same at all positions of an image, where layers slide over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrolled: Option<usize>,
    /// Frames of bits that the netlist sees of each sample, one a clock.
    pub frames: usize,
    /// LUTs that the synthesis needs; none where it was not done.
    pub luts: Option<Luts>,
    /// LUTs on the longest path from an input to an output, without registers.
    pub depth: Option<usize>,
    /// Steps of the optimizer, or visits of nodes in coordinate descent.
    pub steps: u64,
    /// Seconds of training by the clock, evaluation included.
    pub seconds: f64,
    /// Threads that it was trained with.
    pub threads: usize,
    /// The GPUs that it was trained on, such as `cuda:0,cuda:1`; none for the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// LUTs by what they are for, each part synthesised alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Luts {
    /// The trained layers.
    pub core: usize,
    /// The comparators that make bits of numbers.
    pub encoder: usize,
    /// The popcounts and the choice of the class.
    pub head: usize,
}

impl Luts {
    /// All of them.
    pub fn total(&self) -> usize {
        self.core + self.encoder + self.head
    }
}

impl Record {
    /// Share of the test samples that the netlist has right.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.samples.max(1) as f64
    }
}

/// The figures of all entries that have some, in the order of the entries.
///
/// # Errors
///
/// [`Error::Records`](crate::Error::Records) when the file that was compiled in cannot be read.
pub fn records() -> Result<Vec<Record>> {
    Ok(serde_json::from_str(RESULTS)?)
}

/// The figures of one entry, if it has some.
///
/// # Errors
///
/// As for [`records`].
pub fn recorded(name: &str) -> Result<Option<Record>> {
    Ok(records()?.into_iter().find(|record| record.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_of_entries_and_possible() {
        let names: Vec<&str> = crate::ENTRIES.iter().map(|entry| entry.name).collect();
        let records = records().unwrap();
        let mut places: Vec<usize> = Vec::new();
        for record in &records {
            places.push(names.iter().position(|&name| name == record.name).unwrap());
            assert!(record.right <= record.samples && record.nodes > 0, "{record:?}");
        }
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }
}
