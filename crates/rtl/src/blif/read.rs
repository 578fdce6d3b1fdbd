//! Reading BLIF: statements as they come, then what only the whole tells.

use std::collections::{HashMap, HashSet};

use lutweave_lut::{MAX_FAN_IN, Netlist, TruthTable};

use crate::draft::{Draft, Node};
use crate::error::shown;
use crate::function::{Cube, Function};
use crate::{Error, Result};

/// Statements that say nothing of the function: timing, areas, attributes.
const PASSED_OVER: [&str; 17] = [
    ".area",
    ".attr",
    ".cname",
    ".cycle",
    ".default_input_arrival",
    ".default_input_drive",
    ".default_max_input_load",
    ".default_output_load",
    ".default_output_required",
    ".delay",
    ".input_arrival",
    ".input_drive",
    ".max_input_load",
    ".output_load",
    ".output_required",
    ".wire",
    ".wire_load_slope",
];

pub(super) fn read(text: &str) -> Result<Netlist> {
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate();
    let mut words: Vec<&str> = Vec::new();
    while let Some((number, line)) = lines.next() {
        let mut more = add(line, &mut words);
        while more {
            more = lines.next().is_some_and(|(_, line)| add(line, &mut words));
        }
        if let [first, rest @ ..] = &words[..] {
            if first.starts_with('.') {
                reader.close()?;
                reader.statement(number + 1, first, rest)?;
            } else {
                reader.row(number + 1, &words)?;
            }
        }
        words.clear();
    }
    reader.close()?;
    reader.draft()?.finish()
}

/// Adds the words of a line; returns whether the next line continues it.
fn add<'a>(line: &'a str, words: &mut Vec<&'a str>) -> bool {
    let code = line.split('#').next().unwrap_or("").trim_end();
    let (code, more) = match code.strip_suffix('\\') {
        Some(code) => (code, true),
        None => (code, false),
    };
    words.extend(code.split_ascii_whitespace());
    more
}

/// What drives a signal, and where that is said.
struct Driver {
    line: usize,
    node: Node,
}

/// A `.names` whose rows are being read.
struct Table {
    line: usize,
    output: usize,
    operands: Vec<usize>,
    cover: Function,
    /// What the rows say: ones or zeros.
    value: Option<bool>,
}

#[derive(Default)]
struct Reader<'a> {
    model: Option<&'a str>,
    ended: bool,
    number_of: HashMap<&'a str, usize>,
    /// Names of the signals in order of sight, and where each was first seen.
    signals: Vec<(&'a str, usize)>,
    drivers: Vec<Option<Driver>>,
    /// The signals that cells drive, in order of definition.
    defined: Vec<usize>,
    /// Signals and where they are listed.
    inputs: Vec<(usize, usize)>,
    outputs: Vec<(usize, usize)>,
    /// The clock of the latches, and where it is named.
    clock: Option<(usize, usize)>,
    /// What `.clock` lists.
    clocks: HashSet<usize>,
    table: Option<Table>,
}

impl<'a> Reader<'a> {
    fn signal(&mut self, line: usize, name: &'a str) -> usize {
        *self.number_of.entry(name).or_insert_with(|| {
            self.signals.push((name, line));
            self.drivers.push(None);
            self.signals.len() - 1
        })
    }

    fn statement(&mut self, line: usize, keyword: &'a str, rest: &[&'a str]) -> Result<()> {
        if self.ended {
            let what = format!("expected nothing after `.end`, got {}", shown(keyword));
            return Err(error(line, format!("{what}; only a file of one model can be read")));
        }
        if self.model.is_none() && keyword != ".model" {
            return Err(error(line, format!("expected `.model` first, got {}", shown(keyword))));
        }
        match keyword {
            ".model" if self.model.is_some() => {
                Err(error(line, "a second model; flatten the design to one".to_owned()))
            }
            ".model" => {
                self.model = Some(rest.first().copied().unwrap_or("blif"));
                Ok(())
            }
            ".inputs" | ".outputs" => {
                for name in rest {
                    let signal = self.signal(line, name);
                    let list =
                        if keyword == ".inputs" { &mut self.inputs } else { &mut self.outputs };
                    list.push((signal, line));
                }
                Ok(())
            }
            ".clock" => {
                for name in rest {
                    let signal = self.signal(line, name);
                    self.clocks.insert(signal);
                }
                Ok(())
            }
            ".names" => self.names(line, rest),
            ".latch" => self.latch(line, rest),
            ".conn" | ".barbuf" => {
                let [from, to] = rest else {
                    return Err(expected(line, keyword, "two signals", rest.len()));
                };
                let operands = vec![self.signal(line, from)];
                let to = self.signal(line, to);
                let table = TruthTable::from_fn(1, |k| k == 1)?;
                self.drive(line, to, Node::Lut { table, operands })
            }
            ".end" => {
                self.ended = true;
                Ok(())
            }
            _ if PASSED_OVER.contains(&keyword) => Ok(()),
            _ => Err(error(line, format!("{} is not supported", shown(keyword)))),
        }
    }

    fn names(&mut self, line: usize, rest: &[&'a str]) -> Result<()> {
        let Some((output, inputs)) = rest.split_last() else {
            return Err(expected(line, ".names", "at least one signal", 0));
        };
        if inputs.len() > MAX_FAN_IN {
            let what = format!("`.names` of {} inputs, at most {MAX_FAN_IN}", inputs.len());
            return Err(error(
                line,
                format!("{what}; map it to LUTs first, as by `if -K 6` in ABC"),
            ));
        }
        let operands = inputs.iter().map(|name| self.signal(line, name)).collect();
        let output = self.signal(line, output);
        let (cover, value) = (Function::FALSE, None);
        self.table = Some(Table { line, output, operands, cover, value });
        Ok(())
    }

    /// One row of a cover.
    fn row(&mut self, line: usize, words: &[&str]) -> Result<()> {
        let Some(table) = &mut self.table else {
            return Err(error(line, format!("expected a statement, got {}", shown(words[0]))));
        };
        let fan_in = table.operands.len();
        let (pattern, value) = match words {
            [value] if fan_in == 0 => ("", *value),
            [pattern, value] if fan_in > 0 => (*pattern, *value),
            _ => {
                let parts = if fan_in == 0 { "a value" } else { "a pattern and a value" };
                return Err(expected(line, "row of `.names`", parts, words.len()));
            }
        };
        let cube = (pattern.len() == fan_in).then(|| cube(pattern)).flatten();
        let Some(cube) = cube else {
            let what = format!("expected a pattern of {fan_in} digits 0, 1 or -");
            return Err(error(line, format!("{what}, got {}", shown(pattern))));
        };
        let value = match value {
            "0" => false,
            "1" => true,
            _ => return Err(error(line, format!("expected 0 or 1, got {}", shown(value)))),
        };
        if table.value.is_some_and(|first| first != value) {
            let what = "expected rows of one value, got ones and zeros in one cover";
            return Err(error(line, what.to_owned()));
        }
        table.value = Some(value);
        table.cover = table.cover.or(cube.function());
        Ok(())
    }

    /// Ends the `.names` whose rows were read.
    fn close(&mut self) -> Result<()> {
        let Some(Table { line, output, operands, cover, value }) = self.table.take() else {
            return Ok(());
        };
        let function = if value == Some(false) { cover.not() } else { cover };
        let node = if operands.is_empty() {
            Node::Constant(function.at_zero())
        } else {
            Node::Lut { table: function.table(operands.len())?, operands }
        };
        self.drive(line, output, node)
    }

    fn latch(&mut self, line: usize, rest: &[&'a str]) -> Result<()> {
        let (input, output, clock, initial) = match rest {
            [input, output] => (input, output, None, None),
            [input, output, initial] => (input, output, None, Some(*initial)),
            [input, output, kind, clock] => (input, output, Some((*kind, *clock)), None),
            [input, output, kind, clock, initial] => {
                (input, output, Some((*kind, *clock)), Some(*initial))
            }
            _ => return Err(expected(line, ".latch", "two to five words", rest.len())),
        };
        if let Some((kind, clock)) = clock {
            if kind != "re" {
                let what = format!("a latch of type {}, supported is `re`", shown(kind));
                return Err(error(line, what));
            }
            if clock != "NIL" {
                let clock = self.signal(line, clock);
                if let Some((first, there)) = self.clock
                    && first != clock
                {
                    let what = format!("a second clock, the first is on line {there}");
                    return Err(error(line, format!("{what}; all latches must share one")));
                }
                self.clock.get_or_insert((clock, line));
            }
        }
        let initial = match initial {
            None | Some("0" | "2" | "3") => false,
            Some("1") => true,
            Some(other) => {
                let what = format!("expected an initial value from 0 to 3, got {}", shown(other));
                return Err(error(line, what));
            }
        };
        let operand = self.signal(line, input);
        let output = self.signal(line, output);
        self.drive(line, output, Node::Register { operand, initial })
    }

    fn drive(&mut self, line: usize, signal: usize, node: Node) -> Result<()> {
        if let Some(first) = &self.drivers[signal] {
            let name = shown(self.signals[signal].0);
            let what = format!("{name} is driven a second time, first on line {}", first.line);
            return Err(error(line, what));
        }
        self.drivers[signal] = Some(Driver { line, node });
        self.defined.push(signal);
        Ok(())
    }

    /// Marks the signals of a list; none may be in it twice.
    fn listed(&self, what: &str, list: &[(usize, usize)]) -> Result<Vec<bool>> {
        let mut marks = vec![false; self.signals.len()];
        for &(signal, line) in list {
            if std::mem::replace(&mut marks[signal], true) {
                let name = shown(self.signals[signal].0);
                return Err(error(line, format!("{what} {name} is listed twice")));
            }
        }
        Ok(marks)
    }

    /// Takes the clock out of the inputs, and checks that every signal that is read is driven.
    fn check(&mut self) -> Result<()> {
        let is_input = self.listed("input", &self.inputs)?;
        let mut read = self.listed("output", &self.outputs)?;
        for (signal, driver) in self.drivers.iter().enumerate() {
            let Some(driver) = driver else { continue };
            if is_input[signal] {
                let name = shown(self.signals[signal].0);
                return Err(error(driver.line, format!("input {name} is driven")));
            }
            match &driver.node {
                Node::Constant(_) => {}
                Node::Lut { operands, .. } => operands.iter().for_each(|&at| read[at] = true),
                Node::Register { operand, .. } => read[*operand] = true,
            }
        }
        if let Some((clock, line)) = self.clock {
            if read[clock] || self.drivers[clock].is_some() {
                let what = format!("clock {} is data as well", shown(self.signals[clock].0));
                return Err(error(line, what));
            }
            self.clocks.insert(clock);
        }
        self.inputs.retain(|&(signal, _)| read[signal] || !self.clocks.contains(&signal));
        for (signal, &(name, line)) in self.signals.iter().enumerate() {
            if read[signal] && !is_input[signal] && self.drivers[signal].is_none() {
                return Err(error(line, format!("nothing drives {}", shown(name))));
            }
        }
        Ok(())
    }

    /// The netlist with its signals numbered in order of definition, inputs first.
    fn draft(mut self) -> Result<Draft> {
        let Some(model) = self.model else {
            return Err(error(1, "expected `.model`, got an empty file".to_owned()));
        };
        self.check()?;
        let inputs = self.inputs.iter().map(|&(signal, _)| signal);
        let order: Vec<usize> = inputs.chain(self.defined.iter().copied()).collect();
        let mut place = vec![usize::MAX; self.signals.len()];
        for (at, &signal) in order.iter().enumerate() {
            place[signal] = at;
        }
        let mut signals = Vec::with_capacity(order.len());
        for &signal in &order {
            let node = self.drivers[signal].take().map(|driver| match driver.node {
                Node::Lut { table, mut operands } => {
                    for at in &mut operands {
                        *at = place[*at];
                    }
                    Node::Lut { table, operands }
                }
                Node::Register { operand, initial } => {
                    Node::Register { operand: place[operand], initial }
                }
                constant @ Node::Constant(_) => constant,
            });
            signals.push((self.signals[signal].0.to_owned(), node));
        }
        let name = |signal: usize| self.signals[signal].0.to_owned();
        Ok(Draft {
            format: "blif",
            name: model.to_owned(),
            signals,
            inputs: (0..self.inputs.len()).collect(),
            outputs: self.outputs.iter().map(|&(at, _)| (name(at), place[at])).collect(),
            clock_is_input: self.clocks.is_empty(),
        })
    }
}

/// The cube of a pattern such as `01-`.
fn cube(pattern: &str) -> Option<Cube> {
    let mut cube = Cube { care: 0, value: 0 };
    for (input, c) in pattern.bytes().enumerate() {
        match c {
            b'-' => {}
            b'0' => cube.care |= 1 << input,
            b'1' => {
                cube.care |= 1 << input;
                cube.value |= 1 << input;
            }
            _ => return None,
        }
    }
    Some(cube)
}

fn error(line: usize, what: String) -> Error {
    Error::Read { format: "blif", place: format!("line {line}"), what }
}

fn expected(line: usize, keyword: &str, what: &str, got: usize) -> Error {
    error(line, format!("{keyword}: expected {what}, got {got} words"))
}
