//! The same netlist behind other ports.

use crate::{Cell, Net, Netlist, NetlistBuilder, Result};

impl Netlist {
    /// The netlist with the ports of another: those of the same names, their bits in the same order
    /// but cut into words as there. What only other outputs need is left out, and so are other
    /// inputs, which nothing that is left may read.
    ///
    /// `called` says what a port of `like` is called here.
    ///
    /// It brings what another tool has made of a netlist back into shape: bits instead of words, and
    /// the clock, reset and valid bits that printing has added.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when a port is missing or has another number of
    /// bits, or when an input that `like` does not have is read.
    pub fn with_ports_of<'n>(
        &self,
        like: &'n Self,
        called: impl Fn(&'n str) -> &'n str,
    ) -> Result<Self> {
        let mut build = NetlistBuilder::new(self.name())?;
        let mut nets: Vec<Option<Net>> = vec![None; self.net_count()];
        for port in like.inputs() {
            let given = build.input(port.name.clone(), port.words, port.width)?;
            let Some(own) = self.inputs().iter().find(|own| own.name == called(&port.name)) else {
                return Err(self.error(format!("it has no input `{}`", called(&port.name))));
            };
            self.check_bits(&port.name, port.words * port.width, own.words * own.width)?;
            for (own, given) in own.nets().zip(given) {
                nets[own.index()] = Some(given);
            }
        }
        let mut outputs = Vec::with_capacity(like.outputs().len());
        for port in like.outputs() {
            let Some(own) = self.outputs().iter().find(|own| own.name == called(&port.name)) else {
                return Err(self.error(format!("it has no output `{}`", called(&port.name))));
            };
            self.check_bits(&port.name, port.nets.len(), own.nets.len())?;
            outputs.push((port, own));
        }
        let roots = outputs.iter().flat_map(|(_, own)| &own.nets).copied().collect();
        let kept = self.reached(roots);
        // Registers may read ahead, so all nets are numbered before the first cell is added.
        let mut next = build.next_net().0;
        for (cell, _) in self.cells().iter().zip(&kept).filter(|(_, kept)| **kept) {
            for net in cell.outputs() {
                nets[net.index()] = Some(Net(next));
                next += 1;
            }
        }
        let copy = |net: &Net| {
            nets[net.index()].ok_or_else(|| {
                self.error(format!(
                    "its outputs depend on an input that is not to be: bit {}",
                    net.0
                ))
            })
        };
        for group in self.groups() {
            build.group(group.name.clone(), group.role)?;
        }
        for (cell, _) in self.cells().iter().zip(&kept).filter(|(_, kept)| **kept) {
            let Cell { name, group, op, operands, .. } = cell;
            build.resume(*group);
            let operands = operands.iter().map(copy).collect::<Result<Vec<Net>>>()?;
            build.cell(name.clone(), op.clone(), &operands)?;
        }
        for (port, own) in outputs {
            let nets = own.nets.iter().map(copy).collect::<Result<Vec<Net>>>()?;
            build.output(port.name.clone(), port.width, &nets)?;
        }
        build.finish()
    }

    fn check_bits(&self, port: &str, expected: usize, got: usize) -> Result<()> {
        if expected == got {
            return Ok(());
        }
        Err(self.error(format!("port `{port}` has {got} bits instead of {expected}")))
    }

    /// Whether each cell is one that these nets depend on.
    fn reached(&self, mut nets: Vec<Net>) -> Vec<bool> {
        let (owners, bits) = (self.owners(), self.input_bits());
        let mut reached = vec![false; self.cells().len()];
        while let Some(net) = nets.pop() {
            if let Some(offset) = net.index().checked_sub(bits)
                && !std::mem::replace(&mut reached[owners[offset]], true)
            {
                nets.extend(&self.cells()[owners[offset]].operands);
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ports: &str, cells: &str) -> Netlist {
        let text = format!("lutweave-netlist 1\nnetlist n\n{ports}group g core\n{cells}end\n");
        Netlist::from_text(&text).unwrap()
    }

    #[test]
    fn bits_become_words_and_controls_go() {
        let like = read("input x 2 x 2\n", "lut y 0x8 x[0][0] x[1][1]\noutput y 1 x 1 y\n");
        let cells =
            "register v rst 0\nlut y 0x8 x[0] x[3]\noutput valid 1 x 1 v\noutput y 1 x 1 y\n";
        let other = read("input rst 1 x 1\ninput x 4 x 1\n", cells);
        let shaped = other.with_ports_of(&like, |name| name).unwrap();
        assert_eq!(shaped.to_text(), like.to_text());
        let reset = other.to_text().replace("0x8 x[0]", "0x8 rst");
        let error =
            Netlist::from_text(&reset).unwrap().with_ports_of(&like, |name| name).unwrap_err();
        assert!(error.to_string().contains("depend on an input that is not to be"), "{error}");
        let error = like.with_ports_of(&other, |name| name).unwrap_err().to_string();
        assert_eq!(error, "netlist `n`: it has no input `rst`");
    }

    #[test]
    fn registers_that_read_ahead_stay_right() {
        let counter = read("input e 1 x 1\n", "register q d 1\nlut d 0x6 q e\noutput q 1 x 1 q\n");
        assert_eq!(
            counter.with_ports_of(&counter, |name| name).unwrap().to_text(),
            counter.to_text()
        );
    }
}
