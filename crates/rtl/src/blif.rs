//! BLIF, the Berkeley Logic Interchange Format ("Berkeley Logic Interchange Format", University
//! of California, Berkeley, 1992), as ABC, Yosys, VTR and SIS read and write it.
//!
//! A table becomes a `.names` with an irredundant cover, of its ones or of its zeros, whichever
//! takes fewer rows; a register a `.latch` of the rising edge with its initial value; comparisons,
//! popcounts and argmax are expanded into tables first ([`Netlist::expand`]). Bit `b` of word `w`
//! of a port is called `port[w][b]`; where words have one bit, `port[w]`; the only bit of a port,
//! `port`.
//!
//! Read back, such names make up ports again, and a netlist of tables and registers is what it was
//! but for its groups, which BLIF does not know: all cells are in one, `logic`.
//!
//! ```
//! use lutweave_lut::Netlist;
//! use lutweave_rtl::blif;
//!
//! let text = "lutweave-netlist 1\nnetlist and\ninput x 2 x 1\ngroup g core\n\
//!             lut y 0x8 x[0] x[1]\noutput y 1 x 1 y\nend\n";
//! let printed = blif::text(&Netlist::from_text(text)?, "top")?;
//! assert!(printed.ends_with(".names x[0] x[1] y\n11 1\n\n.end\n"));
//! assert_eq!(blif::read(&printed)?.cells().len(), 1);
//! # Ok::<(), lutweave_rtl::Error>(())
//! ```

mod read;
mod write;

use std::fmt;

use lutweave_lut::Netlist;

use crate::{Result, names};

/// Refuses a model name that is no identifier or a reserved word of a hardware language.
///
/// # Errors
///
/// [`Error::ModuleName`](crate::Error::ModuleName).
pub fn validate(_netlist: &Netlist, model: &str) -> Result<()> {
    names::check_module(model)
}

/// Prints the netlist as a model of that name to `out`.
///
/// Costs time in proportion to the expanded netlist; the text has some 100 bytes for a random
/// table of six inputs, times the rows of its cover (about 13).
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) if the writer fails; without [`validate`] before it, also
/// its errors, and nothing is written then.
pub fn emit(netlist: &Netlist, model: &str, out: &mut impl fmt::Write) -> Result<()> {
    validate(netlist, model)?;
    Ok(write::emit(&netlist.expand(), model, out)?)
}

/// The text that [`emit`] prints.
///
/// # Errors
///
/// As [`validate`].
pub fn text(netlist: &Netlist, model: &str) -> Result<String> {
    let mut text = String::new();
    emit(netlist, model, &mut text)?;
    Ok(text)
}

/// Reads a BLIF file of one model.
///
/// It takes `.names` of up to eight inputs with don't cares, as covers of ones or of zeros;
/// `.latch` without a type or of the rising edge of one clock, which all of them share and nothing
/// else reads (it becomes no port, and neither does an unread `clk` where latches name no clock, as
/// ABC writes it); `.conn`, and attributes, which it passes over. An initial value
/// that is not known is 0. Names that a netlist cannot have are changed, different ones to
/// different ones. Costs time and memory in proportion to the text.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read) with the line of what is malformed or not among the above;
/// [`Error::Netlist`](crate::Error::Netlist) when there is no input or output.
pub fn read(text: &str) -> Result<Netlist> {
    read::read(text)
}
