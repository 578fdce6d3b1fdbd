//! Forms of weights: a pass over memory, blocks of numbers over threads.

use lutweave_tensor::Array;
use rayon::prelude::*;

use super::Cpu;
use crate::weights::{WeightKernels, check_form};
use crate::{Form, Result};

/// Numbers of one thread at a time.
const BLOCK: usize = 1 << 14;

impl WeightKernels for Cpu {
    fn form_weights(
        &self,
        weights: &Array,
        form: Form,
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
}

/// The straight-through gradient of signs: `gradient += of_form` where a weight is from −1 to 1.
pub(super) fn pass_gradient(weights: &[f32], of_form: &[f32], gradient: &mut [f32]) {
    let blocks = gradient.par_chunks_mut(BLOCK).zip(of_form.par_chunks(BLOCK));
    blocks.zip(weights.par_chunks(BLOCK)).for_each(|((gradient, of_form), weights)| {
        for ((gradient, of_form), weight) in gradient.iter_mut().zip(of_form).zip(weights) {
            if weight.abs() <= 1.0 {
                *gradient += of_form;
            }
        }
    });
}
