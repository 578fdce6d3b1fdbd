//! Both netlists in one graph of tables, where equal tables of equal nodes are one node.
//!
//! This is written apart from the optimiser of `lutweave-lut`, whose work it judges: tables are
//! handled entry by entry, and nothing is shared with it but the netlist.

use std::collections::BTreeMap;

use lutweave_lut::{Netlist, Op, TruthTable};

/// A node or its complement: twice its index, plus one for the complement. Node 0 is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lit(pub(crate) u32);

impl Lit {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn of(node: usize) -> Self {
        Self((node as u32) << 1)
    }

    pub(crate) fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(crate) fn is_complement(self) -> bool {
        self.0 & 1 == 1
    }

    pub(crate) fn not_if(self, complement: bool) -> Self {
        Self(self.0 ^ u32::from(complement))
    }
}

/// A table of distinct nodes, ascending, that depends on all of them and gives zero for all zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gate {
    pub(crate) table: TruthTable,
    pub(crate) reads: Vec<u32>,
}

/// Nodes in an order in which each comes after those that it reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    /// None for zero and for inputs.
    pub(crate) gates: Vec<Option<Gate>>,
    known: BTreeMap<Gate, u32>,
    /// The nodes of inputs: `1..=inputs`.
    pub(crate) inputs: usize,
}

/// Either a node that is there already, perhaps complemented, or a gate in the form above, whose
/// complement is meant if the flag is set.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    Same(Lit),
    Gate(Gate, bool),
}

/// Brings a table of any literals into the form of a gate.
pub(crate) fn form(table: &TruthTable, operands: &[Lit]) -> Form {
    let mut reads: Vec<u32> =
        operands.iter().map(|lit| lit.0 >> 1).filter(|&node| node != 0).collect();
    reads.sort_unstable();
    reads.dedup();
    // Where each operand finds its bit: a place among what is read, none for zero.
    let places: Vec<(Option<usize>, bool)> = operands
        .iter()
        .map(|lit| (reads.iter().position(|&node| node == lit.0 >> 1), lit.is_complement()))
        .collect();
    let entry = |k: usize| {
        let bits = places.iter().enumerate().map(|(bit, &(place, complement))| {
            let value = place.is_some_and(|place| k >> place & 1 == 1);
            usize::from(value != complement) << bit
        });
        table.get(bits.sum())
    };
    let entries: Vec<bool> = (0..1usize << reads.len()).map(entry).collect();
    let used: Vec<usize> = (0..reads.len())
        .filter(|&i| (0..entries.len()).any(|k| entries[k] != entries[k ^ 1 << i]))
        .collect();
    let spread = |k: usize| used.iter().enumerate().map(|(to, from)| (k >> to & 1) << from).sum();
    let flip = entries[0];
    let small = TruthTable::from_fn(used.len(), |k| {
        let index: usize = spread(k);
        entries[index] != flip
    });
    let reads: Vec<u32> = used.iter().map(|&i| reads[i]).collect();
    match (reads.as_slice(), small) {
        ([], _) => Form::Same(Lit::ZERO.not_if(flip)),
        ([node], _) => Form::Same(Lit::of(*node as usize).not_if(flip)),
        (_, Ok(table)) => Form::Gate(Gate { table, reads }, flip),
        (_, Err(_)) => unreachable!("a table of no more inputs than it had"),
    }
}

impl Graph {
    /// A graph of so many inputs.
    pub(crate) fn new(inputs: usize) -> Self {
        Self { gates: vec![None; inputs + 1], known: BTreeMap::new(), inputs }
    }

    /// The literal of a table of other literals.
    pub(crate) fn add(&mut self, table: &TruthTable, operands: &[Lit]) -> Lit {
        match form(table, operands) {
            Form::Same(lit) => lit,
            Form::Gate(gate, flip) => {
                let next = self.gates.len() as u32;
                let node = *self.known.entry(gate.clone()).or_insert(next);
                if node == next {
                    self.gates.push(Some(gate));
                }
                Lit::of(node as usize).not_if(flip)
            }
        }
    }

    /// Adds a netlist without blocks on these inputs; gives the literal of each of its nets. The
    /// registers hold the literals of `state`, one per register in cell order; without it they are
    /// wires, and none may feed back.
    pub(crate) fn add_netlist(
        &mut self,
        netlist: &Netlist,
        inputs: &[Lit],
        state: Option<&[Lit]>,
    ) -> lutweave_lut::Result<Vec<Lit>> {
        let mut nets = inputs.to_vec();
        nets.resize(netlist.net_count(), Lit::ZERO);
        let order = match state {
            Some(state) => {
                let registers =
                    netlist.cells().iter().filter(|cell| matches!(cell.op, Op::Register { .. }));
                for (cell, &lit) in registers.zip(state) {
                    nets[cell.output().index()] = lit;
                }
                (0..netlist.cells().len()).collect()
            }
            None => netlist.dataflow_order()?,
        };
        let mut operands = Vec::new();
        for index in order {
            let cell = &netlist.cells()[index];
            operands.clear();
            operands.extend(cell.operands.iter().map(|net| nets[net.index()]));
            let out = cell.output().index();
            nets[out] = match &cell.op {
                Op::Constant(value) => Lit::ZERO.not_if(*value),
                Op::Lut(table) => self.add(table, &operands),
                Op::Register { .. } if state.is_some() => nets[out],
                Op::Register { .. } => operands[0],
                op => unreachable!("{op:?} was expanded"),
            };
        }
        Ok(nets)
    }

    /// The nodes that the given ones depend on, themselves included, in ascending order.
    pub(crate) fn cone(&self, of: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut inside = vec![false; self.gates.len()];
        let mut pending: Vec<usize> = of.into_iter().collect();
        while let Some(node) = pending.pop() {
            if !std::mem::replace(&mut inside[node], true)
                && let Some(gate) = &self.gates[node]
            {
                pending.extend(gate.reads.iter().map(|&node| node as usize));
            }
        }
        (0..inside.len()).filter(|&node| inside[node]).collect()
    }

    /// Whether a node is an input.
    pub(crate) fn is_input(&self, node: usize) -> bool {
        (1..=self.inputs).contains(&node)
    }
}

/// The registers of a netlist as cell indices.
pub(crate) fn registers(netlist: &Netlist) -> Vec<usize> {
    let cells = netlist.cells().iter().enumerate();
    cells.filter(|(_, cell)| matches!(cell.op, Op::Register { .. })).map(|(i, _)| i).collect()
}
