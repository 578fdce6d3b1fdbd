//! The loss of a part of a batch, wherever it is.

use lutweave_backend::Backend;
use lutweave_tensor::{Array, FrameBuffer, Target};

use super::Loss;
use crate::Result;
use crate::trainer::cpu;

/// The loss of a part of a batch, which may still lie on a device.
///
/// Reading it waits for all that the device was asked for before. So a training step reads its losses
/// when it has asked for everything else.
#[derive(Debug, Clone)]
pub struct PartLoss {
    /// One number.
    sum: Array<f64>,
    divisor: f64,
    /// Another loss, and what both are multiplied with.
    other: Option<(Box<PartLoss>, [f64; 2])>,
}

impl From<f32> for PartLoss {
    fn from(loss: f32) -> Self {
        Self { sum: vec![f64::from(loss)].into(), divisor: 1.0, other: None }
    }
}

impl PartLoss {
    /// `sum / divisor`.
    pub(super) fn mean(sum: Array<f64>, divisor: f64) -> Self {
        Self { sum, divisor, other: None }
    }

    /// `factors[0]` times this and `factors[1]` times another.
    pub(super) fn mixed(self, other: Self, factors: [f64; 2]) -> Self {
        Self { other: Some((Box::new(other), factors)), ..self }
    }

    /// The loss. Where it is mixed and one of the two is not finite, that one.
    ///
    /// # Errors
    ///
    /// What the device says.
    pub fn read(&self) -> Result<f32> {
        let own = self.sum.fetch()?.iter().sum::<f64>() / self.divisor;
        let Some((other, [of_own, of_other])) = &self.other else { return Ok(own as f32) };
        let other = other.read()?;
        // As a device sees it, which looks at each alone: as well where a factor makes it small.
        for alone in [own as f32, other] {
            if !alone.is_finite() {
                return Ok(alone);
            }
        }
        Ok((of_own * own + of_other * f64::from(other)) as f32)
    }

    /// Whether it is known, without waiting for a device, that it is not finite.
    pub(crate) fn is_known_bad(&self) -> bool {
        if self.is_there() {
            return self.other.as_ref().is_some_and(|(other, _)| other.is_known_bad())
                || self.sum.remote().is_none() && !self.sum.iter().all(|sum| sum.is_finite());
        }
        self.read().is_ok_and(|loss| !loss.is_finite())
    }

    /// Whether reading it waits for a device.
    fn is_there(&self) -> bool {
        let of_other = self.other.as_ref().is_some_and(|(other, _)| other.is_there());
        self.sum.remote().is_some() || of_other
    }
}

/// A loss on the host.
pub(super) fn on_host(
    loss: &impl Loss,
    y: &FrameBuffer,
    target: &Target,
    whole: f64,
) -> Result<(f32, FrameBuffer)> {
    let backend: &dyn Backend = cpu();
    let (loss, dy) = loss.evaluate_part_on(y, target, whole, backend)?;
    Ok((loss.read()?, dy))
}
