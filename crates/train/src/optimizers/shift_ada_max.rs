//! AdaMax whose divisions and products are shifts.

use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::{Rule, sweep};
use super::{Optimizer, bias, check_decay, check_rate};
use crate::{Hyperparameter, Result};

/// Shift-based AdaMax (Courbariaux et al. 2016, algorithm 4): AdaMax in which step size and scale are
/// powers of two, so that hardware that trains needs no multiplier for them.
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = max(β₂·v, |g|)
/// p = p − AP2(lr / (1 − β₁ᵗ)) · m · AP2(1 / v)
/// ```
///
/// `AP2(x)` is the power of two nearest to `x` in logarithm, `2^round(log₂ x)`. `v` itself is not
/// rounded: it is rounded in the quotient alone (the released Torch code overwrites it). A number that
/// never had a gradient stays as it is. Any learning rate is rounded to a power of two;
/// [`Schedule::Shift`](crate::Schedule::Shift) keeps to them.
#[derive(Debug, Clone)]
pub struct ShiftAdaMax {
    learning_rate: f32,
    betas: (Hyperparameter, Hyperparameter),
    slots: Slots<2>,
}

impl ShiftAdaMax {
    /// With the paper's 1 − β₁ = 2⁻³ and 1 − β₂ = 2⁻¹⁰; its learning rates are 2⁻¹⁰ to 2⁻⁶.
    pub fn new(learning_rate: f32) -> Self {
        let new = Hyperparameter::new;
        let betas = (new(1.0 - 1.0 / 8.0), new(1.0 - 1.0 / 1024.0));
        Self { learning_rate, betas, slots: Slots::new("shift-based adamax", ["m", "v"]) }
    }

    /// How much of the mean of gradients and of the largest gradient goes on, each from 0 to
    /// below 1.
    #[must_use]
    pub fn betas(self, beta1: f32, beta2: f32) -> Self {
        Self { betas: (Hyperparameter::new(beta1), Hyperparameter::new(beta2)), ..self }
    }
}

impl Optimizer for ShiftAdaMax {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        let (beta1, beta2) = (self.betas.0.now(), self.betas.1.now());
        check_rate(learning_rate)?;
        check_decay("beta1", beta1)?;
        check_decay("beta2", beta2)?;
        let (steps, slots) = self.slots.begin(&parameters)?;
        let rate = power_of_two((f64::from(learning_rate) / bias(beta1, steps)) as f32);
        sweep(parameters, slots, Step { rate, beta1, beta2 });
        Ok(())
    }

    fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![("beta1", &mut self.betas.0), ("beta2", &mut self.betas.1)]
    }

    fn state(&self) -> Vec<StateTensor> {
        self.slots.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.slots.restore(state)
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    rate: f32,
    beta1: f32,
    beta2: f32,
}

impl Rule<2> for Step {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m, v]: &mut [f32; 2]) -> f32 {
        *m = self.beta1 * *m + (1.0 - self.beta1) * gradient;
        let (decayed, size) = (self.beta2 * *v, gradient.abs());
        *v = if decayed > size { decayed } else { size };
        // 1 / AP2(v) is AP2(1 / v): no number is half-way between two powers.
        if *v > 0.0 { value - self.rate * *m / power_of_two(*v) } else { value }
    }
}

/// The power of two nearest to a positive number in logarithm; half-way is √2, which no number is.
/// Exact; infinite past the largest power, zero below the smallest normal number.
#[inline(always)]
pub(super) fn power_of_two(x: f32) -> f32 {
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
