//! Whole designs around a netlist: a handshake, an AXI4-Stream, or a serial line.
//!
//! A [`System`] prints a netlist with what a board or another design needs to talk to it, in one
//! file without outside modules, and a test bench that compares every answer while both sides
//! stall. A pipeline behind a handshake has to be able to stop: its registers get a clock enable,
//! and a hand-over of two words behind it makes both directions of the handshake registers.
//!
//! All inputs of a sample are one number here: port after port, word after word, the first word in
//! the lowest bits; likewise the outputs of an answer.

mod bench;
mod serial;
mod serial_bench;
mod text;

use std::path::Path;

use lutweave_lut::Netlist;

use crate::blocks::{byte_bits, check_name};
use crate::verilog::{self, Style};
use crate::{Error, Files, Result, Vectors, Verilog};

/// Samples of the test bench when the caller gives none.
const DEFAULT_SAMPLES: usize = 64;
/// The same for a serial line, which takes its time.
const DEFAULT_SERIAL_SAMPLES: usize = 6;

/// How a design talks to what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// A sample a beat, valid and ready on either side.
    ValidReady,
    /// A sample is a burst of bytes, lowest first, that ends in `tlast`; an answer is one beat of
    /// whole bytes. A burst of another length is dropped.
    AxiStream,
    /// A serial line, eight bits, no parity, one stop bit: a sample is its bytes, lowest first; so
    /// is the answer. A byte without stop bit drops the sample that it belongs to, and so does a
    /// long pause.
    Serial {
        /// Clock cycles of a bit, 4 to 65535: the default of the parameter `CLKS_PER_BIT`.
        clocks_per_bit: u16,
        /// Whether an answer of at most four bits is sent as a digit, `0` to `9` and `A` to `F`.
        digit: bool,
    },
}

/// A netlist as a design of its own: the module's name, its interface, and what its bench is fed
/// with.
///
/// ```
/// use lutweave_lut::{NetlistBuilder, Role, TruthTable};
/// use lutweave_rtl::{Interface, System};
///
/// let mut build = NetlistBuilder::new("majority")?;
/// let x = build.input("x", 3, 1)?;
/// build.group("vote", Role::Core)?;
/// let y = build.lut("y", &x, TruthTable::from_fn(3, |k| k.count_ones() >= 2)?)?;
/// build.output("vote", 1, &[y])?;
/// let netlist = build.finish()?.pipeline(&[0])?;
///
/// let system = System::new("vote", Interface::AxiStream);
/// assert!(system.module_text(&netlist)?.contains("input  wire [7:0] s_axis_tdata"));
/// # Ok::<(), lutweave_rtl::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct System {
    module: String,
    interface: Interface,
    vectors: Option<Vectors>,
}

/// What the text is made from: everything is checked.
#[derive(Debug)]
struct Design<'a> {
    netlist: &'a Netlist,
    module: &'a str,
    interface: Interface,
    /// Clock cycles of the netlist.
    latency: usize,
    input_bits: usize,
    output_bits: usize,
}

impl Design<'_> {
    /// Bytes of a sample.
    fn input_bytes(&self) -> usize {
        byte_bits(self.input_bits) / 8
    }

    /// Bytes of an answer.
    fn output_bytes(&self) -> usize {
        byte_bits(self.output_bits) / 8
    }
}

impl System {
    /// A design called `module`.
    pub fn new(module: impl Into<String>, interface: Interface) -> Self {
        Self { module: module.into(), interface, vectors: None }
    }

    /// Feeds the test bench with `vectors` instead of random samples.
    #[must_use]
    pub fn vectors(self, vectors: Vectors) -> Self {
        Self { vectors: Some(vectors), ..self }
    }

    /// Name of the outermost module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The text of all modules.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn module_text(&self, netlist: &Netlist) -> Result<String> {
        text::emit(&self.design(netlist)?)
    }

    /// Writes the modules, their test bench and the vectors into the folder `dir`, which is made
    /// where it is missing. Files of the same names are replaced.
    ///
    /// # Errors
    ///
    /// As [`validate`]; [`Error::Length`] or [`Error::Unsupported`] when the vectors are for other
    /// ports; [`Error::Io`].
    pub fn write(&self, netlist: &Netlist, dir: impl AsRef<Path>) -> Result<Files> {
        let design = self.design(netlist)?;
        let vectors = if let Some(vectors) = &self.vectors {
            vectors.clone()
        } else {
            let serial = matches!(self.interface, Interface::Serial { .. });
            let samples = if serial { DEFAULT_SERIAL_SAMPLES } else { DEFAULT_SAMPLES };
            Vectors::random(netlist, samples, 1)?
        };
        vectors.check_fit(netlist)?;
        let module = text::emit(&design)?;
        let bench = match self.interface {
            Interface::Serial { digit, .. } => {
                serial_bench::emit(&design, digit, vectors.samples())?
            }
            Interface::ValidReady | Interface::AxiStream => {
                bench::emit(&design, vectors.samples())?
            }
        };
        Files::save(
            dir.as_ref(),
            &self.module,
            [&module, &bench, &vectors.inputs_text(), &vectors.expected_text()],
        )
    }

    fn design<'a>(&'a self, netlist: &'a Netlist) -> Result<Design<'a>> {
        check_name(&self.module)?;
        let refuse = |what: String| {
            let netlist = netlist.name().to_owned();
            Err(Error::Unsupported { netlist, what })
        };
        let style = Style::of(netlist)?;
        if style == Style::StateMachine {
            return refuse(
                "its registers feed back, so that a handshake could not stop it between samples; \
                 export it as a plain module"
                    .to_owned(),
            );
        }
        verilog::validate(netlist, &Verilog::new(&*self.module).enable(true))?;
        let output_bits = netlist.outputs().iter().map(|port| port.nets.len()).sum();
        let design = Design {
            netlist,
            module: &self.module,
            interface: self.interface,
            latency: style.latency(),
            input_bits: netlist.input_bits(),
            output_bits,
        };
        if let Interface::Serial { clocks_per_bit, digit } = self.interface {
            if clocks_per_bit < 4 {
                return refuse(format!(
                    "a serial line needs at least 4 clock cycles a bit, got {clocks_per_bit}"
                ));
            }
            if digit && output_bits > 4 {
                return refuse(format!(
                    "an answer of {output_bits} bits is no digit, which has at most 4; send bytes"
                ));
            }
            if design.output_bytes() > design.input_bytes() {
                return refuse(format!(
                    "an answer of {} bytes takes longer to send than a sample of {}; send less, \
                     for instance the class alone",
                    design.output_bytes(),
                    design.input_bytes()
                ));
            }
        }
        Ok(design)
    }
}

/// Refuses what cannot be made a design of its own.
///
/// # Errors
///
/// [`Error::ModuleName`]; [`Error::Unsupported`] for registers that feed back, ports that are too
/// wide, and, on a serial line, less than 4 cycles a bit, a digit of more than 4 bits, or answers
/// longer than samples; [`Error::Netlist`] when paths cross different numbers of registers.
pub fn validate(netlist: &Netlist, options: &System) -> Result<()> {
    options.design(netlist).map(drop)
}
