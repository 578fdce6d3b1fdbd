//! Which sources each LUT of a layer reads.
//!
//! A [`Wiring`] is plain data: for node `j` and input `i`, the number of a source. Rules that make
//! one take their random numbers from the caller as a function `below(bound)`, uniform in
//! `0..bound`, so that this crate stays free of generators. A number that is not below its bound is
//! read as the largest that is.

mod deal;
mod shaped;
mod text;

pub use self::text::WiringSummary;
use crate::{Error, MAX_FAN_IN, MAX_NETS, Result};

/// The caller's random numbers.
type Below<'a> = &'a mut dyn FnMut(usize) -> usize;

/// The sources of every input of every LUT of a layer.
///
/// ```
/// use lutweave_lut::Wiring;
///
/// let wiring = Wiring::serial(4, 2, 3)?;
/// assert_eq!(wiring.node(0), [0, 1, 2]);
/// assert_eq!(wiring.node(1), [3, 0, 1]);
/// # Ok::<(), lutweave_lut::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    sources: usize,
    fan_in: usize,
    table: Vec<u32>,
}

impl Wiring {
    /// Explicit wiring: `table` holds `fan_in` sources for each node.
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] when `fan_in` is not in `1..=8`, the table is no whole number of nodes, or
    /// a source does not exist.
    pub fn explicit(sources: usize, fan_in: usize, table: Vec<u32>) -> Result<Self> {
        check(sources, table.len() / fan_in.max(1), fan_in)?;
        if !table.len().is_multiple_of(fan_in) {
            let what = format!("{} sources are no whole number of nodes of {fan_in}", table.len());
            return Err(Error::Wiring { what });
        }
        if let Some(slot) = table.iter().position(|&source| source as usize >= sources) {
            let (node, input, source) = (slot / fan_in, slot % fan_in, table[slot]);
            let what = format!("node {node}, input {input}: source {source} of {sources}");
            return Err(Error::Wiring { what });
        }
        Ok(Self { sources, fan_in, table })
    }

    /// Sources in order, beginning again after the last (`BinaryBrain`'s rule `serial`).
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have.
    pub fn serial(sources: usize, nodes: usize, fan_in: usize) -> Result<Self> {
        check(sources, nodes, fan_in)?;
        let table = (0..nodes * fan_in).map(|slot| (slot % sources) as u32).collect();
        Ok(Self { sources, fan_in, table })
    }

    /// The same wiring to other sources: what was source `s` is now `names[s]`, one of `sources`.
    ///
    /// ```
    /// use lutweave_lut::Wiring;
    ///
    /// // A wiring to three of ten sources.
    /// let wiring = Wiring::serial(3, 2, 3)?.relabel(10, &[2, 5, 9])?;
    /// assert_eq!(wiring.table(), [2, 5, 9, 2, 5, 9]);
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] when there is not one name for each source, or a name is no source.
    pub fn relabel(self, sources: usize, names: &[u32]) -> Result<Self> {
        if names.len() != self.sources {
            let what = format!("expected names of {} sources, got {}", self.sources, names.len());
            return Err(Error::Wiring { what });
        }
        let table = self.table.iter().map(|&source| names[source as usize]).collect();
        Self::explicit(sources, self.fan_in, table)
    }

    /// Number of sources there are.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Inputs of each node.
    pub fn fan_in(&self) -> usize {
        self.fan_in
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.table.len() / self.fan_in
    }

    /// The sources of one node, input 0 first.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn node(&self, node: usize) -> &[u32] {
        &self.table[node * self.fan_in..(node + 1) * self.fan_in]
    }

    /// All sources, node after node.
    pub fn table(&self) -> &[u32] {
        &self.table
    }

    /// The first causes of every node, as bits, given those of its sources.
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] when `ancestors` is not one per source.
    pub fn ancestors(&self, ancestors: &[Vec<u64>]) -> Result<Vec<Vec<u64>>> {
        if ancestors.len() != self.sources {
            let (expected, got) = (self.sources, ancestors.len());
            let what = format!("expected ancestors of {expected} sources, got {got}");
            return Err(Error::Wiring { what });
        }
        let words = ancestors.iter().map(Vec::len).max().unwrap_or(0);
        let union = |node: &[u32]| {
            let mut all = vec![0u64; words];
            for &source in node {
                for (word, own) in all.iter_mut().zip(&ancestors[source as usize]) {
                    *word |= own;
                }
            }
            all
        };
        Ok(self.table.chunks(self.fan_in).map(union).collect())
    }
}

fn check(sources: usize, nodes: usize, fan_in: usize) -> Result<()> {
    let what = if !(1..=MAX_FAN_IN).contains(&fan_in) {
        format!("expected a fan-in of 1 to {MAX_FAN_IN}, got {fan_in}")
    } else if sources == 0 || nodes == 0 {
        format!("expected sources and nodes, got {sources} and {nodes}")
    } else if sources > MAX_NETS || nodes > MAX_NETS / fan_in {
        format!("{sources} sources and {nodes} nodes are too many")
    } else {
        return Ok(());
    };
    Err(Error::Wiring { what })
}

/// A number below `bound`, which is not zero, whatever the caller's function gives.
fn draw(below: Below<'_>, bound: usize) -> usize {
    below(bound).min(bound - 1)
}

/// A generator for tests (Marsaglia's xorshift64) as the source of random numbers.
#[cfg(test)]
fn test_below(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_wiring() {
        let explicit =
            |sources, fan_in, table: &[u32]| Wiring::explicit(sources, fan_in, table.to_vec());
        assert!(explicit(4, 2, &[0, 1, 2, 3]).is_ok());
        assert!(explicit(4, 2, &[0, 1, 2, 4]).is_err());
        assert!(explicit(4, 2, &[0, 1, 2]).is_err());
        assert!(explicit(4, 0, &[]).is_err() && explicit(4, 9, &[0; 9]).is_err());
        assert!(Wiring::serial(0, 1, 1).is_err() && Wiring::serial(1, usize::MAX, 2).is_err());
        assert!(Wiring::serial(usize::MAX, 1, 1).is_err());
    }

    #[test]
    fn names_are_checked() {
        let wiring = || Wiring::serial(3, 2, 2).unwrap();
        assert_eq!(wiring().relabel(9, &[8, 1, 4]).unwrap().table(), [8, 1, 4, 8]);
        let error =
            |sources, names: &[u32]| wiring().relabel(sources, names).unwrap_err().to_string();
        assert_eq!(error(9, &[8, 1]), "wiring: expected names of 3 sources, got 2");
        assert_eq!(error(8, &[8, 1, 4]), "wiring: node 0, input 0: source 8 of 8");
    }
}
