//! Clipping and penalties from their definitions, in f64.

use lutweave_tensor::Array;

use super::Reference;
use crate::gradient::{GradientKernels, check_cost, check_walsh};
use crate::{Candidates, Result};

impl GradientKernels for Reference {
    fn clip_norm(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<Option<f64>> {
        let square = |&x: &f32| f64::from(x) * f64::from(x);
        let norm = gradients.iter().flat_map(|all| all.iter()).map(square).sum::<f64>().sqrt();
        if norm.is_finite() && norm > f64::from(limit) {
            let factor = f64::from(limit) / norm;
            for gradient in gradients {
                gradient.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
            }
        }
        Ok(Some(norm))
    }

    fn clip_value(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<()> {
        for gradient in gradients {
            for x in gradient.iter_mut() {
                *x = if *x < -limit { -limit } else { *x };
                *x = if *x > limit { limit } else { *x };
            }
        }
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
        let sign = |a: usize, b: usize| if (a & b).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
        let (size, lambda) = (entries as f64, f64::from(lambda));
        for (values, gradient) in values.chunks(entries).zip(gradient.chunks_mut(entries)) {
            let of_set = |set: usize| {
                if coefficients {
                    return f64::from(values[set]);
                }
                let all = values.iter().enumerate();
                all.map(|(k, &value)| sign(set, k) * f64::from(value)).sum::<f64>() / size
            };
            let weighted: Vec<f64> =
                (0..entries).map(|set| f64::from(set.count_ones()) * of_set(set)).collect();
            for (k, gradient) in gradient.iter_mut().enumerate() {
                let slope = if coefficients {
                    weighted[k]
                } else {
                    let all = weighted.iter().enumerate();
                    all.map(|(set, weighted)| sign(set, k) * weighted).sum::<f64>() / size
                };
                *gradient = (f64::from(*gradient) + 2.0 * lambda * slope) as f32;
            }
        }
        Ok(())
    }

    fn encoder_cost(
        &self,
        candidates: Candidates<'_>,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()> {
        let slots = check_cost(candidates, gradient)?;
        let Candidates { count, of_slots, scores, .. } = candidates;
        let read = |slot: usize| {
            let better =
                |best: usize, next: usize| if scores[next] > scores[best] { next } else { best };
            (slot * count..(slot + 1) * count).reduce(better).unwrap_or(0)
        };
        let read: Vec<usize> = (0..slots).map(read).collect();
        for (at, gradient) in gradient.iter_mut().enumerate() {
            let others = |&(slot, &own): &(usize, &usize)| {
                slot != at / count && of_slots[own] == of_slots[at]
            };
            let readers = 1 + read.iter().enumerate().filter(others).count();
            *gradient += lambda / readers as f32;
        }
        Ok(())
    }
}
