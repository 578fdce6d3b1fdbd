//! Tables as the primitives of a target, and models of these for simulators.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use lutweave_lut::{Cell, Net, Op, TruthTable};

use super::signals::Signals;

use crate::function::Function;
use crate::names::Names;
use crate::target::{Lut, Mux, Split, Target};

/// A primitive that was used.
#[derive(Debug, Clone, Copy)]
enum Used {
    Lut(Lut),
    Mux(Mux),
    /// The LUT with two outputs.
    Pair,
}

/// Inputs that the two tables of a pair share.
const SHARED: usize = 5;

/// Prints instances of primitives, and remembers which.
#[derive(Debug)]
pub(super) struct Primitives {
    target: Target,
    used: BTreeMap<&'static str, Used>,
}

/// A two-way multiplexer as a table: the choice is its last input.
const TWO: u64 = 0xca;
/// Four ways in two tables (after the usual iCE40 construction): the first chooses between its
/// first two by the third, or passes the third on where the fourth is set; the second takes that
/// result as it is, or as the choice between its second and third input where its last is set.
const FOUR: [u64; 2] = [0xf0ca, 0xe4aa];

impl Primitives {
    pub(super) fn new(target: Target) -> Self {
        Self { target, used: BTreeMap::new() }
    }

    /// Prints what computes a table of at least one input; `name` is a wire that is declared.
    pub(super) fn table(
        &mut self,
        name: &str,
        table: &TruthTable,
        operands: &[String],
        names: &mut Names,
        out: &mut impl Write,
    ) -> Result {
        self.part(name, Function::of(table), operands, names, out)
    }

    /// `function` is one of as many variables as there are operands.
    fn part(
        &mut self,
        name: &str,
        function: Function,
        operands: &[String],
        names: &mut Names,
        out: &mut impl Write,
    ) -> Result {
        let split = self.target.split(operands.len());
        let ways = match split {
            Split::Single => return self.lut(name, function, operands, names, out),
            Split::Two(_) => 1,
            Split::Four => 2,
        };
        let (below, choice) = operands.split_at(operands.len() - ways);
        let mut parts = Vec::new();
        for k in 0..1usize << ways {
            let wire = names.claim(&format!("{name}_p{k}"));
            writeln!(out, "  wire {wire};")?;
            let fixed =
                (0..ways).fold(function, |f, way| f.fix(below.len() + way, k >> way & 1 == 1));
            self.part(&wire, fixed, below, names, out)?;
            parts.push(wire);
        }
        match split {
            Split::Two(Some(mux)) => {
                self.used.insert(mux.module, Used::Mux(mux));
                let [zero, one, select, output] = mux.pins;
                let instance = names.claim(&format!("M_{name}"));
                writeln!(
                    out,
                    "  {} {instance} (.{output}({name}), .{zero}({}), .{one}({}), .{select}({}));",
                    mux.module, parts[0], parts[1], choice[0]
                )
            }
            Split::Four => {
                let wire = names.claim(&format!("{name}_p4"));
                writeln!(out, "  wire {wire};")?;
                let first = [&parts[0], &parts[1], &choice[0], &choice[1]].map(Clone::clone);
                self.lut(&wire, entries(4, FOUR[0]), &first, names, out)?;
                let second = [&wire, &parts[2], &parts[3], &choice[1]].map(Clone::clone);
                self.lut(name, entries(4, FOUR[1]), &second, names, out)
            }
            _ => {
                parts.push(choice[0].clone());
                self.lut(name, entries(3, TWO), &parts, names, out)
            }
        }
    }

    fn lut(
        &mut self,
        name: &str,
        function: Function,
        operands: &[String],
        names: &mut Names,
        out: &mut impl Write,
    ) -> Result {
        // The generic target has none; it is refused before.
        let Some(lut) = self.target.lut(operands.len()) else { return Err(std::fmt::Error) };
        self.used.insert(lut.module, Used::Lut(lut));
        // Inputs that are left over do not matter: the function repeats itself.
        let inputs = lut.inputs.len();
        let table = function.table(inputs).map_err(|_| std::fmt::Error)?.to_string();
        let instance = names.claim(&format!("L_{name}"));
        write!(
            out,
            "  {} #(.{}({}'h{})) {instance} (.{}({name})",
            lut.module,
            lut.parameter,
            1 << inputs,
            table.trim_start_matches("0x"),
            lut.output
        )?;
        for (at, pin) in lut.inputs.iter().enumerate() {
            write!(out, ", .{pin}({})", operands.get(at).map_or("1'b0", String::as_str))?;
        }
        writeln!(out, ");")
    }

    /// Prints a LUT with two outputs for two tables that read at most five nets together: the lower half
    /// of its table is the first one's, at `O5`, the upper half the second one's, at `O6` while `I5` is
    /// one.
    pub(super) fn pair(
        &mut self,
        wires: [&str; 2],
        cells: [&Cell; 2],
        signals: &Signals<'_>,
        names: &mut Names,
        out: &mut impl Write,
    ) -> Result {
        let mut nets: Vec<Net> = Vec::with_capacity(SHARED);
        for net in cells.iter().flat_map(|cell| &cell.operands) {
            if !nets.contains(net) {
                nets.push(*net);
            }
        }
        if nets.len() > SHARED {
            return Err(std::fmt::Error);
        }
        let mut bits = 0u64;
        for k in 0..2usize << SHARED {
            let cell = cells[k >> SHARED];
            let Op::Lut(table) = &cell.op else { return Err(std::fmt::Error) };
            let value = |net: &Net| nets.iter().position(|other| other == net).unwrap_or(0);
            let operands = cell.operands.iter().enumerate();
            let index: usize = operands.map(|(to, net)| (k >> value(net) & 1) << to).sum();
            bits |= u64::from(table.get(index)) << k;
        }
        self.used.insert("LUT6_2", Used::Pair);
        let instance = names.claim(&format!("L_{}", wires[1]));
        write!(
            out,
            "  LUT6_2 #(.INIT(64'h{bits:016x})) {instance} (.O5({}), .O6({})",
            wires[0], wires[1]
        )?;
        for pin in 0..SHARED {
            let net = nets.get(pin).map_or_else(|| "1'b0".to_owned(), |&net| signals.bit(net));
            write!(out, ", .I{pin}({net})")?;
        }
        writeln!(out, ", .I5(1'b1));")
    }

    /// Prints models of the primitives that were used.
    pub(super) fn models(&self, out: &mut impl Write) -> Result {
        if self.used.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n// Models of the primitives, for simulators. Synthesis tools define SYNTHESIS and know\n\
             // the primitives; a simulation with the vendor's library defines LUTWEAVE_LIBRARY.\n\
             `ifndef SYNTHESIS\n`ifndef LUTWEAVE_LIBRARY\n/* verilator lint_off DECLFILENAME */"
        )?;
        for (module, used) in &self.used {
            let guard = format!("LUTWEAVE_{module}");
            writeln!(out, "`ifndef {guard}\n`define {guard}")?;
            match used {
                Used::Lut(lut) => {
                    let Lut { parameter, inputs, output, .. } = lut;
                    let bits = 1usize << inputs.len();
                    let pins: Vec<String> =
                        inputs.iter().map(|pin| format!("input wire {pin}")).collect();
                    let index: Vec<&str> = inputs.iter().rev().copied().collect();
                    writeln!(
                        out,
                        "module {module} #(parameter [{}:0] {parameter} = {bits}'d0) (output wire \
                         {output},\n  {});\n  assign {output} = {parameter}[{{{}}}];",
                        bits - 1,
                        pins.join(", "),
                        index.join(", ")
                    )?;
                }
                Used::Pair => pair_model(module, out)?,
                Used::Mux(mux) => {
                    let [zero, one, select, output] = mux.pins;
                    writeln!(
                        out,
                        "module {module} (output wire {output}, input wire {zero}, input wire \
                         {one},\n  input wire {select});\n  assign {output} = {select} ? {one} : \
                         {zero};"
                    )?;
                }
            }
            writeln!(out, "endmodule\n`endif")?;
        }
        writeln!(out, "/* verilator lint_on DECLFILENAME */\n`endif\n`endif")
    }
}

/// The model of a LUT with two outputs, but for its end: choices, not an index, so that a pin which is
/// not known makes that output unknown alone which depends on it. Two tables of different stages of a
/// pipeline may be a pair, and what one reads may depend on what the other one was before.
fn pair_model(module: &str, out: &mut impl Write) -> Result {
    writeln!(
        out,
        "module {module} #(parameter [63:0] INIT = 64'd0) (output wire O6, output wire O5,\n  input \
         wire I0, input wire I1, input wire I2, input wire I3, input wire I4, input wire I5);"
    )?;
    for (output, pins) in [(5, SHARED), (6, SHARED + 1)] {
        let mut from = "INIT".to_owned();
        for pin in (1..pins).rev() {
            let (half, to) = (1 << pin, format!("o{output}_{pin}"));
            writeln!(
                out,
                "  wire [{}:0] {to} = I{pin} ? {from}[{}:{half}] : {from}[{}:0];",
                half - 1,
                2 * half - 1,
                half - 1
            )?;
            from = to;
        }
        writeln!(out, "  assign O{output} = I0 ? {from}[1] : {from}[0];")?;
    }
    Ok(())
}

/// The function of `inputs` variables with these entries.
fn entries(inputs: usize, bits: u64) -> Function {
    let table = TruthTable::from_fn(inputs, |k| bits >> k & 1 == 1);
    table.map_or(Function::FALSE, |table| Function::of(&table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplexers_as_tables_choose() {
        for k in 0..64usize {
            let bit = |i: usize| k >> i & 1;
            let index = |bits: [usize; 4]| bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3;
            let first = FOUR[0] >> index([bit(0), bit(1), bit(4), bit(5)]) & 1;
            let second = FOUR[1] >> index([first as usize, bit(2), bit(3), bit(5)]) & 1;
            assert_eq!(second as usize, bit(k >> 4), "{k:b}");
            assert_eq!((TWO >> (k & 7) & 1) as usize, bit(k >> 2 & 1), "{k:b}");
        }
    }
}
