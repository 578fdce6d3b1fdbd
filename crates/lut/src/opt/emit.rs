//! From the graph of the passes back to a netlist.
//!
//! Readers that are LUTs take a complement into their tables. A register, a block or an output
//! cannot: where all such readers of a LUT want its complement, the LUT gives the complement; where
//! some do and some do not, and where the node is no LUT, they share one inverter.

use super::function::{self, Source};
use super::graph::{Graph, Kind, Lit};
use crate::rebuild::Rebuild;
use crate::{Driver, MAX_FAN_IN, Net, Netlist, Result};

/// Which phases of a node are read by what cannot invert.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    plain: bool,
    complement: bool,
}

/// A netlist in the making.
struct Emit<'a, 'b> {
    graph: &'b Graph<'a>,
    copy: Rebuild<'a>,
    wanted: Vec<Wanted>,
    /// The nets of each node and of its complement, where they exist.
    nets: Vec<[Option<Net>; 2]>,
    /// Registers that read ahead: the index of the cell, and what it reads.
    late: Vec<(usize, Lit)>,
}

/// The netlist of what is live in the graph.
pub(super) fn emit(graph: &Graph<'_>) -> Result<Netlist> {
    let live = graph.live();
    let mut wanted = vec![Wanted::default(); graph.nodes.len()];
    let registers = graph.registers.iter().filter(|register| live[register.node]);
    let mut want = |lit: Lit| {
        let wanted = &mut wanted[lit.node()];
        *(if lit.is_complement() { &mut wanted.complement } else { &mut wanted.plain }) = true;
    };
    graph.outputs.iter().for_each(|&lit| want(lit));
    registers.for_each(|register| want(register.operand));
    for (node, _) in graph.nodes.iter().zip(&live).filter(|&(_, &live)| live) {
        if let Kind::Block { block, bit: 0 } = node.kind {
            graph.blocks[block].operands.iter().for_each(|&lit| want(lit));
        }
    }
    let mut emit = Emit {
        graph,
        copy: Rebuild::new(graph.source, u32::MAX as usize)?,
        wanted,
        nets: vec![[None; 2]; graph.nodes.len()],
        late: Vec::new(),
    };
    emit.constants()?;
    for node in (0..graph.nodes.len()).filter(|&node| live[node]) {
        emit.node(node)?;
    }
    emit.finish()
}

impl<'a> Emit<'a, '_> {
    /// The constants that something other than a LUT reads, in the group of the first such.
    fn constants(&mut self) -> Result<()> {
        let (source, graph) = (self.graph.source, self.graph);
        let shown = source.outputs().iter().flat_map(|port| &port.nets).zip(&graph.outputs);
        let group = shown
            .filter(|(_, lit)| lit.as_constant().is_some())
            .find_map(|(&net, _)| graph.group_of(net))
            .unwrap_or(0);
        let wanted = self.wanted[0];
        for (value, name) in [(false, "zero"), (true, "one")] {
            if if value { wanted.complement } else { wanted.plain } {
                self.copy.build.resume(group);
                let name = self.copy.fresh(name, 'c');
                self.nets[0][usize::from(value)] = Some(self.copy.build.constant(name, value)?);
            }
        }
        Ok(())
    }

    /// The cell of a node, and its inverter if one is needed.
    fn node(&mut self, index: usize) -> Result<()> {
        let node = &self.graph.nodes[index];
        let wanted = self.wanted[index];
        match &node.kind {
            Kind::Zero => return Ok(()),
            Kind::Input(net) => self.nets[index][0] = Some(*net),
            Kind::Lut { table, operands } => {
                let mut sources = [Source::Constant(false); MAX_FAN_IN];
                let mut nets = [Net(0); MAX_FAN_IN];
                let count = operands.as_slice().len();
                for (i, &operand) in operands.as_slice().iter().enumerate() {
                    let (net, complement) = self.either(operand as usize);
                    (sources[i], nets[i]) = (Source::Input(i, complement), net);
                }
                let mut table = function::substitute(table, &sources[..count], count);
                let complement = match (wanted.plain, wanted.complement) {
                    (false, false) => node.flipped,
                    (plain, _) => !plain,
                };
                if complement {
                    table = function::negate(&table);
                }
                self.resume(node.cell);
                let name = self.name(node.cell);
                let net = self.copy.build.lut(name, &nets[..count], table)?;
                self.nets[index][usize::from(complement)] = Some(net);
            }
            Kind::Block { block, bit: 0 } => {
                let block = &self.graph.blocks[*block];
                let operands: Vec<Net> =
                    block.operands.iter().map(|&lit| self.exact(lit)).collect();
                self.resume(block.cell);
                let name = self.name(block.cell);
                let word = self.copy.build.cell(name, block.op.clone(), &operands)?;
                for (bit, net) in word.into_iter().enumerate() {
                    self.nets[index + bit][0] = Some(net);
                }
            }
            Kind::Block { .. } => {}
            Kind::Register(register) => {
                let register = &self.graph.registers[*register];
                let operand = self.nets[register.operand.node()]
                    [usize::from(register.operand.is_complement())];
                let operand = operand.unwrap_or_else(|| {
                    self.late.push((self.copy.build.cell_count(), register.operand));
                    self.copy.build.next_net()
                });
                self.resume(register.cell);
                let name = self.name(register.cell);
                let net = self.copy.build.register(name, operand, register.initial)?;
                self.nets[index][0] = Some(net);
            }
        }
        if wanted.complement && self.nets[index][1].is_none() {
            let (net, _) = self.either(index);
            let (base, group) = self.origin(index);
            self.copy.build.resume(group);
            let name = self.copy.fresh(&base, 'n');
            let net = self.copy.build.lut(name, &[net], function::table(1, |k| k == 0))?;
            self.nets[index][1] = Some(net);
        }
        Ok(())
    }

    /// The name and group for an inverter behind a node: those of its cell, or those of the input port
    /// and of the netlist's first cell.
    fn origin(&self, index: usize) -> (String, usize) {
        let (source, node) = (self.graph.source, &self.graph.nodes[index]);
        if let Kind::Input(net) = node.kind
            && let Driver::Input { input, .. } = source.driver(net)
        {
            let group = source.cells().first().map_or(0, |cell| cell.group);
            return (source.inputs()[input].name.clone(), group);
        }
        let cell = &source.cells()[node.cell];
        (cell.name.clone(), cell.group)
    }

    /// The net of a node or of its complement, whichever exists, and whether it is the latter.
    fn either(&self, node: usize) -> (Net, bool) {
        match self.nets[node] {
            [Some(net), _] => (net, false),
            [None, Some(net)] => (net, true),
            [None, None] => unreachable!("node {node} has no net yet"),
        }
    }

    /// The net of a literal that something other than a LUT reads.
    fn exact(&self, lit: Lit) -> Net {
        self.nets[lit.node()][usize::from(lit.is_complement())]
            .unwrap_or_else(|| unreachable!("literal {} has no net", lit.0))
    }

    /// Goes on with the group of a cell of the source.
    fn resume(&mut self, cell: usize) {
        self.copy.build.resume(self.graph.source.cells()[cell].group);
    }

    /// The name of a cell of the source, or one made of it where it is taken.
    fn name(&mut self, cell: usize) -> String {
        let name = &self.graph.source.cells()[cell].name;
        if self.copy.build.has(name) { self.copy.fresh(name, 'd') } else { name.clone() }
    }

    fn finish(mut self) -> Result<Netlist> {
        for (register, operand) in std::mem::take(&mut self.late) {
            let operand = self.exact(operand);
            self.copy.build.rewire(register, operand);
        }
        let mut lits = self.graph.outputs.iter();
        for port in self.graph.source.outputs() {
            let nets: Vec<Net> =
                lits.by_ref().take(port.nets.len()).map(|&lit| self.exact(lit)).collect();
            self.copy.build.output(port.name.clone(), port.width, &nets)?;
        }
        self.copy.build.finish()
    }
}
