//! Reading AIGER.

use std::collections::HashMap;

use lutweave_lut::{Netlist, TruthTable};

use super::graph::Literal;
use crate::draft::{Draft, Node};
use crate::error::shown;
use crate::{Error, Result};

/// Most inputs of a file.
const MAX_INPUTS: u32 = 1 << 22;

pub(super) fn read(bytes: &[u8]) -> Result<Netlist> {
    let mut file = File { bytes, at: 0, line: 0 };
    let header = Header::read(&mut file)?;
    let mut graph = Graph::default();
    if header.binary {
        binary(&mut file, &header, &mut graph)?;
    } else {
        ascii(&mut file, &header, &mut graph)?;
    }
    let symbols = symbols(&mut file, &graph, (header.outputs - header.bad) as usize)?;
    graph.draft(symbols)?.finish()
}

/// A file that is partly lines, partly bytes.
struct File<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Lines begun; the ANDs of a binary file are none.
    line: usize,
}

impl<'a> File<'a> {
    /// The next line; none at the end.
    fn line(&mut self) -> Result<Option<&'a str>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.at += (length + 1).min(rest.len());
        match std::str::from_utf8(&rest[..length]) {
            Ok(line) => Ok(Some(line.trim_end_matches('\r'))),
            Err(_) => Err(self.error("expected text in UTF-8".to_owned())),
        }
    }

    /// A line of `least` to `most` numbers.
    fn numbers(&mut self, what: &str, least: usize, most: usize) -> Result<Vec<Literal>> {
        let Some(line) = self.line()? else {
            return Err(self.error(format!("expected {what}, got the end of the file")));
        };
        let numbers: Option<Vec<Literal>> = line.split(' ').map(decimal).collect();
        match numbers {
            Some(numbers) if (least..=most).contains(&numbers.len()) => Ok(numbers),
            _ => Err(self.error(format!("expected {what}, got {}", shown(line)))),
        }
    }

    /// A number of the binary part.
    fn delta(&mut self) -> Result<u32> {
        let mut value = 0u64;
        for place in 0..5 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.byte_error("expected an AND, got the end of the file"));
            };
            self.at += 1;
            value |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                return u32::try_from(value)
                    .map_err(|_| self.byte_error("a number of an AND is above 2^32"));
            }
        }
        Err(self.byte_error("a number of an AND has more than five bytes"))
    }

    fn error(&self, what: String) -> Error {
        Error::Read { format: "aiger", place: format!("line {}", self.line), what }
    }

    fn byte_error(&self, what: &str) -> Error {
        Error::Read { format: "aiger", place: format!("byte {}", self.at), what: what.to_owned() }
    }
}

fn decimal(digits: &str) -> Option<u32> {
    // `parse` would take a sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// How many there are of what.
struct Header {
    binary: bool,
    variables: u32,
    inputs: u32,
    latches: u32,
    /// Outputs and bad states.
    outputs: u32,
    bad: u32,
    ands: u32,
}

impl Header {
    fn read(file: &mut File<'_>) -> Result<Self> {
        let line = file.line()?.unwrap_or("");
        let expected = "expected a header such as `aag 3 2 0 1 1`";
        let wrong = || format!("{expected}, got {}", shown(line));
        let (form, numbers) = line.split_once(' ').ok_or_else(|| file.error(wrong()))?;
        let numbers: Option<Vec<u32>> = numbers.split(' ').map(decimal).collect();
        let numbers = numbers.filter(|numbers| (5..=9).contains(&numbers.len()));
        let (binary, Some(numbers)) = (form == "aig", numbers) else {
            return Err(file.error(wrong()));
        };
        if !binary && form != "aag" {
            return Err(file.error(wrong()));
        }
        let bad = numbers.get(5).copied().unwrap_or(0);
        if numbers.iter().skip(6).any(|&count| count > 0) {
            let what = "constraints, justice and fairness are not supported";
            return Err(file.error(format!("{what}, got {}", shown(line))));
        }
        let [variables, inputs, latches, ands] = [numbers[0], numbers[1], numbers[2], numbers[4]];
        // Bad states follow the outputs, as lines of the same form.
        let Some(outputs) = numbers[3].checked_add(bad) else {
            return Err(file.error(wrong()));
        };
        let sum = u64::from(inputs) + u64::from(latches) + u64::from(ands);
        if u64::from(variables) < sum || (binary && u64::from(variables) != sum) {
            let what =
                format!("expected {sum} variables as the other numbers say, got {variables}");
            return Err(file.error(what));
        }
        if variables > Literal::MAX / 2 || inputs > MAX_INPUTS {
            let what = format!("expected at most {MAX_INPUTS} inputs and 2^31 variables");
            return Err(file.error(what));
        }
        Ok(Self { binary, variables, inputs, latches, outputs, bad, ands })
    }
}

/// What a file says, literal by literal.
#[derive(Default)]
struct Graph {
    inputs: Vec<Literal>,
    /// Literal, next state, reset.
    latches: Vec<(Literal, Literal, bool)>,
    outputs: Vec<Literal>,
    ands: Vec<(Literal, Literal, Literal)>,
}

fn ascii(file: &mut File<'_>, header: &Header, graph: &mut Graph) -> Result<()> {
    let limit = 2 * header.variables + 1;
    let check = |file: &File<'_>, literals: &[Literal]| match literals
        .iter()
        .find(|&&literal| literal > limit)
    {
        Some(literal) => Err(file.error(format!("expected at most {limit}, got {literal}"))),
        None => Ok(()),
    };
    for _ in 0..header.inputs {
        let numbers = file.numbers("the literal of an input", 1, 1)?;
        check(file, &numbers)?;
        graph.inputs.push(numbers[0]);
    }
    for _ in 0..header.latches {
        let numbers = file.numbers("a latch, its next state and perhaps its reset", 2, 3)?;
        check(file, &numbers)?;
        let reset = reset(file, numbers.get(2), numbers[0])?;
        graph.latches.push((numbers[0], numbers[1], reset));
    }
    for _ in 0..header.outputs {
        let numbers = file.numbers("the literal of an output", 1, 1)?;
        check(file, &numbers)?;
        graph.outputs.push(numbers[0]);
    }
    for _ in 0..header.ands {
        let numbers = file.numbers("an AND and its two operands", 3, 3)?;
        check(file, &numbers)?;
        graph.ands.push((numbers[0], numbers[1], numbers[2]));
    }
    Ok(())
}

fn binary(file: &mut File<'_>, header: &Header, graph: &mut Graph) -> Result<()> {
    let limit = 2 * header.variables + 1;
    let check = |file: &File<'_>, literal: Literal| {
        if literal > limit {
            return Err(file.error(format!("expected at most {limit}, got {literal}")));
        }
        Ok(literal)
    };
    graph.inputs = (1..=header.inputs).map(|variable| 2 * variable).collect();
    for latch in 0..header.latches {
        let numbers = file.numbers("the next state of a latch and perhaps its reset", 1, 2)?;
        let literal = 2 * (header.inputs + latch + 1);
        let next = check(file, numbers[0])?;
        let reset = reset(file, numbers.get(1), literal)?;
        graph.latches.push((literal, next, reset));
    }
    for _ in 0..header.outputs {
        let numbers = file.numbers("the literal of an output", 1, 1)?;
        graph.outputs.push(check(file, numbers[0])?);
    }
    for and in 0..header.ands {
        let left = 2 * (header.inputs + header.latches + and + 1);
        let (first, second) = (file.delta()?, file.delta()?);
        let a = left.checked_sub(first).filter(|_| first > 0);
        let operands = a.and_then(|a| Some((a, a.checked_sub(second)?)));
        let Some((a, b)) = operands else {
            return Err(file.byte_error("an operand of an AND is not below it"));
        };
        graph.ands.push((left, a, b));
    }
    Ok(())
}

/// Whether a latch starts at one.
fn reset(file: &File<'_>, value: Option<&Literal>, latch: Literal) -> Result<bool> {
    match value {
        Some(1) => Ok(true),
        None | Some(0) => Ok(false),
        // By itself it says that it is not defined.
        Some(&value) if value == latch => Ok(false),
        Some(value) => Err(file.error(format!("expected a reset of 0, 1 or {latch}, got {value}"))),
    }
}

/// Names of inputs, latches and outputs, as far as there are any.
struct Symbols {
    names: [HashMap<usize, String>; 3],
}

/// The first bad state is output number `bad`.
fn symbols(file: &mut File<'_>, graph: &Graph, bad: usize) -> Result<Symbols> {
    let counts = [graph.inputs.len(), graph.latches.len(), graph.outputs.len()];
    let mut names: [HashMap<usize, String>; 3] = Default::default();
    while file.at < file.bytes.len() && file.bytes[file.at] != b'c' {
        let Some(line) = file.line()? else { break };
        let wrong = || format!("expected a symbol such as `i0 name`, got {}", shown(line));
        let symbol = line.split_once(' ').and_then(|(place, name)| {
            let kind = ['i', 'l', 'o', 'b'].iter().position(|&kind| place.starts_with(kind))?;
            let at = decimal(&place[1..])? as usize;
            let (kind, at) = if kind == 3 { (2, at.checked_add(bad)?) } else { (kind, at) };
            (at < counts[kind] && !name.is_empty()).then_some((kind, at, name))
        });
        let Some((kind, at, name)) = symbol else { return Err(file.error(wrong())) };
        if names[kind].insert(at, name.to_owned()).is_some() {
            return Err(file.error(format!("a second name for {}", shown(line))));
        }
    }
    Ok(Symbols { names })
}

impl Symbols {
    /// The name of one of them; `fallback` with its number where it has none.
    fn take(&mut self, kind: usize, at: usize, count: usize, fallback: &str) -> String {
        let name = self.names[kind].remove(&at);
        name.unwrap_or_else(|| {
            if count == 1 { fallback.to_owned() } else { format!("{fallback}[{at}]") }
        })
    }
}

impl Graph {
    /// The graph as tables: an AND one of two inputs, and an inverter for each output or next state
    /// that is a complement.
    fn draft(self, mut symbols: Symbols) -> Result<Draft> {
        let mut made = Made::default();
        for (at, &literal) in self.inputs.iter().enumerate() {
            made.define(literal, symbols.take(0, at, self.inputs.len(), "i"))?;
        }
        for (at, &(literal, ..)) in self.latches.iter().enumerate() {
            let name = symbols.names[1].remove(&at).unwrap_or_else(|| format!("l{at}"));
            made.define(literal, name)?;
        }
        for &(literal, ..) in &self.ands {
            made.define(literal, format!("n{}", literal / 2))?;
        }
        for &(literal, a, b) in &self.ands {
            let node = made.and(a, b)?;
            made.drive(literal, node);
        }
        for &(literal, next, initial) in &self.latches {
            let operand = made.signal(next)?;
            made.drive(literal, Node::Register { operand, initial });
        }
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for (at, &literal) in self.outputs.iter().enumerate() {
            let name = symbols.take(2, at, self.outputs.len(), "o");
            outputs.push((name, made.signal(literal)?));
        }
        let inputs = (0..self.inputs.len()).collect();
        let name = "aiger".to_owned();
        let (format, signals, clock_is_input) = ("aiger", made.signals, true);
        Ok(Draft { format, name, signals, inputs, outputs, clock_is_input })
    }
}

/// Signals so far.
#[derive(Default)]
struct Made {
    signals: Vec<(String, Option<Node>)>,
    /// The signal of each variable.
    place: HashMap<u32, usize>,
    /// The signals of constants and of complements, by literal.
    extra: HashMap<Literal, usize>,
}

impl Made {
    fn define(&mut self, literal: Literal, name: String) -> Result<()> {
        let wrong = if literal < 2 || literal % 2 == 1 {
            "expected an even literal above 0 on the left"
        } else if self.place.insert(literal / 2, self.signals.len()).is_some() {
            "defined twice"
        } else {
            self.signals.push((name, None));
            return Ok(());
        };
        Err(refused(literal, wrong))
    }

    fn drive(&mut self, literal: Literal, node: Node) {
        if let Some(&place) = self.place.get(&(literal / 2)) {
            self.signals[place].1 = Some(node);
        }
    }

    /// The signal of a variable.
    fn variable(&self, literal: Literal) -> Result<usize> {
        let place = self.place.get(&(literal / 2)).copied();
        place.ok_or_else(|| refused(literal, "it is read, but not defined"))
    }

    /// The signal of any literal, made where it is missing.
    fn signal(&mut self, literal: Literal) -> Result<usize> {
        if literal >= 2 && literal.is_multiple_of(2) {
            return self.variable(literal);
        }
        if let Some(&place) = self.extra.get(&literal) {
            return Ok(place);
        }
        let (name, node) = if literal < 2 {
            (["zero", "one"][literal as usize].to_owned(), Node::Constant(literal == 1))
        } else {
            let operand = self.variable(literal)?;
            let table = TruthTable::from_fn(1, |k| k == 0)?;
            let name = format!("{}_not", self.signals[operand].0);
            (name, Node::Lut { table, operands: vec![operand] })
        };
        self.signals.push((name, Some(node)));
        self.extra.insert(literal, self.signals.len() - 1);
        Ok(self.signals.len() - 1)
    }

    /// An AND of any two literals.
    fn and(&self, a: Literal, b: Literal) -> Result<Node> {
        let wires: Vec<Literal> = [a, b].into_iter().filter(|&literal| literal >= 2).collect();
        if a == 0 || b == 0 || wires.is_empty() {
            return Ok(Node::Constant(a == 1 && b == 1));
        }
        let mut operands = Vec::with_capacity(2);
        for &literal in &wires {
            operands.push(self.variable(literal)?);
        }
        let table = TruthTable::from_fn(wires.len(), |k| {
            wires.iter().enumerate().all(|(i, literal)| (k >> i & 1) as u32 != literal & 1)
        })?;
        Ok(Node::Lut { table, operands })
    }
}

fn refused(literal: Literal, what: &str) -> Error {
    let place = format!("literal {literal}");
    Error::Read { format: "aiger", place, what: what.to_owned() }
}
