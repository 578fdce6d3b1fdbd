//! The netlist: ports, cells and groups, in an order in which they can be evaluated.
//!
//! A [`Netlist`] is made by a [`NetlistBuilder`], which checks every cell as it comes, so a
//! netlist that exists is well formed: operands exist, tables fit their inputs, names are unique,
//! and no combinational cycle is possible.
//!
//! A one-bit wire is a [`Net`]. Words are slices of nets, least significant bit first, unsigned.

mod builder;
mod fault;

use std::fmt;

pub use builder::NetlistBuilder;
pub(crate) use builder::check_name;
pub use fault::Fault;

use crate::{Error, TruthTable};

/// Longest name of a netlist, port, group or cell, in characters.
pub const MAX_NAME: usize = 128;
/// Widest word of a port or block, in bits.
pub const MAX_WIDTH: usize = 32;
/// Most nets of a netlist.
pub const MAX_NETS: usize = 1 << 28;

/// A one-bit wire, numbered from 0 in order of definition: the input ports first, then the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Net(pub(crate) u32);

impl Net {
    /// The number of the net, below [`Netlist::net_count`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which part of the system a group of cells is: reports keep the three apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Turns input numbers into bits (threshold comparisons).
    Encoder,
    /// The trained LUTs.
    Core,
    /// Turns bits into the answer (popcount, argmax).
    Head,
}

impl Role {
    /// Every role, in the order of the data flow.
    pub const ALL: [Self; 3] = [Self::Encoder, Self::Core, Self::Head];

    /// The word for it in the text form and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Core => "core",
            Self::Head => "head",
        }
    }
}

/// A named set of cells, for instance one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Unique among groups.
    pub name: String,
    /// The part of the system it belongs to.
    pub role: Role,
}

/// An input port: an array of unsigned words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Unique among ports and cells.
    pub name: String,
    /// Words in the array.
    pub words: usize,
    /// Bits of each word.
    pub width: usize,
    pub(crate) first: Net,
}

impl Input {
    /// The nets of word `index`, least significant bit first.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub fn word(&self, index: usize) -> Vec<Net> {
        assert!(index < self.words, "word {index} of input {}", self.name);
        self.nets().skip(index * self.width).take(self.width).collect()
    }

    /// All nets of the port: word 0 first, each least significant bit first.
    pub fn nets(&self) -> impl Iterator<Item = Net> + use<> {
        (self.first.0..self.first.0 + (self.words * self.width) as u32).map(Net)
    }
}

/// An output port: an array of unsigned words taken from any nets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Unique among outputs and inputs; may be the name of a cell.
    pub name: String,
    /// Words in the array.
    pub words: usize,
    /// Bits of each word.
    pub width: usize,
    /// `words * width` nets: word 0 first, each least significant bit first.
    pub nets: Vec<Net>,
}

/// What a cell computes from its operands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// A fixed bit; no operands.
    Constant(bool),
    /// A look-up table of 1 to 8 operands; operand 0 is bit 0 of the table index.
    Lut(TruthTable),
    /// A D flip-flop of one operand, which may be a net defined later.
    Register {
        /// Its value before the first clock edge.
        initial: bool,
    },
    /// One bit: whether the operands, as an unsigned word, are at least this number.
    AtLeast(u64),
    /// The number of operands that are one, as a word of [`bits_for`]`(operands)` bits.
    Popcount,
    /// The index of the largest of `words` unsigned words, ties to the lowest index. The operands
    /// are the words one after the other, all equally wide; the index has
    /// [`bits_for`]`(words - 1)` bits, at least one.
    Argmax {
        /// Number of words compared.
        words: usize,
    },
}

/// Bits needed to write `value` in binary; one for zero.
pub fn bits_for(value: usize) -> usize {
    (usize::BITS - value.leading_zeros()).max(1) as usize
}

/// One element of a netlist. It drives `width` nets that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Unique among cells and input ports.
    pub name: String,
    /// Index of its group.
    pub group: usize,
    /// What it computes.
    pub op: Op,
    /// What it computes from.
    pub operands: Vec<Net>,
    pub(crate) first: Net,
    pub(crate) width: usize,
}

impl Cell {
    /// Bits of the word it drives.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The nets it drives, least significant bit first.
    pub fn outputs(&self) -> impl Iterator<Item = Net> + use<> {
        (self.first.0..self.first.0 + self.width as u32).map(Net)
    }

    /// The first net it drives; the only one for one-bit cells.
    pub fn output(&self) -> Net {
        self.first
    }
}

/// What drives a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Bit `bit` of word `word` of input port `input`.
    Input {
        /// Index of the port.
        input: usize,
        /// Word of the port.
        word: usize,
        /// Bit of the word.
        bit: usize,
    },
    /// Bit `bit` of the word driven by cell `cell`.
    Cell {
        /// Index of the cell.
        cell: usize,
        /// Bit of its word.
        bit: usize,
    },
}

/// A checked netlist. Equality compares everything, names included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netlist {
    name: String,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    groups: Vec<Group>,
    cells: Vec<Cell>,
    nets: usize,
}

impl Netlist {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its input ports.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Its output ports.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Its groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Its cells: every operand of a cell that is no register is driven by an input port or by an
    /// earlier cell.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Number of nets.
    pub fn net_count(&self) -> usize {
        self.nets
    }

    /// Number of bits of all input ports; their nets are `0..input_bits()`.
    pub fn input_bits(&self) -> usize {
        self.cells.first().map_or(self.nets, |cell| cell.first.index())
    }

    /// What drives `net`. Costs a binary search.
    ///
    /// # Panics
    ///
    /// If the net is not of this netlist.
    pub fn driver(&self, net: Net) -> Driver {
        assert!(net.index() < self.nets, "net {} of {}", net.0, self.nets);
        if net.index() < self.input_bits() {
            let input = self.inputs.partition_point(|port| port.first <= net) - 1;
            let port = &self.inputs[input];
            let offset = (net.0 - port.first.0) as usize;
            Driver::Input { input, word: offset / port.width, bit: offset % port.width }
        } else {
            let cell = self.cells.partition_point(|cell| cell.first <= net) - 1;
            Driver::Cell { cell, bit: (net.0 - self.cells[cell].first.0) as usize }
        }
    }

    /// Number of LUT cells in groups of `role`; blocks are not counted, see
    /// [`summary`](Self::summary).
    pub fn lut_count(&self, role: Role) -> usize {
        self.cells
            .iter()
            .filter(|cell| self.groups[cell.group].role == role && matches!(cell.op, Op::Lut(_)))
            .count()
    }

    /// The cell that drives each net past the input ports: entry 0 is for net `input_bits()`.
    pub(crate) fn owners(&self) -> Vec<usize> {
        let cells = self.cells.iter().enumerate();
        cells.flat_map(|(index, cell)| std::iter::repeat_n(index, cell.width)).collect()
    }

    /// An error about this netlist as a whole.
    pub(crate) fn error(&self, what: impl Into<String>) -> Error {
        Error::Netlist { netlist: self.name.clone(), what: what.into() }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::netlist;

    #[test]
    fn widths_hold_the_largest_value() {
        for (value, bits) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9)] {
            assert_eq!(bits_for(value), bits);
        }
    }

    proptest! {
        #[test]
        fn every_net_has_its_driver(seed: u64) {
            let netlist = netlist(seed, true);
            let bits: usize = netlist.inputs().iter().map(|port| port.words * port.width).sum();
            prop_assert_eq!(netlist.input_bits(), bits);
            let owners = netlist.owners();
            for index in 0..netlist.net_count() {
                let net = Net(index as u32);
                match netlist.driver(net) {
                    Driver::Input { input, word, bit } => {
                        prop_assert_eq!(netlist.inputs()[input].word(word)[bit], net);
                    }
                    Driver::Cell { cell, bit } => {
                        prop_assert_eq!(netlist.cells()[cell].outputs().nth(bit), Some(net));
                        prop_assert_eq!(owners[index - bits], cell);
                    }
                }
            }
        }

        #[test]
        fn expanding_does_not_change_the_function(seed: u64) {
            let netlist = netlist(seed, true);
            let expanded = netlist.expand();
            prop_assert_eq!(expanded.groups(), netlist.groups());
            let (mut a, mut b) = (crate::Evaluator::clocked(&netlist), crate::Evaluator::clocked(&expanded));
            for cycle in 0..4 {
                let inputs = crate::sample::words(netlist.input_bits(), seed ^ cycle);
                a.settle(&inputs).unwrap();
                b.settle(&inputs).unwrap();
                for port in 0..netlist.outputs().len() {
                    prop_assert!(a.output(port).eq(b.output(port)));
                }
                a.step(&inputs).unwrap();
                b.step(&inputs).unwrap();
            }
        }
    }
}
