//! Forms of weights, one number at a time.

use lutweave_tensor::Array;

use super::Reference;
use crate::weights::{WeightKernels, check_form};
use crate::{Form, Result};

impl WeightKernels for Reference {
    fn form_weights(
        &self,
        weights: &Array,
        form: Form,
        factor: f32,
        out: &mut Array,
    ) -> Result<()> {
        check_form(weights, out)?;
        for (out, &weight) in out.iter_mut().zip(weights) {
            *out = form.of(weight) * factor;
        }
        Ok(())
    }
}
