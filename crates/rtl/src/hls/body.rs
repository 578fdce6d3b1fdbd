//! The function, cell after cell.

use std::fmt::{Result, Write};

use lutweave_lut::{Cell, Op, TruthTable};

use super::Code;
use crate::names::Names;

/// Helpers of the function: a bit of a word, and an entry of a table of up to 64, 128, 256.
const HELPERS: &str = "\
namespace {

template <typename word>
inline bool bit(const word &value, int at) {
  return (std::uint32_t(value) >> at & 1u) != 0;
}

[[maybe_unused]] inline bool look(std::uint64_t table, std::uint32_t index) {
  return (table >> index & 1u) != 0;
}

[[maybe_unused]] inline bool look(std::uint64_t high, std::uint64_t low, std::uint32_t index) {
  return look((index & 64u) != 0 ? high : low, index & 63u);
}

[[maybe_unused]] inline bool look(std::uint64_t d, std::uint64_t c, std::uint64_t b,
                                  std::uint64_t a, std::uint32_t index) {
  return (index & 128u) != 0 ? look(d, c, index & 127u) : look(b, a, index & 127u);
}

} // namespace
";

pub(super) fn emit(code: &Code<'_>, order: &[usize], out: &mut impl Write) -> Result {
    let function = code.function;
    writeln!(out, "#include \"{function}.hpp\"\n\n{HELPERS}")?;
    writeln!(out, "void {function}({}) {{", code.parameters())?;
    writeln!(out, "#ifdef LUTWEAVE_AP\n#pragma HLS PIPELINE II=1")?;
    for port in code.inputs.iter().chain(&code.outputs) {
        writeln!(out, "#pragma HLS ARRAY_PARTITION variable={} complete", port.name)?;
    }
    writeln!(out, "#endif")?;
    unused(code, out)?;
    let mut names = code.names.clone();
    let cells = code.netlist.cells();
    if code.state {
        for (cell, name) in cells.iter().zip(&code.cells) {
            if let Op::Register { initial } = cell.op {
                writeln!(out, "  static bool {name} = {initial};")?;
            }
        }
    }
    let mut group = usize::MAX;
    for &index in order {
        let cell = &cells[index];
        if cell.group != group {
            group = cell.group;
            let group = &code.netlist.groups()[group];
            writeln!(out, "\n  // {}: {}", group.role, group.name)?;
        }
        print_cell(code, index, cell, &mut names, out)?;
    }
    writeln!(out, "\n  // outputs")?;
    for (port, shown) in code.outputs.iter().zip(code.netlist.outputs()) {
        for (word, nets) in shown.nets.chunks(port.width).enumerate() {
            let (name, kind) = (&port.name, code.type_name(port));
            writeln!(out, "  {name}[{word}] = {kind}({});", code.word(nets))?;
        }
    }
    if code.state {
        next_state(code, &mut names, out)?;
    }
    writeln!(out, "}}")
}

/// Tells the compiler of input ports that the text does not mention.
fn unused(code: &Code<'_>, out: &mut impl Write) -> Result {
    let mut read = vec![false; code.netlist.net_count()];
    let mentioned = code.netlist.cells().iter().filter(|cell| match cell.op {
        Op::AtLeast(threshold) => !is_constant(threshold, cell),
        Op::Argmax { words } => words > 1,
        _ => true,
    });
    let operands = mentioned.flat_map(|cell| &cell.operands);
    for net in operands.chain(code.netlist.outputs().iter().flat_map(|port| &port.nets)) {
        read[net.index()] = true;
    }
    for (port, input) in code.inputs.iter().zip(code.netlist.inputs()) {
        if !input.nets().any(|net| read[net.index()]) {
            writeln!(out, "  (void){};", port.name)?;
        }
    }
    Ok(())
}

/// Whether a comparison is decided by the width of its word.
fn is_constant(threshold: u64, cell: &Cell) -> bool {
    threshold == 0 || threshold >> cell.operands.len() != 0
}

/// All registers take their operands at once.
fn next_state(code: &Code<'_>, names: &mut Names, out: &mut impl Write) -> Result {
    writeln!(out, "\n  // the next state")?;
    let mut taken = Vec::new();
    for (cell, name) in code.netlist.cells().iter().zip(&code.cells) {
        if matches!(cell.op, Op::Register { .. }) {
            let next = names.claim(&format!("{name}_next"));
            writeln!(out, "  const bool {next} = {};", code.bit(cell.operands[0]))?;
            taken.push((name, next));
        }
    }
    taken.iter().try_for_each(|(name, next)| writeln!(out, "  {name} = {next};"))
}

fn print_cell(
    code: &Code<'_>,
    index: usize,
    cell: &Cell,
    names: &mut Names,
    out: &mut impl Write,
) -> Result {
    let name = &code.cells[index];
    match &cell.op {
        Op::Constant(value) => writeln!(out, "  const bool {name} = {value};"),
        Op::Lut(table) => {
            let words = constants(table);
            writeln!(out, "  const bool {name} = look({words}, {});", code.word(&cell.operands))
        }
        Op::Register { .. } if code.state => Ok(()),
        Op::Register { .. } => {
            writeln!(out, "  const bool {name} = {};", code.bit(cell.operands[0]))
        }
        Op::AtLeast(threshold) => {
            let value = if is_constant(*threshold, cell) {
                (*threshold == 0).to_string()
            } else {
                format!("{} >= {threshold}u", code.word(&cell.operands))
            };
            writeln!(out, "  const bool {name} = {value};")
        }
        Op::Popcount => {
            let bits: Vec<String> = cell.operands.iter().map(|&net| code.bit(net)).collect();
            if cell.width() == 1 {
                return writeln!(out, "  const bool {name} = {};", bits.concat());
            }
            writeln!(out, "  const std::uint32_t {name} = std::uint32_t({});", bits.join(" + "))
        }
        Op::Argmax { words } => argmax(code, index, cell, *words, names, out),
    }
}

/// The index of the largest word: an earlier one stays unless a later one is greater.
fn argmax(
    code: &Code<'_>,
    index: usize,
    cell: &Cell,
    words: usize,
    names: &mut Names,
    out: &mut impl Write,
) -> Result {
    let name = &code.cells[index];
    let one_bit = cell.width() == 1;
    let at = if one_bit { names.claim(&format!("{name}_at")) } else { name.clone() };
    writeln!(out, "  std::uint32_t {at} = 0;")?;
    if words > 1 {
        let best = names.claim(&format!("{name}_best"));
        let width = cell.operands.len() / words;
        for (word, nets) in cell.operands.chunks(width).enumerate() {
            let value = code.word(nets);
            match word {
                0 => writeln!(out, "  std::uint32_t {best} = {value};")?,
                _ if word + 1 == words => writeln!(out, "  if ({value} > {best}) {at} = {word};")?,
                _ => writeln!(
                    out,
                    "  if ({value} > {best}) {{\n    {best} = {value};\n    {at} = {word};\n  }}"
                )?,
            }
        }
    }
    if one_bit { writeln!(out, "  const bool {name} = {at} != 0;") } else { Ok(()) }
}

/// The entries of a table, as words of 64, the highest first.
fn constants(table: &TruthTable) -> String {
    let words = table.entries().div_ceil(64);
    let words = table.words()[..words].iter().rev();
    words.map(|word| format!("UINT64_C(0x{word:x})")).collect::<Vec<_>>().join(", ")
}
