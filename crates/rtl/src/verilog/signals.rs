//! The name of every port and wire, and the expressions that read them.

use lutweave_lut::{Cell, Driver, Input, Net, Netlist, Op};

use super::Style;
use crate::names::Names;

/// A netlist whose ports and cells have got their Verilog names.
#[derive(Debug)]
pub(crate) struct Signals<'a> {
    pub(crate) netlist: &'a Netlist,
    pub(crate) style: Style,
    /// Whether the registers of a pipeline wait for a port `enable`.
    pub(crate) enable: bool,
    /// Names of the input ports.
    pub(crate) inputs: Vec<String>,
    /// Names of the output ports.
    pub(crate) outputs: Vec<String>,
    /// Names of the cells' wires and registers.
    cells: Vec<String>,
    /// The names given so far; what the printer adds, it claims from a copy.
    names: Names,
}

impl<'a> Signals<'a> {
    /// Names everything. Ports come first, so that they keep their names where they clash.
    pub(crate) fn new(netlist: &'a Netlist, style: Style, module: &str, enable: bool) -> Self {
        let enable = enable && matches!(style, Style::Pipeline { .. });
        let mut names = Names::new();
        if enable {
            names.claim("enable");
        }
        for fixed in [module, "clk", "rst", "in_valid", "out_valid", "valid", "unused_ok"] {
            names.claim(fixed);
        }
        let inputs = netlist.inputs().iter().map(|port| names.claim(&port.name)).collect();
        let outputs = netlist.outputs().iter().map(|port| names.claim(&port.name)).collect();
        let cells = netlist.cells().iter().map(|cell| names.claim(&cell.name)).collect();
        Self { netlist, style, enable, inputs, outputs, cells, names }
    }

    /// The names given so far, to claim more.
    pub(crate) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Name of cell `cell`.
    pub(crate) fn cell(&self, cell: usize) -> &str {
        &self.cells[cell]
    }

    /// Whether `net` is a bit of an input port.
    pub(crate) fn is_input(&self, net: Net) -> bool {
        matches!(self.netlist.driver(net), Driver::Input { .. })
    }

    /// The expression that reads one net.
    pub(crate) fn bit(&self, net: Net) -> String {
        self.slice(net, 1)
    }

    /// The parts of a word, highest first, as few as possible.
    pub(crate) fn parts(&self, nets: &[Net]) -> Vec<String> {
        let mut parts = Vec::new();
        let mut rest = nets;
        while let Some(&first) = rest.first() {
            let vector = self.vector(first);
            let run = rest
                .iter()
                .enumerate()
                .take_while(|(i, net)| {
                    net.index() == first.index() + i && self.vector(**net).0 == vector.0
                })
                .count();
            parts.push(self.slice(first, run));
            rest = &rest[run..];
        }
        parts.reverse();
        parts
    }

    /// The expression that reads a word, least significant net first in `nets`.
    pub(crate) fn word(&self, nets: &[Net]) -> String {
        let parts = self.parts(nets);
        if parts.len() == 1 { parts.concat() } else { format!("{{{}}}", parts.join(",")) }
    }

    /// The nets that no cell and no output reads in the printed text, as expressions.
    pub(crate) fn unread(&self) -> Vec<String> {
        let mut read = vec![false; self.netlist.net_count()];
        let cells = self.netlist.cells().iter().filter(|cell| reads_operands(cell));
        let outputs = self.netlist.outputs().iter().flat_map(|port| &port.nets);
        for net in cells.flat_map(|cell| &cell.operands).chain(outputs) {
            read[net.index()] = true;
        }
        let inputs = self.netlist.inputs().iter().flat_map(Input::nets);
        let cells = self.netlist.cells().iter().flat_map(Cell::outputs);
        let unread: Vec<Net> = inputs.chain(cells).filter(|net| !read[net.index()]).collect();
        self.parts(&unread)
    }

    /// The vector that `net` is a bit of: its name, its bits, and which of them it is.
    fn vector(&self, net: Net) -> (&str, usize, usize) {
        match self.netlist.driver(net) {
            Driver::Input { input, word, bit } => {
                let port = &self.netlist.inputs()[input];
                (&self.inputs[input], port.words * port.width, word * port.width + bit)
            }
            Driver::Cell { cell, bit } => {
                (&self.cells[cell], self.netlist.cells()[cell].width(), bit)
            }
        }
    }

    /// `length` bits of one vector, from `first` up.
    fn slice(&self, first: Net, length: usize) -> String {
        let (name, width, bit) = self.vector(first);
        if length == width {
            name.to_owned()
        } else if length == 1 {
            format!("{name}[{bit}]")
        } else {
            format!("{name}[{}:{bit}]", bit + length - 1)
        }
    }
}

/// Whether the printed text of a cell mentions its operands; constant functions do not.
pub(crate) fn reads_operands(cell: &Cell) -> bool {
    match &cell.op {
        Op::Constant(_) => false,
        Op::Lut(table) => table.fan_in() > 1 || table.depends_on(0),
        Op::AtLeast(threshold) => *threshold != 0 && threshold >> cell.operands.len() == 0,
        Op::Argmax { words } => *words > 1,
        Op::Register { .. } | Op::Popcount => true,
    }
}
