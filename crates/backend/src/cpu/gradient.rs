//! Clipping and penalties: blocks of numbers, or tables, over threads.

use std::collections::BTreeMap;

use lutweave_tensor::Array;
use rayon::prelude::*;

use super::{Cpu, Dispatch, Kernel};
use crate::gradient::{GradientKernels, check_cost, check_walsh};
use crate::{Candidates, Result};

/// Numbers summed at a time; part of the numeric contract.
const BLOCK: usize = 1 << 14;
/// Partial sums of a block; part of the numeric contract.
const LANES: usize = 16;

/// The sum of squares, in lanes of fixed number.
struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0f64; LANES];
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for chunk in whole {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += f64::from(x) * f64::from(x);
        }
        sums.iter().fold(0.0, |total, sum| total + sum)
    }
}

/// Changes each gradient.
fn change(gradients: Vec<&mut Array>, by: impl Fn(f32) -> f32 + Sync) {
    let blocks: Vec<&mut [f32]> =
        gradients.into_iter().flat_map(|gradient| gradient.chunks_mut(BLOCK)).collect();
    blocks.into_par_iter().for_each(|block| block.iter_mut().for_each(|x| *x = by(*x)));
}

/// The Walsh-Hadamard transform of a table in place.
fn transform(table: &mut [f32]) {
    let mut half = 1;
    while half < table.len() {
        for pair in table.chunks_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Adds the gradient of the penalty of one node.
fn add_walsh(values: &[f32], gradient: &mut [f32], lambda: f32, coefficients: bool) {
    let degree = |set: usize| set.count_ones() as f32;
    if coefficients {
        for (set, (value, gradient)) in values.iter().zip(gradient).enumerate() {
            *gradient += 2.0 * lambda * degree(set) * value;
        }
        return;
    }
    let entries = values.len() as f32;
    let mut work = values.to_vec();
    transform(&mut work);
    work.iter_mut().enumerate().for_each(|(set, value)| *value *= degree(set) / entries);
    transform(&mut work);
    for (gradient, work) in gradient.iter_mut().zip(work) {
        *gradient += 2.0 * lambda / entries * work;
    }
}

impl GradientKernels for Cpu {
    fn clip_norm(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<Option<f64>> {
        let blocks: Vec<&[f32]> = gradients.iter().flat_map(|all| all.chunks(BLOCK)).collect();
        let sums: Vec<f64> =
            blocks.into_par_iter().map(|block| self.isa().run(Squares(block))).collect();
        let norm = sums.iter().fold(0.0, |total, sum| total + sum).sqrt();
        if norm.is_finite() && norm > f64::from(limit) {
            let factor = (f64::from(limit) / norm) as f32;
            change(gradients, |gradient| gradient * factor);
        }
        Ok(Some(norm))
    }

    fn clip_value(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<()> {
        // As `clamp`, which a negative limit would make panic.
        change(gradients, |x| {
            let x = if x < -limit { -limit } else { x };
            if x > limit { limit } else { x }
        });
        Ok(())
    }

    fn walsh_penalty(
        &self,
        values: &Array,
        entries: usize,
        coefficients: bool,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()> {
        check_walsh(values, entries, gradient)?;
        let nodes = gradient.par_chunks_mut(entries).zip(values.par_chunks(entries));
        nodes.for_each(|(gradient, values)| add_walsh(values, gradient, lambda, coefficients));
        Ok(())
    }

    fn encoder_cost(
        &self,
        candidates: Candidates<'_>,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()> {
        check_cost(candidates, gradient)?;
        let Candidates { count, of_slots, scores, .. } = candidates;
        let best = |scores: &[f32]| {
            let better =
                |best: usize, next: usize| if scores[next] > scores[best] { next } else { best };
            (0..scores.len()).reduce(better).unwrap_or(0)
        };
        let chosen: Vec<usize> = scores.chunks(count).map(best).collect();
        let mut readers: BTreeMap<u32, u32> = BTreeMap::new();
        for (slot, &choice) in of_slots.chunks(count).zip(&chosen) {
            *readers.entry(slot[choice]).or_default() += 1;
        }
        let slots = of_slots.chunks(count).zip(gradient.chunks_mut(count)).zip(&chosen);
        for ((slot, gradient), &choice) in slots {
            for (number, (candidate, gradient)) in slot.iter().zip(gradient).enumerate() {
                let others = readers.get(candidate).copied().unwrap_or(0);
                let now = others + u32::from(number != choice);
                *gradient += lambda / now as f32;
            }
        }
        Ok(())
    }
}
