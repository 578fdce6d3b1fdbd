//! Cross-entropy of single probabilities.

use lutweave_backend::{Backend, ElementLoss};
use lutweave_tensor::{FrameBuffer, Target};

use super::part::on_host;
use super::wanted::by_element;
use super::{Loss, PartLoss, Reduction};
use crate::Result;

/// Binary cross-entropy of answers that are probabilities already, a yes or no for each node:
/// `−t · ln y − (1 − t) · ln(1 − y)`, gradient `−t / y + (1 − t) / (1 − y)`.
///
/// Real targets are from 0 to 1; classes count as 1 at their own node and 0 at the others. `y` and
/// `1 − y` count as [`PROBABILITY_FLOOR`](super::PROBABILITY_FLOOR) where they are less.
///
/// `BinaryBrain`'s `LossBinaryCrossEntropy` is [`Reduction::FrameMean`], without a floor.
#[derive(Debug, Clone, Copy, Default)]
pub struct BinaryCrossEntropy {
    /// Over what it is averaged.
    pub reduction: Reduction,
}

impl Loss for BinaryCrossEntropy {
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
        let loss = ElementLoss::BinaryCrossEntropy;
        by_element("binary cross-entropy", loss, y, target, [0.0, 1.0], divisor, backend)
    }
}
