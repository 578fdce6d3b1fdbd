//! Binary weights that flip, without numbers behind them.

use lutweave_backend::{Backend, Rule};
use lutweave_nn::{Parameter, StateTensor};

use super::slots::Slots;
use super::sweep::sweep;
use super::{Optimizer, check_option, check_positive, cpu};
use crate::{Hyperparameter, Result};

/// Bop (Helwegen et al. 2019): weights have two values and one flips when the running mean of its
/// gradients has been against it for long.
///
/// ```text
/// m = (1 − γ)·m + γ·g
/// flip w    where |m| ≥ τ and m has the sign of w
/// ```
///
/// The two values are the ends of the parameter's range, −1 and +1 where it has none; "sign" is which
/// of them a weight is at. Weights in between are first moved to the nearer end, from the middle to
/// the upper one. γ takes the place of the learning rate, so that schedules change it. Small τ flips
/// more often; no learning rate is needed, as a step has but one size.
#[derive(Debug, Clone)]
pub struct Bop {
    gamma: f32,
    threshold: Hyperparameter,
    slots: Slots<1>,
}

impl Bop {
    /// Bop with γ, above 0 to 1, and τ, 0 or more; the paper's are 1e-4 (falling) and 1e-8.
    pub fn new(gamma: f32, threshold: f32) -> Self {
        let threshold = Hyperparameter::new(threshold);
        Self { gamma, threshold, slots: Slots::new("bop", ["m"]) }
    }
}

impl Optimizer for Bop {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let (gamma, threshold) = (learning_rate, self.threshold.now());
        check_option("gamma (the learning rate)", gamma, (0.0, 1.0f32.next_up()), "from 0 to 1")?;
        check_positive("threshold", threshold)?;
        let (_, slots) = self.slots.begin(&parameters)?;
        sweep(parameters, slots, Rule::Bop { gamma, threshold }, backend)
    }

    fn undo_count(&mut self) {
        self.slots.undo();
    }

    fn learning_rate(&self) -> f32 {
        self.gamma
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![("threshold", &mut self.threshold)]
    }

    fn state(&self) -> Vec<StateTensor> {
        self.slots.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.slots.restore(state)
    }
}
