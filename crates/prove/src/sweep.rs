//! Finding inner nodes that are equal, from the inputs up.
//!
//! Nodes that agree on random inputs may be equal; the solver says whether they are (A. Kuehlmann,
//! F. Krohm, "Equivalence checking using cuts and heaps", DAC 1997; A. Kuehlmann, V. Paruthi, F. Krohm,
//! M. Ganai, "Robust Boolean reasoning for equivalence checking and functional property
//! verification", TCAD 2002). What is equal becomes one node, so that the questions above it are small:
//! two networks that are built alike are proved equal in many easy steps. What is not gives inputs
//! that tell nodes apart, and these are simulated as well.
//!
//! Solvers are bad at sums: that bits are counted alike in two orders takes them ages. What a solver
//! does not decide, decision diagrams may ([`cut`]). Where both netlists have popcount blocks, those of
//! equal bits are taken as equal, by what a popcount is.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cut;
use crate::graph::{self, Form, Gate, Graph, Lit};
use crate::simulate::Numbers;
use crate::solver::{Answer, Solver};

/// Words of random patterns at the start.
const WORDS: usize = 16;
/// Conflicts after which a pair of inner nodes is left alone.
const CONFLICTS: u64 = 500;
/// Nodes with the same signature that a node is compared with.
const TRIES: usize = 3;
/// Most nodes of a decision diagram, and of one after many that were too small.
const DIAGRAM: std::ops::RangeInclusive<usize> = 1 << 12..=1 << 21;
/// Inputs from the solver that are simulated together.
const BATCH: usize = 16;

/// The nodes of a graph, equal ones found as far as [`run`](Self::run) went.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    graph: &'a Graph,
    solver: Solver,
    /// What each node is, in terms of the nodes that stand for classes.
    reps: Vec<Lit>,
    /// The gates of nodes that stand for classes, reading only such.
    gates: Vec<Option<Gate>>,
    known: BTreeMap<Gate, u32>,
    /// A hash of what each node was in all patterns so far, taken up to complement, and the first bit.
    hashes: Vec<u64>,
    first: Vec<bool>,
    words: usize,
    /// The nodes that stand for classes, by hash.
    classes: BTreeMap<u64, Vec<u32>>,
    /// Which nodes were swept: others have no gates here.
    swept: Vec<bool>,
    /// For each node that is a bit of a popcount: which popcount and which bit.
    counted: BTreeMap<usize, Vec<(usize, usize)>>,
    /// The first popcount of the same bits.
    counts: BTreeMap<Vec<Lit>, usize>,
    /// Inputs from the solver to simulate next: the nodes that are one.
    found: Vec<Vec<usize>>,
    numbers: Numbers,
    /// Nodes that the next decision diagram may have.
    diagram: usize,
    /// Pairs proved equal by the solver.
    pub(crate) merged: usize,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        let nodes = graph.gates.len();
        let mut counted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, count) in graph.counts.iter().enumerate() {
            for (bit, lit) in count.word.iter().enumerate() {
                counted.entry(lit.node()).or_default().push((index, bit));
            }
        }
        Self {
            graph,
            swept: vec![false; nodes],
            counted,
            counts: BTreeMap::new(),
            solver: Solver::new(nodes),
            reps: (0..nodes).map(Lit::of).collect(),
            gates: vec![None; nodes],
            known: BTreeMap::new(),
            hashes: vec![0; nodes],
            first: vec![false; nodes],
            words: 0,
            classes: BTreeMap::new(),
            found: Vec::new(),
            numbers: Numbers::new(nodes as u64),
            diagram: *DIAGRAM.end(),
            merged: 0,
        }
    }

    /// Sweeps a cone, nodes in ascending order, until the deadline: nodes after it are only made of
    /// the classes of what they read.
    pub(crate) fn run(&mut self, cone: &[usize], deadline: Instant) {
        for word in 0..WORDS {
            self.simulate(cone, word);
        }
        self.enter(0);
        for (done, &node) in cone.iter().enumerate().filter(|&(_, &node)| node != 0) {
            self.swept[node] = true;
            let Some(gate) = &self.graph.gates[node] else {
                self.enter(node);
                continue;
            };
            let operands: Vec<Lit> =
                gate.reads.iter().map(|&read| self.reps[read as usize]).collect();
            let (gate, flip) = match graph::form(&gate.table, &operands) {
                Form::Same(lit) => {
                    self.reps[node] = lit;
                    continue;
                }
                Form::Gate(gate, flip) => (gate, flip),
            };
            if let Some(&other) = self.known.get(&gate) {
                // The node that has this gate, or the class it was found to be of.
                self.reps[node] = Lit(other).not_if(flip);
                continue;
            }
            if let Some(same) = self.count_of(node) {
                self.reps[node] = same;
                self.known.insert(gate, same.not_if(flip).0);
                continue;
            }
            self.gates[node] = Some(gate.clone());
            let own = Lit::of(node).not_if(flip);
            self.reps[node] = own;
            if Instant::now() < deadline
                && let Some(same) = self.class_of(node, own, deadline)
            {
                self.reps[node] = same;
                self.merged += 1;
            } else {
                self.enter(node);
            }
            self.known.insert(gate, self.reps[node].not_if(flip).0);
            if self.found.len() >= BATCH {
                self.simulate(cone, WORDS);
                self.classes.clear();
                self.enter(0);
                for &node in &cone[..=done] {
                    if self.reps[node].node() == node && node != 0 {
                        self.enter(node);
                    }
                }
            }
        }
    }

    /// Whether two literals can differ.
    pub(crate) fn decide(&mut self, a: Lit, b: Lit, conflicts: u64, deadline: Instant) -> Answer {
        let (a, b) = (self.rep(a), self.rep(b));
        if a == b {
            return Answer::Equal;
        }
        match self.above_cut(a, b, deadline) {
            Answer::Unknown => self.solver.differ((a, b), &self.gates, conflicts, deadline),
            answer => answer,
        }
    }

    /// The same, by decision diagrams of what both share. These get fewer nodes each time that they
    /// are not enough.
    fn above_cut(&mut self, a: Lit, b: Lit, deadline: Instant) -> Answer {
        let answer = cut::compare(&self.gates, (a, b), self.diagram, deadline);
        self.diagram = match answer {
            Answer::Unknown => (self.diagram / 2).max(*DIAGRAM.start()),
            _ => *DIAGRAM.end(),
        };
        answer
    }

    fn rep(&self, lit: Lit) -> Lit {
        self.reps[lit.node()].not_if(lit.is_complement())
    }

    /// The literal of an earlier node that is the same bit of a count of the same bits.
    fn count_of(&mut self, node: usize) -> Option<Lit> {
        let graph = self.graph;
        for &(index, bit) in self.counted.get(&node)? {
            let count = &graph.counts[index];
            let mut key: Vec<Lit> = count.bits.iter().map(|&lit| self.rep(lit)).collect();
            key.retain(|&lit| lit != Lit::ZERO);
            key.sort_unstable();
            let first = *self.counts.entry(key).or_insert(index);
            // A longer word has zeros on top.
            let other = graph.counts[first].word.get(bit).copied().unwrap_or(Lit::ZERO);
            if first != index
                && (other == Lit::ZERO || self.swept[other.node()] && other.node() < node)
            {
                return Some(self.rep(other).not_if(count.word[bit].is_complement()));
            }
        }
        None
    }

    /// The literal that a new node is equal to, if one is found. `own` is the node itself.
    fn class_of(&mut self, node: usize, own: Lit, deadline: Instant) -> Option<Lit> {
        let others = self.classes.get(&self.hashes[node])?;
        let others: Vec<u32> = others.iter().copied().take(TRIES).collect();
        for other in others {
            let other = other as usize;
            let same = self.reps[other].not_if(self.first[other] != self.first[node]);
            let mut answer = self.solver.differ((own, same), &self.gates, CONFLICTS, deadline);
            if answer == Answer::Unknown {
                answer = self.above_cut(own, same, deadline);
            }
            match answer {
                Answer::Equal => return Some(same),
                Answer::Differ(ones) => self.found.push(ones),
                Answer::Unknown => {}
            }
        }
        None
    }

    /// Enters a node that stands for a class.
    fn enter(&mut self, node: usize) {
        self.classes.entry(self.hashes[node]).or_default().push(node as u32);
    }

    /// Simulates 64 patterns: what the solver found, if anything, each with some bits flipped, else
    /// random ones, dense and sparse ones among them.
    fn simulate(&mut self, cone: &[usize], word: usize) {
        let found = std::mem::take(&mut self.found);
        let mut values = vec![0u64; self.graph.gates.len()];
        for &node in cone.iter().filter(|&&node| self.graph.is_input(node)) {
            let (x, y) = (self.numbers.word(), self.numbers.word());
            values[node] = match word % 4 {
                _ if !found.is_empty() => x & y & self.numbers.word() & self.numbers.word(),
                // All zeros and all ones are among the first patterns.
                0 => (x & !1) | 2,
                1 => x,
                2 => x & y,
                _ => x | y,
            };
        }
        let copies = 64 / found.len().max(1);
        for (pattern, ones) in found.iter().enumerate().take(64) {
            // The first copy is left as it was found.
            let lanes = (u64::MAX >> (64 - copies)) << (pattern * copies);
            let exact = 1 << (pattern * copies);
            for &node in cone.iter().filter(|&&node| self.graph.is_input(node)) {
                values[node] &= !exact;
            }
            for &node in ones {
                values[node] ^= lanes;
            }
        }
        let mut operands = Vec::new();
        for &node in cone {
            if let Some(gate) = &self.graph.gates[node] {
                operands.clear();
                operands.extend(gate.reads.iter().map(|&read| values[read as usize]));
                values[node] = gate.table.evaluate(&operands);
            }
            if self.words == 0 {
                self.first[node] = values[node] & 1 == 1;
            }
            let value = if self.first[node] { !values[node] } else { values[node] };
            let mixed = (self.hashes[node] ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.hashes[node] = mixed ^ mixed >> 29;
        }
        if cone.first() != Some(&0) {
            let mixed = self.hashes[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.hashes[0] = mixed ^ mixed >> 29;
        }
        self.words += 1;
    }
}
