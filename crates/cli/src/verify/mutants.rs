//! Hardware with one fault each: whether the checks notice.

use std::time::Duration;

use lutweave::lut::{Fault, Net, Op};
use lutweave::prelude::*;
use lutweave::rtl::{Simulator, Vectors, Verilog};
use lutweave::tensor::rng::{self, Xoshiro256PlusPlus};
use tempfile::TempDir;

use super::checks::{pipelined, prove};
use super::subject::Subject;
use super::{Outcome, Row, row};
use crate::error::{Error, Result};

/// Test samples that each mutant is simulated on, and random ones.
const SAMPLES: usize = 500;
/// Faults drawn for each that is wanted; some change nothing.
const DRAWS: usize = 10;

/// How a mutant ended.
enum End {
    Simulated,
    Proved,
    /// It computes the same: no check can tell, and none has to.
    Same,
    Missed,
}

/// Draws faults until so many change the function, and counts those that are noticed.
pub(super) fn try_all(subject: &Subject, wanted: usize, limit: Duration) -> Row {
    row("Verilog with faults", "Icarus, else proof", || {
        let netlist = pipelined(&subject.netlist);
        let vectors = stimuli(subject, &netlist)?;
        let mut stream = rng::stream(1, &[wanted as u64]);
        let (mut simulated, mut proved, mut same, mut missed) = (0, 0, 0, Vec::new());
        for _ in 0..wanted * DRAWS {
            if simulated + proved + missed.len() == wanted {
                break;
            }
            let Some(fault) = draw(&netlist, &mut stream) else {
                return Err(Error::Unexpected("the netlist has no LUT to put a fault into"));
            };
            match end(&netlist, fault, &vectors, limit)? {
                End::Simulated => simulated += 1,
                End::Proved => proved += 1,
                End::Same => same += 1,
                End::Missed => missed.push(fault),
            }
        }
        let tried = simulated + proved + missed.len();
        let amount = format!("caught {}/{tried}", simulated + proved);
        let detail = format!("{simulated} by simulation, {proved} by proof");
        Ok(match missed.first() {
            Some(fault) => (amount, Outcome::Different(format!("{fault:?} was not noticed"))),
            None if tried < wanted => {
                let what = format!("{detail}; of {same} other faults none changes an answer");
                (amount, Outcome::LeftOut(what))
            }
            None => (format!("{amount} ({detail}; {same} drawn change nothing)"), Outcome::Equal),
        })
    })
}

/// The first test samples, and random ones, which reach more of the tables.
fn stimuli(subject: &Subject, netlist: &Netlist) -> Result<Vectors> {
    let words: usize = netlist.inputs().iter().map(|port| port.words).sum();
    let lines = subject.inputs.chunks(words);
    let given = lines.flat_map(|line| vec![line; subject.hold]).take(SAMPLES).flatten();
    let random = Vectors::random(netlist, SAMPLES, 1)?;
    let inputs: Vec<u64> = given.chain(random.inputs()).copied().collect();
    Ok(Vectors::from_inputs(netlist, &inputs)?)
}

/// A random bit of a random table, or a random wire to it.
fn draw(netlist: &Netlist, stream: &mut Xoshiro256PlusPlus) -> Option<Fault> {
    let cells = netlist.cells();
    let luts: Vec<usize> =
        (0..cells.len()).filter(|&cell| matches!(cells[cell].op, Op::Lut(_))).collect();
    if luts.is_empty() {
        return None;
    }
    let cell = luts[rng::below(stream, luts.len())];
    let Op::Lut(table) = &cells[cell].op else { return None };
    if rng::below(stream, 2) == 0 {
        return Some(Fault::Entry { cell, entry: rng::below(stream, table.entries()) });
    }
    // A wire of the same kind: one that other LUTs of its layer read.
    let layer = |other: &&usize| cells[**other].group == cells[cell].group;
    let nets: Vec<Net> = luts
        .iter()
        .filter(layer)
        .flat_map(|&other| cells[other].operands.iter().copied())
        .filter(|net| *net < cells[cell].output())
        .collect();
    let operand = rng::below(stream, cells[cell].operands.len());
    let net = nets[rng::below(stream, nets.len())];
    if net == cells[cell].operands[operand] {
        return Some(Fault::Entry { cell, entry: rng::below(stream, table.entries()) });
    }
    Some(Fault::Wire { cell, operand, net })
}

/// Prints the netlist with the fault, and tries to tell it from the netlist without.
fn end(netlist: &Netlist, fault: Fault, vectors: &Vectors, limit: Duration) -> Result<End> {
    let folder = TempDir::with_prefix("lutweave-mutant")
        .map_err(Error::io("make", &std::env::temp_dir()))?;
    let faulty = netlist.with_fault(fault)?;
    let files = Verilog::new("model").vectors(vectors.clone()).write(&faulty, folder.path())?;
    let found = Simulator::Icarus.run(&files, folder.path().join("work"), &[], limit)?;
    if !found.equal {
        return Ok(End::Simulated);
    }
    Ok(match prove(netlist, &faulty, limit)?.1 {
        Outcome::Different(_) => End::Proved,
        Outcome::Equal => End::Same,
        Outcome::LeftOut(_) => End::Missed,
    })
}
