//! Optimizers: how parameters follow their gradients.
//!
//! Each is a [`Rule`](lutweave_backend::Rule) for one number, which a backend runs over all of them in
//! one pass: new value, clamp to the parameter's range, gradient cleared. The pass is near memory
//! bandwidth for large networks, and gives the same bits for any number of threads, on every
//! instruction set, and on GPUs.

mod ada_grad;
mod adam;
mod adam_w;
mod adjusted;
mod bop;
mod clip;
mod encoder_cost;
mod groups;
mod sgd;
mod shift_ada_max;
mod slots;
mod sweep;
#[cfg(test)]
mod tests;
mod walsh_penalty;

use std::fmt::Debug;

use lutweave_backend::Backend;
use lutweave_nn::{Parameter, StateTensor};

pub use self::ada_grad::AdaGrad;
pub use self::adam::Adam;
pub use self::adam_w::AdamW;
pub use self::adjusted::{Adjust, Adjusted};
pub use self::bop::Bop;
pub use self::clip::Clip;
pub use self::encoder_cost::EncoderCost;
pub use self::groups::Groups;
pub use self::sgd::Sgd;
pub use self::shift_ada_max::ShiftAdaMax;
pub use self::walsh_penalty::WalshPenalty;
use crate::trainer::cpu;
use crate::{Error, Hyperparameter, Result};

/// Changes parameters along their gradients.
pub trait Optimizer: Debug + Send {
    /// One update with the given learning rate: changes the values, clamps them to the parameter's
    /// range and clears the gradients. Parameters come in the same order every time. Frozen ones
    /// keep their values.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for settings out of range, [`Error::State`] when the parameters are not
    /// those of the update before or of the restored state.
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()>;

    /// [`update`](Self::update) where the parameters are: on a GPU nothing crosses to the host. The
    /// same bits. As it is here, it is the update on the host, which is what an optimizer without a
    /// kernel has.
    ///
    /// In a step that is [held](lutweave_backend::FiniteKernels::is_held) no number changes. One with a kernel
    /// does not wait to know: [`undo_count`](Self::undo_count) follows.
    ///
    /// # Errors
    ///
    /// As that, and what the device says.
    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        if backend.is_held().map_err(lutweave_nn::Error::from)? {
            return Ok(());
        }
        self.update(parameters, learning_rate)
    }

    /// Takes back what the last [`update_on`](Self::update_on) counted on the host, because the device
    /// held it and has changed nothing: the optimizer is then as it was before. Without effect on one that
    /// counts nothing, or has no kernel.
    fn undo_count(&mut self) {}

    /// The learning rate before any schedule.
    fn learning_rate(&self) -> f32;

    /// The settings besides the learning rate that a [`Drive`](crate::Drive) can change, by name.
    /// Several may have one name, those of groups for instance: they are scaled alike.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        Vec::new()
    }

    /// What it has gathered: step counts and moments, as named arrays. Settings are not among them.
    fn state(&self) -> Vec<StateTensor>;

    /// Takes over what [`state`](Self::state) of an optimizer of the same kind gave: training then
    /// goes on as if it had not stopped.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is of something else. Nothing is changed then.
    fn restore(&mut self, state: &[StateTensor]) -> Result<()>;
}

impl<O: Optimizer + ?Sized> Optimizer for Box<O> {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        (**self).update(parameters, learning_rate)
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        (**self).update_on(parameters, learning_rate, backend)
    }

    fn undo_count(&mut self) {
        (**self).undo_count();
    }

    fn learning_rate(&self) -> f32 {
        (**self).learning_rate()
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        (**self).hyperparameters()
    }

    fn state(&self) -> Vec<StateTensor> {
        (**self).state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        (**self).restore(state)
    }
}

/// Refuses a setting that is not from `low` to `high`, `high` itself left out; NaN never is.
fn check_option(
    option: &'static str,
    value: f32,
    (low, high): (f32, f32),
    expected: &'static str,
) -> Result<()> {
    if (low..high).contains(&value) {
        return Ok(());
    }
    Err(Error::Option { option, expected, got: value.to_string() })
}

/// A factor of decay: from 0, to below 1.
fn check_decay(option: &'static str, value: f32) -> Result<()> {
    check_option(option, value, (0.0, 1.0), "from 0 to below 1")
}

/// A number from 0 that is finite.
fn check_positive(option: &'static str, value: f32) -> Result<()> {
    check_option(option, value, (0.0, f32::INFINITY), "a finite number that is not negative")
}

fn check_rate(value: f32) -> Result<()> {
    check_positive("learning rate", value)
}

/// `1 − decayˢᵗᵉᵖˢ`, by which moments that began at zero are too small.
fn bias(decay: f32, steps: u32) -> f64 {
    1.0 - libm::pow(f64::from(decay), f64::from(steps))
}
