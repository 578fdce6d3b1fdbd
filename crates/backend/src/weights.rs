//! Weights as they enter a product.

use lutweave_tensor::Array;

use crate::check::check_size;
use crate::{Form, Result};

/// Weights that count by their sign or are rounded. One pass, and the same bits for every backend.
pub trait WeightKernels {
    /// `out = factor · form(weights)`.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless both are equally long.
    fn form_weights(&self, weights: &Array, form: Form, factor: f32, out: &mut Array)
    -> Result<()>;
}

pub(crate) fn check_form(weights: &Array, out: &Array) -> Result<()> {
    check_size("form weights", "out", "values", weights.len(), out.len())
}
