//! Netlists with one fault, to see whether a check notices it.

use crate::{Net, Netlist, Op, Result, TruthTable};

/// A fault in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An entry of a table is the other bit.
    Entry {
        /// Index of the LUT among the cells.
        cell: usize,
        /// The entry.
        entry: usize,
    },
    /// An operand is another net.
    Wire {
        /// Index of the cell.
        cell: usize,
        /// Which of its operands.
        operand: usize,
        /// What it reads instead.
        net: Net,
    },
}

impl Netlist {
    /// The netlist with a fault. It may compute the same: an entry may never be addressed.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when there is no such LUT, entry, cell or operand,
    /// when the operand is that net already, or when the net is not driven before the cell.
    pub fn with_fault(&self, fault: Fault) -> Result<Self> {
        let mut copy = self.clone();
        let done = match fault {
            Fault::Entry { cell, entry } => match copy.cells.get_mut(cell).map(|cell| &mut cell.op)
            {
                Some(Op::Lut(table)) if entry < table.entries() => {
                    let flipped = |k: usize| table.get(k) != (k == entry);
                    *table = TruthTable::from_fn(table.fan_in(), flipped)?;
                    true
                }
                _ => false,
            },
            Fault::Wire { cell, operand, net } => match copy.cells.get_mut(cell) {
                Some(cell) => match cell.operands.get_mut(operand) {
                    Some(operand) if net < cell.first && *operand != net => {
                        *operand = net;
                        true
                    }
                    _ => false,
                },
                None => false,
            },
        };
        if done { Ok(copy) } else { Err(self.error(format!("{fault:?} is not possible in it"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_where_they_are_said_to_be() {
        let text = "lutweave-netlist 1\nnetlist n\ninput x 3 x 1\ngroup g core\n\
                    lut y 0x8 x[0] x[1]\noutput y 1 x 1 y\nend\n";
        let netlist = Netlist::from_text(text).unwrap();
        let entry = netlist.with_fault(Fault::Entry { cell: 0, entry: 0 }).unwrap();
        assert_eq!(entry.to_text(), text.replace("0x8", "0x9"));
        let net = netlist.inputs()[0].word(2)[0];
        let wire = netlist.with_fault(Fault::Wire { cell: 0, operand: 1, net }).unwrap();
        assert_eq!(wire.to_text(), text.replace("x[1]", "x[2]"));
        let own = netlist.cells()[0].output();
        for fault in [
            Fault::Entry { cell: 0, entry: 4 },
            Fault::Entry { cell: 1, entry: 0 },
            Fault::Wire { cell: 0, operand: 2, net },
            Fault::Wire { cell: 0, operand: 0, net: own },
            Fault::Wire { cell: 0, operand: 0, net: netlist.inputs()[0].word(0)[0] },
        ] {
            assert!(netlist.with_fault(fault).is_err(), "{fault:?}");
        }
    }
}
