//! A VHDL-2008 wrapper around the Verilog module, for designs in VHDL.
//!
//! The entity `<module>_vhdl` has the ports of the module under the same names, as `std_logic` or
//! `std_logic_vector`, and holds one instance of it as a component. Tools that take both languages
//! bind the component to the Verilog module of its name. Nothing here is simulated by the tests of
//! this workspace, which have no VHDL tool; they compare the ports with those of the Verilog text.

use std::fmt::{self, Write as _};

use lutweave_lut::Netlist;

use crate::verilog::{self, Signals, Style, Verilog};
use crate::{Error, Result};

/// What the text uses itself; a port of such a name would hide it.
const USED: [&str; 8] = [
    "ieee",
    "module_instance",
    "std",
    "std_logic",
    "std_logic_1164",
    "std_logic_vector",
    "work",
    "wrapper",
];

/// Refuses what the Verilog module or its wrapper cannot express.
///
/// # Errors
///
/// As [`verilog::validate`], and [`Error::Unsupported`] for a port named as a VHDL library or type.
pub fn validate(netlist: &Netlist, options: &Verilog) -> Result<()> {
    prepare(netlist, options).map(drop)
}

/// Prints the wrapper of the module that [`verilog::emit`] prints with the same options.
///
/// # Errors
///
/// [`Error::Write`] if the writer fails; without [`validate`] before it, also its errors, and
/// nothing is written then.
pub fn emit(netlist: &Netlist, options: &Verilog, out: &mut impl fmt::Write) -> Result<()> {
    let signals = prepare(netlist, options)?;
    let module = options.module();
    let ports = ports(&signals);
    let list: Vec<String> =
        ports.iter().map(|port| format!("{} : {} {}", port.name, port.mode, port.kind())).collect();
    let wrapper = format!("{module}_vhdl");
    write!(
        out,
        "-- Entity {wrapper}, by lutweave: VHDL-2008 wrapper of the Verilog module {module}.
-- Netlist hash (sha256): {}

library ieee;
use ieee.std_logic_1164.all;

entity {wrapper} is
  port (
    {}
  );
end entity {wrapper};

architecture wrapper of {wrapper} is

  component {module} is
    port (
      {}
    );
  end component {module};

begin

  module_instance : component {module}
    port map (
      {}
    );

end architecture wrapper;
",
        netlist.hash(),
        list.join(";\n    "),
        list.join(";\n      "),
        connections(&ports),
    )?;
    Ok(())
}

/// The text that [`emit`] prints.
///
/// # Errors
///
/// As [`validate`].
pub fn text(netlist: &Netlist, options: &Verilog) -> Result<String> {
    let mut text = String::new();
    emit(netlist, options, &mut text)?;
    Ok(text)
}

struct Port<'a> {
    name: &'a str,
    mode: &'static str,
    bits: usize,
}

impl Port<'_> {
    fn kind(&self) -> String {
        match self.bits {
            1 => "std_logic".to_owned(),
            bits => format!("std_logic_vector({} downto 0)", bits - 1),
        }
    }
}

fn connections(ports: &[Port<'_>]) -> String {
    let mut text = String::new();
    for (at, Port { name, .. }) in ports.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{}{name} => {name}", if at > 0 { ",\n      " } else { "" });
    }
    text
}

fn ports<'a>(signals: &'a Signals<'_>) -> Vec<Port<'a>> {
    let fixed: &[(&str, &str)] = match signals.style {
        Style::Combinational => &[],
        Style::Pipeline { .. } => {
            &[("clk", "in"), ("rst", "in"), ("in_valid", "in"), ("out_valid", "out")]
        }
        Style::StateMachine => &[("clk", "in")],
    };
    let fixed = fixed.iter().map(|&(name, mode)| Port { name, mode, bits: 1 });
    let inputs = signals.inputs.iter().zip(signals.netlist.inputs());
    let inputs =
        inputs.map(|(name, port)| Port { name, mode: "in", bits: port.words * port.width });
    let outputs = signals.outputs.iter().zip(signals.netlist.outputs());
    let outputs =
        outputs.map(|(name, port)| Port { name, mode: "out", bits: port.words * port.width });
    fixed.chain(inputs).chain(outputs).collect()
}

fn prepare<'a>(netlist: &'a Netlist, options: &Verilog) -> Result<Signals<'a>> {
    let signals = verilog::prepare(netlist, options)?;
    let wrapper = format!("{}_vhdl", options.module());
    for name in signals.inputs.iter().chain(&signals.outputs) {
        let hidden = USED.iter().find(|used| name.eq_ignore_ascii_case(used));
        if hidden.is_some() || name.eq_ignore_ascii_case(&wrapper) {
            let what = format!("a port named `{name}` would hide what its VHDL wrapper uses");
            return Err(Error::Unsupported { netlist: netlist.name().to_owned(), what });
        }
    }
    Ok(signals)
}
