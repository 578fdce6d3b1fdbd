//! Forms of weights, one number at a time.

use lutweave_tensor::Array;

use super::Reference;
use crate::Result;
use crate::weights::{WeightForm, WeightKernels, check_form, check_pass};

impl WeightKernels for Reference {
    fn form_weights(
        &self,
        weights: &Array,
        form: WeightForm,
        factor: f32,
        out: &mut Array,
    ) -> Result<()> {
        check_form(weights, out)?;
        for (out, &weight) in out.iter_mut().zip(weights) {
            *out = form.of(weight) * factor;
        }
        Ok(())
    }

    fn pass_gradient(&self, weights: &Array, of_form: &Array, gradient: &mut Array) -> Result<()> {
        check_pass(weights, of_form, gradient)?;
        for ((gradient, of_form), weight) in gradient.iter_mut().zip(of_form).zip(weights) {
            if weight.abs() <= 1.0 {
                *gradient += of_form;
            }
        }
        Ok(())
    }
}
