//! Adam with weight decay of its own.

use lutweave_backend::{Backend, Rule};
use lutweave_nn::{Parameter, StateTensor};

use super::adam::{check_settings, now};
use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, bias, check_positive, cpu};
use crate::{Hyperparameter, Result};

/// AdamW (Loshchilov and Hutter 2019): Adam whose weight decay does not pass through the moments.
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// p = p − lr·decay·p − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)
/// ```
#[derive(Debug, Clone)]
pub struct AdamW {
    learning_rate: f32,
    betas: (Hyperparameter, Hyperparameter),
    epsilon: Hyperparameter,
    weight_decay: Hyperparameter,
    slots: Slots<2>,
}

impl AdamW {
    /// AdamW with β₁ 0.9, β₂ 0.999, ε 1e-8 and weight decay 0.01.
    pub fn new(learning_rate: f32) -> Self {
        let slots = Slots::new("adamw", ["m", "v"]);
        let new = Hyperparameter::new;
        Self {
            learning_rate,
            betas: (new(0.9), new(0.999)),
            epsilon: new(1e-8),
            weight_decay: new(0.01),
            slots,
        }
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

    /// The share of each value, times the learning rate, that a step takes off; from 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay: Hyperparameter::new(weight_decay), ..self }
    }
}

impl Optimizer for AdamW {
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
        let decay = self.weight_decay.now();
        check_settings(learning_rate, (beta1, beta2), epsilon)?;
        check_positive("weight decay", decay)?;
        let (steps, slots) = self.slots.begin(&parameters)?;
        let rule = Rule::AdamW {
            keep: 1.0 - learning_rate * decay,
            rate: (f64::from(learning_rate) / bias(beta1, steps)) as f32,
            root: (1.0 / bias(beta2, steps).sqrt()) as f32,
            beta1,
            beta2,
            epsilon,
        };
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
            ("weight_decay", &mut self.weight_decay),
        ]
    }

    fn state(&self) -> Vec<StateTensor> {
        self.slots.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.slots.restore(state)
    }
}
