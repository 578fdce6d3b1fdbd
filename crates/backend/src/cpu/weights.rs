//! Forms of weights: a pass over memory, blocks of numbers over threads.

use lutweave_tensor::Array;
use rayon::prelude::*;

use super::Cpu;
use crate::Result;
use crate::weights::{WeightForm, WeightKernels, check_form, check_pass};

/// Numbers of one thread at a time.
const BLOCK: usize = 1 << 14;

impl WeightKernels for Cpu {
    fn form_weights(
        &self,
        weights: &Array,
        form: WeightForm,
        factor: f32,
        out: &mut Array,
    ) -> Result<()> {
        check_form(weights, out)?;
        let blocks = out.par_chunks_mut(BLOCK).zip(weights.par_chunks(BLOCK));
        blocks.for_each(|(out, weights)| {
            for (out, &weight) in out.iter_mut().zip(weights) {
                *out = form.of(weight) * factor;
            }
        });
        Ok(())
    }

    fn pass_gradient(&self, weights: &Array, of_form: &Array, gradient: &mut Array) -> Result<()> {
        check_pass(weights, of_form, gradient)?;
        let blocks = gradient.par_chunks_mut(BLOCK).zip(of_form.par_chunks(BLOCK));
        blocks.zip(weights.par_chunks(BLOCK)).for_each(|((gradient, of_form), weights)| {
            for ((gradient, of_form), weight) in gradient.iter_mut().zip(of_form).zip(weights) {
                if weight.abs() <= 1.0 {
                    *gradient += of_form;
                }
            }
        });
        Ok(())
    }
}
