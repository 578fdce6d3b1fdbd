//! Random wiring dealt like cards: shuffled decks of all sources, one after the other.

use super::{Below, Wiring, check, draw};
use crate::{Error, Result};

/// How many cards of the deck a slot may choose from.
const LOOK_AHEAD: usize = 48;
/// Exchanges tried for each node whose inputs are related.
const TRIES: usize = 32;
/// Most exchanges tried in all.
const MAX_TRIES: usize = 1 << 21;

/// How much two sources have in common.
type Shared<'a> = &'a dyn Fn(u32, u32) -> u32;

impl Wiring {
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
        check(sources, nodes, fan_in)?;
        Ok(Self { sources, fan_in, table: deal(sources, nodes, fan_in, below, None) })
    }

    /// Like [`random`](Self::random), and the inputs of a node come from ancestries that overlap
    /// as little as a local search finds. `ancestors[s]` is the set of first causes of source `s`,
    /// as bits; pass an empty slice when sources have none in common.
    ///
    /// Fan-outs differ by at most one, also among sources that few nodes read. The search deals
    /// each input the least related of the next 48 sources, then exchanges inputs between nodes
    /// while that lowers the number of common ancestors.
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
        check(sources, nodes, fan_in)?;
        let shared = |a: u32, b: u32| -> u32 {
            let (a, b) = (&ancestors[a as usize], &ancestors[b as usize]);
            a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
        };
        let mut table = deal(sources, nodes, fan_in, below, Some(&shared));
        untangle(&mut table, fan_in, below, &shared);
        Ok(Self { sources, fan_in, table })
    }
}

/// Deals shuffled decks of all sources to the nodes. A slot takes the next card that its node does
/// not have, or one of the following few that has less in common with the node's other inputs.
///
/// A deck is dealt to its end before the next is begun, so fan-outs differ by at most one.
pub(super) fn deal(
    sources: usize,
    nodes: usize,
    fan_in: usize,
    below: Below<'_>,
    shared: Option<Shared<'_>>,
) -> Vec<u32> {
    let mut table: Vec<u32> = Vec::with_capacity(nodes * fan_in);
    let mut deck: Vec<u32> = Vec::new(); // the next card is the last
    for slot in 0..nodes * fan_in {
        if deck.is_empty() {
            deck = shuffled(sources, below);
        }
        let node = &table[slot - slot % fan_in..];
        let mut best: Option<(usize, u32)> = None;
        for (place, &card) in deck.iter().enumerate().rev().take(LOOK_AHEAD) {
            if node.contains(&card) {
                continue;
            }
            let cost = shared.map_or(0, |shared| related(node, card, shared));
            if best.is_none_or(|(_, least)| cost < least) {
                best = Some((place, cost));
            }
            if cost == 0 {
                break;
            }
        }
        // A node has at most seven cards so far: if none in sight is new to it, the deck ends here.
        let card = if let Some((place, _)) = best {
            deck.remove(place)
        } else {
            let card = deck.remove(deck.len() - 1);
            if fan_in <= sources { exchange(&mut table, fan_in, card) } else { card }
        };
        table.push(card);
    }
    table
}

/// Gives `card`, which the last, unfinished node of the table has, to an earlier node without it;
/// gives the card taken from there, which is new to the last node.
///
/// There always is such a node. After `t` whole decks a card that is left in this one has been
/// dealt `t` times. Once to the last node, so if all `m` earlier nodes had it, `t` would be `m + 1`:
/// more cards than `m` whole nodes and an unfinished one hold, since no deck is smaller than a node.
/// And a node without the card holds more other cards than the last node, so one of them is new.
fn exchange(table: &mut [u32], fan_in: usize, card: u32) -> u32 {
    let (earlier, last) = table.split_at_mut(table.len() / fan_in * fan_in);
    for node in earlier.chunks_mut(fan_in).rev() {
        if !node.contains(&card)
            && let Some(other) = node.iter_mut().find(|other| !last.contains(other))
        {
            return std::mem::replace(other, card);
        }
    }
    card
}

/// What a source has in common with the sources of a node.
fn related(node: &[u32], source: u32, shared: Shared<'_>) -> u32 {
    node.iter().map(|&other| shared(other, source)).sum()
}

/// Exchanges inputs of nodes while that lowers what the inputs of nodes have in common. Fan-outs
/// stay as they are, and distinct inputs stay distinct.
fn untangle(table: &mut [u32], fan_in: usize, below: Below<'_>, shared: Shared<'_>) {
    let nodes = table.len() / fan_in;
    let tries = TRIES.min(MAX_TRIES / nodes);
    // What input `slot` has in common with the others of its node, if it were `source`; none if the
    // node would then read a source twice.
    let cost = |table: &[u32], slot: usize, source: u32| {
        let first = slot - slot % fan_in;
        let others = (first..first + fan_in).filter(|&other| other != slot);
        let mut total = 0;
        for other in others {
            if table[other] == source {
                return None;
            }
            total += shared(table[other], source);
        }
        Some(total)
    };
    for node in 0..nodes {
        for attempt in 0..tries {
            let slot = node * fan_in + attempt % fan_in;
            let Some(own) = cost(table, slot, table[slot]).filter(|&own| own > 0) else { continue };
            let other = draw(below, table.len());
            if other / fan_in == node {
                continue;
            }
            let before = cost(table, other, table[other]).map(|cost| cost + own);
            let after = cost(table, slot, table[other]);
            let after = after.zip(cost(table, other, table[slot])).map(|(a, b)| a + b);
            if let (Some(before), Some(after)) = (before, after)
                && after < before
            {
                table.swap(slot, other);
            }
        }
    }
}

/// All sources in random order (Fisher and Yates).
pub(super) fn shuffled(sources: usize, below: Below<'_>) -> Vec<u32> {
    let mut deck: Vec<u32> = (0..sources as u32).collect();
    for last in (1..sources).rev() {
        deck.swap(last, draw(below, last + 1));
    }
    deck
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_below as below;
    use super::*;

    proptest! {
        #[test]
        fn dealt_wiring_is_distinct_and_balanced(
            sources in 1usize..200, nodes in 1usize..120, fan_in in 1usize..=8, seed: u64,
            related: bool,
        ) {
            let ancestors: Vec<Vec<u64>> = if related {
                (0..sources).map(|s| vec![1 << (s / 3 % 64)]).collect()
            } else {
                Vec::new()
            };
            let wiring =
                Wiring::balanced(sources, nodes, fan_in, &ancestors, &mut below(seed)).unwrap();
            let summary = wiring.summary();
            prop_assert_eq!(wiring.nodes(), nodes);
            prop_assert!(summary.max_fan_out - summary.min_fan_out <= 1, "{}", summary);
            if fan_in <= sources {
                prop_assert_eq!(summary.repeating, 0);
            }
        }

        /// The decks end inside nodes all the time, where nodes have nearly every source.
        #[test]
        fn few_sources_are_dealt_evenly(
            extra in 0usize..4, nodes in 1usize..60, fan_in in 1usize..=8, seed: u64,
        ) {
            let wiring =
                Wiring::random(fan_in + extra, nodes, fan_in, &mut below(seed)).unwrap();
            let summary = wiring.summary();
            prop_assert_eq!(summary.repeating, 0);
            prop_assert!(summary.max_fan_out - summary.min_fan_out <= 1, "{}", summary);
        }
    }

    #[test]
    fn ancestries_are_kept_apart() {
        // 90 sources in 30 families of three, six inputs: enough families for disjoint ancestries.
        let ancestors: Vec<Vec<u64>> = (0..90).map(|s| vec![1 << (s % 30)]).collect();
        let wiring = Wiring::balanced(90, 60, 6, &ancestors, &mut below(9)).unwrap();
        for ancestry in wiring.ancestors(&ancestors).unwrap() {
            assert_eq!(ancestry[0].count_ones(), 6);
        }
    }

    #[test]
    fn any_random_numbers_will_do() {
        assert!(Wiring::random(9, 7, 4, &mut |_| usize::MAX).is_ok());
        assert!(Wiring::balanced(9, 7, 4, &vec![vec![1]; 9], &mut |bound| bound).is_ok());
        assert!(Wiring::balanced(9, 7, 4, &vec![vec![1]; 8], &mut below(1)).is_err());
        assert!(Wiring::random(5, 3, 6, &mut below(1)).is_ok(), "repeats where sources are few");
        assert!(Wiring::random(0, 3, 6, &mut below(1)).is_err());
    }
}
