//! Covering the LUTs of a graph by fewer LUTs of at most `k` inputs.
//!
//! A *cut* of a node is a set of at most `k` nodes that together determine it: a LUT with these inputs
//! and the node's output can replace everything between. For each node the best few cuts are kept
//! (priority cuts: A. Mishchenko, S. Cho, S. Chatterjee, R. Brayton, "Combinational and Sequential
//! Mapping with Priority Cuts", ICCAD 2007), made by merging those of its operands; two passes choose
//! by *area flow* (the cost of a cut, and its share of the cost of what is below), two more by *exact
//! area* (what would really be added or freed, given all other choices). Since the nodes are LUTs
//! already, keeping every node as it is is one of the choices: the count never grows, and neither
//! does the number of LUTs on any path.
//!
//! The function of a cut is computed with it, so that inputs which turn out not to matter, as where
//! paths meet again, are dropped from the cut at once.

use super::function;
use super::graph::{Few, Graph, Kind, Lit};
use crate::{MAX_FAN_IN, TruthTable};

/// Cuts kept for a node, its own trivial one not counted.
const CUTS: usize = 6;
/// Partial cuts kept while the operands of a node are merged.
const PARTS: usize = 12;
/// The cost of a LUT in units of area flow.
const UNIT: u64 = 1 << 16;

/// Nodes that determine another one, and how.
#[derive(Debug, Clone, Copy)]
struct Cut {
    leaves: Few,
    table: TruthTable,
    flow: u64,
}

impl Cut {
    /// LUTs it takes: none where it is a constant, a wire or an inverter.
    fn area(&self) -> u64 {
        u64::from(self.leaves.as_slice().len() > 1)
    }
}

/// A set of leaves of some operands of a node, and the cut taken for each (0: the operand itself).
#[derive(Debug, Clone, Copy)]
struct Part {
    leaves: Few,
    signature: u64,
    flow: u64,
    chosen: [u8; MAX_FAN_IN],
}

/// Lists that are used for one node after the other.
#[derive(Debug, Default)]
struct Room {
    parts: Vec<Part>,
    more: Vec<Part>,
    cuts: Vec<Cut>,
}

struct Cover<'a, 'b> {
    graph: &'b Graph<'a>,
    inputs: usize,
    live: Vec<bool>,
    /// The cuts of node `n` are `cuts[start[n]..start[n + 1]]`; LUT nodes have at least one.
    cuts: Vec<Cut>,
    start: Vec<usize>,
    /// The cut that each LUT node uses, counted from its first.
    best: Vec<usize>,
    /// Area flow of the best cut, its own LUT included, shared among its readers.
    flow: Vec<u64>,
    /// LUTs on the longest way to each node in the cover.
    level: Vec<u32>,
    /// Readers of each node in the cover, of the graph itself before the first.
    readers: Vec<u32>,
    /// What [`take`](Self::take) and [`release`](Self::release) have yet to look at; empty between.
    pending: Vec<u32>,
}

/// A graph of LUTs of at most `inputs` inputs, none of which may have more now. Never of more LUTs
/// than there were: then it is the one given, simplified.
pub(super) fn cover<'a>(graph: &Graph<'a>, inputs: usize) -> Graph<'a> {
    let mut cover = Cover {
        graph,
        inputs,
        live: graph.live(),
        cuts: Vec::new(),
        start: Vec::new(),
        best: vec![0; graph.nodes.len()],
        flow: vec![0; graph.nodes.len()],
        level: vec![0; graph.nodes.len()],
        readers: vec![0; graph.nodes.len()],
        pending: Vec::new(),
    };
    cover.count_readers(Cover::operands);
    for _ in 0..2 {
        cover.choose_by_flow();
        cover.count_readers(Cover::leaves_of);
    }
    for _ in 0..2 {
        cover.choose_by_area();
    }
    let covered = cover.build();
    if covered.lut_count() <= graph.lut_count() { covered } else { graph.simplified() }
}

impl<'a> Cover<'a, '_> {
    /// The operands of a LUT node, none of others.
    fn operands(&self, node: usize) -> Few {
        match &self.graph.nodes[node].kind {
            Kind::Lut { operands, .. } => *operands,
            _ => Few::EMPTY,
        }
    }

    fn is_lut(&self, node: usize) -> bool {
        matches!(self.graph.nodes[node].kind, Kind::Lut { .. })
    }

    fn cuts_of(&self, node: usize) -> &[Cut] {
        &self.cuts[self.start[node]..self.start[node + 1]]
    }

    fn best_of(&self, node: usize) -> &Cut {
        &self.cuts[self.start[node] + self.best[node]]
    }

    fn leaves_of(&self, node: usize) -> Few {
        if self.is_lut(node) { self.best_of(node).leaves } else { Few::EMPTY }
    }

    /// Counts the readers of each node in the network where LUTs read what `reads` says.
    fn count_readers(&mut self, reads: impl Fn(&Self, usize) -> Few) {
        let mut readers = vec![0u32; self.graph.nodes.len()];
        let graph = self.graph;
        let mut sink = |lit: Lit| readers[lit.node()] += 1;
        graph.outputs.iter().for_each(|&lit| sink(lit));
        let registers = graph.registers.iter().filter(|register| self.live[register.node]);
        registers.for_each(|register| sink(register.operand));
        for (node, _) in graph.nodes.iter().zip(&self.live).filter(|&(_, &live)| live) {
            if let Kind::Block { block, bit: 0 } = node.kind {
                graph.blocks[block].operands.iter().for_each(|&lit| sink(lit));
            }
        }
        for node in (0..readers.len()).rev() {
            if readers[node] > 0 {
                for &leaf in reads(self, node).as_slice() {
                    readers[leaf as usize] += 1;
                }
            }
        }
        self.readers = readers;
    }

    /// Makes the cuts of all nodes and takes the one of least area flow for each.
    fn choose_by_flow(&mut self) {
        self.cuts.clear();
        self.start.clear();
        let mut room = Room::default();
        for node in 0..self.graph.nodes.len() {
            self.start.push(self.cuts.len());
            if self.live[node] && self.is_lut(node) {
                self.make_cuts(node, &mut room);
                let made = &room.cuts;
                let readers = u64::from(self.readers[node].max(1));
                self.flow[node] = made.first().map_or(0, |cut| cut.flow) / readers;
                self.best[node] = 0;
                self.cuts.extend_from_slice(made);
            }
        }
        self.start.push(self.cuts.len());
    }

    /// The best cuts of a LUT node, that of least flow first, in `room`. Those of its operands are
    /// made.
    fn make_cuts(&self, node: usize, room: &mut Room) {
        let Room { parts, more, cuts } = room;
        cuts.clear();
        let Kind::Lut { table, operands } = &self.graph.nodes[node].kind else { return };
        parts.clear();
        parts.push(Part { leaves: Few::EMPTY, signature: 0, flow: 0, chosen: [0; MAX_FAN_IN] });
        for (place, &operand) in operands.as_slice().iter().enumerate() {
            self.extend_parts(parts, place, operand, operands, more);
            std::mem::swap(parts, more);
        }
        for part in &*parts {
            let cut = self.finish_cut(part, table, operands);
            if cuts.iter().all(|other| other.leaves != cut.leaves) {
                cuts.push(cut);
            }
        }
        cuts.sort_by_key(|cut| (cut.flow, cut.leaves.as_slice().len()));
        cuts.truncate(CUTS);
    }

    /// All ways of adding an operand, by itself or by one of its cuts, to partial cuts; `made` is the
    /// best few, the one of operands only always among them.
    fn extend_parts(
        &self,
        parts: &[Part],
        place: usize,
        operand: u32,
        operands: &Few,
        made: &mut Vec<Part>,
    ) {
        made.clear();
        let cuts = if self.is_lut(operand as usize) { self.cuts_of(operand as usize) } else { &[] };
        for part in parts {
            for choice in 0..=cuts.len() {
                let itself = Few::new([operand]);
                let leaves = if choice == 0 { &itself } else { &cuts[choice - 1].leaves };
                let signature = leaves
                    .as_slice()
                    .iter()
                    .fold(part.signature, |signature, leaf| signature | 1 << (leaf % 64));
                if signature.count_ones() as usize > self.inputs {
                    continue;
                }
                let Some(leaves) = union(&part.leaves, leaves, self.inputs) else { continue };
                let same = |other: &Part| other.signature == signature && other.leaves == leaves;
                if made.iter().any(same) {
                    continue;
                }
                let flow = leaves.as_slice().iter().map(|&leaf| self.flow[leaf as usize]).sum();
                let mut chosen = part.chosen;
                chosen[place] = choice as u8;
                made.push(Part { leaves, signature, flow, chosen });
            }
        }
        if made.len() > PARTS {
            made.sort_by_key(|part| (part.flow, part.leaves.as_slice().len()));
            let plain = |part: &Part| part.leaves.as_slice() == &operands.as_slice()[..=place];
            let kept = made.iter().position(plain);
            if let Some(at) = kept.filter(|&at| at >= PARTS) {
                made.swap(at, PARTS - 1);
            }
            made.truncate(PARTS);
        }
    }

    /// The function of a cut, and the cut without the leaves that it does not depend on.
    fn finish_cut(&self, part: &Part, table: &TruthTable, operands: &Few) -> Cut {
        let leaves = part.leaves.as_slice();
        let wire = function::table(1, |k| k == 1);
        let mut inputs = [(wire, [0u8; MAX_FAN_IN]); MAX_FAN_IN];
        for (i, &operand) in operands.as_slice().iter().enumerate() {
            let itself = [operand];
            let (inner, read) = match part.chosen[i] {
                0 => (wire, &itself[..]),
                choice => {
                    let cut = &self.cuts_of(operand as usize)[usize::from(choice) - 1];
                    (cut.table, cut.leaves.as_slice())
                }
            };
            inputs[i].0 = inner;
            for (place, leaf) in inputs[i].1.iter_mut().zip(read) {
                *place = leaves.partition_point(|other| other < leaf) as u8;
            }
        }
        let table = function::nest(table, &inputs[..operands.as_slice().len()], leaves.len());
        let keep = function::support(&table);
        let kept = leaves.iter().enumerate().filter(|(i, _)| keep >> i & 1 == 1);
        let leaves = Few::new(kept.map(|(_, &leaf)| leaf));
        let mut cut = Cut { leaves, table: function::project(&table, keep), flow: 0 };
        let below = leaves.as_slice().iter().map(|&leaf| self.flow[leaf as usize]);
        cut.flow = (cut.area() * UNIT).saturating_add(below.sum());
        cut
    }

    /// Takes the cut of least exact area for each node of the cover, of several the one with the
    /// fewest levels.
    fn choose_by_area(&mut self) {
        for node in 0..self.graph.nodes.len() {
            if !self.live[node] || !self.is_lut(node) {
                continue;
            }
            if self.readers[node] == 0 {
                let below = self.best_of(node).leaves;
                let below = below.as_slice().iter().map(|&leaf| self.level[leaf as usize]).max();
                self.level[node] = below.unwrap_or(0) + 1;
                continue;
            }
            self.release(self.best_of(node).leaves);
            let mut least = (u64::MAX, u32::MAX, usize::MAX, 0);
            for choice in 0..self.cuts_of(node).len() {
                let cut = self.cuts_of(node)[choice];
                let area = cut.area() + self.take(cut.leaves);
                self.release(cut.leaves);
                let leaves = cut.leaves.as_slice();
                let below = leaves.iter().map(|&leaf| self.level[leaf as usize]).max();
                let level = below.unwrap_or(0) + cut.area() as u32;
                least = least.min((area, level, leaves.len(), choice));
            }
            (self.level[node], self.best[node]) = (least.1, least.3);
            self.take(self.best_of(node).leaves);
        }
    }

    /// Counts a reader for each of the leaves; the LUTs this adds to the cover. No recursion.
    fn take(&mut self, leaves: Few) -> u64 {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(leaves.as_slice());
        let mut area = 0;
        while let Some(node) = pending.pop() {
            let node = node as usize;
            self.readers[node] += 1;
            if self.readers[node] == 1 && self.is_lut(node) {
                let cut = self.best_of(node);
                area += cut.area();
                pending.extend_from_slice(cut.leaves.as_slice());
            }
        }
        self.pending = pending;
        area
    }

    /// Undoes [`take`](Self::take).
    fn release(&mut self, leaves: Few) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(leaves.as_slice());
        while let Some(node) = pending.pop() {
            let node = node as usize;
            self.readers[node] -= 1;
            if self.readers[node] == 0 && self.is_lut(node) {
                pending.extend_from_slice(self.best_of(node).leaves.as_slice());
            }
        }
        self.pending = pending;
    }

    fn build(&self) -> Graph<'a> {
        self.graph.rebuild(|graph, index, lits| {
            if self.readers[index] == 0 {
                return None;
            }
            let (node, cut) = (&self.graph.nodes[index], self.best_of(index));
            let leaves: Vec<Lit> =
                cut.leaves.as_slice().iter().map(|&leaf| lits[leaf as usize]).collect();
            let table = if node.flipped { function::negate(&cut.table) } else { cut.table };
            Some(graph.lut(&table, &leaves, node.cell).not_if(node.flipped))
        })
    }
}

/// Both sets of nodes together, if they are at most `most`.
fn union(a: &Few, b: &Few, most: usize) -> Option<Few> {
    let (mut a, mut b) = (a.as_slice(), b.as_slice());
    let mut nodes = [0; MAX_FAN_IN];
    let mut count = 0;
    loop {
        let next = match (a.first(), b.first()) {
            (None, None) => return Some(Few::new(nodes[..count].iter().copied())),
            (Some(&x), None) => x,
            (None, Some(&y)) => y,
            (Some(&x), Some(&y)) => x.min(y),
        };
        a = &a[usize::from(a.first() == Some(&next))..];
        b = &b[usize::from(b.first() == Some(&next))..];
        if count == most {
            return None;
        }
        nodes[count] = next;
        count += 1;
    }
}
