//! Steps of nearly equal length for every number.

use lutweave_backend::{Backend, Rule};
use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, bias, check_decay, check_option, check_rate, cpu};
use crate::{Hyperparameter, Result};

/// Adam (Kingma and Ba 2015), with the bias correction folded into the step size as in its
/// section 2:
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// p = p − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)
/// ```
///
/// So ε is outside the correction and works less than in the textbook form, which
/// [`AdamW`](super::AdamW) has. `BinaryBrain`'s `OptimizerAdam`.
#[derive(Debug, Clone)]
pub struct Adam {
    learning_rate: f32,
    betas: (Hyperparameter, Hyperparameter),
    epsilon: Hyperparameter,
    slots: Slots<2>,
}

impl Adam {
    /// Adam with β₁ 0.9, β₂ 0.999, ε 1e-7 (BinaryBrain's defaults).
    pub fn new(learning_rate: f32) -> Self {
        let slots = Slots::new("adam", ["m", "v"]);
        let new = Hyperparameter::new;
        Self { learning_rate, betas: (new(0.9), new(0.999)), epsilon: new(1e-7), slots }
    }

    /// How much of the mean of gradients and of the mean of squares goes on, each from 0 to below
    /// 1.
    #[must_use]
    pub fn betas(self, beta1: f32, beta2: f32) -> Self {
        Self { betas: (Hyperparameter::new(beta1), Hyperparameter::new(beta2)), ..self }
    }

    /// What is added to the root so that it is not zero; more than 0.
    #[must_use]
    pub fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon: Hyperparameter::new(epsilon), ..self }
    }
}

/// The present settings of Adam and its kin.
pub(super) fn now(
    (beta1, beta2): (Hyperparameter, Hyperparameter),
    epsilon: Hyperparameter,
) -> (f32, f32, f32) {
    (beta1.now(), beta2.now(), epsilon.now())
}

/// The checks of the settings that Adam and its kin have.
pub(super) fn check_settings(rate: f32, (beta1, beta2): (f32, f32), epsilon: f32) -> Result<()> {
    check_rate(rate)?;
    check_decay("beta1", beta1)?;
    check_decay("beta2", beta2)?;
    check_option("epsilon", epsilon, (f32::MIN_POSITIVE, f32::INFINITY), "a positive number")
}

impl Optimizer for Adam {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let (beta1, beta2, epsilon) = now(self.betas, self.epsilon);
        check_settings(learning_rate, (beta1, beta2), epsilon)?;
        let (steps, slots) = self.slots.begin(&parameters)?;
        let rate = f64::from(learning_rate) * bias(beta2, steps).sqrt() / bias(beta1, steps);
        let rule = Rule::Adam { rate: rate as f32, beta1, beta2, epsilon };
        sweep(parameters, slots, rule, backend)
    }

    fn undo_count(&mut self) {
        self.slots.undo();
    }

    fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![
            ("beta1", &mut self.betas.0),
            ("beta2", &mut self.betas.1),
            ("epsilon", &mut self.epsilon),
        ]
    }

    fn state(&self) -> Vec<StateTensor> {
        self.slots.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.slots.restore(state)
    }
}
