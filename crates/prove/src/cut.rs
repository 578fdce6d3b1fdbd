//! Comparing two literals above what both of them are made of.
//!
//! Where two cones share nodes, as they do once equal inner nodes have become one, it is enough that
//! they are equal as functions of these, whatever they are (A. Kuehlmann, F. Krohm, "Equivalence
//! checking using cuts and heaps", DAC 1997). Sums and comparisons of words have small decision
//! diagrams in any order of adding, and defeat solvers. That two functions of shared nodes differ says
//! nothing, unless these are inputs: they may take only some values. So the cut is then moved towards
//! the inputs, some times.

use std::time::Instant;

use crate::bdd::{Diagrams, Function, ZERO};
use crate::graph::{Gate, Lit};
use crate::solver::Answer;

/// Cuts that are tried.
const CUTS: usize = 4;
/// Most shared nodes of a cut.
const WIDEST: usize = 1024;
/// Nodes of either cone.
const FIRST: u8 = 1;
const SECOND: u8 = 2;
/// What is computed, not taken as it is.
const INNER: u8 = 4;

/// Compares two literals of a graph, `gates` being none for inputs and each reading earlier nodes
/// only, with decision diagrams of `most` nodes at most. Costs the walk of both cones, and time in
/// proportion to the diagrams.
pub(crate) fn compare(
    gates: &[Option<Gate>],
    (a, b): (Lit, Lit),
    most: usize,
    deadline: Instant,
) -> Answer {
    let mut marks = vec![0; gates.len()];
    for (root, mark) in [(a, FIRST), (b, SECOND)] {
        let mut pending = vec![root.node()];
        while let Some(node) = pending.pop() {
            if marks[node] & mark == 0 {
                marks[node] |= mark;
                pending.extend(reads(gates, node));
            }
        }
    }
    for mark in &mut marks {
        if *mark != FIRST | SECOND {
            *mark |= INNER;
        }
    }
    for _ in 0..CUTS {
        let cut = Cut::new(gates, [a, b], &marks);
        if cut.leaves.len() > WIDEST {
            return Answer::Unknown;
        }
        let mut diagrams = Diagrams::new(most);
        let Some(differ) = cut.differ(&mut diagrams, gates, [a, b], deadline) else {
            return Answer::Unknown;
        };
        if differ == ZERO {
            return Answer::Equal;
        }
        if cut.leaves.iter().all(|&leaf| gates[leaf].is_none()) {
            let ones = diagrams.ones(differ);
            return Answer::Differ(ones.into_iter().map(|level| cut.leaves[level]).collect());
        }
        for leaf in cut.leaves {
            marks[leaf] |= INNER;
        }
    }
    Answer::Unknown
}

fn reads(gates: &[Option<Gate>], node: usize) -> impl Iterator<Item = usize> {
    gates[node].iter().flat_map(|gate| gate.reads.iter().map(|&read| read as usize))
}

/// The nodes between two literals and what they share.
struct Cut {
    /// What is taken as it is, in the order of the variables: that of a walk.
    leaves: Vec<usize>,
    /// What is computed, each after what it reads.
    inner: Vec<usize>,
}

impl Cut {
    fn new(gates: &[Option<Gate>], roots: [Lit; 2], marks: &[u8]) -> Self {
        let (mut leaves, mut inner) = (Vec::new(), Vec::new());
        let mut seen = vec![false; gates.len()];
        let mut pending: Vec<usize> = roots.iter().rev().map(|lit| lit.node()).collect();
        while let Some(node) = pending.pop() {
            if node == 0 || std::mem::replace(&mut seen[node], true) {
                continue;
            }
            if gates[node].is_some() && marks[node] & INNER != 0 {
                inner.push(node);
                pending.extend(reads(gates, node));
            } else {
                leaves.push(node);
            }
        }
        inner.sort_unstable();
        Self { leaves, inner }
    }

    /// Where both differ, as a function of the leaves; none if it is too large or takes too long.
    fn differ(
        &self,
        diagrams: &mut Diagrams,
        gates: &[Option<Gate>],
        roots: [Lit; 2],
        deadline: Instant,
    ) -> Option<Function> {
        // Node 0 is zero.
        let mut functions = vec![ZERO; gates.len()];
        for (level, &leaf) in self.leaves.iter().enumerate() {
            functions[leaf] = diagrams.variable(level)?;
        }
        for &node in &self.inner {
            if Instant::now() >= deadline {
                return None;
            }
            let gate = gates[node].as_ref()?;
            let operands: Vec<Function> =
                gate.reads.iter().map(|&read| functions[read as usize]).collect();
            functions[node] = diagrams.table(&gate.table, &operands)?;
        }
        let [a, b] = roots.map(|lit| functions[lit.node()]);
        let other = diagrams.not(b)?;
        let (same, other) = if roots[0].is_complement() == roots[1].is_complement() {
            (b, other)
        } else {
            (other, b)
        };
        diagrams.choose(a, other, same)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lutweave_lut::TruthTable;

    use super::*;
    use crate::graph::Graph;

    /// The sum of words, each added to the ones before, lowest bit first.
    fn sum(graph: &mut Graph, words: &[Vec<Lit>], width: usize) -> Vec<Lit> {
        let parity = TruthTable::from_fn(3, |k| k.count_ones() % 2 == 1).unwrap();
        let carry = TruthTable::from_fn(3, |k| k.count_ones() > 1).unwrap();
        let mut sum = vec![Lit::ZERO; width];
        for word in words {
            let mut c = Lit::ZERO;
            for (bit, digit) in sum.iter_mut().enumerate() {
                let reads = [*digit, word.get(bit).copied().unwrap_or(Lit::ZERO), c];
                *digit = graph.add(&parity, &reads);
                c = graph.add(&carry, &reads);
            }
        }
        sum
    }

    #[test]
    fn sums_in_two_orders_are_equal() {
        let inputs = 48;
        let mut graph = Graph::new(inputs);
        let mut bits: Vec<Vec<Lit>> = (1..=inputs).map(|i| vec![Lit::of(i)]).collect();
        let a = sum(&mut graph, &bits, 6);
        // Pairs first, from the last.
        bits.reverse();
        let pairs: Vec<Vec<Lit>> = bits.chunks(2).map(|two| sum(&mut graph, two, 2)).collect();
        let b = sum(&mut graph, &pairs, 6);
        let deadline = Instant::now() + Duration::from_mins(1);
        let ask = |pair, most| compare(&graph.gates, pair, most, deadline);
        for (&a, &b) in a.iter().zip(&b) {
            assert_eq!(ask((a, b), 1 << 18), Answer::Equal);
        }
        assert_eq!(ask((a[5], b[5]), 100), Answer::Unknown);
        let Answer::Differ(ones) = ask((a[2], b[3]), 1 << 18) else { panic!("they differ") };
        assert_ne!(ones.len() >> 2 & 1, ones.len() >> 3 & 1);
        assert!(matches!(ask((a[0], b[0].not_if(true)), 1 << 18), Answer::Differ(_)));
    }

    #[test]
    fn a_cut_is_moved_where_its_nodes_take_only_some_values() {
        // Of x and y, x·y is never one without x + y: they are equal for other reasons than above.
        let mut graph = Graph::new(2);
        let table = |bits: usize| TruthTable::from_fn(2, |k| bits >> k & 1 == 1).unwrap();
        let and = graph.add(&table(0x8), &[Lit::of(1), Lit::of(2)]);
        let or = graph.add(&table(0xe), &[Lit::of(1), Lit::of(2)]);
        let xor = graph.add(&table(0x6), &[and, or]);
        let without = graph.add(&table(0x4), &[and, or]);
        let deadline = Instant::now() + Duration::from_mins(1);
        assert_ne!(xor, without);
        assert_eq!(compare(&graph.gates, (xor, without), 1000, deadline), Answer::Equal);
        assert!(matches!(compare(&graph.gates, (xor, or), 1000, deadline), Answer::Differ(_)));
    }
}
