//! What is done to gradients before an optimizer goes on with them.

use std::fmt::Debug;

use lutweave_backend::Backend;
use lutweave_nn::{Parameter, StateTensor};

use super::{Optimizer, cpu};
use crate::{Hyperparameter, Result};

/// Changes gradients before an update: clipping, or terms of the loss that depend on parameters alone.
pub trait Adjust: Debug + Send {
    /// Changes the gradients where they are; those of frozen parameters are cleared by the update, not used.
    ///
    /// # Errors
    ///
    /// [`Error::Option`](crate::Error::Option) for a setting out of range, and what the device says.
    fn adjust(&mut self, parameters: &mut [&mut Parameter], backend: &dyn Backend) -> Result<()>;

    /// Its one setting, by the name that a [`Drive`](crate::Drive) knows it by.
    fn hyperparameter(&mut self) -> (&'static str, &mut Hyperparameter);
}

/// An optimizer that goes on with changed gradients. Its hyperparameters are that of the change, then its
/// own; all else is its own.
#[derive(Debug, Clone)]
pub struct Adjusted<O, A> {
    inner: O,
    pub(super) adjust: A,
}

impl<O: Optimizer, A: Adjust> Adjusted<O, A> {
    /// An optimizer, and what is done before it.
    pub fn new(inner: O, adjust: A) -> Self {
        Self { inner, adjust }
    }
}

impl<O: Optimizer, A: Adjust> Optimizer for Adjusted<O, A> {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        mut parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        self.adjust.adjust(&mut parameters, backend)?;
        self.inner.update_on(parameters, learning_rate, backend)
    }

    fn undo_count(&mut self) {
        self.inner.undo_count();
    }

    fn learning_rate(&self) -> f32 {
        self.inner.learning_rate()
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        let mut all = vec![self.adjust.hyperparameter()];
        all.extend(self.inner.hyperparameters());
        all
    }

    fn state(&self) -> Vec<StateTensor> {
        self.inner.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.inner.restore(state)
    }
}
