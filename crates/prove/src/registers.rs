//! State machines: which registers always hold the same.
//!
//! Registers that agree in a simulation from the first state are taken to be equal (or complementary,
//! or constant), and it is proved that if they are in one cycle, they are in the next; those for which
//! this fails are parted, until it holds for all that are left (register correspondence: C. A. J. van
//! Eijk, "Sequential equivalence checking based on structural similarities", TCAD 2000). Since they
//! begin equal, they are equal in all cycles. Names play no part.

use std::collections::BTreeMap;
use std::time::Instant;

use lutweave_lut::{Evaluator, Netlist, Op};

use crate::cones::{decide, value, values};
use crate::graph::{Graph, Lit, registers};
use crate::ports::Ports;
use crate::simulate::Numbers;
use crate::{Limits, Outcome, Result};

/// Clock cycles simulated to find registers that may be equal.
const CYCLES: usize = 32;

/// Two machines as functions of inputs and state, equal registers being one.
#[derive(Debug)]
pub(crate) struct Machines {
    pub(crate) graph: Graph,
    /// The literals of the nets of either netlist.
    pub(crate) nets: [Vec<Lit>; 2],
    /// Registers in all, and those that were proved equal to others or constant.
    pub(crate) registers: (usize, usize),
    /// Inner pairs proved equal by the solver.
    pub(crate) merged: usize,
}

/// A register of either netlist.
#[derive(Debug, Clone, Copy)]
struct Register {
    netlist: usize,
    cell: usize,
    initial: bool,
}

/// Finds the registers that are equal in all cycles. Both netlists are without blocks.
pub(crate) fn correspond(
    netlists: [&Netlist; 2],
    ports: &Ports,
    limits: &Limits,
    deadline: Instant,
) -> Result<Machines> {
    let all: Vec<Register> = netlists
        .iter()
        .enumerate()
        .flat_map(|(netlist, of)| {
            registers(of).into_iter().map(move |cell| {
                let initial = matches!(of.cells()[cell].op, Op::Register { initial: true });
                Register { netlist, cell, initial }
            })
        })
        .collect();
    let mut classes = simulated(netlists, &all, ports)?;
    let mut merged = 0;
    loop {
        let leaders = leaders(&classes);
        let (graph, nets) = build(netlists, &all, &leaders, ports)?;
        // What a register holds next, compared with its first value.
        let next = |index: usize| {
            let Register { netlist, cell, initial } = all[index];
            let operand = netlists[netlist].cells()[cell].operands[0];
            nets[netlist][operand.index()].not_if(initial)
        };
        let followers: Vec<usize> =
            (0..all.len()).filter(|&index| leaders[index] != Some(index)).collect();
        let pairs: Vec<(Lit, Lit)> = followers
            .iter()
            .map(|&index| (next(index), leaders[index].map_or(Lit::ZERO, next)))
            .collect();
        let (decided, found) = decide(&graph, &pairs, limits, deadline);
        merged += found;
        let proved = |outcome| matches!(outcome, Outcome::Proved(_));
        if decided.iter().all(|entry| proved(entry.outcome)) {
            let counts = (all.len(), followers.len());
            return Ok(Machines { graph, nets, registers: counts, merged });
        }
        // Part every class by each of the patterns found; what is undecided stands alone.
        let mut fresh = classes.iter().max().map_or(1, |&class| class + 1);
        for (entry, &index) in decided.iter().zip(&followers) {
            match entry.outcome {
                Outcome::Proved(_) => {}
                Outcome::Unproved => {
                    classes[index] = fresh;
                    fresh += 1;
                }
                Outcome::Different => {
                    let values = values(&graph, &entry.ones);
                    let mut parts: BTreeMap<usize, usize> = BTreeMap::new();
                    for other in 0..all.len() {
                        // A class is named by what its leader does; the constants do nothing.
                        let (class, reference) = match leaders[other] {
                            Some(leader) => (classes[other], value(&values, next(leader))),
                            None => (classes[other], false),
                        };
                        if value(&values, next(other)) != reference {
                            classes[other] = *parts.entry(class).or_insert_with(|| {
                                fresh += 1;
                                fresh - 1
                            });
                        }
                    }
                }
            }
        }
    }
}

/// The register that stands for the class of each: the first of them, none for the constants.
fn leaders(classes: &[usize]) -> Vec<Option<usize>> {
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, &class) in classes.iter().enumerate() {
        first.entry(class).or_insert(index);
    }
    classes.iter().map(|class| (*class != 0).then(|| first[class])).collect()
}

/// Classes of registers that agree with their first value in the same cycles of a simulation: class 0
/// always does.
fn simulated(netlists: [&Netlist; 2], all: &[Register], ports: &Ports) -> Result<Vec<usize>> {
    let [mut a, mut b] = netlists.map(Evaluator::clocked);
    let mut numbers = Numbers::new(all.len() as u64);
    let mut traces: Vec<Vec<u64>> = vec![Vec::with_capacity(CYCLES); all.len()];
    for _ in 0..CYCLES {
        let inputs: Vec<u64> = (0..netlists[0].input_bits()).map(|_| numbers.word()).collect();
        let swapped: Vec<u64> = ports.inputs.iter().map(|&input| inputs[input]).collect();
        a.step(&inputs)?;
        b.step(&swapped)?;
        for (register, trace) in all.iter().zip(&mut traces) {
            let of = if register.netlist == 0 { &a } else { &b };
            let value = of.net(netlists[register.netlist].cells()[register.cell].output());
            trace.push(if register.initial { !value } else { value });
        }
    }
    let mut known = BTreeMap::from([(vec![0; CYCLES], 0)]);
    Ok(traces
        .into_iter()
        .map(|trace| {
            let next = known.len();
            *known.entry(trace).or_insert(next)
        })
        .collect())
}

/// Both netlists on the same inputs and on a state where the registers of a class are one input.
fn build(
    netlists: [&Netlist; 2],
    all: &[Register],
    leaders: &[Option<usize>],
    ports: &Ports,
) -> Result<(Graph, [Vec<Lit>; 2])> {
    let bits = netlists[0].input_bits();
    let mut graph = Graph::new(bits + all.len());
    let inputs: Vec<Lit> = (1..=bits).map(Lit::of).collect();
    let swapped: Vec<Lit> = ports.inputs.iter().map(|&input| inputs[input]).collect();
    let mut state = [Vec::new(), Vec::new()];
    for (register, leader) in all.iter().zip(leaders) {
        let lit = leader
            .map_or(Lit::ZERO, |leader| Lit::of(1 + bits + leader).not_if(all[leader].initial));
        state[register.netlist].push(lit.not_if(register.initial));
    }
    let a = graph.add_netlist(netlists[0], &inputs, Some(&state[0]))?;
    let b = graph.add_netlist(netlists[1], &swapped, Some(&state[1]))?;
    Ok((graph, [a, b]))
}
