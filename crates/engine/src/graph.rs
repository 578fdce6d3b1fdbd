//! The functions a netlist computes, as a graph without repetition.
//!
//! Every gate is in a normal form: it depends on all its operands, these are different nodes in
//! rising order and never inverted, and its table gives zero where all operands are zero. What is
//! inverted is noted in the [`Literal`] that refers to the gate. Two gates of the same normal form
//! are one gate (structural hashing), so sub-functions that several tables need are computed once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Not;

use crate::wire::{Reader, Writer, fault};
use crate::{Result, tables};

/// Most operands of a gate.
pub(crate) const MAX_OPERANDS: usize = 6;

/// A node or its inverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Literal(pub(crate) u32);

impl Literal {
    pub(crate) const FALSE: Self = Self(0);
    pub(crate) const TRUE: Self = Self(1);

    pub(crate) fn new(node: u32, inverted: bool) -> Self {
        Self(node << 1 | u32::from(inverted))
    }

    /// The number of the node: 0 is the constant zero, then come the inputs, then the gates.
    pub(crate) fn node(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn inverted(self) -> bool {
        self.0 & 1 == 1
    }

    pub(crate) fn invert_if(self, inverted: bool) -> Self {
        Self(self.0 ^ u32::from(inverted))
    }
}

impl Not for Literal {
    type Output = Self;

    fn not(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// A table of two to six operands in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
    /// Repeated over the word, see [`tables`].
    pub(crate) table: u64,
    nodes: [u32; MAX_OPERANDS],
    fan_in: u8,
}

impl Gate {
    /// The nodes that it reads, in rising order.
    pub(crate) fn operands(&self) -> &[u32] {
        &self.nodes[..usize::from(self.fan_in)]
    }

    pub(crate) fn fan_in(&self) -> usize {
        self.fan_in.into()
    }
}

/// A quick hash of a few words; what it maps is looked up only, never listed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub(crate) type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// The graph; a node comes after those that it reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    inputs: u32,
    gates: Vec<Gate>,
    known: WordMap<Gate, u32>,
    pub(crate) outputs: Vec<Literal>,
}

impl Graph {
    pub(crate) fn new(inputs: u32) -> Self {
        Self { inputs, ..Self::default() }
    }

    pub(crate) fn inputs(&self) -> u32 {
        self.inputs
    }

    #[cfg(test)]
    pub(crate) fn input(&self, index: u32) -> Literal {
        debug_assert!(index < self.inputs);
        Literal::new(index + 1, false)
    }

    pub(crate) fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The number of the first gate.
    pub(crate) fn first_gate(&self) -> u32 {
        self.inputs + 1
    }

    /// Number of nodes: the constant, the inputs and the gates.
    pub(crate) fn nodes(&self) -> usize {
        self.inputs as usize + 1 + self.gates.len()
    }

    /// The gate with this node number, if it is one.
    pub(crate) fn gate_of(&self, node: u32) -> Option<&Gate> {
        node.checked_sub(self.first_gate()).map(|index| &self.gates[index as usize])
    }

    /// A table of up to six operands; entry `k` of the low `2^operands` bits is its value where the
    /// operands are the bits of `k`.
    pub(crate) fn table(&mut self, table: u64, operands: &[Literal]) -> Literal {
        let mut table = tables::repeat(table, operands.len());
        let mut nodes = [0u32; MAX_OPERANDS];
        let mut count = 0;
        // Keep the operands that matter, the i-th of them as variable i.
        for (v, literal) in operands.iter().enumerate() {
            if literal.inverted() {
                table = tables::flip(table, v);
            }
            if literal.node() == 0 {
                table = tables::cofactor(table, v, false);
            } else if let Some(same) = nodes[..count].iter().position(|&n| n == literal.node()) {
                table = tables::identify(table, same, v);
            } else {
                table = tables::swap(table, count, v);
                nodes[count] = literal.node();
                count += 1;
            }
        }
        let mut kept = 0;
        for v in 0..count {
            if tables::depends(table, v) {
                table = tables::swap(table, kept, v);
                nodes[kept] = nodes[v];
                kept += 1;
            }
        }
        // Insertion sort: there are six at most.
        for i in 1..kept {
            for j in (1..=i).rev() {
                if nodes[j - 1] <= nodes[j] {
                    break;
                }
                nodes.swap(j - 1, j);
                table = tables::swap(table, j - 1, j);
            }
        }
        nodes[kept..].fill(0);
        let inverted = table & 1 == 1;
        if inverted {
            table = !table;
        }
        match kept {
            0 => Literal::FALSE.invert_if(inverted),
            1 => Literal::new(nodes[0], inverted),
            _ => {
                let gate = Gate { table, nodes, fan_in: kept as u8 };
                let next = self.first_gate() + self.gates.len() as u32;
                let node = *self.known.entry(gate).or_insert(next);
                if node == next {
                    self.gates.push(gate);
                }
                Literal::new(node, inverted)
            }
        }
    }

    pub(crate) fn and(&mut self, a: Literal, b: Literal) -> Literal {
        self.table(0x8, &[a, b])
    }

    pub(crate) fn or(&mut self, a: Literal, b: Literal) -> Literal {
        self.table(0xe, &[a, b])
    }

    pub(crate) fn xor(&mut self, a: Literal, b: Literal) -> Literal {
        self.table(0x6, &[a, b])
    }

    /// `if select { high } else { low }`.
    pub(crate) fn select(&mut self, select: Literal, high: Literal, low: Literal) -> Literal {
        self.table(0xca, &[low, high, select])
    }

    /// Sum and carry of three bits.
    pub(crate) fn full_adder(&mut self, a: Literal, b: Literal, c: Literal) -> (Literal, Literal) {
        (self.table(0x96, &[a, b, c]), self.table(0xe8, &[a, b, c]))
    }

    /// Takes over all inputs, and those gates that an output needs, each by `rebuild`, which gets
    /// the gate and its operands in the new graph.
    pub(crate) fn rebuild(
        &self,
        mut rebuild: impl FnMut(&mut Self, &Gate, &[Literal]) -> Literal,
    ) -> Self {
        let mut live = vec![false; self.nodes()];
        for output in &self.outputs {
            live[output.node() as usize] = true;
        }
        for (index, gate) in self.gates.iter().enumerate().rev() {
            if live[self.first_gate() as usize + index] {
                gate.operands().iter().for_each(|&node| live[node as usize] = true);
            }
        }
        let mut copy = Self::new(self.inputs);
        let mut map: Vec<Literal> =
            (0..self.first_gate()).map(|node| Literal::new(node, false)).collect();
        map.reserve(self.gates.len());
        let mut operands = Vec::with_capacity(MAX_OPERANDS);
        for (index, gate) in self.gates.iter().enumerate() {
            let literal = if live[self.first_gate() as usize + index] {
                operands.clear();
                operands.extend(gate.operands().iter().map(|&node| map[node as usize]));
                rebuild(&mut copy, gate, &operands)
            } else {
                Literal::FALSE
            };
            map.push(literal);
        }
        copy.outputs = self
            .outputs
            .iter()
            .map(|output| map[output.node() as usize].invert_if(output.inverted()))
            .collect();
        copy
    }

    /// How often each node is read, by gates and outputs.
    pub(crate) fn fan_outs(&self) -> Vec<u32> {
        let mut counts = vec![0u32; self.nodes()];
        let read = self.gates.iter().flat_map(Gate::operands).copied();
        for node in read.chain(self.outputs.iter().map(|output| output.node())) {
            counts[node as usize] += 1;
        }
        counts
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.list([self.inputs]);
        writer.list(self.outputs.iter().map(|output| output.0));
        writer.list(self.gates.iter().flat_map(|gate| {
            let table = [gate.table as u32, (gate.table >> 32) as u32];
            [u32::from(gate.fan_in)].into_iter().chain(table).chain(gate.nodes)
        }));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let list = reader.list()?;
        let &[inputs] = &list[..] else { return Err(fault("a graph has no inputs")) };
        if inputs as usize > lutweave_lut::MAX_NETS {
            return Err(fault("a graph has too many inputs"));
        }
        let mut graph = Self::new(inputs);
        graph.outputs = reader.list()?.into_iter().map(Literal).collect();
        for [fan_in, low, high, nodes @ ..] in reader.groups::<{ 3 + MAX_OPERANDS }>()? {
            let table = u64::from(low) | u64::from(high) << 32;
            let next = graph.nodes();
            let fine = (2..=MAX_OPERANDS as u32).contains(&fan_in)
                && tables::repeat(table, fan_in as usize) == table
                && nodes[..fan_in as usize].windows(2).all(|pair| pair[0] < pair[1])
                && (nodes[fan_in as usize - 1] as usize) < next;
            if !fine {
                return Err(fault("a gate of a graph is malformed"));
            }
            graph.gates.push(Gate { table, nodes, fan_in: fan_in as u8 });
        }
        if graph.outputs.iter().any(|output| output.node() as usize >= graph.nodes()) {
            return Err(fault("an output of a graph does not exist"));
        }
        Ok(graph)
    }

    /// Gates that only one other gate reads become part of it, where that needs no more operands
    /// than it has, or at most three.
    pub(crate) fn merge(&self) -> Self {
        let fan_outs = self.fan_outs();
        // The gates as they are after merging; those merged into their reader stay unread.
        let mut merged: Vec<Gate> = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            let mut gate = *gate;
            while let Some(larger) = self.absorb_one(&gate, &merged, &fan_outs) {
                gate = larger;
            }
            merged.push(gate);
        }
        let graph = Self {
            inputs: self.inputs,
            gates: merged,
            known: WordMap::default(),
            outputs: self.outputs.clone(),
        };
        let again =
            |copy: &mut Self, gate: &Gate, operands: &[Literal]| copy.table(gate.table, operands);
        let mut merged = graph.rebuild(again);
        // What turned out simpler may leave gates that no one reads.
        while merged.fan_outs()[merged.first_gate() as usize..].contains(&0) {
            merged = merged.rebuild(again);
        }
        merged
    }

    fn absorb_one(&self, gate: &Gate, merged: &[Gate], fan_outs: &[u32]) -> Option<Gate> {
        let limit = gate.fan_in().max(3);
        for (v, &node) in gate.operands().iter().enumerate() {
            let Some(index) = node.checked_sub(self.first_gate()) else { continue };
            let inner = &merged[index as usize];
            if fan_outs[node as usize] != 1 || inner.fan_in() > limit {
                continue;
            }
            let others = gate.operands().iter().copied().filter(|&other| other != node);
            let mut union: Vec<u32> = others.chain(inner.operands().iter().copied()).collect();
            union.sort_unstable();
            union.dedup();
            if union.len() > limit {
                continue;
            }
            // Variables of the union, and one more for the operand that goes away.
            let place = |node: u32| union.iter().position(|&n| n == node).unwrap_or(union.len());
            if union.len() == MAX_OPERANDS {
                continue; // no room for the one more
            }
            let outer: Vec<usize> = gate.operands().iter().map(|&n| place(n)).collect();
            let names: Vec<usize> = inner.operands().iter().map(|&n| place(n)).collect();
            let outer = tables::rename(gate.table, &outer);
            let table = tables::compose(
                outer,
                place(gate.operands()[v]),
                tables::rename(inner.table, &names),
            );
            let mut nodes = [0; MAX_OPERANDS];
            nodes[..union.len()].copy_from_slice(&union);
            return Some(Gate { table, nodes, fan_in: union.len() as u8 });
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value of every output where the inputs are `inputs`, 64 frames at once.
    pub(crate) fn evaluate(graph: &Graph, inputs: &[u64]) -> Vec<u64> {
        let mut values = vec![0u64];
        values.extend_from_slice(inputs);
        for gate in graph.gates() {
            let mut value = 0;
            for f in 0..64 {
                let bits = gate.operands().iter().enumerate();
                let k: u64 = bits.map(|(i, &node)| (values[node as usize] >> f & 1) << i).sum();
                value |= (gate.table >> k & 1) << f;
            }
            values.push(value);
        }
        let word =
            |l: &Literal| values[l.node() as usize] ^ if l.inverted() { u64::MAX } else { 0 };
        graph.outputs.iter().map(word).collect()
    }

    #[test]
    fn equal_functions_are_one_gate() {
        let mut graph = Graph::new(3);
        let [a, b, c] = [0, 1, 2].map(|i| graph.input(i));
        let and = graph.and(a, b);
        assert_eq!(graph.and(b, a), and);
        assert_eq!(!graph.or(!a, !b), and);
        assert_eq!(graph.table(0x80, &[a, Literal::TRUE, b]), and);
        assert_eq!(graph.xor(a, a), Literal::FALSE);
        assert_eq!(graph.or(a, !a), Literal::TRUE);
        assert_eq!(graph.select(c, b, b), b);
        assert_eq!(graph.gates().len(), 1);
    }

    proptest! {
        #[test]
        fn merging_keeps_the_function(
            gates in prop::collection::vec((any::<u64>(), prop::array::uniform6(0u32..99), 0usize..7), 1..40)
        ) {
            let mut graph = Graph::new(5);
            let mut all: Vec<Literal> = (0..5).map(|i| graph.input(i)).collect();
            for (table, operands, count) in gates {
                let operands = operands.map(|o| all[o as usize % all.len()].invert_if(o % 3 == 0));
                let made = graph.table(table, &operands[..count]);
                all.push(made);
            }
            graph.outputs = all.iter().rev().step_by(3).copied().collect();
            let inputs = crate::tables::VARIABLE[..5].to_vec();
            let merged = graph.merge();
            prop_assert!(merged.gates().len() <= graph.gates().len());
            prop_assert_eq!(evaluate(&merged, &inputs), evaluate(&graph, &inputs));
        }
    }
}
