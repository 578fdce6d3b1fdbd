//! The header: types of the ports, and the declaration.

use std::fmt::{Result, Write};

use super::Code;

pub(super) fn emit(code: &Code<'_>, hash: &str, out: &mut impl Write) -> Result {
    let Code { function, netlist, .. } = code;
    let guard = function.to_ascii_uppercase();
    write!(
        out,
        "// Function {function}, by lutweave: netlist `{}` of look-up tables.
// Netlist hash (sha256): {hash}
//
// Plain C++17. Define LUTWEAVE_AP for Vitis HLS: words of the exact width, and pragmas.
//
",
        netlist.name()
    )?;
    let inputs = code.inputs.iter().map(|port| ("input ", port));
    for (direction, port) in inputs.chain(code.outputs.iter().map(|port| ("output", port))) {
        let (name, words, width) = (&port.name, port.words, port.width);
        write!(out, "// {direction} {name}: {words} x {width} bits")?;
        if port.netlist_name != *name {
            write!(out, " (`{}` in the netlist)", port.netlist_name)?;
        }
        writeln!(out)?;
    }
    if code.state {
        writeln!(out, "//\n// It has state: one call is one clock cycle.")?;
    }
    writeln!(out, "\n#ifndef LUTWEAVE_{guard}_HPP\n#define LUTWEAVE_{guard}_HPP\n")?;
    writeln!(out, "#include <cstdint>\n\n#ifdef LUTWEAVE_AP\n#include <ap_int.h>")?;
    let ports = || code.inputs.iter().chain(&code.outputs);
    for port in ports() {
        writeln!(out, "typedef ap_uint<{}> {};", port.width, code.type_name(port))?;
    }
    writeln!(out, "#else")?;
    for port in ports() {
        let bits = [8, 16, 32].into_iter().find(|&bits| port.width <= bits).unwrap_or(64);
        writeln!(out, "typedef std::uint{bits}_t {};", code.type_name(port))?;
    }
    writeln!(out, "#endif\n\nvoid {function}({});\n\n#endif", code.parameters())
}
