//! Gradient descent.

use lutweave_backend::{Backend, Rule};
use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, check_decay, check_positive, check_rate, cpu};
use crate::{Hyperparameter, Result};

/// Stochastic gradient descent, with momentum where wanted (Sutskever et al. 2013):
///
/// ```text
/// g = g + decay · p        m = momentum · m + g
/// p = p − lr · m           with Nesterov: p − lr · (g + momentum · m)
/// ```
///
/// Without momentum it remembers nothing.
#[derive(Debug, Clone)]
pub struct Sgd {
    learning_rate: f32,
    momentum: Hyperparameter,
    nesterov: bool,
    weight_decay: Hyperparameter,
    plain: Slots<0>,
    moving: Slots<1>,
}

impl Sgd {
    /// Plain descent: no momentum, no weight decay.
    pub fn new(learning_rate: f32) -> Self {
        Self {
            learning_rate,
            momentum: Hyperparameter::new(0.0),
            nesterov: false,
            weight_decay: Hyperparameter::new(0.0),
            plain: Slots::new("sgd", []),
            moving: Slots::new("sgd", ["m"]),
        }
    }

    /// The share of the last step that goes on, from 0 to below 1; often 0.9.
    #[must_use]
    pub fn momentum(self, momentum: f32) -> Self {
        Self { momentum: Hyperparameter::new(momentum), ..self }
    }

    /// Whether to look ahead by the momentum (Nesterov).
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// How much of each value is added to its gradient, from 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay: Hyperparameter::new(weight_decay), ..self }
    }

    /// Whether it has momentum, even if a schedule has brought it to zero at present.
    fn moves(&self) -> bool {
        self.momentum.own() > 0.0
    }
}

impl Optimizer for Sgd {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        check_rate(learning_rate)?;
        let (decay, momentum) = (self.weight_decay.now(), self.momentum.now());
        check_decay("momentum", momentum)?;
        check_positive("weight decay", decay)?;
        if self.moves() {
            let nesterov = self.nesterov;
            let rule = Rule::Momentum { rate: learning_rate, decay, momentum, nesterov };
            let (_, slots) = self.moving.begin(&parameters)?;
            sweep(parameters, slots, rule, backend)
        } else {
            let (_, slots) = self.plain.begin(&parameters)?;
            sweep(parameters, slots, Rule::Sgd { rate: learning_rate, decay }, backend)
        }
    }

    fn undo_count(&mut self) {
        if self.moves() {
            self.moving.undo();
        } else {
            self.plain.undo();
        }
    }

    fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![("momentum", &mut self.momentum), ("weight_decay", &mut self.weight_decay)]
    }

    fn state(&self) -> Vec<StateTensor> {
        if self.moves() { self.moving.state() } else { self.plain.state() }
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        if self.moves() { self.moving.restore(state) } else { self.plain.restore(state) }
    }
}
