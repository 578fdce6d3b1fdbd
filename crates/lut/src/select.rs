//! A part of a netlist as a netlist of its own.

use std::collections::BTreeSet;

use crate::{Net, Netlist, NetlistBuilder, Result, Role};

impl Netlist {
    /// The cells of the groups of one role, as a netlist of the same name.
    ///
    /// Its one input port, `in`, has a word of one bit for each net that these cells read from
    /// outside; its one output port, `out`, one for each net of theirs that other cells or output
    /// ports read; both in net order. If a cell is called `in`, the port is `in_1` or the next
    /// free name. Cells keep their names, groups and order.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when no cell has that role, or when such cells
    /// read nothing from outside or nothing reads them.
    pub fn select(&self, role: Role) -> Result<Self> {
        let inside: Vec<bool> =
            self.cells().iter().map(|cell| self.groups()[cell.group].role == role).collect();
        if !inside.contains(&true) {
            return Err(self.error(format!("select: no cell has the role {role}")));
        }
        let (owners, bits) = (self.owners(), self.input_bits());
        let is_inside =
            |net: Net| net.index().checked_sub(bits).is_some_and(|offset| inside[owners[offset]]);
        let mut read: BTreeSet<Net> = BTreeSet::new();
        let mut shown: BTreeSet<Net> =
            self.outputs().iter().flat_map(|port| &port.nets).copied().collect();
        for (cell, &inside) in self.cells().iter().zip(&inside) {
            if inside {
                read.extend(cell.operands.iter().filter(|&&net| !is_inside(net)));
            } else {
                shown.extend(&cell.operands);
            }
        }
        shown.retain(|&net| is_inside(net));
        if read.is_empty() || shown.is_empty() {
            let what = if read.is_empty() {
                "read nothing from outside"
            } else {
                "are read by nothing outside"
            };
            return Err(self.error(format!("select: the cells of role {role} {what}")));
        }

        let mut build = NetlistBuilder::new(self.name())?;
        build.input(self.free_port(&inside), read.len(), 1)?;
        let mut group_of = vec![0; self.groups().len()];
        let chosen = self.groups().iter().enumerate().filter(|(_, group)| group.role == role);
        for (new, (old, group)) in chosen.enumerate() {
            build.group(group.name.clone(), role)?;
            group_of[old] = new;
        }
        // New nets: those read first, then those of the cells; registers may read ahead, so all
        // are numbered before the first cell.
        let mut placed = vec![Net(0); self.cells().len()];
        let mut next = read.len();
        for (index, cell) in self.cells().iter().enumerate().filter(|&(index, _)| inside[index]) {
            placed[index] = Net(next as u32);
            next += cell.width();
        }
        let read: Vec<Net> = read.into_iter().collect();
        let place = |net: Net| {
            if is_inside(net) {
                let owner = owners[net.index() - bits];
                Net(placed[owner].0 + net.0 - self.cells()[owner].output().0)
            } else {
                Net(read.partition_point(|&other| other < net) as u32)
            }
        };
        for (cell, _) in self.cells().iter().zip(&inside).filter(|&(_, &inside)| inside) {
            let operands: Vec<Net> = cell.operands.iter().map(|&net| place(net)).collect();
            build.resume(group_of[cell.group]);
            build.cell(cell.name.clone(), cell.op.clone(), &operands)?;
        }
        let shown: Vec<Net> = shown.into_iter().map(place).collect();
        build.output("out", 1, &shown)?;
        build.finish()
    }

    /// `in`, or the first of `in_1`, `in_2` and so on that no selected cell has.
    fn free_port(&self, inside: &[bool]) -> String {
        let cells = self.cells().iter().zip(inside).filter(|&(_, &inside)| inside);
        let taken: BTreeSet<&str> = cells.map(|(cell, _)| cell.name.as_str()).collect();
        let mut name = "in".to_owned();
        let mut number = 0;
        while taken.contains(name.as_str()) {
            number += 1;
            name = format!("in_{number}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Evaluator;
    use crate::sample::{netlist, words};

    fn read(cells: &str) -> Netlist {
        let text = format!("lutweave-netlist 1\nnetlist n\ninput x 2 x 3\n{cells}end\n");
        Netlist::from_text(&text).unwrap()
    }

    #[test]
    fn takes_the_groups_of_a_role_and_cuts_at_their_edges() {
        let netlist = read(
            "group e encoder\nat_least a x[1] 3\nat_least b x[0] 2\n\
             group l core\nlut in 0x6 a x[1][2]\nregister r later 1\n\
             group h head\npopcount s in b\n\
             group k core\nlut later 0xe8 in r s[1]\noutput y 1 x 1 later\noutput z 1 x 1 a\n",
        );
        let core = netlist.select(Role::Core).unwrap();
        assert_eq!(
            core.to_text(),
            "lutweave-netlist 1\nnetlist n\ninput in_1 3 x 1\ngroup l core\n\
             lut in 0x6 in_1[1] in_1[0]\nregister r later 1\ngroup k core\n\
             lut later 0xe8 in r in_1[2]\noutput out 2 x 1 in later\nend\n"
        );
        let encoder = netlist.select(Role::Encoder).unwrap();
        assert_eq!(encoder.outputs()[0].words, 2);
        assert_eq!(encoder.inputs()[0].words, 6);
    }

    #[test]
    fn says_why_there_is_nothing() {
        for (cells, what) in [
            ("output y 1 x 3 x[0]\n", "no cell has the role core"),
            (
                "group g core\nconstant c 1\noutput y 1 x 1 c\n",
                "the cells of role core read nothing from outside",
            ),
            (
                "group g core\nlut l 0x1 x[0][0]\noutput y 1 x 3 x[0]\n",
                "the cells of role core are read by nothing outside",
            ),
        ] {
            let error = read(cells).select(Role::Core).unwrap_err();
            assert_eq!(error.to_string(), format!("netlist `n`: select: {what}"));
        }
    }

    proptest! {
        #[test]
        fn a_part_computes_what_it_did_in_the_whole(seed: u64) {
            let netlist = netlist(seed, false);
            for role in Role::ALL {
                let Ok(part) = netlist.select(role) else { continue };
                // The nets of the whole, all of them shown.
                let mut whole = Evaluator::new(&netlist).unwrap();
                whole.settle(&words(netlist.input_bits(), seed)).unwrap();
                let inside = |net: Net| match netlist.driver(net) {
                    crate::Driver::Input { .. } => false,
                    crate::Driver::Cell { cell, .. } => {
                        netlist.groups()[netlist.cells()[cell].group].role == role
                    }
                };
                let cells = netlist.cells().iter().filter(|cell| inside(cell.output()));
                let read: BTreeSet<Net> =
                    cells.flat_map(|cell| cell.operands.clone()).filter(|&net| !inside(net)).collect();
                let inputs: Vec<u64> = read.iter().map(|&net| whole.net(net)).collect();
                let mut alone = Evaluator::new(&part).unwrap();
                alone.settle(&inputs).unwrap();
                for cell in part.cells() {
                    let old = netlist.cells().iter().find(|old| old.name == cell.name).unwrap();
                    for (new, old) in cell.outputs().zip(old.outputs()) {
                        prop_assert_eq!(alone.net(new), whole.net(old));
                    }
                }
            }
        }
    }
}
