//! What is made of numbers before they are multiplied: signs, and fixed-point numbers.

use std::borrow::Cow;

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::activation::{ActivationKernels, TwoLevels};
use crate::weights::WeightKernels;
use crate::{FixedPoint, Result};

/// The largest number below zero: zero is above it, so that its sign is +1.
const BELOW_ZERO: f32 = -f32::from_bits(1);

/// What is made of a number before it is multiplied, or of an answer before it is given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Form {
    /// The number itself.
    #[default]
    Real,
    /// −1 below zero and where it is NaN, else 1 (Hubara et al. 2016).
    Sign,
    /// [`FixedPoint::round`].
    Rounded(FixedPoint),
    /// 1 above 0.5, else 0.
    Bit,
}

impl Form {
    /// What is made of a number.
    #[inline(always)]
    pub fn of(self, number: f32) -> f32 {
        match self {
            Self::Real => number,
            Self::Sign => {
                if number >= 0.0 {
                    1.0
                } else {
                    -1.0
                }
            }
            Self::Rounded(to) => to.round(number),
            Self::Bit => {
                if number > 0.5 {
                    1.0
                } else {
                    0.0
                }
            }
        }
    }

    /// What a bit counts as: −1 or 1 where numbers count by their sign, else what is made of 0 or 1.
    #[inline(always)]
    pub fn of_bit(self, bit: bool) -> f32 {
        match (self, bit) {
            (Self::Sign, false) => -1.0,
            (_, false) => self.of(0.0),
            (_, true) => self.of(1.0),
        }
    }

    /// Whether gradients pass only where the number is from −1 to 1: through signs. They pass straight
    /// through all else.
    pub(crate) fn has_window(self) -> bool {
        self == Self::Sign
    }

    /// Numbers or bits as they enter a product, for backends that multiply plain numbers.
    pub(crate) fn of_rows<'a>(
        self,
        x: &'a FrameBuffer,
        on: &impl ActivationKernels,
    ) -> Result<Cow<'a, FrameBuffer>> {
        let levels = |threshold, low, high| TwoLevels { threshold, low, high };
        let levels = match self {
            _ if x.dtype() == DType::Bit => levels(0.0, self.of_bit(false), self.of_bit(true)),
            Self::Real => return Ok(Cow::Borrowed(x)),
            Self::Sign => levels(BELOW_ZERO, -1.0, 1.0),
            Self::Bit => levels(0.5, 0.0, 1.0),
            Self::Rounded(to) => {
                let mut rounded = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
                on.quantise(x, to, &mut rounded)?;
                return Ok(Cow::Owned(rounded));
            }
        };
        let mut entered = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        on.levels(x, levels, &mut entered)?;
        Ok(Cow::Owned(entered))
    }

    /// `factor` times weights as they enter a product, likewise.
    pub(crate) fn of_weights<'a>(
        self,
        weights: &'a Array,
        factor: f32,
        on: &impl WeightKernels,
    ) -> Result<Cow<'a, Array>> {
        if self == Self::Real && factor.to_bits() == 1f32.to_bits() {
            return Ok(Cow::Borrowed(weights));
        }
        let mut formed = Array::zeros(weights.len())?;
        on.form_weights(weights, self, factor, &mut formed)?;
        Ok(Cow::Owned(formed))
    }
}
