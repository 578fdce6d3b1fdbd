//! Plain Verilog-2001 of a netlist.
//!
//! [`validate`] refuses what cannot be expressed; after it, [`emit`] fails only if the writer
//! does. [`Verilog`] is the options of both and a front that writes everything into a folder. The
//! text depends on the netlist and the options alone, byte for byte.
//!
//! # What becomes of the registers
//!
//! The [`Style`] of a module follows from its netlist:
//!
//! - without registers it is combinational: data ports only;
//! - with registers that only delay it is a pipeline: `clk`, `rst`, `in_valid`, the data inputs,
//!   `out_valid`, the data outputs. It takes one sample a clock cycle. `rst` is synchronous and
//!   clears the valid bits alone; data registers have neither reset nor enable nor initial value,
//!   as nothing they hold is seen before it was written;
//! - with a register that feeds back it is a state machine: `clk` and the data ports. No valid bit
//!   goes with a sample, since the answer depends on all samples before it: the state advances in
//!   every clock cycle, and registers start from their initial value at power-up.

mod body;
mod head;
mod primitives;
mod signals;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use lutweave_lut::{Netlist, Op};

use crate::{Error, Result, Target, Vectors, bench, names};
pub(crate) use head::range;
pub(crate) use signals::Signals;

/// Most bits of all input ports together, and of all output ports: the longest vector that every
/// Verilog tool must handle (IEEE 1364-2005, section 4.3.1).
pub const MAX_PORT_BITS: usize = 1 << 16;
/// Most clock cycles from input to output.
pub const MAX_LATENCY: usize = 4096;

/// Samples of the test bench when the caller gives none.
const DEFAULT_SAMPLES: usize = 256;

/// How a module is clocked; see the [module](self) documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No registers.
    Combinational,
    /// Registers that only delay: every result is as many clock cycles later as `latency` says.
    Pipeline {
        /// Clock cycles from input to output.
        latency: usize,
    },
    /// Registers that feed back.
    StateMachine,
}

impl Style {
    /// The style of `netlist`.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`] when paths cross different numbers of registers, so that no latency
    /// exists; [`Error::Unsupported`] when it is above [`MAX_LATENCY`].
    pub fn of(netlist: &Netlist) -> Result<Self> {
        if !netlist.cells().iter().any(|cell| matches!(cell.op, Op::Register { .. })) {
            return Ok(Self::Combinational);
        }
        if feeds_back(netlist) {
            return Ok(Self::StateMachine);
        }
        let latency = netlist.latency()?;
        if latency > MAX_LATENCY {
            let what = format!("its latency is {latency} clock cycles, at most {MAX_LATENCY}");
            return Err(unsupported(netlist, what));
        }
        Ok(Self::Pipeline { latency })
    }

    /// Clock cycles from input to output; zero for a state machine, whose outputs answer in the
    /// same cycle, from the state before it.
    pub fn latency(self) -> usize {
        match self {
            Self::Pipeline { latency } => latency,
            Self::Combinational | Self::StateMachine => 0,
        }
    }
}

/// Whether a register reads a net that is defined after it.
pub(crate) fn feeds_back(netlist: &Netlist) -> bool {
    netlist
        .cells()
        .iter()
        .any(|cell| matches!(cell.op, Op::Register { .. }) && cell.operands[0] >= cell.output())
}

/// A Verilog export: the module's name and what its test bench is fed with.
#[derive(Debug, Clone)]
pub struct Verilog {
    module: String,
    vectors: Option<Vectors>,
    target: Target,
    primitives: bool,
    pairs: bool,
    /// Most bits of its input ports, and of its output ports.
    port_bits: usize,
    enable: bool,
}

/// The files that [`Verilog::write`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The module, `<name>.v`.
    pub module: PathBuf,
    /// Its test bench, `<name>_tb.v`.
    pub bench: PathBuf,
    /// The test inputs, `<name>_inputs.mem`.
    pub inputs: PathBuf,
    /// The outputs expected for them, `<name>_expected.mem`.
    pub expected: PathBuf,
}

impl Verilog {
    /// An export of a module called `module`.
    pub fn new(module: impl Into<String>) -> Self {
        Self {
            module: module.into(),
            vectors: None,
            enable: false,
            target: Target::Generic,
            primitives: false,
            pairs: false,
            port_bits: MAX_PORT_BITS,
        }
    }

    /// Feeds the test bench with `vectors` instead of 256 random samples.
    #[must_use]
    pub fn vectors(mut self, vectors: Vectors) -> Self {
        self.vectors = Some(vectors);
        self
    }

    /// The family of devices it is for; [`Target::Generic`] if it is not said.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Prints tables as the primitives of the target (`LUT6`, `SB_LUT4` and so on) instead of
    /// leaving them to synthesis, one table a LUT, or several and multiplexers where it has more
    /// inputs than a LUT ([`Target::luts`]). Comparisons, popcounts and argmax are expanded into
    /// tables first. The file has models of the primitives for simulators.
    ///
    /// Synthesis takes such a netlist as it is, which is quick, and keeps its tables apart; without
    /// primitives it may find something smaller.
    #[must_use]
    pub fn primitives(mut self, primitives: bool) -> Self {
        self.primitives = primitives;
        self
    }

    /// Allows ports of more than [`MAX_PORT_BITS`] bits: Yosys reads them, simulators may not.
    pub(crate) fn wide(self) -> Self {
        Self { port_bits: usize::MAX, ..self }
    }

    /// Whether two tables that read at most five nets together become one `LUT6_2`, a LUT of six inputs with
    /// two outputs, as [`opt::pairs`](lutweave_lut::opt::pairs) finds them. For primitives of Xilinx
    /// devices. Placers pair LUTs as well, where it does not cost speed; this leaves them no choice.
    #[must_use]
    pub fn pairs(mut self, pairs: bool) -> Self {
        self.pairs = pairs;
        self
    }

    /// Whether a pipeline gets a port `enable`, a clock enable of all its registers: while it is
    /// low the pipeline stands still, so that what reads its outputs can stop it. Not the default;
    /// it changes nothing in a combinational module.
    #[must_use]
    pub fn enable(mut self, enable: bool) -> Self {
        self.enable = enable;
        self
    }

    /// Name of the module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// What each port of the netlist is called in the module: its own name, unless that is reserved
    /// or taken.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn port_names(&self, netlist: &Netlist) -> Result<BTreeMap<String, String>> {
        let signals = prepare(netlist, self)?;
        let inputs = netlist.inputs().iter().map(|port| &port.name).zip(&signals.inputs);
        let outputs = netlist.outputs().iter().map(|port| &port.name).zip(&signals.outputs);
        Ok(inputs.chain(outputs).map(|(own, printed)| (own.clone(), printed.clone())).collect())
    }

    /// The text of the module.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn module_text(&self, netlist: &Netlist) -> Result<String> {
        let mut text = String::new();
        emit(netlist, self, &mut text)?;
        Ok(text)
    }

    /// The text of the test bench for vector files of `samples` lines; its header comment says how
    /// it is run.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn bench_text(&self, netlist: &Netlist, samples: usize) -> Result<String> {
        self.held_bench(netlist, (samples, 1))
    }

    /// The bench for so many samples, and so many samples a line of inputs.
    fn held_bench(&self, netlist: &Netlist, samples: (usize, usize)) -> Result<String> {
        let signals = prepare(netlist, self)?;
        let mut text = String::new();
        bench::emit(&signals, &self.module, samples, &mut text)?;
        Ok(text)
    }

    /// Writes the module, its test bench and the vectors into the folder `dir`, which is made
    /// where it is missing. Files of the same names are replaced.
    ///
    /// # Errors
    ///
    /// As [`validate`]; [`Error::Length`] or [`Error::Unsupported`] when the vectors are for other
    /// ports; [`Error::Io`].
    pub fn write(&self, netlist: &Netlist, dir: impl AsRef<Path>) -> Result<Files> {
        validate(netlist, self)?;
        let vectors = match &self.vectors {
            Some(vectors) => vectors.clone(),
            None => Vectors::random(netlist, DEFAULT_SAMPLES, 1)?,
        };
        vectors.check_fit(netlist)?;
        let texts = [
            &self.module_text(netlist)?,
            &self.held_bench(netlist, (vectors.samples(), vectors.hold()))?,
            &vectors.held_text(),
            &vectors.expected_text(),
        ];
        Files::save(dir.as_ref(), &self.module, texts.map(String::as_str))
    }
}

impl Files {
    /// Writes the module, its bench, inputs and expected outputs into `dir`, which is made where
    /// it is missing.
    pub(crate) fn save(dir: &Path, name: &str, texts: [&str; 4]) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|source| Error::Io {
            op: "make folder",
            path: dir.to_owned(),
            source,
        })?;
        let [module, bench, inputs, expected] = texts;
        let save = |suffix: &str, text: &str| {
            let path = dir.join(format!("{name}{suffix}"));
            match fs::write(&path, text) {
                Ok(()) => Ok(path),
                Err(source) => Err(Error::Io { op: "write", path, source }),
            }
        };
        Ok(Self {
            module: save(".v", module)?,
            bench: save("_tb.v", bench)?,
            inputs: save("_inputs.mem", inputs)?,
            expected: save("_expected.mem", expected)?,
        })
    }
}

/// Refuses what cannot be expressed.
///
/// # Errors
///
/// [`Error::ModuleName`] when the name is no legal one or reserved; [`Error::Unsupported`] when
/// ports have more than [`MAX_PORT_BITS`] bits, the latency is above [`MAX_LATENCY`], primitives
/// are asked of the generic target, pairs without primitives or of a target without `LUT6_2`, or a state
/// machine is to have an enable;
/// [`Error::Netlist`] when paths cross different numbers of registers.
pub fn validate(netlist: &Netlist, options: &Verilog) -> Result<()> {
    prepare(netlist, options).map(drop)
}

/// Prints the module to `out`.
///
/// # Errors
///
/// [`Error::Write`] if the writer fails; without [`validate`] before it, also its errors, and
/// nothing is written then.
pub fn emit(netlist: &Netlist, options: &Verilog, out: &mut impl fmt::Write) -> Result<()> {
    let mut signals = prepare(netlist, options)?;
    let expanded;
    if options.primitives {
        expanded = netlist.expand();
        signals = Signals::new(&expanded, signals.style, &options.module, options.enable);
        head::emit(&signals, &options.module, &netlist.hash(), Some(options.target), out)?;
        body::emit(&signals, Some((options.target, options.pairs)), out)?;
    } else {
        head::emit(&signals, &options.module, &netlist.hash(), None, out)?;
        body::emit(&signals, None, out)?;
    }
    Ok(())
}

/// Checks everything, and names every signal.
pub(crate) fn prepare<'a>(netlist: &'a Netlist, options: &Verilog) -> Result<Signals<'a>> {
    names::check_module(&options.module)?;
    if options.primitives && options.target == Target::Generic {
        let what = "the generic target has no primitives; choose another target".to_owned();
        return Err(unsupported(netlist, what));
    }
    let paired = matches!(options.target, Target::Xilinx7 | Target::UltraScale);
    if options.pairs && !(options.primitives && paired) {
        let what =
            "pairs of tables are LUT6_2 primitives; ask for primitives of xilinx7 or ultrascale";
        return Err(unsupported(netlist, what.to_owned()));
    }
    let outputs: usize = netlist.outputs().iter().map(|port| port.nets.len()).sum();
    for (what, bits) in [("input", netlist.input_bits()), ("output", outputs)] {
        if bits == 0 {
            return Err(unsupported(netlist, format!("it has no {what} ports")));
        }
        if bits > options.port_bits {
            let what = format!("its {what} ports have {bits} bits, at most {MAX_PORT_BITS}");
            return Err(unsupported(netlist, what));
        }
    }
    let style = Style::of(netlist)?;
    if options.enable && style == Style::StateMachine {
        let what = "its registers feed back, and a clock enable is for pipelines only".to_owned();
        return Err(unsupported(netlist, what));
    }
    Ok(Signals::new(netlist, style, &options.module, options.enable))
}

fn unsupported(netlist: &Netlist, what: String) -> Error {
    Error::Unsupported { netlist: netlist.name().to_owned(), what }
}
