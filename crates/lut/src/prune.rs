//! Removal of cells that no output depends on.

use crate::rebuild::Rebuild;
use crate::{Driver, Net, Netlist, Result};

impl Netlist {
    /// The netlist without the cells that no output depends on, directly or through others. Ports
    /// and groups stay as they are, even where nothing of them is left.
    ///
    /// # Errors
    ///
    /// None in practice: what is left of a netlist is a netlist.
    pub fn prune(&self) -> Result<Self> {
        let mut live = vec![false; self.cells().len()];
        let mut pending: Vec<Net> =
            self.outputs().iter().flat_map(|port| port.nets.iter().copied()).collect();
        while let Some(net) = pending.pop() {
            if let Driver::Cell { cell, .. } = self.driver(net)
                && !std::mem::replace(&mut live[cell], true)
            {
                pending.extend_from_slice(&self.cells()[cell].operands);
            }
        }
        let mut copy = Rebuild::new(self, self.net_count())?;
        for (cell, _) in self.cells().iter().zip(&live).filter(|&(_, &live)| live) {
            copy.copy_plain(cell)?;
        }
        copy.finish(|copy, net| copy.nets(&[net])[0])
    }
}

#[cfg(test)]
mod tests {
    use crate::{Evaluator, NetlistBuilder, Role, TruthTable};

    #[test]
    fn keeps_what_outputs_need_and_nothing_else() {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 2, 3).unwrap();
        build.group("encoder", Role::Encoder).unwrap();
        let a = build.at_least("a", &x[..3], 2).unwrap();
        let b = build.at_least("b", &x[3..], 5).unwrap();
        build.group("core", Role::Core).unwrap();
        let not = TruthTable::from_fn(1, |k| k == 0).unwrap();
        let used = build.lut("used", &[a], not).unwrap();
        let dead = build.lut("dead", &[b], not).unwrap();
        build.lut("deader", &[dead], not).unwrap();
        build.output("y", 1, &[used]).unwrap();
        let netlist = build.finish().unwrap();
        let pruned = netlist.prune().unwrap();
        let names: Vec<&str> = pruned.cells().iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["a", "used"]);
        assert_eq!(pruned.prune().unwrap(), pruned);
        let inputs: Vec<u64> = (0..64).flat_map(|i| [i % 8, i / 8]).collect();
        let run = |netlist| Evaluator::new(netlist).unwrap().frames(&inputs).unwrap();
        assert_eq!(run(&pruned), run(&netlist));
    }
}
