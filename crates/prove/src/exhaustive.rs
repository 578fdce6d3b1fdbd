//! Cones of few inputs: all patterns are tried.

use std::time::Instant;

use crate::graph::{Graph, Lit};
use crate::solver::Answer;

/// Most inputs for which all patterns are tried.
pub(crate) const MOST: usize = 16;

/// The table of input `i < 6` over 64 patterns.
const PATTERNS: [u64; 6] = [
    0xaaaa_aaaa_aaaa_aaaa,
    0xcccc_cccc_cccc_cccc,
    0xf0f0_f0f0_f0f0_f0f0,
    0xff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000,
    0xffff_ffff_0000_0000,
];

/// Tries all patterns of the inputs of a cone (nodes in ascending order), at most [`MOST`], on two
/// literals of it. Costs `2^inputs / 64` evaluations of the cone.
pub(crate) fn try_all(
    graph: &Graph,
    (a, b): (Lit, Lit),
    cone: &[usize],
    deadline: Instant,
) -> Answer {
    let inputs: Vec<usize> = cone.iter().copied().filter(|&node| graph.is_input(node)).collect();
    if inputs.len() > MOST {
        return Answer::Unknown;
    }
    // The place of each node in the cone.
    let place = |node: u32| cone.partition_point(|&other| other < node as usize);
    let gates: Vec<_> = cone
        .iter()
        .map(|&node| {
            let gate = graph.gates[node].as_ref()?;
            Some((gate.table, gate.reads.iter().map(|&read| place(read)).collect::<Vec<_>>()))
        })
        .collect();
    let mut values = vec![0u64; cone.len()];
    let value = |values: &[u64], lit: Lit| {
        let word = if lit.node() == 0 { 0 } else { values[place(lit.node() as u32)] };
        if lit.is_complement() { !word } else { word }
    };
    let mut operands = Vec::new();
    for block in 0..(1usize << inputs.len()).div_ceil(64) {
        if Instant::now() >= deadline {
            return Answer::Unknown;
        }
        let mut number = 0;
        for (at, &node) in cone.iter().enumerate() {
            values[at] = match &gates[at] {
                Some((table, reads)) => {
                    operands.clear();
                    operands.extend(reads.iter().map(|&read| values[read]));
                    table.evaluate(&operands)
                }
                None if node == 0 => 0,
                None => {
                    let input = number;
                    number += 1;
                    match PATTERNS.get(input) {
                        Some(pattern) => *pattern,
                        None if block >> (input - 6) & 1 == 1 => u64::MAX,
                        None => 0,
                    }
                }
            };
        }
        let differ = value(&values, a) ^ value(&values, b);
        if differ != 0 {
            let pattern = 64 * block + differ.trailing_zeros() as usize;
            let ones = inputs.iter().enumerate().filter(|(i, _)| pattern >> i & 1 == 1);
            return Answer::Differ(ones.map(|(_, &node)| node).collect());
        }
    }
    Answer::Equal
}
