//! The name of every bit of a netlist, for formats that know single bits only.

use std::collections::BTreeMap;

use lutweave_lut::{Net, Netlist, Op};

use crate::ports::bit_name;

/// Names of the bits of an expanded netlist, whose cells drive one bit each.
#[derive(Debug)]
pub(crate) struct BitNames {
    /// The name of each net.
    pub(crate) nets: Vec<String>,
    /// The name of each output bit, and the net that it shows.
    pub(crate) outputs: Vec<(String, Net)>,
}

impl BitNames {
    /// Names everything. A cell keeps its name, unless it is also that of an output that shows
    /// another net: then the cell's gets a `$`, which no other name has.
    pub(crate) fn new(netlist: &Netlist) -> Self {
        let mut nets = Vec::with_capacity(netlist.net_count());
        for port in netlist.inputs() {
            let bits = 0..port.words * port.width;
            nets.extend(bits.map(|bit| bit_name(&port.name, port.words, port.width, bit)));
        }
        let outputs = netlist.outputs().iter().flat_map(|port| {
            let bits = port.nets.iter().enumerate();
            bits.map(|(bit, &net)| (bit_name(&port.name, port.words, port.width, bit), net))
        });
        let outputs: Vec<(String, Net)> = outputs.collect();
        let shows: BTreeMap<&str, Net> =
            outputs.iter().map(|(name, net)| (name.as_str(), *net)).collect();
        for cell in netlist.cells() {
            let clashes = shows.get(cell.name.as_str()).is_some_and(|&net| net != cell.output());
            nets.push(if clashes { format!("{}$", cell.name) } else { cell.name.clone() });
        }
        Self { nets, outputs }
    }

    /// The name of a net.
    pub(crate) fn net(&self, net: Net) -> &str {
        &self.nets[net.index()]
    }
}

/// Whether a netlist has registers.
pub(crate) fn has_registers(netlist: &Netlist) -> bool {
    netlist.cells().iter().any(|cell| matches!(cell.op, Op::Register { .. }))
}
