//! AIGER, and-inverter graphs with latches (A. Biere, K. Heljanko, S. Wieringa, "AIGER 1.9 and
//! beyond", Johannes Kepler University Linz, 2011), as ABC, Yosys and model checkers read it.
//!
//! Tables become two-input ANDs by Shannon's expansion: first where a cofactor is constant or both
//! are each other's complement, otherwise at the variable that leaves least behind; equal gates
//! are shared over the whole netlist. Comparisons, popcounts and argmax are expanded into tables
//! first ([`Netlist::expand`]). Registers are latches with their initial value as reset. Symbols
//! name the bits of ports as in [`blif`](crate::blif), and the latches.
//!
//! Read back, each AND is a table of two inputs, with the inversions in it; all cells are in one
//! group, `logic`.
//!
//! ```
//! use lutweave_lut::Netlist;
//! use lutweave_rtl::aiger;
//!
//! let text = "lutweave-netlist 1\nnetlist nand\ninput x 2 x 1\ngroup g core\n\
//!             lut y 0x7 x[0] x[1]\noutput y 1 x 1 y\nend\n";
//! let ascii = aiger::ascii(&Netlist::from_text(text)?)?;
//! assert_eq!(ascii.lines().next(), Some("aag 3 2 0 1 1"));
//! assert_eq!(aiger::read(ascii.as_bytes())?.outputs()[0].name, "y");
//! # Ok::<(), lutweave_rtl::Error>(())
//! ```

mod graph;
mod read;
mod write;

use lutweave_lut::Netlist;

use crate::Result;

/// Refuses a graph with more variables than the format can number.
///
/// # Errors
///
/// [`Error::Unsupported`](crate::Error::Unsupported). A netlist within its own limits has fewer.
pub fn validate(netlist: &Netlist) -> Result<()> {
    write::Aiger::new(netlist).map(drop)
}

/// The ASCII form, `aag`: a line for each input, latch, output and AND.
///
/// # Errors
///
/// As [`validate`].
pub fn ascii(netlist: &Netlist) -> Result<String> {
    Ok(write::Aiger::new(netlist)?.ascii())
}

/// The binary form, `aig`, which is what other programs prefer: some three bytes for an AND.
///
/// # Errors
///
/// As [`validate`].
pub fn binary(netlist: &Netlist) -> Result<Vec<u8>> {
    Ok(write::Aiger::new(netlist)?.binary())
}

/// Reads either form, with the resets of AIGER 1.9 (a latch without a defined one starts at 0).
///
/// Symbols name ports, as [`blif`](crate::blif) says; without symbols the inputs are one port of
/// bits `i`, the outputs one port `o`. Where there are latches, an input `clk` that nothing reads is
/// the clock that Yosys adds, and becomes no port. Bad
/// states, as which ABC writes outputs where a latch starts at one, are outputs after the others;
/// constraints, justice and fairness are refused. Costs time
/// and memory in proportion to the file; a binary file may state inputs without a byte for each,
/// 4,194,304 at most.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read) with the place of what is malformed or not supported;
/// [`Error::Netlist`](crate::Error::Netlist) when there is no input or output.
pub fn read(bytes: &[u8]) -> Result<Netlist> {
    read::read(bytes)
}
