//! Sigmoid and binary cross-entropy in one.

use lutweave_backend::{Backend, ElementLoss};
use lutweave_tensor::{FrameBuffer, Target};

use super::part::on_host;
use super::wanted::by_element;
use super::{Loss, PartLoss, Reduction};
use crate::Result;

/// Binary cross-entropy of the sigmoid `σ(y) = 1 / (1 + e^−y)` of scores, a yes or no for each node:
/// `max(y, 0) − y · t + ln(1 + e^−|y|)`, gradient `σ(y) − t`.
///
/// This form is safe for scores of any size. Real targets are from 0 to 1; classes count as 1 at
/// their own node and 0 at the others.
///
/// `BinaryBrain`'s `LossSigmoidCrossEntropy` has the gradient of [`Reduction::FrameMean`] and reports
/// the loss of [`Reduction::Mean`]; here they belong together.
#[derive(Debug, Clone, Copy, Default)]
pub struct SigmoidCrossEntropy {
    /// Over what it is averaged.
    pub reduction: Reduction,
}

impl Loss for SigmoidCrossEntropy {
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
        let loss = ElementLoss::SigmoidCrossEntropy;
        by_element("sigmoid cross-entropy", loss, y, target, [0.0, 1.0], divisor, backend)
    }
}
