//! The cells of a module, group by group.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use lutweave_lut::{Cell, CountBit, Counter, Driver, Net, Netlist, Op, TruthTable, opt};

use super::Style;
use super::head::range;
use super::primitives::Primitives;
use super::signals::Signals;
use crate::Target;
use crate::names::Names;

/// Longest line, in characters.
const MAX_LINE: usize = 100;
/// Verilator's warnings of comparisons of words that may be constant: these are decided for good.
const CONSTANT: [&str; 2] = ["CMPCONST", "UNSIGNED"];

/// Prints everything after the port list, with the tables as primitives of a target if there is one,
/// and, if that is said, in pairs.
pub(super) fn emit(
    signals: &Signals<'_>,
    target: Option<(Target, bool)>,
    out: &mut impl Write,
) -> Result {
    let primitives = target.map(|(target, _)| Primitives::new(target));
    let mut pairs = BTreeMap::new();
    if let Some((_, true)) = target {
        for [first, second] in opt::pairs(signals.netlist) {
            pairs.extend([(first, Half::First), (second, Half::Second(first))]);
        }
    }
    let folded = if primitives.is_some() { Vec::new() } else { folded(signals.netlist) };
    let names = signals.names();
    let mut printer = Printer { signals, names, folded, tables: 0, primitives, pairs, out };
    let cells = signals.netlist.cells();
    let groups = signals.netlist.groups();
    let mut begun = vec![false; groups.len()];
    let mut start = 0;
    // Groups may alternate; each run of cells of one group is a section.
    for section in cells.chunk_by(|a, b| a.group == b.group) {
        let group = &groups[section[0].group];
        let again = if begun[section[0].group] { ", continued" } else { "" };
        begun[section[0].group] = true;
        let count = section.len();
        let noun = if count == 1 { "cell" } else { "cells" };
        writeln!(printer.out, "\n  // {}: {}{again}, {count} {noun}", group.role, group.name)?;
        printer.section(start, section)?;
        start += section.len();
    }
    printer.feedback()?;
    printer.valid()?;
    printer.outputs()?;
    printer.unused()?;
    writeln!(printer.out, "\nendmodule")?;
    if let Some(primitives) = &printer.primitives {
        primitives.models(printer.out)?;
    }
    writeln!(printer.out, "\n`default_nettype wire")
}

struct Printer<'a, W> {
    signals: &'a Signals<'a>,
    names: Names,
    /// The cells that have no wire; see [`folded`].
    folded: Vec<bool>,
    /// How many tables have a name.
    tables: usize,
    primitives: Option<Primitives>,
    /// The cells that share a primitive with another.
    pairs: BTreeMap<usize, Half>,
    out: &'a mut W,
}

/// A cell of a pair.
#[derive(Debug, Clone, Copy)]
enum Half {
    /// The one that comes first: its value is made where the other one is.
    First,
    /// The other one, and which is the first.
    Second(usize),
}

/// Which cells are printed where a register takes them: tables that this register alone reads, in the
/// same run of cells.
fn folded(netlist: &Netlist) -> Vec<bool> {
    let mut readers = vec![0usize; netlist.net_count()];
    let operands = netlist.cells().iter().flat_map(|cell| &cell.operands);
    for net in operands.chain(netlist.outputs().iter().flat_map(|port| &port.nets)) {
        readers[net.index()] += 1;
    }
    let mut folded = vec![false; netlist.cells().len()];
    let mut start = 0;
    for section in netlist.cells().chunk_by(|a, b| a.group == b.group) {
        for register in section.iter().filter(|cell| is_register(cell)) {
            let operand = register.operands[0];
            let Driver::Cell { cell, .. } = netlist.driver(operand) else { continue };
            // One that reads ahead is clocked at the end of the module.
            let near = cell >= start && operand < register.output();
            let table = matches!(&netlist.cells()[cell].op, Op::Lut(table) if table.fan_in() > 1);
            folded[cell] = near && table && readers[operand.index()] == 1;
        }
        start += section.len();
    }
    folded
}

impl<W: Write> Printer<'_, W> {
    /// The cells of `section`, the first of which is cell `start`, then its registers' clocking.
    fn section(&mut self, start: usize, section: &[Cell]) -> Result {
        let registers: Vec<usize> =
            (start..start + section.len()).filter(|&cell| self.is_register(cell)).collect();
        if !registers.is_empty() {
            let names: Vec<String> =
                registers.iter().map(|&cell| self.signals.cell(cell).to_owned()).collect();
            self.list("reg ", &names, ";")?;
        }
        let tables = self.tables(section)?;
        let mut sources = BTreeMap::new();
        for ((index, cell), table) in (start..).zip(section).zip(&tables) {
            let value = table.as_ref().map(|table| self.indexed(table, cell));
            match value {
                Some(value) if self.folded[index] => {
                    sources.insert(cell.output(), value);
                }
                Some(value) => self.wire(self.signals.cell(index), &value)?,
                None => self.cell(index, cell)?,
            }
        }
        let registers: Vec<usize> =
            registers.into_iter().filter(|&cell| !self.reads_ahead(cell)).collect();
        let which = match self.signals.style {
            Style::StateMachine => "no reset, no enable, initial values below",
            _ if self.signals.enable => "no reset, enabled",
            _ => "no reset, no enable",
        };
        self.clocked(&registers, &sources, which)
    }

    /// What only a state machine has: registers that read a net printed after them, and the state
    /// that registers start from.
    fn feedback(&mut self) -> Result {
        if self.signals.style != Style::StateMachine {
            return Ok(());
        }
        let cells = self.signals.netlist.cells();
        let all: Vec<usize> = (0..cells.len()).filter(|&cell| is_register(&cells[cell])).collect();
        let ahead: Vec<usize> =
            all.iter().copied().filter(|&cell| self.reads_ahead(cell)).collect();
        if !ahead.is_empty() {
            writeln!(self.out, "\n  // Registers that read what comes after them")?;
            self.clocked(&ahead, &BTreeMap::new(), "no reset, no enable, initial values below")?;
        }
        writeln!(self.out, "\n  // State at power-up")?;
        writeln!(self.out, "  initial begin")?;
        for cell in all {
            if let Op::Register { initial } = cells[cell].op {
                let name = self.signals.cell(cell);
                writeln!(self.out, "    {name} = 1'b{};", u8::from(initial))?;
            }
        }
        writeln!(self.out, "  end")
    }

    /// The registers' assignments; `sources` are the values of what has no wire.
    fn clocked(
        &mut self,
        registers: &[usize],
        sources: &BTreeMap<Net, String>,
        which: &str,
    ) -> Result {
        if registers.is_empty() {
            return Ok(());
        }
        let condition = if self.signals.enable { "if (enable) " } else { "" };
        writeln!(self.out, "  always @(posedge clk) {condition}begin // {which}")?;
        let assignments: Vec<String> = registers
            .iter()
            .map(|&cell| {
                let operand = self.signals.netlist.cells()[cell].operands[0];
                let value = sources.get(&operand).cloned();
                let value = value.unwrap_or_else(|| self.signals.bit(operand));
                format!("{}<={value}", self.signals.cell(cell))
            })
            .collect();
        self.joined("  ", &assignments, "; ", ";")?;
        writeln!(self.out, "  end")
    }

    fn is_register(&self, cell: usize) -> bool {
        is_register(&self.signals.netlist.cells()[cell])
    }

    /// Prints the constants of a section's tables, those of one size together, and gives for each
    /// cell the name of its table, if it has one.
    ///
    /// In a large network the tables and the lines that read them are nearly all of the file, hence
    /// short names, and neither words nor spaces that are repeated for each of them.
    fn tables(
        &mut self,
        section: &[Cell],
    ) -> std::result::Result<Vec<Option<String>>, std::fmt::Error> {
        let mut names = vec![None; section.len()];
        let mut sizes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (cell, name) in section.iter().zip(&mut names) {
            match &cell.op {
                Op::Lut(table) if table.fan_in() > 1 && self.primitives.is_none() => {
                    let claimed = self.names.claim(&format!("T{}", self.tables));
                    self.tables += 1;
                    let (entries, digits) = (table.entries(), table.to_string());
                    let digits = digits.trim_start_matches("0x");
                    let constant = format!("{claimed}={entries}'h{digits}");
                    sizes.entry(entries).or_default().push(constant);
                    *name = Some(claimed);
                }
                _ => {}
            }
        }
        for (entries, tables) in sizes {
            self.list(&format!("localparam [{}:0] ", entries - 1), &tables, ";")?;
        }
        Ok(names)
    }

    /// A table at the index that its inputs make.
    fn indexed(&self, table: &str, cell: &Cell) -> String {
        format!("{table}[{}]", self.signals.word(&cell.operands))
    }

    fn reads_ahead(&self, cell: usize) -> bool {
        let cell = &self.signals.netlist.cells()[cell];
        cell.operands[0] > cell.output()
    }

    /// The bits that go with the data to say that they are a sample.
    fn valid(&mut self) -> Result {
        let Style::Pipeline { latency } = self.signals.style else { return Ok(()) };
        let (enable, condition) =
            if self.signals.enable { ("enabled", "if (enable) ") } else { ("no enable", "") };
        writeln!(self.out, "\n  // Valid bits: cleared by rst, {enable}")?;
        if latency == 0 {
            return writeln!(self.out, "  assign out_valid = in_valid;");
        }
        let next = match latency {
            1 => "in_valid".to_owned(),
            2 => "{valid[0], in_valid}".to_owned(),
            n => format!("{{valid[{}:0], in_valid}}", n - 2),
        };
        let last = if latency == 1 { String::new() } else { format!("[{}]", latency - 1) };
        writeln!(self.out, "  reg {}valid;", range(latency))?;
        writeln!(self.out, "  always @(posedge clk) begin")?;
        writeln!(self.out, "    if (rst) valid <= {latency}'d0;")?;
        writeln!(self.out, "    else {condition}valid <= {next};")?;
        writeln!(self.out, "  end")?;
        writeln!(self.out, "  assign out_valid = valid{last};")
    }

    fn outputs(&mut self) -> Result {
        writeln!(self.out, "\n  // Outputs")?;
        for (name, port) in self.signals.outputs.iter().zip(self.signals.netlist.outputs()) {
            let parts = self.signals.parts(&port.nets);
            match parts.as_slice() {
                [whole] => writeln!(self.out, "  assign {name} = {whole};")?,
                _ => self.list(&format!("assign {name} = {{"), &parts, "};")?,
            }
        }
        Ok(())
    }

    /// Reads what nothing reads, so that linters can tell it from a mistake.
    fn unused(&mut self) -> Result {
        let mut parts = self.signals.unread();
        if self.signals.style == (Style::Pipeline { latency: 0 }) {
            parts.push("rst".to_owned());
            if self.signals.enable {
                parts.push("enable".to_owned());
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        parts.insert(0, "1'b0".to_owned());
        writeln!(self.out, "\n  // Not used by this netlist")?;
        self.list("wire unused_ok = &{", &parts, "};")
    }

    /// Prints a cell that has no table of its own to index.
    fn cell(&mut self, index: usize, cell: &Cell) -> Result {
        let name = self.signals.cell(index);
        match &cell.op {
            Op::Constant(value) => self.wire(name, &bit_text(*value)),
            Op::Lut(table) => self.lut(index, cell, *table),
            Op::AtLeast(threshold) => self.at_least(name, cell, *threshold),
            Op::Popcount => self.popcount(name, cell),
            Op::Argmax { words } => self.argmax(name, cell, *words),
            Op::Register { .. } => Ok(()),
        }
    }

    fn wire(&mut self, name: &str, value: &str) -> Result {
        writeln!(self.out, "  wire {name} = {value};")
    }

    fn lut(&mut self, index: usize, cell: &Cell, table: TruthTable) -> Result {
        let name = self.signals.cell(index);
        if table.fan_in() == 1 {
            let x = self.signals.bit(cell.operands[0]);
            match (table.get(0), table.get(1)) {
                (false, true) => return self.wire(name, &x),
                (true, false) if self.primitives.is_some() => {}
                (true, false) => return self.wire(name, &format!("~{x}")),
                (constant, _) => return self.wire(name, &bit_text(constant)),
            }
        }
        // Without primitives, a table of more inputs has a name and is read through that.
        let Some(primitives) = &mut self.primitives else { return Err(std::fmt::Error) };
        writeln!(self.out, "  wire {name};")?;
        match self.pairs.get(&index) {
            Some(Half::First) => return Ok(()),
            Some(&Half::Second(first)) => {
                let cells = [&self.signals.netlist.cells()[first], cell];
                let names = [self.signals.cell(first), name];
                return primitives.pair(names, cells, self.signals, &mut self.names, self.out);
            }
            None => {}
        }
        let operands: Vec<String> =
            cell.operands.iter().map(|&net| self.signals.bit(net)).collect();
        primitives.table(name, &table, &operands, &mut self.names, self.out)
    }

    fn at_least(&mut self, name: &str, cell: &Cell, threshold: u64) -> Result {
        let width = cell.operands.len();
        if threshold == 0 || threshold >> width != 0 {
            return self.wire(name, &bit_text(threshold == 0));
        }
        let word = self.signals.word(&cell.operands);
        if width == 1 {
            return self.wire(name, &word);
        }
        let comparison = format!("{word} >= {width}'d{threshold}");
        let from_ports = cell.operands.iter().all(|&net| self.signals.is_input(net));
        if from_ports {
            self.wire(name, &comparison)
        } else {
            self.unlinted(&CONSTANT, |printer| printer.wire(name, &comparison))
        }
    }

    /// The sum of the operands by the counters that its LUTs are, too: what is in between is the same in
    /// both, so that they are easily proved equal, and synthesis has sums of six bits and no carry chains.
    fn popcount(&mut self, name: &str, cell: &Cell) -> Result {
        let (counters, sum) = lutweave_lut::counters(cell.operands.len());
        if let [counter] = counters.as_slice() {
            let bit = |bit: &CountBit| self.counted(*bit, cell, &[]);
            let terms: Vec<String> = counter.ones.iter().map(bit).collect();
            return self.unlinted(&["WIDTH"], |p| p.sum(name, counter.digits, &terms));
        }
        let mut words: Vec<(String, usize)> = Vec::with_capacity(counters.len());
        self.unlinted(&["WIDTH"], |printer| {
            for (number, Counter { ones, twos, digits }) in counters.iter().enumerate() {
                let bit = |bit: &CountBit| printer.counted(*bit, cell, &words);
                let twice = |two: &CountBit| format!("{{{},1'b0}}", bit(two));
                let terms: Vec<String> =
                    ones.iter().map(bit).chain(twos.iter().map(twice)).collect();
                let word = printer.names.claim(&format!("{name}_c{number}"));
                printer.sum(&word, *digits, &terms)?;
                words.push((word, *digits));
            }
            Ok(())
        })?;
        let digits: Vec<String> =
            sum.iter().rev().map(|bit| self.counted(*bit, cell, &words)).collect();
        match digits.as_slice() {
            [digit] => self.wire(name, digit),
            _ => self.list(&format!("wire {}{name} = {{", range(cell.width())), &digits, "};"),
        }
    }

    /// The expression of a bit of a popcount, whose counters are these words of so many digits.
    fn counted(&self, bit: CountBit, cell: &Cell, words: &[(String, usize)]) -> String {
        match bit {
            CountBit::Operand(operand) => self.signals.bit(cell.operands[operand]),
            CountBit::Digit { counter, digit } => match &words[counter] {
                (word, 1) => word.clone(),
                (word, _) => format!("{word}[{digit}]"),
            },
        }
    }

    fn sum(&mut self, name: &str, width: usize, terms: &[String]) -> Result {
        let start = format!("wire {}{name} = ", range(width));
        self.joined(&start, terms, "+", ";")
    }

    /// Prints something of which Verilator would warn.
    fn unlinted(&mut self, lints: &[&str], print: impl FnOnce(&mut Self) -> Result) -> Result {
        for lint in lints {
            writeln!(self.out, "  /* verilator lint_off {lint} */")?;
        }
        print(self)?;
        for lint in lints {
            writeln!(self.out, "  /* verilator lint_on {lint} */")?;
        }
        Ok(())
    }

    fn argmax(&mut self, name: &str, cell: &Cell, words: usize) -> Result {
        if words == 1 {
            let zero = format!("{}'d0", cell.width());
            return self.wire(&format!("{}{name}", range(cell.width())), &zero);
        }
        self.unlinted(&CONSTANT, |printer| printer.comparisons(name, cell, words))
    }

    /// A tree of comparisons; an earlier word wins unless the later one is greater.
    fn comparisons(&mut self, name: &str, cell: &Cell, words: usize) -> Result {
        let width = cell.operands.len() / words;
        let index_width = cell.width();
        let mut level: Vec<(String, String)> = cell
            .operands
            .chunks(width)
            .enumerate()
            .map(|(i, word)| (self.signals.word(word), format!("{index_width}'d{i}")))
            .collect();
        let mut node = 0;
        while level.len() > 2 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                let [(a, a_index), (b, b_index)] = pair else {
                    next.extend_from_slice(pair);
                    continue;
                };
                let later = self.names.claim(&format!("{name}_later{node}"));
                let max = self.names.claim(&format!("{name}_max{node}"));
                let index = self.names.claim(&format!("{name}_index{node}"));
                node += 1;
                self.wire(&later, &format!("{b} > {a}"))?;
                self.wire(&format!("{}{max}", range(width)), &format!("{later} ? {b} : {a}"))?;
                let select = format!("{later} ? {b_index} : {a_index}");
                self.wire(&format!("{}{index}", range(index_width)), &select)?;
                next.push((max, index));
            }
            level = next;
        }
        if let [(a, a_index), (b, b_index)] = level.as_slice() {
            let value = format!("({b} > {a}) ? {b_index} : {a_index}");
            self.wire(&format!("{}{name}", range(index_width)), &value)?;
        }
        Ok(())
    }

    /// A list with commas, in lines of at most [`MAX_LINE`] characters.
    fn list(&mut self, start: &str, items: &[String], end: &str) -> Result {
        self.joined(start, items, ",", end)
    }

    fn joined(&mut self, start: &str, items: &[String], separator: &str, end: &str) -> Result {
        let mut line = format!("  {start}");
        for (position, item) in items.iter().enumerate() {
            let after = if position + 1 == items.len() { end } else { separator };
            if position > 0 && line.len() + item.len() + after.trim_end().len() > MAX_LINE {
                writeln!(self.out, "{}", line.trim_end())?;
                "    ".clone_into(&mut line);
            }
            line.push_str(item);
            line.push_str(after);
        }
        writeln!(self.out, "{line}")
    }
}

fn is_register(cell: &Cell) -> bool {
    matches!(cell.op, Op::Register { .. })
}

fn bit_text(value: bool) -> String {
    format!("1'b{}", u8::from(value))
}
