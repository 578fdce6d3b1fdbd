//! The satisfiability solver: gates as clauses, and the question whether two literals can differ.

use std::cell::Cell;
use std::time::Instant;

use batsat::{Callbacks, SolverInterface, SolverOpts, Var, lbool};

use crate::cover::{self, Cube};
use crate::graph::{Gate, Lit};

/// Calls to the clock are made every so many steps of the search.
const POLLS: u32 = 64;

/// Whether two literals can differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Equal,
    /// They differ for these inputs: the nodes of inputs that matter and are one.
    Differ(Vec<usize>),
    Unknown,
}

/// When to give up.
#[derive(Debug)]
struct Budget {
    conflicts: u64,
    limit: u64,
    deadline: Instant,
    polls: Cell<u32>,
    /// Whether the deadline was seen to have passed: the solver asks again whether to stop.
    passed: Cell<bool>,
}

impl Callbacks for Budget {
    fn on_new_clause(&mut self, _: &[batsat::Lit], _: batsat::ClauseKind) {
        self.conflicts += 1;
    }

    fn stop(&self) -> bool {
        let polls = self.polls.get();
        self.polls.set(polls.wrapping_add(1));
        if polls.is_multiple_of(POLLS) && Instant::now() >= self.deadline {
            self.passed.set(true);
        }
        self.conflicts > self.limit || self.passed.get()
    }
}

/// A solver over the nodes of a graph. Clauses are added where they are needed first.
pub(crate) struct Solver {
    sat: batsat::Solver<Budget>,
    /// The variable of each node that has one.
    vars: Vec<Option<Var>>,
    /// Nodes of inputs that have a variable.
    inputs: Vec<usize>,
}

impl std::fmt::Debug for Solver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solver").field("inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl Solver {
    /// A solver over so many nodes, of which node 0 is zero.
    pub(crate) fn new(nodes: usize) -> Self {
        let budget = Budget {
            conflicts: 0,
            limit: u64::MAX,
            deadline: Instant::now(),
            polls: Cell::new(0),
            passed: Cell::new(false),
        };
        let mut sat = batsat::Solver::new(SolverOpts::default(), budget);
        let zero = sat.new_var_default();
        sat.add_clause_reuse(&mut vec![batsat::Lit::new(zero, false)]);
        let mut vars = vec![None; nodes];
        vars[0] = Some(zero);
        Self { sat, vars, inputs: Vec::new() }
    }

    /// Looks for inputs for which two literals differ, until so many conflicts or the deadline. The
    /// gates of the nodes are those of `gates`, none for inputs.
    pub(crate) fn differ(
        &mut self,
        (a, b): (Lit, Lit),
        gates: &[Option<Gate>],
        conflicts: u64,
        deadline: Instant,
    ) -> Answer {
        self.encode(a.node(), gates);
        self.encode(b.node(), gates);
        let (x, y) = (self.lit(a), self.lit(b));
        for assumptions in [[x, !y], [!x, y]] {
            let budget = self.sat.cb_mut();
            (budget.conflicts, budget.limit, budget.deadline) = (0, conflicts, deadline);
            budget.polls.set(0);
            budget.passed.set(false);
            let result = self.sat.solve_limited(&assumptions);
            if result == lbool::TRUE {
                let ones = self.inputs.iter().copied().filter(|&node| {
                    let lit = self.lit(Lit::of(node));
                    self.sat.value_lit(lit) == lbool::TRUE
                });
                return Answer::Differ(ones.collect());
            }
            if result != lbool::FALSE {
                return Answer::Unknown;
            }
        }
        // What was learnt, for those that follow.
        self.sat.add_clause_reuse(&mut vec![!x, y]);
        self.sat.add_clause_reuse(&mut vec![x, !y]);
        Answer::Equal
    }

    fn lit(&self, lit: Lit) -> batsat::Lit {
        let var = self.vars[lit.node()];
        let var = var.unwrap_or_else(|| unreachable!("node {} was encoded", lit.node()));
        batsat::Lit::new(var, !lit.is_complement())
    }

    /// Gives variables and clauses to a node and all below that have none.
    fn encode(&mut self, node: usize, gates: &[Option<Gate>]) {
        let mut pending = vec![node];
        while let Some(&node) = pending.last() {
            if self.vars[node].is_some() {
                pending.pop();
                continue;
            }
            let Some(gate) = &gates[node] else {
                self.vars[node] = Some(self.sat.new_var_default());
                self.inputs.push(node);
                pending.pop();
                continue;
            };
            let below = gate.reads.iter().map(|&read| read as usize);
            let missing: Vec<usize> = below.filter(|&read| self.vars[read].is_none()).collect();
            if missing.is_empty() {
                self.vars[node] = Some(self.sat.new_var_default());
                self.clauses(Lit::of(node), gate);
                pending.pop();
            } else {
                pending.extend(missing);
            }
        }
    }

    /// The clauses of a gate: a product of its table makes it one, one of the complement zero.
    fn clauses(&mut self, out: Lit, gate: &Gate) {
        let (words, inputs) = (gate.table.words(), gate.reads.len());
        let reads: Vec<batsat::Lit> =
            gate.reads.iter().map(|&read| self.lit(Lit::of(read as usize))).collect();
        let out = self.lit(out);
        let mut add = |cubes: Vec<Cube>, then: batsat::Lit| {
            for Cube { care, value } in cubes {
                let used = reads.iter().enumerate().filter(|(i, _)| care >> i & 1 == 1);
                let mut clause: Vec<batsat::Lit> = used
                    .map(|(i, &lit)| if value >> i & 1 == 1 { !lit } else { lit })
                    .chain([then])
                    .collect();
                self.sat.add_clause_reuse(&mut clause);
            }
        };
        add(cover::products(words, inputs), out);
        add(cover::products(&cover::complement(words, inputs), inputs), !out);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lutweave_lut::TruthTable;

    use super::*;
    use crate::graph::Graph;

    #[test]
    fn finds_what_tells_apart_and_proves_what_is_equal() {
        let mut graph = Graph::new(3);
        let [x, y, z] = [1, 2, 3].map(Lit::of);
        let xor = TruthTable::from_fn(2, |k| k == 1 || k == 2).unwrap();
        let parity = TruthTable::from_fn(3, |k| k.count_ones() % 2 == 1).unwrap();
        let majority = TruthTable::from_fn(3, |k| k.count_ones() > 1).unwrap();
        let half = graph.add(&xor, &[x, y]);
        let chain = graph.add(&xor, &[half, z]);
        let whole = graph.add(&parity, &[x, y, z]);
        let other = graph.add(&majority, &[x, y, z]);
        let mut solver = Solver::new(graph.gates.len());
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut ask = |a, b| solver.differ((a, b), &graph.gates, 1000, deadline);
        assert_eq!(ask(chain, whole), Answer::Equal);
        assert!(matches!(ask(chain, whole.not_if(true)), Answer::Differ(_)));
        let Answer::Differ(ones) = ask(whole, other) else { panic!("they differ") };
        assert!(ones.len() == 1 || ones.len() == 2, "{ones:?}");
        assert!(matches!(ask(other, Lit::ZERO), Answer::Differ(ones) if ones.len() > 1));
    }

    #[test]
    fn stops_when_its_time_is_over() {
        // Bits counted in two orders: minutes for the solver.
        let mut graph = Graph::new(60);
        let full = |bit: usize| {
            TruthTable::from_fn(3, |k| k.count_ones() as usize >> bit & 1 == 1).unwrap()
        };
        let mut count = |order: &mut dyn Iterator<Item = usize>| {
            let mut word = [Lit::ZERO; 6];
            for input in order {
                let mut carry = Lit::of(input);
                for digit in &mut word {
                    let reads = [*digit, carry, Lit::ZERO];
                    (*digit, carry) = (graph.add(&full(0), &reads), graph.add(&full(1), &reads));
                }
            }
            word[5]
        };
        let pair = (count(&mut (1..=60)), count(&mut (1..=60).rev()));
        let start = Instant::now();
        let deadline = start + Duration::from_millis(100);
        let mut solver = Solver::new(graph.gates.len());
        assert_eq!(solver.differ(pair, &graph.gates, u64::MAX, deadline), Answer::Unknown);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
