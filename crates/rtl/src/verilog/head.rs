//! The header comment and the port list of a module.

use std::fmt::{Result, Write};

use super::Style;
use super::signals::Signals;
use crate::Target;

/// A port of the data path.
struct Port<'a> {
    name: &'a str,
    netlist_name: &'a str,
    direction: &'static str,
    words: usize,
    width: usize,
}

/// Prints everything down to the end of the port list.
///
/// `hash` is that of the netlist before any expansion; `target` is the one whose primitives are used.
pub(super) fn emit(
    signals: &Signals<'_>,
    module: &str,
    hash: &str,
    target: Option<Target>,
    out: &mut impl Write,
) -> Result {
    let ports = ports(signals);
    let netlist = signals.netlist.name();
    writeln!(out, "// Module {module}, by lutweave: netlist `{netlist}` of look-up tables.")?;
    writeln!(out, "// Netlist hash (sha256): {hash}")?;
    if let Some(target) = target {
        writeln!(
            out,
            "// Tables are primitives of the target {target}; their models follow below."
        )?;
    }
    comment(signals, &ports, out)?;
    writeln!(out, "`default_nettype none\n")?;
    writeln!(out, "module {module} (")?;
    let mut lines = Vec::new();
    match signals.style {
        Style::Combinational => {}
        Style::Pipeline { .. } => {
            lines.extend(["clk", "rst"].map(|name| format!("input  wire {name}")));
            if signals.enable {
                lines.push("input  wire enable".to_owned());
            }
            lines.push("input  wire in_valid".to_owned());
            lines.push("output wire out_valid".to_owned());
        }
        Style::StateMachine => lines.push("input  wire clk".to_owned()),
    }
    lines.extend(ports.iter().map(|port| {
        let range = range(port.words * port.width);
        format!("{:<6} wire {range}{}", port.direction, port.name)
    }));
    writeln!(out, "  {}\n);", lines.join(",\n  "))
}

/// `[7:0] `, or nothing for a single bit.
pub(crate) fn range(bits: usize) -> String {
    if bits == 1 { String::new() } else { format!("[{}:0] ", bits - 1) }
}

fn ports<'a>(signals: &'a Signals<'_>) -> Vec<Port<'a>> {
    let netlist = signals.netlist;
    let inputs = signals.inputs.iter().zip(netlist.inputs()).map(|(name, port)| Port {
        name,
        netlist_name: &port.name,
        direction: "input",
        words: port.words,
        width: port.width,
    });
    let outputs = signals.outputs.iter().zip(netlist.outputs()).map(|(name, port)| Port {
        name,
        netlist_name: &port.name,
        direction: "output",
        words: port.words,
        width: port.width,
    });
    inputs.chain(outputs).collect()
}

fn comment(signals: &Signals<'_>, ports: &[Port<'_>], out: &mut impl Write) -> Result {
    writeln!(out, "//\n// Data ports (unsigned words, bit 0 is the least significant):")?;
    for port in ports {
        let Port { name, words, width, .. } = port;
        write!(out, "//   {:<6} {name}: ", port.direction)?;
        let bits = if *width == 1 { "bit" } else { "bits" };
        match (words, width) {
            (1, _) => write!(out, "{width} {bits}")?,
            (_, 1) => write!(out, "{words} words of 1 bit, word i at [i]")?,
            _ => write!(out, "{words} words of {width} bits, word i at [{width}*i +: {width}]")?,
        }
        if port.netlist_name != *name {
            write!(out, " (`{}` in the netlist)", port.netlist_name)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "//")?;
    match signals.style {
        Style::Combinational => {
            writeln!(out, "// Combinational: no clock, no registers, latency 0.")?;
        }
        Style::Pipeline { latency } => {
            let cycles = if latency == 1 { "cycle" } else { "cycles" };
            if signals.enable {
                writeln!(
                    out,
                    "// Latency: {latency} enabled clock {cycles}, from in_valid to out_valid."
                )?;
                writeln!(
                    out,
                    "// Throughput: one sample every clock cycle in which enable is high;"
                )?;
                writeln!(out, "// while it is low everything stands still, inputs are not taken.")?;
            } else {
                writeln!(out, "// Latency: {latency} clock {cycles}, from in_valid to out_valid.")?;
                writeln!(out, "// Throughput: one sample every clock cycle; it is never stalled.")?;
            }
            let enable = if signals.enable { "enabled by enable" } else { "no enable" };
            writeln!(out, "// Registers, all at the rising edge of clk:")?;
            writeln!(out, "//   valid bits: cleared by rst (synchronous, active high), {enable};")?;
            writeln!(out, "//   data: no reset, {enable}, no initial value.")?;
        }
        Style::StateMachine => {
            writeln!(out, "// State machine: registers feed back, so an output depends on all")?;
            writeln!(out, "// samples before it. One sample every clock cycle; outputs answer in")?;
            writeln!(out, "// the same cycle, from the state before its rising edge of clk.")?;
            writeln!(out, "// Registers: no reset, no enable; initial value at power-up.")?;
        }
    }
    writeln!(
        out,
        "//\n// A look-up table T is indexed by its inputs, input 0 in bit 0 of the index."
    )
}
