//! What the passes work on: nodes that are shared as soon as they are made.
//!
//! A node is one bit. A [`Lit`] is a node or its complement, so an inverter is no node, and neither
//! is a buffer. A LUT node has distinct operands in ascending order, none complemented, depends on
//! all of them, and gives zero where all are zero; two such nodes with the same operands and table
//! are one (structural hashing). Making a LUT node brings it into this form, so that rebuilding a
//! graph propagates constants, removes buffers, moves inverters into tables, drops inputs that do not
//! matter and shares equal and complementary nodes, in one step of `nodes * log(nodes)`.

use std::collections::BTreeMap;

use super::function::{self, Source};
use crate::{Driver, MAX_FAN_IN, Net, Netlist, Op, TruthTable};

/// A node or its complement: twice the node's index, plus one for the complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Lit(pub(super) u32);

impl Lit {
    pub(super) const ZERO: Self = Self(0);

    pub(super) fn of(node: usize) -> Self {
        Self((node as u32) << 1)
    }

    pub(super) fn constant(value: bool) -> Self {
        Self(u32::from(value))
    }

    pub(super) fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(super) fn is_complement(self) -> bool {
        self.0 & 1 == 1
    }

    /// Its value, if it is a constant.
    pub(super) fn as_constant(self) -> Option<bool> {
        (self.node() == 0).then_some(self.is_complement())
    }

    pub(super) fn not_if(self, complement: bool) -> Self {
        Self(self.0 ^ u32::from(complement))
    }
}

/// Up to [`MAX_FAN_IN`] nodes, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Few {
    len: u8,
    items: [u32; MAX_FAN_IN],
}

impl Few {
    pub(super) const EMPTY: Self = Self { len: 0, items: [0; MAX_FAN_IN] };

    /// The first [`MAX_FAN_IN`] of them.
    pub(super) fn new(nodes: impl IntoIterator<Item = u32>) -> Self {
        let mut few = Self::EMPTY;
        for (place, node) in few.items.iter_mut().zip(nodes) {
            *place = node;
            few.len += 1;
        }
        few
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        &self.items[..usize::from(self.len)]
    }
}

/// What makes a node's bit.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Node 0: zero.
    Zero,
    /// An input net.
    Input(Net),
    /// A table of other nodes.
    Lut { table: TruthTable, operands: Few },
    /// Bit `bit` of a block.
    Block { block: usize, bit: usize },
    /// The output of a register.
    Register(usize),
}

/// A node: what it is and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The cell of the source netlist that names it.
    pub(super) cell: usize,
    /// Whether that cell gives the complement.
    pub(super) flipped: bool,
}

/// A threshold, popcount or arg-max that is kept as it is.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) op: Op,
    pub(super) operands: Vec<Lit>,
    pub(super) cell: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Register {
    pub(super) initial: bool,
    pub(super) operand: Lit,
    pub(super) cell: usize,
    pub(super) node: usize,
}

/// The nodes of a netlist, each after those it reads; only registers may read ahead.
#[derive(Debug, Clone)]
pub(super) struct Graph<'a> {
    pub(super) source: &'a Netlist,
    pub(super) nodes: Vec<Node>,
    pub(super) blocks: Vec<Block>,
    pub(super) registers: Vec<Register>,
    /// What the nets of the output ports are, port after port.
    pub(super) outputs: Vec<Lit>,
    luts: BTreeMap<(Few, TruthTable), u32>,
    /// Blocks by operation (a number for it) and operands.
    shared: BTreeMap<(u64, Vec<Lit>), usize>,
    /// Registers by initial value and operand, the operand's complement taken out.
    merged: BTreeMap<(bool, u32), usize>,
    /// Whether equal registers are merged.
    merge: bool,
}

impl<'a> Graph<'a> {
    /// A graph of the inputs only.
    pub(super) fn new(source: &'a Netlist, merge: bool) -> Self {
        let node = |kind| Node { kind, cell: usize::MAX, flipped: false };
        let inputs = (0..source.input_bits()).map(|net| node(Kind::Input(Net(net as u32))));
        Self {
            source,
            nodes: [node(Kind::Zero)].into_iter().chain(inputs).collect(),
            blocks: Vec::new(),
            registers: Vec::new(),
            outputs: Vec::new(),
            luts: BTreeMap::new(),
            shared: BTreeMap::new(),
            merged: BTreeMap::new(),
            merge,
        }
    }

    /// The graph of a netlist.
    pub(super) fn of(source: &'a Netlist, merge: bool) -> Self {
        let mut graph = Self::new(source, merge);
        let bits = source.input_bits();
        // Where a register reads ahead there is no literal yet.
        let mut lits: Vec<Option<Lit>> = vec![None; source.net_count()];
        for (net, lit) in lits.iter_mut().enumerate().take(bits) {
            *lit = Some(Lit::of(net + 1));
        }
        let mut late = Vec::new();
        let mut operands = Vec::new();
        for (index, cell) in source.cells().iter().enumerate() {
            operands.clear();
            operands.extend(cell.operands.iter().filter_map(|net| lits[net.index()]));
            let first = cell.output().index();
            match &cell.op {
                Op::Constant(value) => lits[first] = Some(Lit::constant(*value)),
                Op::Lut(table) => lits[first] = Some(graph.lut(table, &operands, index)),
                Op::Register { initial } => {
                    let operand = operands.first().copied();
                    if operand.is_none() {
                        late.push((graph.registers.len(), cell.operands[0]));
                    }
                    lits[first] = Some(graph.register(*initial, operand, index));
                }
                op => {
                    let word = graph.block(op, &operands, index);
                    for (place, lit) in lits[first..].iter_mut().zip(word) {
                        *place = Some(lit);
                    }
                }
            }
        }
        let lit = |net: &Net| lits[net.index()].unwrap_or(Lit::ZERO);
        for (register, operand) in late {
            graph.registers[register].operand = lit(&operand);
        }
        graph.outputs = source.outputs().iter().flat_map(|port| &port.nets).map(lit).collect();
        graph
    }

    /// A LUT of any operands, brought into the form of the module's documentation.
    pub(super) fn lut(&mut self, table: &TruthTable, operands: &[Lit], cell: usize) -> Lit {
        let mut nodes = [0u32; MAX_FAN_IN];
        let mut count = 0;
        for lit in operands.iter().filter(|lit| lit.as_constant().is_none()) {
            nodes[count] = lit.0 >> 1;
            count += 1;
        }
        nodes[..count].sort_unstable();
        let mut distinct = 0;
        for i in 0..count {
            if i == 0 || nodes[i] != nodes[i - 1] {
                nodes[distinct] = nodes[i];
                distinct += 1;
            }
        }
        let nodes = &nodes[..distinct];
        let mut sources = [Source::Constant(false); MAX_FAN_IN];
        for (source, lit) in sources.iter_mut().zip(operands) {
            *source = match lit.as_constant() {
                Some(value) => Source::Constant(value),
                None => {
                    let place = nodes.partition_point(|&node| node < lit.0 >> 1);
                    Source::Input(place, lit.is_complement())
                }
            };
        }
        let mut table = function::substitute(table, &sources[..operands.len()], distinct);
        let keep = function::support(&table);
        table = function::project(&table, keep);
        let flipped = table.get(0);
        if flipped {
            table = function::negate(&table);
        }
        let used = nodes.iter().enumerate().filter(|(i, _)| keep >> i & 1 == 1);
        let operands = Few::new(used.map(|(_, &node)| node));
        match operands.as_slice() {
            [] => Lit::constant(flipped),
            // The only table of one input that it depends on and that is zero at zero.
            [node] => Lit::of(*node as usize).not_if(flipped),
            _ => {
                let next = self.nodes.len() as u32;
                let node = *self.luts.entry((operands, table)).or_insert(next);
                if node == next {
                    self.nodes.push(Node { kind: Kind::Lut { table, operands }, cell, flipped });
                }
                Lit::of(node as usize).not_if(flipped)
            }
        }
    }

    /// The word of a block.
    pub(super) fn block(&mut self, op: &Op, operands: &[Lit], cell: usize) -> Vec<Lit> {
        let zero = Lit::constant(false);
        let mut operands = operands.to_vec();
        let (number, width) = match op {
            Op::AtLeast(threshold) => {
                if *threshold == 0 || threshold >> operands.len() != 0 {
                    return vec![Lit::constant(*threshold == 0)];
                }
                (*threshold << 2, 1)
            }
            Op::Popcount => {
                let width = crate::bits_for(operands.len());
                operands.retain(|&bit| bit != zero);
                operands.sort_unstable();
                if operands.len() < 2 {
                    let mut word = vec![zero; width];
                    word[..operands.len()].copy_from_slice(&operands);
                    return word;
                }
                let made = self.share(op, operands, 1, cell);
                let block = &self.blocks[made.0];
                let used = crate::bits_for(block.operands.len());
                let bits = (0..used).map(|bit| Lit::of(made.1 + bit));
                return bits.chain(std::iter::repeat_n(zero, width - used)).collect();
            }
            Op::Argmax { words } => {
                if *words == 1 {
                    return vec![zero];
                }
                ((*words as u64) << 2 | 2, crate::bits_for(words - 1))
            }
            Op::Constant(_) | Op::Lut(_) | Op::Register { .. } => {
                unreachable!("{op:?} is no block")
            }
        };
        let (_, first) = self.share(op, operands, number, cell);
        (0..width).map(|bit| Lit::of(first + bit)).collect()
    }

    /// The block with these operands and its first node, made where there is none yet.
    fn share(&mut self, op: &Op, operands: Vec<Lit>, number: u64, cell: usize) -> (usize, usize) {
        let key = (number, operands);
        if let Some(&first) = self.shared.get(&key)
            && let Kind::Block { block, .. } = self.nodes[first].kind
        {
            return (block, first);
        }
        let (block, first) = (self.blocks.len(), self.nodes.len());
        let width = match op {
            Op::Popcount => crate::bits_for(key.1.len()),
            Op::Argmax { words } => crate::bits_for(words - 1),
            _ => 1,
        };
        for bit in 0..width {
            let kind = Kind::Block { block, bit };
            self.nodes.push(Node { kind, cell, flipped: false });
        }
        self.blocks.push(Block { op: op.clone(), operands: key.1.clone(), cell });
        self.shared.insert(key, first);
        (block, first)
    }

    /// A register; its operand may be given later.
    pub(super) fn register(&mut self, initial: bool, operand: Option<Lit>, cell: usize) -> Lit {
        if self.merge
            && let Some(operand) = operand
        {
            if operand.as_constant() == Some(initial) {
                return operand;
            }
            let flip = operand.is_complement();
            let key = (initial != flip, operand.0 >> 1);
            if let Some(&register) = self.merged.get(&key) {
                let other = &self.registers[register];
                return Lit::of(other.node).not_if(other.operand != operand);
            }
            self.merged.insert(key, self.registers.len());
        }
        let node = self.nodes.len();
        let kind = Kind::Register(self.registers.len());
        self.nodes.push(Node { kind, cell, flipped: false });
        let operand = operand.unwrap_or(Lit::of(node));
        self.registers.push(Register { initial, operand, cell, node });
        Lit::of(node)
    }

    /// The nodes that an output depends on.
    pub(super) fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        let mut pending: Vec<usize> = self.outputs.iter().map(|lit| lit.node()).collect();
        while let Some(node) = pending.pop() {
            if std::mem::replace(&mut live[node], true) {
                continue;
            }
            match &self.nodes[node].kind {
                Kind::Zero | Kind::Input(_) => {}
                Kind::Lut { operands, .. } => {
                    pending.extend(operands.as_slice().iter().map(|&node| node as usize));
                }
                // All bits of a block are live with one, so that it stays whole.
                Kind::Block { block, bit: 0 } => {
                    pending.extend(self.blocks[*block].operands.iter().map(|lit| lit.node()));
                }
                Kind::Block { bit, .. } => pending.push(node - bit),
                Kind::Register(register) => pending.push(self.registers[*register].operand.node()),
            }
        }
        live
    }

    /// A copy of what is live. `lut` makes the copy of a LUT node, given the new graph, the node
    /// and the literals of nodes before it; other nodes are copied as they are.
    pub(super) fn rebuild(
        &self,
        mut lut: impl FnMut(&mut Graph<'a>, usize, &[Lit]) -> Option<Lit>,
    ) -> Graph<'a> {
        let live = self.live();
        let mut graph = Graph::new(self.source, self.merge);
        let mut lits = vec![Lit::ZERO; self.nodes.len()];
        let mut late = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|&(index, _)| live[index]) {
            let find = |lit: Lit| lits[lit.node()].not_if(lit.is_complement());
            match &node.kind {
                Kind::Zero => {}
                Kind::Input(net) => lits[index] = Lit::of(net.index() + 1),
                Kind::Lut { .. } => {
                    if let Some(lit) = lut(&mut graph, index, &lits) {
                        lits[index] = lit;
                    }
                }
                Kind::Block { block, bit: 0 } => {
                    let block = &self.blocks[*block];
                    let operands: Vec<Lit> = block.operands.iter().map(|&lit| find(lit)).collect();
                    let word = graph.block(&block.op, &operands, block.cell);
                    lits[index..][..word.len()].copy_from_slice(&word);
                }
                Kind::Block { .. } => {}
                Kind::Register(register) => {
                    let register = &self.registers[*register];
                    let ahead = register.operand.node() >= index;
                    let operand = (!ahead).then(|| find(register.operand));
                    lits[index] = graph.register(register.initial, operand, register.cell);
                    if ahead {
                        late.push((graph.registers.len() - 1, register.operand));
                    }
                }
            }
        }
        let find = |lit: Lit| lits[lit.node()].not_if(lit.is_complement());
        for (register, operand) in late {
            graph.registers[register].operand = find(operand);
        }
        graph.outputs = self.outputs.iter().map(|&lit| find(lit)).collect();
        graph
    }

    /// A copy where every LUT is made anew of the copies of its operands.
    pub(super) fn simplified(&self) -> Graph<'a> {
        self.rebuild(|graph, index, lits| {
            let node = &self.nodes[index];
            let Kind::Lut { table, operands } = &node.kind else { return None };
            let mut few = [Lit::ZERO; MAX_FAN_IN];
            for (place, &operand) in few.iter_mut().zip(operands.as_slice()) {
                *place = lits[operand as usize];
            }
            let table = if node.flipped { function::negate(table) } else { *table };
            let made = graph.lut(&table, &few[..operands.as_slice().len()], node.cell);
            Some(made.not_if(node.flipped))
        })
    }

    /// Merges registers that read ahead and are equal or constant, until there are none; each
    /// round costs as much as making the graph.
    pub(super) fn merge_late(mut self) -> Graph<'a> {
        /// A chain of equal registers that all read ahead could take a round each.
        const ROUNDS: usize = 32;
        for _ in 0..ROUNDS {
            let mut first: BTreeMap<(bool, u32), usize> = BTreeMap::new();
            let mut alias: BTreeMap<usize, Lit> = BTreeMap::new();
            let live = self.live();
            let registers = self.registers.iter().enumerate();
            for (index, register) in registers.filter(|(_, register)| live[register.node]) {
                let operand = register.operand;
                if operand.as_constant() == Some(register.initial)
                    || operand == Lit::of(register.node)
                {
                    alias.insert(register.node, Lit::constant(register.initial));
                    continue;
                }
                let key = (register.initial != operand.is_complement(), operand.0 >> 1);
                match first.get(&key) {
                    Some(&other) => {
                        let other = &self.registers[other];
                        let lit = Lit::of(other.node).not_if(other.operand != operand);
                        alias.insert(register.node, lit);
                    }
                    None => {
                        first.insert(key, index);
                    }
                }
            }
            if alias.is_empty() {
                break;
            }
            // Readers are pointed elsewhere; the registers left over are dead.
            let find = |lit: Lit| {
                alias.get(&lit.node()).map_or(lit, |other| other.not_if(lit.is_complement()))
            };
            for lit in &mut self.outputs {
                *lit = find(*lit);
            }
            for register in &mut self.registers {
                register.operand = find(register.operand);
            }
            for lit in self.blocks.iter_mut().flat_map(|block| &mut block.operands) {
                *lit = find(*lit);
            }
            let aliased = self;
            self = aliased.rebuild(|graph, index, lits| {
                let node = &aliased.nodes[index];
                let Kind::Lut { table, operands } = &node.kind else { return None };
                let few: Vec<Lit> = operands
                    .as_slice()
                    .iter()
                    .map(|&operand| {
                        let lit = find(Lit::of(operand as usize));
                        // A register stands in for another one only if it comes before its reader.
                        lits[lit.node()].not_if(lit.is_complement())
                    })
                    .collect();
                let table = if node.flipped { function::negate(table) } else { *table };
                Some(graph.lut(&table, &few, node.cell).not_if(node.flipped))
            });
        }
        self
    }

    /// Number of live LUT nodes.
    pub(super) fn lut_count(&self) -> usize {
        let live = self.live();
        let nodes = self.nodes.iter().zip(live);
        nodes.filter(|(node, live)| *live && matches!(node.kind, Kind::Lut { .. })).count()
    }

    /// The group of the cell that drives a net of the source, if a cell does.
    pub(super) fn group_of(&self, net: Net) -> Option<usize> {
        match self.source.driver(net) {
            Driver::Input { .. } => None,
            Driver::Cell { cell, .. } => Some(self.source.cells()[cell].group),
        }
    }
}
