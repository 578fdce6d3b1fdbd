//! Steps that shrink where gradients were large.

use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::{Rule, sweep};
use super::{Optimizer, check_positive, check_rate};
use crate::Result;

/// AdaGrad (Duchi, Hazan and Singer 2011), as in `BinaryBrain`'s `OptimizerAdaGrad`:
///
/// ```text
/// h = h + g²        p = p − lr · g / (√h + ε)
/// ```
#[derive(Debug, Clone)]
pub struct AdaGrad {
    learning_rate: f32,
    epsilon: f32,
    slots: Slots<1>,
}

impl AdaGrad {
    /// AdaGrad with ε 1e-7.
    pub fn new(learning_rate: f32) -> Self {
        Self { learning_rate, epsilon: 1e-7, slots: Slots::new("adagrad", ["h"]) }
    }

    /// What is added to the root so that it is not zero; 0 or more.
    #[must_use]
    pub fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }
}

impl Optimizer for AdaGrad {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        check_rate(learning_rate)?;
        check_positive("epsilon", self.epsilon)?;
        let (_, slots) = self.slots.begin(&parameters)?;
        sweep(parameters, slots, Step { rate: learning_rate, epsilon: self.epsilon });
        Ok(())
    }

    fn learning_rate(&self) -> f32 {
        self.learning_rate
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
    epsilon: f32,
}

impl Rule<1> for Step {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [h]: &mut [f32; 1]) -> f32 {
        *h += gradient * gradient;
        // Without an epsilon, a number that never had a gradient stays.
        let root = h.sqrt() + self.epsilon;
        if root > 0.0 { value - self.rate * gradient / root } else { value }
    }
}
