//! A netlist as a foreign format gives it: signals by number, in any order, under any name.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use lutweave_lut::{MAX_NAME, Net, Netlist, NetlistBuilder, Role, TruthTable};

use crate::ports::assemble;
use crate::{Error, Result};

/// What drives a signal.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(bool),
    Lut { table: TruthTable, operands: Vec<usize> },
    Register { operand: usize, initial: bool },
}

impl Node {
    fn operands(&self) -> &[usize] {
        match self {
            Self::Constant(_) => &[],
            Self::Lut { operands, .. } => operands,
            Self::Register { operand, .. } => std::slice::from_ref(operand),
        }
    }
}

/// A netlist before its names are legal and its cells are in order.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The format it is from, for errors.
    pub(crate) format: &'static str,
    pub(crate) name: String,
    /// The name of every signal, and what drives it; nothing for inputs.
    pub(crate) signals: Vec<(String, Option<Node>)>,
    /// The signals that are inputs, in order.
    pub(crate) inputs: Vec<usize>,
    /// Names and signals of the outputs, in order.
    pub(crate) outputs: Vec<(String, usize)>,
    /// Whether the clock of the registers may be among the inputs, as one that nothing reads.
    pub(crate) clock_is_input: bool,
}

/// The name of a clock that programs leave among the inputs, though their format has no place for
/// one (ABC in BLIF, Yosys in AIGER).
const CLOCK: &str = "clk";

impl Draft {
    /// The netlist, all cells in one group `logic` of the core.
    ///
    /// Signals that drive nothing but an output, as a copy of another signal, become no cell. Cells
    /// keep their order where it is one of evaluation; a register comes after what it reads unless
    /// it closes a loop. Costs memory in proportion to the signals.
    pub(crate) fn finish(mut self) -> Result<Netlist> {
        let order = self.order()?;
        self.drop_clock();
        self.skip_copies();
        let names = Legal::new(&self);
        let mut build = NetlistBuilder::new(legal_name(&self.name, "netlist"))?;
        let mut nets: Vec<Option<Net>> = vec![None; self.signals.len()];
        let inputs: Vec<&str> =
            self.inputs.iter().map(|&signal| self.signals[signal].0.as_str()).collect();
        for (port, name) in assemble(&inputs).into_iter().zip(names.inputs) {
            let bits = build.input(name, port.words, port.width)?;
            for (at, net) in port.bits.into_iter().zip(bits) {
                nets[self.inputs[at]] = Some(net);
            }
        }
        build.group("logic", Role::Core)?;
        let mut late = Vec::new();
        let mut read = Vec::new();
        for signal in order {
            let Some(node) = &self.signals[signal].1 else { continue };
            let name = names.cells[signal].clone();
            let net = match node {
                Node::Constant(value) => build.constant(name, *value)?,
                Node::Lut { table, operands } => {
                    read.clear();
                    read.extend(operands.iter().filter_map(|&operand| nets[operand]));
                    build.lut(name, &read, *table)?
                }
                Node::Register { operand, initial } => {
                    let now = nets[*operand];
                    let net = build.register(name, now.unwrap_or(build.next_net()), *initial)?;
                    if now.is_none() {
                        late.push((net, *operand));
                    }
                    net
                }
            };
            nets[signal] = Some(net);
        }
        for (register, operand) in late {
            if let Some(operand) = nets[operand] {
                build.connect(register, operand)?;
            }
        }
        let outputs: Vec<&str> = self.outputs.iter().map(|(name, _)| name.as_str()).collect();
        for (port, name) in assemble(&outputs).into_iter().zip(names.outputs) {
            let bits: Vec<Net> =
                port.bits.iter().filter_map(|&at| nets[self.outputs[at].1]).collect();
            build.output(name, port.width, &bits)?;
        }
        Ok(build.finish()?)
    }

    /// All signals, each after what it reads; registers too, unless they close a loop.
    fn order(&self) -> Result<Vec<usize>> {
        let count = self.signals.len();
        let operands =
            |signal: usize| self.signals[signal].1.as_ref().map_or(&[][..], Node::operands);
        let mut missing: Vec<usize> = (0..count).map(|signal| operands(signal).len()).collect();
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
        for signal in 0..count {
            for &operand in operands(signal) {
                readers[operand].push(signal);
            }
        }
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..count).filter(|&signal| missing[signal] == 0).map(Reverse).collect();
        let is_register =
            |&signal: &usize| matches!(self.signals[signal].1, Some(Node::Register { .. }));
        let mut registers = (0..count).filter(is_register);
        let mut placed = vec![false; count];
        let mut order = Vec::with_capacity(count);
        loop {
            let Some(Reverse(signal)) = ready.pop() else {
                // What is left waits for a loop: a register opens it.
                let Some(register) = registers.find(|&signal| !placed[signal]) else { break };
                ready.push(Reverse(register));
                continue;
            };
            if std::mem::replace(&mut placed[signal], true) {
                continue;
            }
            order.push(signal);
            for &reader in &readers[signal] {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.push(Reverse(reader));
                }
            }
        }
        match (0..count).find(|&signal| !placed[signal]) {
            None => Ok(order),
            Some(signal) => {
                // Of those left, each reads one that is left; walking on ends in the loop.
                let next = |at: usize| operands(at).iter().copied().find(|&read| !placed[read]);
                let looped = (0..count).try_fold(signal, |at, _| next(at)).unwrap_or(signal);
                let name = crate::error::shown(&self.signals[looped].0);
                let what = format!("{name} depends on itself without a latch between");
                Err(Error::Read { format: self.format, place: "logic".to_owned(), what })
            }
        }
    }

    /// Which signals are read by others.
    fn read(&self) -> Vec<bool> {
        let mut read = vec![false; self.signals.len()];
        for (_, node) in &self.signals {
            for &operand in node.as_ref().map_or(&[][..], Node::operands) {
                read[operand] = true;
            }
        }
        read
    }

    /// Takes an input out that is only there to be the clock.
    fn drop_clock(&mut self) {
        let registers =
            self.signals.iter().any(|(_, node)| matches!(node, Some(Node::Register { .. })));
        if !self.clock_is_input || !registers {
            return;
        }
        let mut read = self.read();
        for &(_, signal) in &self.outputs {
            read[signal] = true;
        }
        let signals = &self.signals;
        if self.inputs.len() == 1 {
            return;
        }
        self.inputs.retain(|&signal| read[signal] || signals[signal].0 != CLOCK);
    }

    /// Takes out the signals that only copy another one for an output.
    fn skip_copies(&mut self) {
        let mut read = self.read();
        for (name, signal) in &mut self.outputs {
            // An output port needs no cell of its own name where the cell is only a wire.
            if let (own, Some(Node::Lut { table, operands })) = &self.signals[*signal]
                && own == name
                && !read[*signal]
                && let [source] = operands[..]
                && !table.get(0)
                && table.get(1)
            {
                read[source] = true;
                self.signals[*signal].1 = None;
                *signal = source;
            }
        }
    }
}

/// The legal names of a draft: the same where they are legal, and all different.
struct Legal {
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// One for each signal; empty for those that are no cell.
    cells: Vec<String>,
}

impl Legal {
    fn new(draft: &Draft) -> Self {
        let inputs: Vec<&str> =
            draft.inputs.iter().map(|&signal| draft.signals[signal].0.as_str()).collect();
        let outputs: Vec<&str> = draft.outputs.iter().map(|(name, _)| name.as_str()).collect();
        let (inputs, outputs) = (assemble(&inputs), assemble(&outputs));
        // Ports come first, so that they keep their names where they clash. The names that others
        // have by right are left to them.
        let cells = draft.signals.iter().filter(|(_, node)| node.is_some());
        let inputs_named = inputs.iter().map(|port| port.name);
        let mut right: HashSet<&str> = inputs_named.chain(cells.map(|(n, _)| n.as_str())).collect();
        right.extend(outputs.iter().map(|port| port.name));
        right.retain(|name| is_legal(name));

        let (taken, last_number) = (HashSet::new(), HashMap::new());
        let mut names = Claims { taken, right, last_number };
        let inputs: Vec<String> = inputs.iter().map(|port| names.claim(port.name)).collect();
        let cells = draft.signals.iter().map(|(name, node)| match node {
            Some(_) => names.claim(name),
            None => String::new(),
        });
        let cells = cells.collect();
        // Outputs may be called as cells are, but not as inputs.
        names.taken = inputs.iter().cloned().collect();
        names.last_number.clear();
        let outputs = outputs.iter().map(|port| names.claim(port.name)).collect();
        Self { inputs, outputs, cells }
    }
}

struct Claims<'a> {
    taken: HashSet<String>,
    /// Names that are in use as they are.
    right: HashSet<&'a str>,
    /// The last number tried for a name, so that many equal names cost no quadratic search.
    last_number: HashMap<String, usize>,
}

impl Claims<'_> {
    /// The name itself if it is legal and new, otherwise one near it that nothing else has.
    fn claim(&mut self, wanted: &str) -> String {
        if is_legal(wanted) && self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let base = legal_name(wanted, "n");
        // Room for a number.
        let base = &base[..base.len().min(MAX_NAME - 12)];
        if !self.right.contains(base) && self.taken.insert(base.to_owned()) {
            return base.to_owned();
        }
        let number = self.last_number.entry(base.to_owned()).or_insert(0);
        loop {
            *number += 1;
            let name = format!("{base}_{number}");
            if !self.right.contains(name.as_str()) && self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Whether a netlist may have the name.
fn is_legal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        && name.len() <= MAX_NAME
}

/// A name as near to `wanted` as a netlist may have: what stands between letters and digits
/// becomes `_`.
fn legal_name(wanted: &str, fallback: &str) -> String {
    if is_legal(wanted) {
        return wanted.to_owned();
    }
    let mut name = String::new();
    for c in wanted.chars().take(MAX_NAME) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, fallback);
    }
    name.truncate(MAX_NAME);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_different_and_as_near_as_can_be() {
        let long = "y".repeat(200);
        let right = ["a_3", "a_1"];
        let mut names = Claims {
            taken: HashSet::new(),
            right: right.into_iter().collect(),
            last_number: HashMap::new(),
        };
        for (wanted, given) in [
            ("a[3]", "a_3_1"),
            ("a_3", "a_3"),
            ("a<3>", "a_3_2"),
            ("_a", "_a"),
            ("$abc$12", "abc_12"),
            ("12", "n12"),
            ("a_", "a_"),
            ("a", "a"),
            ("a$", "a_2"),
            ("é", "n"),
            ("", "n_1"),
        ] {
            assert_eq!(names.claim(wanted), given, "{wanted:?}");
        }
        let (first, second) = (names.claim(&long), names.claim(&long));
        assert!(first != second && is_legal(&first) && is_legal(&second));
    }
}
