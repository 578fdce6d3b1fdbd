//! Which sources each LUT of a layer reads.
//!
//! A [`Wiring`] is plain data: for node `j` and input `i`, the number of a source. Rules that make
//! one take their random numbers from the caller as a function `below(bound)`, uniform in
//! `0..bound`, so that this crate stays free of generators.

use crate::{Error, MAX_FAN_IN, Result};

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

    /// Random sources: every source is used once before any is used again, and the inputs of a
    /// node are distinct where there are enough sources (`BinaryBrain`'s rule `random`).
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have.
    pub fn random(
        sources: usize,
        nodes: usize,
        fan_in: usize,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        let apart = |_: &[u32], _: u32| 0;
        Self::deal(sources, nodes, fan_in, below, &apart)
    }

    /// Like [`random`](Self::random), and the inputs of a node come from ancestries that overlap
    /// as little as a look at the next candidates allows. `ancestors[s]` is the set of first
    /// causes of source `s`, as bits; pass an empty slice when sources have none in common.
    ///
    /// Fan-outs differ by at most one. (Balanced fan-out and disjoint ancestries: see the
    /// book's page on wiring.)
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have, or when `ancestors` is neither empty
    /// nor one per source.
    pub fn balanced(
        sources: usize,
        nodes: usize,
        fan_in: usize,
        ancestors: &[Vec<u64>],
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        if !ancestors.is_empty() && ancestors.len() != sources {
            let what = format!("expected ancestors of {sources} sources, got {}", ancestors.len());
            return Err(Error::Wiring { what });
        }
        if ancestors.is_empty() {
            return Self::random(sources, nodes, fan_in, below);
        }
        let shared = |node: &[u32], source: u32| -> u32 {
            let own = &ancestors[source as usize];
            let overlap = |other: u32| -> u32 {
                let other = &ancestors[other as usize];
                own.iter().zip(other).map(|(a, b)| (a & b).count_ones()).sum()
            };
            node.iter().map(|&other| overlap(other)).sum()
        };
        Self::deal(sources, nodes, fan_in, below, &shared)
    }

    /// Deals shuffled decks of all sources to the nodes. A slot takes the next card, unless one of
    /// the following few has a smaller `overlap` with the node's other inputs.
    fn deal(
        sources: usize,
        nodes: usize,
        fan_in: usize,
        below: &mut dyn FnMut(usize) -> usize,
        overlap: &dyn Fn(&[u32], u32) -> u32,
    ) -> Result<Self> {
        const LOOK_AHEAD: usize = 48;
        check(sources, nodes, fan_in)?;
        let slots = nodes * fan_in;
        let mut table: Vec<u32> = Vec::with_capacity(slots);
        let mut deck: Vec<u32> = Vec::new(); // the next card is the last
        let mut next: Vec<u32> = Vec::new(); // cards of the deck after this one
        for slot in 0..slots {
            if deck.is_empty() {
                std::mem::swap(&mut deck, &mut next);
            }
            if deck.is_empty() {
                deck = shuffled(sources, below);
            }
            let node = &table[slot - slot % fan_in..];
            let cost = |card: u32| (!node.contains(&card)).then(|| overlap(node, card));
            let mut best: Option<(usize, u32)> = None;
            for (ahead, &card) in deck.iter().rev().take(LOOK_AHEAD).enumerate() {
                if let Some(cost) = cost(card)
                    && best.is_none_or(|(_, least)| cost < least)
                {
                    best = Some((deck.len() - 1 - ahead, cost));
                }
                if best.is_some_and(|(_, least)| least == 0) {
                    break;
                }
            }
            // Nothing in sight is new to this node: the rest of the deck, then the deck after it.
            let place = best.map(|(place, _)| place);
            let place = place.or_else(|| deck.iter().rposition(|&card| cost(card).is_some()));
            let card = if let Some(place) = place {
                deck.remove(place)
            } else {
                if next.is_empty() {
                    next = shuffled(sources, below);
                }
                match next.iter().rposition(|&card| !node.contains(&card)) {
                    Some(place) => next.remove(place),
                    None => deck.remove(deck.len() - 1), // more inputs than sources
                }
            };
            table.push(card);
        }
        Ok(Self { sources, fan_in, table })
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
    } else if sources > u32::MAX as usize || nodes > crate::MAX_NETS {
        format!("{sources} sources and {nodes} nodes are too many")
    } else {
        return Ok(());
    };
    Err(Error::Wiring { what })
}

fn shuffled(sources: usize, below: &mut dyn FnMut(usize) -> usize) -> Vec<u32> {
    let mut deck: Vec<u32> = (0..sources as u32).collect();
    for last in (1..sources).rev() {
        deck.swap(last, below(last + 1));
    }
    deck
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A small generator (Marsaglia's xorshift64) as the source of random numbers.
    fn below(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed | 1;
        move |bound| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        }
    }

    proptest! {
        #[test]
        fn dealt_wiring_is_distinct_and_balanced(
            sources in 1usize..200, nodes in 1usize..120, fan_in in 1usize..=8, seed: u64, related: bool,
        ) {
            let ancestors: Vec<Vec<u64>> = if related {
                (0..sources).map(|s| vec![1 << (s / 3 % 64)]).collect()
            } else {
                Vec::new()
            };
            let wiring = Wiring::balanced(sources, nodes, fan_in, &ancestors, &mut below(seed)).unwrap();
            prop_assert_eq!(wiring.nodes(), nodes);
            let mut used = vec![0usize; sources];
            for &source in wiring.table() {
                used[source as usize] += 1;
            }
            let spread = used.iter().max().unwrap() - used.iter().min().unwrap();
            if fan_in <= sources {
                for node in 0..nodes {
                    let mut inputs = wiring.node(node).to_vec();
                    inputs.sort_unstable();
                    inputs.dedup();
                    prop_assert_eq!(inputs.len(), fan_in);
                }
                // A deck may lend cards to the one before it.
                prop_assert!(spread <= 2, "{:?}", used);
            }
        }
    }

    #[test]
    fn ancestries_are_kept_apart() {
        // 90 sources in 30 families of three, six inputs: enough families for disjoint ancestries.
        let ancestors: Vec<Vec<u64>> = (0..90).map(|s| vec![1 << (s % 30)]).collect();
        let wiring = Wiring::balanced(90, 60, 6, &ancestors, &mut below(9)).unwrap();
        let related = (0..60).filter(|&node| {
            let union = wiring.node(node).iter().fold(0, |all, &s| all | ancestors[s as usize][0]);
            union.count_ones() < 6
        });
        assert!(related.count() <= 6);
        assert_eq!(wiring.ancestors(&ancestors).unwrap().len(), 60);
    }

    #[test]
    fn refuses_what_is_no_wiring() {
        let explicit =
            |sources, fan_in, table: &[u32]| Wiring::explicit(sources, fan_in, table.to_vec());
        assert!(explicit(4, 2, &[0, 1, 2, 3]).is_ok());
        assert!(explicit(4, 2, &[0, 1, 2, 4]).is_err());
        assert!(explicit(4, 2, &[0, 1, 2]).is_err());
        assert!(explicit(4, 0, &[]).is_err() && explicit(4, 9, &[0; 9]).is_err());
        assert!(Wiring::serial(0, 1, 1).is_err() && Wiring::serial(1, usize::MAX, 2).is_err());
        assert!(Wiring::random(5, 3, 6, &mut below(1)).is_ok(), "repeats where sources are few");
    }
}
