//! Random simulation of two netlists: quick to refute, proves nothing.

use lutweave_lut::{Evaluator, Netlist};

use crate::ports::{self, Ports};
use crate::{Counterexample, Difference, PortValues, Result};

/// A small generator (splitmix64); simulation needs no better one.
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }
}

/// How two netlists are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// As functions: registers are wires. They take so many clock cycles.
    Functions(usize, usize),
    /// As machines: from the registers' first state, cycle for cycle.
    Machines,
}

impl View {
    /// Functions where each netlist takes the same number of cycles on all paths.
    pub(crate) fn of(a: &Netlist, b: &Netlist) -> Self {
        match (a.latency(), b.latency()) {
            (Ok(a), Ok(b)) => Self::Functions(a, b),
            _ => Self::Machines,
        }
    }
}

/// Looks for inputs that tell two netlists apart: `64 * rounds` random ones, drawn from `seed`.
///
/// Ports go by name. Two pipelines (or netlists without registers) are compared as functions of
/// their inputs, registers taken as wires; where a register feeds back, or paths take different
/// numbers of cycles, 64 runs of `rounds` clock cycles from the first state are compared.
/// Deterministic. Costs `2 * rounds` evaluations.
///
/// # Errors
///
/// [`Error::Missing`](crate::Error::Missing) and [`Error::Shape`](crate::Error::Shape) when the
/// ports are not the same.
pub fn simulate(
    a: &Netlist,
    b: &Netlist,
    rounds: usize,
    seed: u64,
) -> Result<Option<Counterexample>> {
    let ports = ports::pair(a, b)?;
    let view = View::of(a, b);
    let mut numbers = Numbers::new(seed);
    let mut pair = Pair::new(a, b, &ports, view)?;
    let mut past: Vec<Vec<u64>> = Vec::new();
    for round in 0..rounds {
        let inputs: Vec<u64> = (0..a.input_bits())
            .map(|_| {
                let word = numbers.word();
                // All zeros and all ones are among the first patterns.
                if round == 0 { (word & !1) | 2 } else { word }
            })
            .collect();
        if view != View::Machines {
            past.clear();
        }
        past.push(inputs);
        let lanes = pair.step(&past[past.len() - 1])?;
        if lanes != 0 {
            let lane = lanes.trailing_zeros();
            let cycles = past.iter().map(|inputs| {
                inputs.iter().map(|word| word >> lane & 1 == 1).collect::<Vec<bool>>()
            });
            return check(a, b, &ports, view, &cycles.collect::<Vec<_>>());
        }
    }
    Ok(None)
}

/// Two evaluators on the same inputs.
struct Pair<'a> {
    a: (&'a Netlist, Evaluator<'a>),
    b: Evaluator<'a>,
    ports: &'a Ports,
}

impl<'a> Pair<'a> {
    fn new(a: &'a Netlist, b: &'a Netlist, ports: &'a Ports, view: View) -> Result<Self> {
        let start = |netlist: &'a Netlist| match view {
            View::Functions(..) => Evaluator::new(netlist),
            View::Machines => Ok(Evaluator::clocked(netlist)),
        };
        Ok(Self { a: (a, start(a)?), b: start(b)?, ports })
    }

    /// One clock cycle on the inputs of the first netlist; the frames where an output differs.
    fn step(&mut self, inputs: &[u64]) -> Result<u64> {
        let swapped: Vec<u64> = self.ports.inputs.iter().map(|&input| inputs[input]).collect();
        self.a.1.settle(inputs)?;
        self.b.settle(&swapped)?;
        let mut lanes = 0;
        for (port, &other) in self.ports.outputs.iter().enumerate() {
            let words = self.a.1.output(port).zip(self.b.output(other));
            lanes |= words.fold(0, |lanes, (x, y)| lanes | (x ^ y));
        }
        if lanes == 0 {
            self.a.1.step(inputs)?;
            self.b.step(&swapped)?;
        }
        Ok(lanes)
    }

    /// The output words that differ in frame 0.
    fn differences(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let number = |bits: &[u64]| -> u64 {
            bits.iter().enumerate().map(|(bit, word)| (word & 1) << bit).sum()
        };
        let ports = self.a.0.outputs().iter().zip(&self.ports.outputs).enumerate();
        for (index, (port, &other)) in ports {
            let first: Vec<u64> = self.a.1.output(index).collect();
            let second: Vec<u64> = self.b.output(other).collect();
            let words = first.chunks(port.width).zip(second.chunks(port.width));
            for (word, (first, second)) in words.enumerate() {
                let (first, second) = (number(first), number(second));
                if first != second {
                    let output = port.name.clone();
                    differences.push(Difference { output, word, first, second });
                }
            }
        }
        differences
    }
}

/// Evaluates both netlists on inputs (bits of the first netlist's input nets) for one cycle after the
/// other; a counterexample if they differ in the last.
pub(crate) fn check(
    a: &Netlist,
    b: &Netlist,
    ports: &Ports,
    view: View,
    cycles: &[Vec<bool>],
) -> Result<Option<Counterexample>> {
    let mut pair = Pair::new(a, b, ports, view)?;
    let mut lanes = 0;
    for cycle in cycles {
        let inputs: Vec<u64> = cycle.iter().map(|&bit| u64::from(bit)).collect();
        lanes = pair.step(&inputs)?;
    }
    if lanes & 1 == 0 {
        return Ok(None);
    }
    let values = |cycle: &Vec<bool>| {
        let ports = a.inputs().iter().map(|port| {
            let bits: Vec<bool> = port.nets().map(|net| cycle[net.index()]).collect();
            let words = bits.chunks(port.width).map(|word| {
                word.iter().enumerate().map(|(bit, &value)| u64::from(value) << bit).sum()
            });
            PortValues { name: port.name.clone(), words: words.collect() }
        });
        ports.collect()
    };
    Ok(Some(Counterexample {
        cycles: cycles.iter().map(values).collect(),
        differences: pair.differences(),
    }))
}
