//! Printing BLIF.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use lutweave_lut::{Cell, Net, Netlist, Op, TruthTable};

use crate::bits::{BitNames, has_registers};
use crate::function::{Function, cover};

/// Longest line of a list of names, in characters.
const MAX_LINE: usize = 100;

/// Prints an expanded netlist.
pub(super) fn emit(netlist: &Netlist, model: &str, out: &mut impl Write) -> Result {
    let names = BitNames::new(netlist);
    let clock = has_registers(netlist).then(|| clock_name(&names));
    writeln!(out, "# By lutweave, netlist {} of look-up tables.", netlist.name())?;
    writeln!(out, ".model {model}")?;
    let inputs = names.nets[..netlist.input_bits()].iter().map(String::as_str);
    list(out, ".inputs", inputs.chain(clock))?;
    list(out, ".outputs", names.outputs.iter().map(|(name, _)| name.as_str()))?;
    let mut printer =
        Printer { names: &names, clock: clock.unwrap_or("NIL"), rows: BTreeMap::new() };
    for section in netlist.cells().chunk_by(|a, b| a.group == b.group) {
        let group = &netlist.groups()[section[0].group];
        writeln!(out, "\n# {}: {}", group.role, group.name)?;
        for cell in section {
            printer.cell(cell, out)?;
        }
    }
    let mut wires = names.outputs.iter().filter(|(name, net)| name != names.net(*net)).peekable();
    if wires.peek().is_some() {
        writeln!(out, "\n# outputs")?;
    }
    for (name, net) in wires {
        writeln!(out, ".names {} {name}\n1 1", names.net(*net))?;
    }
    writeln!(out, "\n.end")
}

/// A name for the clock that nothing else has: none of them ends in two `$`.
fn clock_name(names: &BitNames) -> &'static str {
    let mut taken = names.nets.iter().chain(names.outputs.iter().map(|(name, _)| name));
    if taken.any(|name| name == "clk") { "clk$$" } else { "clk" }
}

struct Printer<'a> {
    names: &'a BitNames,
    clock: &'a str,
    /// The rows of the tables so far.
    rows: BTreeMap<TruthTable, String>,
}

impl Printer<'_> {
    fn cell(&mut self, cell: &Cell, out: &mut impl Write) -> Result {
        let name = self.names.net(cell.output());
        match &cell.op {
            Op::Register { initial } => {
                let (operand, clock) = (self.names.net(cell.operands[0]), self.clock);
                writeln!(out, ".latch {operand} {name} re {clock} {}", u8::from(*initial))
            }
            Op::Constant(value) => {
                writeln!(out, ".names {name}{}", if *value { "\n1" } else { "" })
            }
            Op::Lut(table) => {
                out.write_str(".names")?;
                self.operands(&cell.operands, out)?;
                writeln!(out, " {name}")?;
                out.write_str(self.rows.entry(*table).or_insert_with(|| rows(table)))
            }
            Op::AtLeast(_) | Op::Popcount | Op::Argmax { .. } => unreachable!("expanded before"),
        }
    }

    fn operands(&self, nets: &[Net], out: &mut impl Write) -> Result {
        nets.iter().try_for_each(|&net| write!(out, " {}", self.names.net(net)))
    }
}

/// The rows of a table: of its ones, or of its zeros where that takes fewer.
fn rows(table: &TruthTable) -> String {
    let function = Function::of(table);
    let (ones, zeros) = (cover(function), cover(function.not()));
    // A constant has one row: ABC takes no table with inputs and without rows.
    let fewer = !zeros.is_empty() && (ones.is_empty() || zeros.len() < ones.len());
    let (cubes, output) = if fewer { (zeros, '0') } else { (ones, '1') };
    let mut text = String::new();
    for cube in cubes {
        text.extend((0..table.fan_in()).map(|input| {
            match (cube.care >> input & 1, cube.value >> input & 1) {
                (0, _) => '-',
                (_, 0) => '0',
                _ => '1',
            }
        }));
        text.push(' ');
        text.push(output);
        text.push('\n');
    }
    text
}

/// A list of names over continued lines.
fn list<'a>(out: &mut impl Write, keyword: &str, names: impl Iterator<Item = &'a str>) -> Result {
    let mut length = keyword.len();
    out.write_str(keyword)?;
    for name in names {
        if length + 1 + name.len() > MAX_LINE {
            out.write_str(" \\\n ")?;
            length = 1;
        }
        write!(out, " {name}")?;
        length += 1 + name.len();
    }
    writeln!(out)
}
