//! Weights as they enter a product: signs, and fixed-point numbers.

use lutweave_tensor::Array;

use crate::check::check_size;
use crate::{FixedPoint, Result};

/// What is made of a weight before it is multiplied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WeightForm {
    /// The weight itself.
    Real,
    /// −1 below zero and where it is NaN, else 1 (Hubara et al. 2016).
    Sign,
    /// [`FixedPoint::round`].
    Rounded(FixedPoint),
    /// 1 above 0.5, else 0.
    Bit,
}

impl WeightForm {
    /// What is made of one weight.
    #[inline(always)]
    pub fn of(self, weight: f32) -> f32 {
        match self {
            Self::Real => weight,
            Self::Sign => {
                if weight >= 0.0 {
                    1.0
                } else {
                    -1.0
                }
            }
            Self::Rounded(to) => to.round(weight),
            Self::Bit => {
                if weight > 0.5 {
                    1.0
                } else {
                    0.0
                }
            }
        }
    }
}

/// Weights of dense layers that count by their sign or are rounded. One pass each, and the same bits
/// for every backend.
pub trait WeightKernels {
    /// `out = factor · form(weights)`.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless both are equally long.
    fn form_weights(
        &self,
        weights: &Array,
        form: WeightForm,
        factor: f32,
        out: &mut Array,
    ) -> Result<()>;

    /// The straight-through gradient of signs: `gradient += of_form` where a weight is from −1 to 1.
    ///
    /// # Errors
    ///
    /// As [`form_weights`](Self::form_weights).
    fn pass_gradient(&self, weights: &Array, of_form: &Array, gradient: &mut Array) -> Result<()>;
}

pub(crate) fn check_form(weights: &Array, out: &Array) -> Result<()> {
    check_size("form weights", "out", "values", weights.len(), out.len())
}

pub(crate) fn check_pass(weights: &Array, of_form: &Array, gradient: &Array) -> Result<()> {
    let op = "pass gradient";
    check_size(op, "of_form", "values", weights.len(), of_form.len())?;
    check_size(op, "gradient", "values", weights.len(), gradient.len())
}
