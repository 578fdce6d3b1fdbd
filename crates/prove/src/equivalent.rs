//! The comparison as a whole.

use std::time::{Duration, Instant};

use lutweave_lut::{Net, Netlist, Output};

use crate::cones::{Decided, decide};
use crate::graph::{Graph, Lit};
use crate::ports::{self, Ports};
use crate::registers::{Machines, correspond};
use crate::simulate::{View, check, simulate};
use crate::{Cone, Counterexample, Error, Outcome, Result, Verdict};

/// How long a comparison may take. What is not decided by then is reported as not proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for each cone, after inner nets that are equal were found.
    pub cone: Duration,
    /// Time for all.
    pub total: Duration,
    /// Rounds of 64 random inputs simulated first; see [`simulate`].
    pub rounds: usize,
}

impl Default for Limits {
    /// A minute a cone, ten in all, 64 rounds.
    fn default() -> Self {
        Self { cone: Duration::from_secs(60), total: Duration::from_secs(600), rounds: 64 }
    }
}

impl Limits {
    /// When a cone that begins now has to end.
    pub(crate) fn of_cone(&self, deadline: Instant) -> Instant {
        Instant::now().checked_add(self.cone).map_or(deadline, |end| end.min(deadline))
    }
}

/// Compares two netlists: for every output bit, whether it is the same for all inputs.
///
/// Ports go by name and must have the same shapes. What is compared depends on the registers:
///
/// - none, or pipelines where every path takes the same number of clock cycles: the functions of the
///   inputs, registers taken as wires. The latencies are in the verdict; two pipelines of the same one
///   have equal outputs in every cycle from then on.
/// - otherwise: the outputs in every cycle from the registers' first state on. Registers need not match
///   one to one; see [`Verdict::registers`]. An output that depends on states which are never reached
///   may stay unproved.
///
/// Random simulation comes first; then cones that are built alike, then those of at most 16 inputs by
/// trying all patterns, then the others by SAT. Blocks are expanded to LUTs by
/// [`Netlist::expand`]. Every counterexample was evaluated on both netlists as they are.
///
/// ```
/// use lutweave_lut::Netlist;
/// use lutweave_prove::{Limits, equivalent};
///
/// let text = "lutweave-netlist 1\nnetlist n\ninput x 2 x 1\ngroup g core\n\
///             lut y 0x8 x[0] x[1]\noutput y 1 x 1 y\nend\n";
/// let and = Netlist::from_text(text)?;
/// let or = Netlist::from_text(&text.replace("0x8", "0xe"))?;
/// assert!(equivalent(&and, &and, &Limits::default())?.is_proved());
/// let verdict = equivalent(&and, &or, &Limits::default())?;
/// assert_eq!(verdict.counterexample.unwrap().differences[0].second, 1);
/// # Ok::<(), lutweave_prove::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Missing`] and [`Error::Shape`] when the ports are not the same.
pub fn equivalent(a: &Netlist, b: &Netlist, limits: &Limits) -> Result<Verdict> {
    let start = Instant::now();
    let deadline = start.checked_add(limits.total).unwrap_or(start + Limits::default().total);
    let ports = ports::pair(a, b)?;
    let view = View::of(a, b);
    let mut verdict = Verdict {
        cones: Vec::new(),
        counterexample: simulate(a, b, limits.rounds, 1)?,
        latencies: None,
        registers: None,
        merged: 0,
    };
    if let View::Functions(first, second) = view {
        verdict.latencies = Some((first, second));
    }
    if verdict.is_different() {
        return Ok(verdict);
    }
    let (x, y) = (a.expand(), b.expand());
    let (graph, nets) = match view {
        View::Functions(..) => functions(&x, &y, &ports)?,
        View::Machines => {
            let Machines { graph, nets, registers, merged } =
                correspond([&x, &y], &ports, limits, deadline)?;
            verdict.registers = Some(registers);
            verdict.merged = merged;
            (graph, nets)
        }
    };
    let pairs: Vec<(Lit, Lit)> = x
        .outputs()
        .iter()
        .zip(&ports.outputs)
        .flat_map(|(port, &other)| port.nets.iter().zip(&y.outputs()[other].nets))
        .map(|(first, second): (&Net, &Net)| (nets[0][first.index()], nets[1][second.index()]))
        .collect();
    let (decided, merged) = decide(&graph, &pairs, limits, deadline);
    verdict.merged += merged;
    let places = a.outputs().iter().flat_map(places);
    verdict.cones = places
        .zip(&decided)
        .map(|((port, word, bit), entry)| Cone {
            output: port.name.clone(),
            word,
            bit,
            support: entry.support,
            // Of machines, a state that was assumed may never be reached.
            outcome: match (entry.outcome, view) {
                (Outcome::Different, View::Machines) => Outcome::Unproved,
                (outcome, _) => outcome,
            },
        })
        .collect();
    if view != View::Machines
        && let Some(index) = decided.iter().position(|entry| entry.outcome == Outcome::Different)
    {
        let shown = shown(a, b, &ports, view, &decided[index])?;
        let output = &verdict.cones[index].output;
        verdict.counterexample =
            Some(shown.ok_or_else(|| Error::Unsound { output: output.clone() })?);
    }
    Ok(verdict)
}

/// Both netlists as functions of the same inputs.
fn functions(a: &Netlist, b: &Netlist, ports: &Ports) -> Result<(Graph, [Vec<Lit>; 2])> {
    let mut graph = Graph::new(a.input_bits());
    let inputs: Vec<Lit> = (1..=a.input_bits()).map(Lit::of).collect();
    let swapped: Vec<Lit> = ports.inputs.iter().map(|&input| inputs[input]).collect();
    let nets = [graph.add_netlist(a, &inputs, None)?, graph.add_netlist(b, &swapped, None)?];
    Ok((graph, nets))
}

/// Port, word and bit of each of its nets.
fn places(port: &Output) -> impl Iterator<Item = (&Output, usize, usize)> {
    (0..port.nets.len()).map(move |index| (port, index / port.width, index % port.width))
}

/// The inputs found for a cone, evaluated.
fn shown(
    a: &Netlist,
    b: &Netlist,
    ports: &Ports,
    view: View,
    decided: &Decided,
) -> Result<Option<Counterexample>> {
    let mut inputs = vec![false; a.input_bits()];
    for &node in &decided.ones {
        inputs[node - 1] = true;
    }
    check(a, b, ports, view, &[inputs])
}
