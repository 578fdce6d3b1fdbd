//! Source text of the same program: C99 and `no_std` Rust.
//!
//! The gates become functions of bounded size, so that compilers take linear time: a value that a
//! later function needs goes to a place of the state, which is free again after its last use.

mod c;
mod expression;
mod rust;

use std::collections::BTreeSet;

use crate::graph::Graph;
use crate::lower::Row;
use crate::{Engine, Error, Result, synth};
use expression::expression;

/// Gates of a function.
const GATES: usize = 96;
/// Outputs of a function that only copies them.
const COPIES: usize = 1024;

/// A language, as far as the statements differ.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    declare: &'static str,
    not: char,
}

/// The program as statements, before they are dressed as a language.
#[derive(Debug)]
struct Plan {
    /// The statements of each function over `x` (rows), `s` (state) and `y` (output bits).
    functions: Vec<Vec<String>>,
    state: usize,
    /// Operations of two operands, reads and writes of `x`, `s` and `y`.
    operations: usize,
    accesses: usize,
}

/// All that is printed.
#[derive(Debug)]
struct Source<'a> {
    plan: Plan,
    rows: &'a [Row],
    /// Numbers of a frame.
    words: usize,
    /// The width of each result.
    widths: Vec<usize>,
    gates: usize,
}

impl Source<'_> {
    /// Output bits.
    fn bits(&self) -> usize {
        self.widths.iter().sum()
    }

    /// Flash and RAM on a 32-bit core with words of 32 frames, in bytes: an instruction of four
    /// bytes for each operation, read and write; and the rows, the state and the outputs.
    fn sizes(&self) -> (usize, usize) {
        let tables = 4 * self.rows.len();
        let flash = 4 * (self.plan.operations + self.plan.accesses) + tables;
        (flash, 4 * (self.rows.len() + self.plan.state + self.bits()))
    }
}

impl Engine {
    /// The program as one C99 file without dependencies. Its header comment says how to call it:
    /// `lutweave_run` takes frames of bytes and gives a byte for each result, `lutweave_run_packed`
    /// takes the rows of bits that the comparisons make.
    ///
    /// With GCC or Clang a word is as wide as the target's registers; `LUTWEAVE_WORD` chooses
    /// another type. The text depends on the netlist alone.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when a result does not fit in a byte, and for stages.
    pub fn to_c(&self) -> Result<String> {
        Ok(c::print(&self.source(Dialect { declare: "const W", not: '~' })?))
    }

    /// The program as a Rust module without dependencies, fit for `no_std`: `run` takes frames of
    /// bytes, `run_packed` rows of 64 frames. The text depends on the netlist alone.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when a result does not fit in a byte, and for stages.
    pub fn to_rust(&self) -> Result<String> {
        Ok(rust::print(&self.source(Dialect { declare: "let", not: '!' })?))
    }

    fn source(&self, dialect: Dialect) -> Result<Source<'_>> {
        let op = "write source text";
        let (parts, compiled) = (&*self.parts, self.parts.compiled(op)?);
        let widths: Vec<usize> = parts.shape.output_widths().collect();
        if let Some(width) = widths.iter().find(|&&width| width > 8) {
            let what = format!("a result of {width} bits does not fit in a byte");
            return Err(Error::Unsupported { op, what });
        }
        let graph = gates_only(&compiled.bytes.graph);
        let gates = graph.gates().len();
        let plan = plan(&graph, dialect);
        Ok(Source { plan, rows: &compiled.rows, words: self.input_words(), widths, gates })
    }
}

/// The graph with gates of at most three operands only.
pub(crate) fn gates_only(graph: &Graph) -> Graph {
    let flat = graph.rebuild(|copy, gate, operands| synth::expand(copy, gate.table, operands));
    flat.merge()
}

fn plan(graph: &Graph, dialect: Dialect) -> Plan {
    let first = graph.first_gate();
    let count = graph.gates().len();
    let functions = count.div_ceil(GATES);
    // The last function that reads each gate; outputs are read after all.
    let mut last: Vec<usize> = (0..count).map(|index| index / GATES).collect();
    for (index, gate) in graph.gates().iter().enumerate() {
        for node in gate.operands().iter().filter_map(|node| node.checked_sub(first)) {
            last[node as usize] = last[node as usize].max(index / GATES);
        }
    }
    for node in graph.outputs.iter().filter_map(|output| output.node().checked_sub(first)) {
        last[node as usize] = functions;
    }
    let mut made = Plan { functions: Vec::new(), state: 0, operations: 0, accesses: 0 };
    let mut place = vec![usize::MAX; count];
    let mut free: Vec<usize> = Vec::new();
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); functions + 1];
    for (function, gates) in graph.gates().chunks(GATES).enumerate() {
        let mut lines = Vec::new();
        let mut loaded = BTreeSet::new();
        for (index, gate) in gates.iter().enumerate() {
            for &node in gate.operands() {
                let outside = node < first || (node - first) as usize / GATES < function;
                if outside && loaded.insert(node) {
                    let from = source(node, first, &place);
                    lines.push(format!("{} t{node} = {from};", dialect.declare));
                    made.accesses += 1;
                }
            }
            let node = first as usize + function * GATES + index;
            let names: Vec<String> =
                gate.operands().iter().map(|node| format!("t{node}")).collect();
            let (text, operations) = expression(gate, &names, dialect.not);
            made.operations += operations;
            lines.push(format!("{} t{node} = {text};", dialect.declare));
        }
        for index in function * GATES..function * GATES + gates.len() {
            if last[index] > function {
                place[index] = free.pop().unwrap_or_else(|| {
                    made.state += 1;
                    made.state - 1
                });
                ends[last[index]].push(place[index]);
                lines.push(format!("s[{}] = t{};", place[index], first as usize + index));
                made.accesses += 1;
            }
        }
        free.append(&mut ends[function]);
        made.functions.push(lines);
    }
    for (number, outputs) in graph.outputs.chunks(COPIES).enumerate() {
        let lines = outputs.iter().enumerate().map(|(index, output)| {
            let not = if output.inverted() { dialect.not.to_string() } else { String::new() };
            let from = source(output.node(), first, &place);
            format!("y[{}] = {not}{from};", number * COPIES + index)
        });
        made.functions.push(lines.collect());
        made.accesses += 2 * outputs.len();
    }
    made
}

/// Where a value of an earlier function is.
fn source(node: u32, first: u32, place: &[usize]) -> String {
    match node.checked_sub(first) {
        Some(index) => format!("s[{}]", place[index as usize]),
        None if node == 0 => "ZERO".to_owned(),
        None => format!("x[{}]", node - 1),
    }
}
