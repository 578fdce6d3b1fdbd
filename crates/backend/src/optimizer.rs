//! One step of an optimizer: how parameters follow their gradients.

use lutweave_tensor::Array;

use crate::Result;
use crate::check::check_size;

/// What an optimizer does to one number `p` with gradient `g`, and with what it remembers of it.
///
/// Step counts and schedules are in the numbers given here, so that a rule is the same for every
/// number of a step. The papers are named where the optimizers are.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// `p − rate · (g + decay · p)`. Remembers nothing.
    #[allow(missing_docs)]
    Sgd { rate: f32, decay: f32 },
    /// `g ← g + decay · p`, `m ← momentum · m + g`, then `p − rate · m`, or with `nesterov`
    /// `p − rate · (g + momentum · m)`. Remembers `m`.
    #[allow(missing_docs)]
    Momentum { rate: f32, decay: f32, momentum: f32, nesterov: bool },
    /// `h ← h + g²`, `p − rate · g / (√h + epsilon)`; `p` where that divides by zero. Remembers `h`.
    #[allow(missing_docs)]
    AdaGrad { rate: f32, epsilon: f32 },
    /// `m ← m + (1 − beta1) · (g − m)`, `v ← v + (1 − beta2) · (g² − v)`, then
    /// `p − rate · m / (√v + epsilon)`. Remembers `m`, `v`.
    #[allow(missing_docs)]
    Adam { rate: f32, beta1: f32, beta2: f32, epsilon: f32 },
    /// Moments as those of [`Adam`](Self::Adam), then
    /// `keep · p − rate · m / (root · √v + epsilon)`. Remembers `m`, `v`.
    #[allow(missing_docs)]
    AdamW { keep: f32, rate: f32, root: f32, beta1: f32, beta2: f32, epsilon: f32 },
    /// `m ← beta1 · m + (1 − beta1) · g`, `v ← max(beta2 · v, |g|)`, then
    /// `p − rate · m / AP2(v)` with the nearest [power of two](power_of_two); `p` where `v` is zero.
    /// Remembers `m`, `v`.
    #[allow(missing_docs)]
    ShiftAdaMax { rate: f32, beta1: f32, beta2: f32 },
    /// `m ← (1 − gamma) · m + gamma · g`; `p`, moved to the nearer end of its range (−1 to 1 where it
    /// has none), goes to the other end where `m` pulls it there by `threshold` or more. Remembers `m`.
    #[allow(missing_docs)]
    Bop { gamma: f32, threshold: f32 },
}

impl Rule {
    /// Numbers remembered of each number.
    pub fn slots(&self) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } | Self::AdaGrad { .. } | Self::Bop { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } | Self::ShiftAdaMax { .. } => 2,
        }
    }
}

/// An array that is trained.
#[derive(Debug)]
pub struct Trained<'a> {
    /// The numbers.
    pub values: &'a mut Array,
    /// Their gradients.
    pub gradient: &'a mut Array,
    /// What is remembered of them: [`Rule::slots`] arrays as long as they are.
    pub slots: &'a mut [Array],
    /// The range to which they are clamped.
    pub range: Option<(f32, f32)>,
}

impl Trained<'_> {
    /// The range as two numbers, infinite where there is none.
    pub(crate) fn limits(&self) -> (f32, f32) {
        self.range.unwrap_or((f32::NEG_INFINITY, f32::INFINITY))
    }

    /// The two values of binary weights.
    pub(crate) fn ends(&self) -> (f32, f32) {
        self.range.unwrap_or((-1.0, 1.0))
    }
}

/// The optimizers.
pub trait OptimizerKernels {
    /// One step: every number of every array by the same rule, clamped to the range of its array
    /// (NaN stays, so that it is seen); what is remembered changes, and all gradients become zero.
    ///
    /// One pass, `8 · (2 + slots)` bytes a number: memory is the bound. The same bits for any number
    /// of threads, every instruction set and every backend but the reference, which computes in f64.
    ///
    /// In a [`step`](crate::Backend::step) where something was not finite nothing changes, gradients
    /// neither: see [`is_held`](crate::FiniteKernels::is_held).
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) where arrays of one [`Trained`] are not equally long or it
    /// has another number of slots than the rule.
    fn update(&self, rule: Rule, trained: Vec<Trained<'_>>) -> Result<()>;
}

/// Checks the lengths of all arrays.
pub(crate) fn check_trained(rule: Rule, trained: &[Trained<'_>]) -> Result<()> {
    let op = "update";
    for all in trained {
        let length = all.values.len();
        check_size(op, "gradient", "values", length, all.gradient.len())?;
        check_size(op, "what is remembered", "arrays", rule.slots(), all.slots.len())?;
        for slot in &*all.slots {
            check_size(op, "what is remembered", "values", length, slot.len())?;
        }
    }
    Ok(())
}

/// The power of two nearest to a positive number in logarithm, `2^round(log₂ x)`; half-way is √2, which
/// no number is. Exact; infinite past the largest power, zero below the smallest normal number.
#[inline(always)]
pub fn power_of_two(x: f32) -> f32 {
    /// Fraction bits of the last number below √2.
    const BELOW_ROOT: u32 = 0x0035_04F3;
    const FRACTION: u32 = (1 << 23) - 1;
    let bits = x.to_bits();
    let up = u32::from(bits & FRACTION > BELOW_ROOT);
    let exponent = (bits >> 23) & 0xFF;
    if exponent == 0 || exponent == 0xFF {
        return if exponent == 0 { 0.0 } else { x };
    }
    f32::from_bits((exponent + up) << 23)
}
