//! Reads the text form. It may come from a stranger: nothing is allocated that is not in
//! proportion to the text read so far, nothing recurses, and every error has its place.

use std::collections::BTreeMap;
use std::ops::Range;

use super::tokens::{Line, Token, distance, split};
use crate::{
    Error, MAX_FAN_IN, MAX_NETS, MAX_WIDTH, Netlist, Op, Result, Role, TruthTable, bits_for,
};

const STATEMENTS: [&str; 10] = [
    "input", "output", "group", "at_least", "lut", "constant", "register", "popcount", "argmax",
    "end",
];

/// A port or a cell that references may name.
pub(super) struct Source<'a> {
    pub(super) name: Token<'a>,
    /// Its first net: inputs count first, then cells in the order of the text.
    pub(super) first: usize,
    pub(super) words: usize,
    pub(super) width: usize,
}

pub(super) struct CellLine<'a> {
    pub(super) name: Token<'a>,
    pub(super) group: usize,
    pub(super) op: Op,
    /// Its tokens among all operand tokens, then its nets among all operand nets.
    pub(super) operands: Range<usize>,
    pub(super) width: usize,
}

pub(super) struct OutputLine<'a> {
    pub(super) name: Token<'a>,
    pub(super) width: usize,
    pub(super) operands: Range<usize>,
}

pub(super) struct GroupLine<'a> {
    pub(super) name: Token<'a>,
    pub(super) role: Role,
}

/// Everything the text says, before references are looked up.
#[derive(Default)]
pub(super) struct Reader<'a> {
    pub(super) netlist: Option<Token<'a>>,
    pub(super) inputs: Vec<Source<'a>>,
    pub(super) cells: Vec<CellLine<'a>>,
    pub(super) outputs: Vec<OutputLine<'a>>,
    pub(super) groups: Vec<GroupLine<'a>>,
    pub(super) group: Option<usize>,
    pub(super) group_of: BTreeMap<&'a str, usize>,
    /// Where input ports and cells are defined.
    pub(super) names: BTreeMap<&'a str, Name>,
    /// Where output ports are defined.
    pub(super) output_names: BTreeMap<&'a str, Token<'a>>,
    pub(super) operands: Vec<Token<'a>>,
    pub(super) input_bits: usize,
    pub(super) nets: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) line: usize,
    pub(super) input: bool,
    pub(super) index: usize,
}

pub(super) fn read(text: &str) -> Result<Netlist> {
    let mut reader = Reader::default();
    let mut header = false;
    let mut end: Option<Token<'_>> = None;
    let mut tokens = Vec::new();
    let mut last = 0;
    for (number, line) in text.lines().enumerate() {
        last = number + 1;
        let after = split(line, last, &mut tokens);
        let Some(&keyword) = tokens.first() else { continue };
        let mut line = Line { tokens: &tokens[1..], end: after };
        if end.is_some() {
            return Err(
                keyword.error(format!("expected nothing after `end`, got {}", keyword.shown()))
            );
        }
        if !header {
            read_header(keyword, &mut line)?;
            header = true;
        } else if reader.netlist.is_none() {
            if keyword.text != "netlist" {
                let what = format!("expected `netlist` and its name, got {}", keyword.shown());
                return Err(keyword.error(what));
            }
            reader.netlist = Some(line.name("the name of the netlist")?);
        } else if keyword.text == "end" {
            end = Some(keyword);
        } else {
            reader.statement(keyword, &mut line)?;
        }
        line.finish()?;
    }
    let after = Token { text: "", line: last + 1, column: 1 };
    match (header, end) {
        (false, _) => Err(after.error("expected `lutweave-netlist 1`, got the end of the text")),
        (true, None) => Err(after.error("expected `end`, got the end of the text")),
        (true, Some(end)) => reader.build(end),
    }
}

fn read_header(keyword: Token<'_>, line: &mut Line<'_, '_>) -> Result<()> {
    if keyword.text != "lutweave-netlist" {
        let what = format!("expected `lutweave-netlist 1`, got {}", keyword.shown());
        return Err(keyword.error(what));
    }
    let version = line.next("format version 1")?;
    if version.text == "1" {
        Ok(())
    } else {
        Err(version.error(format!("expected format version 1, got {}", version.shown())))
    }
}

impl<'a> Reader<'a> {
    fn statement(&mut self, keyword: Token<'a>, line: &mut Line<'a, '_>) -> Result<()> {
        match keyword.text {
            "input" => self.input(line),
            "output" => self.output(line),
            "group" => self.group(line),
            "at_least" | "lut" | "constant" | "register" | "popcount" | "argmax" => {
                self.cell(keyword, line)
            }
            _ => Err(keyword.error(unknown(keyword))),
        }
    }

    fn input(&mut self, line: &mut Line<'a, '_>) -> Result<()> {
        let name = line.name("the name of an input port")?;
        let (at, words, width) = line.shape()?;
        if let Some(first) = self.output_names.get(name.text) {
            return Err(duplicate(name, first.line));
        }
        self.claim(name, true, self.inputs.len())?;
        self.reserve(at, words * width)?;
        self.inputs.push(Source { name, first: self.input_bits, words, width });
        self.input_bits += words * width;
        Ok(())
    }

    fn output(&mut self, line: &mut Line<'a, '_>) -> Result<()> {
        let name = line.name("the name of an output port")?;
        let (at, words, width) = line.shape()?;
        if let Some(first) = self.names.get(name.text).filter(|first| first.input) {
            return Err(duplicate(name, first.line));
        }
        if let Some(first) = self.output_names.insert(name.text, name) {
            return Err(duplicate(name, first.line));
        }
        let (operands, count) = self.words(line, 0)?;
        if count != words {
            return Err(at.error(format!("expected {words} words after the size, got {count}")));
        }
        self.outputs.push(OutputLine { name, width, operands });
        Ok(())
    }

    fn group(&mut self, line: &mut Line<'a, '_>) -> Result<()> {
        let name = line.name("the name of a group")?;
        let token = line.next("a role: encoder, core or head")?;
        let Some(role) = Role::ALL.into_iter().find(|role| role.name() == token.text) else {
            let what = format!("expected a role: encoder, core or head, got {}", token.shown());
            return Err(token.error(what));
        };
        let index = *self.group_of.entry(name.text).or_insert(self.groups.len());
        if let Some(first) = self.groups.get(index) {
            if first.role != role {
                let (old, line) = (first.role, first.name.line);
                let what =
                    format!("expected {old}, the role of group {} on line {line}", name.shown());
                return Err(token.error(format!("{what}, got {role}")));
            }
        } else {
            self.groups.push(GroupLine { name, role });
        }
        self.group = Some(index);
        Ok(())
    }

    fn cell(&mut self, keyword: Token<'a>, line: &mut Line<'a, '_>) -> Result<()> {
        let Some(group) = self.group else {
            let what =
                format!("expected a `group` line before the first cell, got {}", keyword.shown());
            return Err(keyword.error(what));
        };
        let name = line.name("the name of a cell")?;
        let here = self.operands.len();
        let (op, operands, width) = match keyword.text {
            "at_least" => {
                let (operands, _) = self.words(line, 1)?;
                let (_, threshold) = line.number("a threshold below 2^64")?;
                (Op::AtLeast(threshold), operands, 1)
            }
            "lut" => {
                let digits = line.next("a table such as 0x8")?;
                let operands = self.bits(line)?;
                (Op::Lut(self.table(digits, &operands, line)?), operands, 1)
            }
            "constant" => (Op::Constant(line.bit("a value, 0 or 1")?), here..here, 1),
            "register" => {
                self.operands.push(line.next("the bit to register")?);
                (Op::Register { initial: line.bit("an initial value, 0 or 1")? }, here..here + 1, 1)
            }
            "popcount" => {
                let operands = self.bits(line)?;
                if operands.is_empty() {
                    line.next("a bit to count")?;
                }
                let width = bits_for(operands.len());
                (Op::Popcount, operands, width)
            }
            _ => {
                let (operands, words) = self.words(line, 0)?;
                if words == 0 {
                    line.next("a word to compare")?;
                }
                (Op::Argmax { words }, operands, bits_for(words - 1))
            }
        };
        self.claim(name, false, self.cells.len())?;
        self.reserve(name, width)?;
        self.cells.push(CellLine { name, group, op, operands, width });
        Ok(())
    }

    /// Takes the rest of the line as bits.
    fn bits(&mut self, line: &mut Line<'a, '_>) -> Result<Range<usize>> {
        let tokens = std::mem::take(&mut line.tokens);
        if let Some(token) = tokens.iter().find(|token| matches!(token.text, "(" | ")")) {
            return Err(token.error(format!("expected a bit, got {}", token.shown())));
        }
        let first = self.operands.len();
        self.operands.extend(tokens);
        Ok(first..self.operands.len())
    }

    /// Takes `most` words, or with 0 all words to the end of the line; returns their tokens, and
    /// how many words they are.
    fn words(&mut self, line: &mut Line<'a, '_>, most: usize) -> Result<(Range<usize>, usize)> {
        let first = self.operands.len();
        let mut count = 0;
        while if most == 0 { !line.tokens.is_empty() } else { count < most } {
            let mut token = line.next("a word")?;
            self.operands.push(token);
            if token.text == "(" {
                let open = self.operands.len();
                while token.text != ")" {
                    token = line.next("a bit or `)`")?;
                    self.operands.push(token);
                }
                let bits = self.operands.len() - 1 - open;
                if !(1..=MAX_WIDTH).contains(&bits) {
                    let what = format!("expected a word of 1 to {MAX_WIDTH} bits, got {bits}");
                    return Err(self.operands[open - 1].error(what));
                }
            }
            count += 1;
        }
        Ok((first..self.operands.len(), count))
    }

    fn table(
        &self,
        token: Token<'a>,
        operands: &Range<usize>,
        line: &Line<'_, '_>,
    ) -> Result<TruthTable> {
        let fan_in = operands.len();
        if fan_in == 0 {
            return Err(line.end.error("expected at least one operand, got the end of the line"));
        }
        if fan_in > MAX_FAN_IN {
            let extra = self.operands[operands.start + MAX_FAN_IN];
            return Err(
                extra.error(format!("expected at most {MAX_FAN_IN} operands, got {fan_in}"))
            );
        }
        let Some(digits) = token.text.strip_prefix("0x") else {
            return Err(token.error(format!("expected a table such as 0x8, got {}", token.shown())));
        };
        let expected = (1usize << fan_in).div_ceil(4);
        let got = digits.chars().count();
        if got != expected {
            let what = format!(
                "expected a table of {expected} hex digits for {fan_in} operands, got {got}"
            );
            return Err(token.error(what));
        }
        let mut words = [0u64; 4];
        for (place, digit) in digits.chars().rev().enumerate() {
            let Some(value) = digit.to_digit(16) else {
                let what = format!("expected hex digits, got `{}`", digit.escape_debug());
                return Err(token.error(what));
            };
            words[place / 16] |= u64::from(value) << (4 * (place % 16));
        }
        TruthTable::new(fan_in, words).map_err(|_| {
            let entries = 1 << fan_in;
            token.error(format!(
                "expected a table of {entries} bits for {fan_in} operands, got {}",
                token.shown()
            ))
        })
    }

    fn claim(&mut self, name: Token<'a>, input: bool, index: usize) -> Result<()> {
        match self.names.insert(name.text, Name { line: name.line, input, index }) {
            Some(first) => Err(duplicate(name, first.line)),
            None => Ok(()),
        }
    }

    fn reserve(&mut self, at: Token<'a>, nets: usize) -> Result<()> {
        self.nets += nets;
        if self.nets > MAX_NETS {
            return Err(
                at.error(format!("expected at most {MAX_NETS} nets in all, got {}", self.nets))
            );
        }
        Ok(())
    }
}

fn duplicate(name: Token<'_>, line: usize) -> Error {
    name.error(format!("expected a new name, got {}, the name on line {line}", name.shown()))
}

fn unknown(keyword: Token<'_>) -> String {
    let near = STATEMENTS
        .into_iter()
        .map(|word| (distance(keyword.text, word), word))
        .min()
        .filter(|&(distance, _)| distance <= 2);
    match near {
        Some((_, word)) => format!("unknown keyword {}, did you mean `{word}`?", keyword.shown()),
        None => {
            format!("expected one of {}, got {}", STATEMENTS.join(", "), keyword.shown())
        }
    }
}
