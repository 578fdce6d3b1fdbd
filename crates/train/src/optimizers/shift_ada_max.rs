//! AdaMax whose divisions and products are shifts.

use lutweave_backend::{Backend, Rule, power_of_two};
use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, bias, check_decay, check_rate, cpu};
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
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let (beta1, beta2) = (self.betas.0.now(), self.betas.1.now());
        check_rate(learning_rate)?;
        check_decay("beta1", beta1)?;
        check_decay("beta2", beta2)?;
        let (steps, slots) = self.slots.begin(&parameters)?;
        let rate = power_of_two((f64::from(learning_rate) / bias(beta1, steps)) as f32);
        sweep(parameters, slots, Rule::ShiftAdaMax { rate, beta1, beta2 }, backend)
    }

    fn undo_count(&mut self) {
        self.slots.undo();
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
