//! Deciding many pairs of literals of one graph, each by the cheapest way that does.

use std::time::Instant;

use crate::exhaustive::{self, try_all};
use crate::graph::{Graph, Lit};
use crate::solver::Answer;
use crate::sweep::Sweep;
use crate::{Limits, Method, Outcome};

/// What was found of one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    /// Inputs that the pair depends on.
    pub(crate) support: usize,
    /// Where they differ: the nodes of inputs that are one.
    pub(crate) ones: Vec<usize>,
}

/// Decides all pairs; gives, too, how many inner pairs were proved equal by the solver.
///
/// Equal literals are the same structure; at most 16 inputs are all tried; for the others, equal inner
/// nodes are looked for first, in all of their cones together.
pub(crate) fn decide(
    graph: &Graph,
    pairs: &[(Lit, Lit)],
    limits: &Limits,
    deadline: Instant,
) -> (Vec<Decided>, usize) {
    let mut walk = Walk { seen: vec![u32::MAX; graph.gates.len()] };
    let mut hard: Vec<usize> = Vec::new();
    let mut decided: Vec<Decided> = Vec::with_capacity(pairs.len());
    for (index, &(a, b)) in pairs.iter().enumerate() {
        let cone = walk.cone(graph, [a.node(), b.node()], index as u32);
        let support = cone.iter().filter(|&&node| graph.is_input(node)).count();
        let mut entry = Decided { outcome: Outcome::Unproved, support, ones: Vec::new() };
        if a == b {
            entry.outcome = Outcome::Proved(Method::Structure);
        } else if support <= exhaustive::MOST {
            match try_all(graph, (a, b), &cone, limits.of_cone(deadline)) {
                Answer::Equal => entry.outcome = Outcome::Proved(Method::Exhaustive),
                Answer::Differ(ones) => (entry.outcome, entry.ones) = (Outcome::Different, ones),
                Answer::Unknown => {}
            }
        } else {
            hard.push(index);
        }
        decided.push(entry);
    }
    if hard.is_empty() {
        return (decided, 0);
    }
    let mut sweep = Sweep::new(graph);
    sweep.run(
        &graph.cone(hard.iter().flat_map(|&i| [pairs[i].0.node(), pairs[i].1.node()])),
        deadline,
    );
    for (at, &index) in hard.iter().enumerate() {
        if decided[index].outcome != Outcome::Unproved {
            continue;
        }
        let (a, b) = pairs[index];
        match sweep.decide(a, b, u64::MAX, limits.of_cone(deadline)) {
            Answer::Equal => decided[index].outcome = Outcome::Proved(Method::Sat),
            Answer::Unknown => {}
            Answer::Differ(ones) => {
                // The same inputs may tell more pairs apart.
                let values = values(graph, &ones);
                for &index in &hard[at..] {
                    let (a, b) = pairs[index];
                    if value(&values, a) != value(&values, b) {
                        decided[index].outcome = Outcome::Different;
                        decided[index].ones.clone_from(&ones);
                    }
                }
            }
        }
    }
    (decided, sweep.merged)
}

/// Every node where these inputs are one and the others zero.
pub(crate) fn values(graph: &Graph, ones: &[usize]) -> Vec<bool> {
    let mut values = vec![false; graph.gates.len()];
    for &node in ones {
        values[node] = true;
    }
    for (node, gate) in graph.gates.iter().enumerate() {
        if let Some(gate) = gate {
            let bits = gate.reads.iter().enumerate();
            let index = bits.map(|(bit, &read)| usize::from(values[read as usize]) << bit).sum();
            values[node] = gate.table.get(index);
        }
    }
    values
}

/// The value of a literal.
pub(crate) fn value(values: &[bool], lit: Lit) -> bool {
    values[lit.node()] != lit.is_complement()
}

/// Walks cones at a cost of their size, not that of the graph.
struct Walk {
    /// The last walk that came to each node.
    seen: Vec<u32>,
}

impl Walk {
    fn cone(&mut self, graph: &Graph, of: [usize; 2], walk: u32) -> Vec<usize> {
        let mut pending = of.to_vec();
        let mut cone = Vec::new();
        while let Some(node) = pending.pop() {
            if std::mem::replace(&mut self.seen[node], walk) == walk {
                continue;
            }
            cone.push(node);
            if let Some(gate) = &graph.gates[node] {
                pending.extend(gate.reads.iter().map(|&read| read as usize));
            }
        }
        cone.sort_unstable();
        cone
    }
}
