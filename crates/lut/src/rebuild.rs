//! What passes that copy a netlist share: the map from old nets to new ones, and new names.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Cell, MAX_NAME, Net, Netlist, NetlistBuilder, Op, Result};

/// A netlist in the making that takes over the ports and groups of another.
pub(crate) struct Rebuild<'a> {
    source: &'a Netlist,
    pub(crate) build: NetlistBuilder,
    /// The new net of each cell net of the source; input nets keep their numbers.
    nets: Vec<Option<Net>>,
    /// Registers that came before what they read: their new index and the source net.
    late: Vec<(usize, Net)>,
    taken: BTreeSet<&'a str>,
    numbers: BTreeMap<String, usize>,
}

impl<'a> Rebuild<'a> {
    /// Begins a copy that may hold `limit` nets.
    pub(crate) fn new(source: &'a Netlist, limit: usize) -> Result<Self> {
        let cells = source.cells().iter().map(|cell| cell.name.as_str());
        let ports = source.inputs().iter().map(|port| port.name.as_str());
        Ok(Self {
            source,
            build: NetlistBuilder::like(source, limit)?,
            nets: vec![None; source.net_count() - source.input_bits()],
            late: Vec::new(),
            taken: cells.chain(ports).collect(),
            numbers: BTreeMap::new(),
        })
    }

    /// The new net of a net of the source, once it has one.
    pub(crate) fn get(&self, net: Net) -> Option<Net> {
        match net.index().checked_sub(self.source.input_bits()) {
            Some(offset) => self.nets[offset],
            None => Some(net),
        }
    }

    /// The new nets of nets of the source that were mapped before.
    pub(crate) fn nets(&self, nets: &[Net]) -> Vec<Net> {
        nets.iter()
            .map(|&net| self.get(net).unwrap_or_else(|| unreachable!("net {} has no copy", net.0)))
            .collect()
    }

    /// Says which new nets stand for the word of a cell of the source.
    pub(crate) fn map(&mut self, cell: &Cell, nets: &[Net]) {
        assert_eq!(nets.len(), cell.width(), "nets for cell {}", cell.name);
        for (old, &new) in cell.outputs().zip(nets) {
            self.nets[old.index() - self.source.input_bits()] = Some(new);
        }
    }

    /// Copies a cell with the operands given. A register may have none yet: it gets the copy of
    /// its operand at the end.
    pub(crate) fn copy(&mut self, cell: &Cell, operands: Option<&[Net]>) -> Result<()> {
        self.build.resume(cell.group);
        let hold = [self.build.next_net()];
        let operands = operands.unwrap_or_else(|| {
            self.late.push((self.build.cell_count(), cell.operands[0]));
            &hold
        });
        let nets = self.build.cell(cell.name.clone(), cell.op.clone(), operands)?;
        self.map(cell, &nets);
        Ok(())
    }

    /// Copies a cell that reads what its original reads.
    pub(crate) fn copy_plain(&mut self, cell: &Cell) -> Result<()> {
        if matches!(cell.op, Op::Register { .. }) && self.get(cell.operands[0]).is_none() {
            return self.copy(cell, None);
        }
        let operands = self.nets(&cell.operands);
        self.copy(cell, Some(&operands))
    }

    /// A name that nothing has yet: `base_c1`, `base_c2` and so on, for `kind` `c`.
    pub(crate) fn fresh(&mut self, base: &str, kind: char) -> String {
        // Room for `_c` and twelve digits; names are ASCII.
        let mut stem = base[..base.len().min(MAX_NAME - 14)].to_owned();
        stem.push('_');
        stem.push(kind);
        let number = self.numbers.entry(stem.clone()).or_default();
        loop {
            *number += 1;
            let name = format!("{stem}{number}");
            if !self.taken.contains(name.as_str()) {
                return name;
            }
        }
    }

    /// Ends the copy; the nets of the outputs are found by `net`.
    pub(crate) fn finish(mut self, net: impl Fn(&Self, Net) -> Net) -> Result<Netlist> {
        for (register, operand) in std::mem::take(&mut self.late) {
            let operand = self.nets(&[operand])[0];
            self.build.rewire(register, operand);
        }
        for port in self.source.outputs() {
            let nets: Vec<Net> = port.nets.iter().map(|&old| net(&self, old)).collect();
            self.build.output(port.name.clone(), port.width, &nets)?;
        }
        self.build.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn fresh_names_avoid_those_in_use_and_stay_short() {
        let long = "x".repeat(MAX_NAME);
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("a_c2", 1, 1).unwrap();
        build.group("g", Role::Core).unwrap();
        build.register(long.clone(), x[0], false).unwrap();
        build.output("y", 1, &x).unwrap();
        let netlist = build.finish().unwrap();
        let mut copy = Rebuild::new(&netlist, 100).unwrap();
        assert_eq!(copy.fresh("a", 'c'), "a_c1");
        assert_eq!(copy.fresh("a", 'c'), "a_c3");
        assert_eq!(copy.fresh("a", 'r'), "a_r1");
        assert!(copy.fresh(&long, 'c').len() < MAX_NAME);
    }

    #[test]
    fn a_register_that_reads_ahead_is_wired_at_the_end() {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 1, 1).unwrap();
        build.group("g", Role::Core).unwrap();
        let ahead = Net(build.next_net().0 + 1);
        let r = build.register("r", ahead, true).unwrap();
        let inverter = crate::TruthTable::from_fn(1, |k| k == 0).unwrap();
        build.lut("l", &[r], inverter).unwrap();
        build.output("y", 1, &[r, x[0]]).unwrap();
        let netlist = build.finish().unwrap();
        let mut copy = Rebuild::new(&netlist, 100).unwrap();
        for cell in netlist.cells() {
            copy.copy_plain(cell).unwrap();
        }
        let copied = copy.finish(|copy, net| copy.nets(&[net])[0]).unwrap();
        assert_eq!(copied, netlist);
    }
}
