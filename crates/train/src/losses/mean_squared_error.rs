//! Squared differences, for regression and auto-encoders.

use lutweave_backend::{Backend, ElementLoss};
use lutweave_tensor::{FrameBuffer, Target};

use super::part::on_host;
use super::wanted::by_element;
use super::{Loss, PartLoss, Reduction};
use crate::Result;

/// Mean squared error: `(y − t)²`, gradient `2 · (y − t)`, both divided as [`Reduction`] says.
///
/// Classes count as 1 at their own node and 0 at the others. `BinaryBrain`'s `LossMeanSquaredError`,
/// whose "mean" is [`Reduction::Mean`] and "sum" [`Reduction::Sum`].
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanSquaredError {
    /// Over what it is averaged.
    pub reduction: Reduction,
}

impl Loss for MeanSquaredError {
    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> Result<(f32, FrameBuffer)> {
        on_host(self, y, target, whole)
    }

    fn evaluate_part_on(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
        backend: &dyn Backend,
    ) -> Result<(PartLoss, FrameBuffer)> {
        let divisor = self.reduction.divisor(y.nodes(), whole)?;
        let loss = ElementLoss::SquaredError;
        by_element("mean squared error", loss, y, target, [0.0, 1.0], divisor, backend)
    }
}
