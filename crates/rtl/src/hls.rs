//! C++ for high-level synthesis: the netlist as one function of plain C++17, which `g++` compiles
//! as it is, and Vitis HLS with `LUTWEAVE_AP` defined.
//!
//! Every port is an array of words: `ap_uint` of its width with `LUTWEAVE_AP`, otherwise the
//! smallest standard type that holds it. A table is a constant of one to four words of 64 bits
//! that is shifted by its index, so there is no array per node, which is what makes other
//! generators' code slow to compile; every table is a line. With `LUTWEAVE_AP` the function has
//! pragmas: one call a clock cycle, and all ports partitioned into their words.
//!
//! Registers that only delay are left out, since the tool places its own. Where registers feed back,
//! they are static variables: one call is one clock cycle.

mod bench;
mod body;
mod head;

use std::fmt;

use lutweave_lut::{Driver, Net, Netlist};

use crate::names::{self, Names};
use crate::verilog::feeds_back;
use crate::{Result, Vectors};

/// Refuses a function name that is no identifier or a reserved word, or a netlist without a
/// function.
///
/// # Errors
///
/// [`Error::ModuleName`](crate::Error::ModuleName).
pub fn validate(_netlist: &Netlist, function: &str) -> Result<()> {
    names::check_module(function)
}

/// Prints the header `<function>.hpp`: the types of the ports and the declaration.
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) if the writer fails; without [`validate`] before it, also
/// its errors, and nothing is written then. So for the other two.
pub fn emit_header(netlist: &Netlist, function: &str, out: &mut impl fmt::Write) -> Result<()> {
    validate(netlist, function)?;
    Ok(head::emit(&Code::new(netlist, function), &netlist.hash(), out)?)
}

/// Prints the function, `<function>.cpp`, without the cells that no output depends on.
///
/// # Errors
///
/// As [`emit_header`].
pub fn emit(netlist: &Netlist, function: &str, out: &mut impl fmt::Write) -> Result<()> {
    validate(netlist, function)?;
    let live = netlist.prune()?;
    let code = Code::new(&live, function);
    let order = if code.state { (0..live.cells().len()).collect() } else { live.dataflow_order()? };
    Ok(body::emit(&code, &order, out)?)
}

/// Prints the test bench, `<function>_tb.cpp`: a `main` that calls the function with every sample
/// of `vectors`, prints `N/N results equal`, and returns 0 only if all are. The samples are in it.
///
/// # Errors
///
/// As [`emit_header`]; [`Error::Length`](crate::Error::Length) or
/// [`Error::Unsupported`](crate::Error::Unsupported) when the vectors are for other ports.
pub fn emit_bench(
    netlist: &Netlist,
    function: &str,
    vectors: &Vectors,
    out: &mut impl fmt::Write,
) -> Result<()> {
    validate(netlist, function)?;
    vectors.check_fit(netlist)?;
    Ok(bench::emit(&Code::new(netlist, function), vectors, out)?)
}

/// A file of the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, without a folder.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The three files, as [`emit_header`], [`emit`] and [`emit_bench`] print them.
///
/// # Errors
///
/// As these.
pub fn sources(netlist: &Netlist, function: &str, vectors: &Vectors) -> Result<Vec<Source>> {
    let (mut header, mut body, mut bench) = (String::new(), String::new(), String::new());
    emit_header(netlist, function, &mut header)?;
    emit(netlist, function, &mut body)?;
    emit_bench(netlist, function, vectors, &mut bench)?;
    let files = [(".hpp", header), (".cpp", body), ("_tb.cpp", bench)];
    Ok(files.map(|(suffix, text)| Source { name: format!("{function}{suffix}"), text }).into())
}

/// A port of the function.
#[derive(Debug)]
struct Port {
    name: String,
    netlist_name: String,
    words: usize,
    width: usize,
}

/// A netlist whose ports and cells have C++ names.
#[derive(Debug)]
struct Code<'a> {
    netlist: &'a Netlist,
    function: &'a str,
    /// Whether registers feed back, and are state.
    state: bool,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    cells: Vec<String>,
    names: Names,
}

impl<'a> Code<'a> {
    fn new(netlist: &'a Netlist, function: &'a str) -> Self {
        let mut names = Names::new();
        // What the text uses itself, and macros that compilers define.
        for fixed in
            [function, "bit", "look", "main", "linux", "unix", "i386", "inputs", "expected"]
        {
            names.claim(fixed);
        }
        let mut claim = |name: &str| {
            // The macros of the standard headers are names without a small letter.
            if name.contains(|c: char| c.is_ascii_lowercase()) {
                names.claim(name)
            } else {
                names.claim(&format!("{name}_v"))
            }
        };
        let mut port = |name: &str, words, width| Port {
            name: claim(name),
            netlist_name: name.to_owned(),
            words,
            width,
        };
        let inputs = netlist.inputs().iter().map(|p| port(&p.name, p.words, p.width)).collect();
        let outputs = netlist.outputs().iter().map(|p| port(&p.name, p.words, p.width)).collect();
        let cells = netlist.cells().iter().map(|cell| claim(&cell.name)).collect();
        let state = feeds_back(netlist);
        Self { netlist, function, state, inputs, outputs, cells, names }
    }

    /// The type of a port's words.
    fn type_name(&self, port: &Port) -> String {
        format!("{}_{}_t", self.function, port.name)
    }

    /// The parameters of the function.
    fn parameters(&self) -> String {
        let inputs = self.inputs.iter().map(|port| (port, "const "));
        let outputs = self.outputs.iter().map(|port| (port, ""));
        let parameters = inputs.chain(outputs).map(|(port, kind)| {
            format!("{kind}{} {}[{}]", self.type_name(port), port.name, port.words)
        });
        parameters.collect::<Vec<_>>().join(",\n    ")
    }

    /// The expression that reads one net, a `bool`.
    fn bit(&self, net: Net) -> String {
        match self.netlist.driver(net) {
            Driver::Input { input, word, bit } => {
                format!("bit({}[{word}], {bit})", self.inputs[input].name)
            }
            Driver::Cell { cell, .. } if self.netlist.cells()[cell].width() == 1 => {
                self.cells[cell].clone()
            }
            Driver::Cell { cell, bit } => format!("bit({}, {bit})", self.cells[cell]),
        }
    }

    /// The expression of a word, a `std::uint32_t`.
    fn word(&self, nets: &[Net]) -> String {
        let first = nets[0].index();
        if nets.iter().enumerate().all(|(at, net)| net.index() == first + at) {
            match self.netlist.driver(nets[0]) {
                Driver::Input { input, word, bit: 0 } if self.inputs[input].width == nets.len() => {
                    return format!("std::uint32_t({}[{word}])", self.inputs[input].name);
                }
                Driver::Cell { cell, bit: 0 }
                    if nets.len() > 1 && self.netlist.cells()[cell].width() == nets.len() =>
                {
                    return self.cells[cell].clone();
                }
                _ => {}
            }
        }
        let bits = nets.iter().enumerate().map(|(at, &net)| {
            let bit = self.bit(net);
            if at == 0 {
                format!("std::uint32_t({bit})")
            } else {
                format!("std::uint32_t({bit}) << {at}")
            }
        });
        let bits: Vec<String> = bits.collect();
        if bits.len() == 1 { bits.concat() } else { format!("({})", bits.join(" | ")) }
    }
}
