//! Forms of weights.

use lutweave_kernels::WEIGHTS;
use lutweave_tensor::Array;

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::give;
use crate::Result;
use crate::weights::{WeightForm, WeightKernels, check_form, check_pass};

/// Threads of a block, a number each.
const THREADS: u32 = 256;

impl WeightKernels for Cuda {
    fn form_weights(
        &self,
        weights: &Array,
        form: WeightForm,
        factor: f32,
        out: &mut Array,
    ) -> Result<()> {
        check_form(weights, out)?;
        if weights.is_empty() {
            return Ok(());
        }
        let (kind, (step, low, high)) = match form {
            WeightForm::Real => (0u32, (1.0, 0.0, 0.0)),
            WeightForm::Sign => (1, (1.0, 0.0, 0.0)),
            WeightForm::Rounded(to) => (2, to.limits()),
            WeightForm::Bit => (3, (1.0, 0.0, 0.0)),
        };
        let (there, formed) = (self.input(weights)?, self.output(&*out)?);
        let blocks = weights.len().div_ceil(THREADS as usize);
        self.launch(
            &WEIGHTS,
            "form_weights",
            Shape::blocks([blocks, 1, 1], THREADS)?,
            arguments![&there, weights.len() as u64, kind, step, low, high, factor, &formed],
        )?;
        give(out, formed);
        Ok(())
    }

    fn pass_gradient(&self, weights: &Array, of_form: &Array, gradient: &mut Array) -> Result<()> {
        check_pass(weights, of_form, gradient)?;
        if weights.is_empty() {
            return Ok(());
        }
        let (there, formed) = (self.input(weights)?, self.input(of_form)?);
        let out = self.changed(&*gradient)?;
        let blocks = weights.len().div_ceil(THREADS as usize);
        self.launch(
            &WEIGHTS,
            "pass_gradient",
            Shape::blocks([blocks, 1, 1], THREADS)?,
            arguments![&there, &formed, weights.len() as u64, &out],
        )?;
        give(gradient, out);
        Ok(())
    }
}
