//! Writing AIGER.

use std::fmt::Write as _;

use lutweave_lut::{Netlist, Op};

use super::graph::{Graph, Literal};
use crate::bits::BitNames;
use crate::function::Function;
use crate::{Error, Result};

/// A netlist as an and-inverter graph.
#[derive(Debug)]
pub(super) struct Aiger {
    netlist: String,
    graph: Graph,
    inputs: Vec<String>,
    /// Name, next state and reset of each latch.
    latches: Vec<(String, Literal, bool)>,
    outputs: Vec<(String, Literal)>,
}

impl Aiger {
    pub(super) fn new(netlist: &Netlist) -> Result<Self> {
        let netlist = &netlist.expand();
        let names = BitNames::new(netlist);
        let inputs = netlist.input_bits();
        let registers =
            netlist.cells().iter().filter(|cell| matches!(cell.op, Op::Register { .. })).count();
        let mut graph = Graph::new((inputs + registers) as u32);
        // The literal of each net; latches come after the inputs.
        let mut literals: Vec<Literal> = (1..=inputs as u32).map(|variable| 2 * variable).collect();
        literals.resize(netlist.net_count(), 0);
        let mut latch = inputs as u32;
        for cell in netlist.cells() {
            if let Op::Register { .. } = cell.op {
                latch += 1;
                literals[cell.output().index()] = latch.wrapping_mul(2);
            }
        }
        for cell in netlist.cells() {
            let literal = match &cell.op {
                Op::Constant(value) => u32::from(*value),
                Op::Lut(table) => {
                    let operands: Vec<Literal> =
                        cell.operands.iter().map(|net| literals[net.index()]).collect();
                    graph.function(Function::of(table), &operands)
                }
                _ => continue,
            };
            literals[cell.output().index()] = literal;
        }
        if graph.variables() >= u64::from(Literal::MAX / 2) {
            let what = format!(
                "its graph has {} variables, below 2^31 can be numbered",
                graph.variables()
            );
            return Err(Error::Unsupported { netlist: netlist.name().to_owned(), what });
        }
        let latches = netlist.cells().iter().filter_map(|cell| match cell.op {
            Op::Register { initial } => {
                let next = literals[cell.operands[0].index()];
                Some((names.net(cell.output()).to_owned(), next, initial))
            }
            _ => None,
        });
        let outputs = names.outputs.iter().map(|(name, net)| (name.clone(), literals[net.index()]));
        Ok(Self {
            netlist: netlist.name().to_owned(),
            graph,
            latches: latches.collect(),
            outputs: outputs.collect(),
            inputs: names.nets[..inputs].to_vec(),
        })
    }

    fn header(&self, form: &str) -> String {
        let (inputs, latches) = (self.inputs.len(), self.latches.len());
        let (outputs, ands) = (self.outputs.len(), self.graph.ands.len());
        let variables = self.graph.variables();
        format!("{form} {variables} {inputs} {latches} {outputs} {ands}\n")
    }

    /// The variable of latch `at`.
    fn latch(&self, at: usize) -> Literal {
        2 * (self.inputs.len() + at + 1) as Literal
    }

    /// The left side of AND `at`.
    fn and(&self, at: usize) -> Literal {
        self.latch(self.latches.len() + at)
    }

    pub(super) fn ascii(&self) -> String {
        let mut text = self.header("aag");
        // Writing to a string does not fail.
        for at in 0..self.inputs.len() {
            let _ = writeln!(text, "{}", 2 * (at + 1));
        }
        for (at, (_, next, reset)) in self.latches.iter().enumerate() {
            let _ = writeln!(text, "{} {next}{}", self.latch(at), if *reset { " 1" } else { "" });
        }
        for (_, literal) in &self.outputs {
            let _ = writeln!(text, "{literal}");
        }
        for (at, (a, b)) in self.graph.ands.iter().enumerate() {
            let _ = writeln!(text, "{} {a} {b}", self.and(at));
        }
        text + &self.symbols()
    }

    pub(super) fn binary(&self) -> Vec<u8> {
        let mut text = self.header("aig");
        for (_, next, reset) in &self.latches {
            let _ = writeln!(text, "{next}{}", if *reset { " 1" } else { "" });
        }
        for (_, literal) in &self.outputs {
            let _ = writeln!(text, "{literal}");
        }
        let mut bytes = text.into_bytes();
        for (at, &(a, b)) in self.graph.ands.iter().enumerate() {
            number(&mut bytes, self.and(at) - a);
            number(&mut bytes, a - b);
        }
        bytes.extend_from_slice(self.symbols().as_bytes());
        bytes
    }

    fn symbols(&self) -> String {
        let mut text = String::new();
        let latches = self.latches.iter().map(|(name, ..)| name);
        let outputs = self.outputs.iter().map(|(name, _)| name);
        let kinds: [(char, Vec<&String>); 3] = [
            ('i', self.inputs.iter().collect()),
            ('l', latches.collect()),
            ('o', outputs.collect()),
        ];
        for (kind, names) in kinds {
            for (at, name) in names.iter().enumerate() {
                let _ = writeln!(text, "{kind}{at} {name}");
            }
        }
        let _ = writeln!(text, "c\nBy lutweave, netlist {} of look-up tables.", self.netlist);
        text
    }
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit set.
fn number(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}
