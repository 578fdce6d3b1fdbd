//! Steps that shrink where gradients were large.

use lutweave_backend::{Backend, Rule};
use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, check_positive, check_rate, cpu};
use crate::{Hyperparameter, Result};

/// AdaGrad (Duchi, Hazan and Singer 2011), as in `BinaryBrain`'s `OptimizerAdaGrad`:
///
/// ```text
/// h = h + g²        p = p − lr · g / (√h + ε)
/// ```
#[derive(Debug, Clone)]
pub struct AdaGrad {
    learning_rate: f32,
    epsilon: Hyperparameter,
    slots: Slots<1>,
}

impl AdaGrad {
    /// AdaGrad with ε 1e-7.
    pub fn new(learning_rate: f32) -> Self {
        let slots = Slots::new("adagrad", ["h"]);
        Self { learning_rate, epsilon: Hyperparameter::new(1e-7), slots }
    }

    /// What is added to the root so that it is not zero; 0 or more.
    #[must_use]
    pub fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon: Hyperparameter::new(epsilon), ..self }
    }
}

impl Optimizer for AdaGrad {
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
        let epsilon = self.epsilon.now();
        check_positive("epsilon", epsilon)?;
        let (_, slots) = self.slots.begin(&parameters)?;
        sweep(parameters, slots, Rule::AdaGrad { rate: learning_rate, epsilon }, backend)
    }

    fn undo_count(&mut self) {
        self.slots.undo();
    }

    fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![("epsilon", &mut self.epsilon)]
    }

    fn state(&self) -> Vec<StateTensor> {
        self.slots.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.slots.restore(state)
    }
}
