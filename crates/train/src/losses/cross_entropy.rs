//! Cross-entropy of probabilities.

use lutweave_backend::{Backend, ElementLoss};
use lutweave_tensor::{FrameBuffer, Target};

use super::part::on_host;
use super::softmax_cross_entropy::class_weight;
use super::wanted::by_element;
use super::{Loss, PartLoss, checked_whole};
use crate::Result;

/// Cross-entropy of answers that are probabilities already: `−t · ln y`, gradient `−t / y`.
///
/// Real targets are the wanted probabilities; classes count as 1 at their own node. Divided by the
/// sum of all targets, that is by the labelled frames or positions. A probability below
/// [`PROBABILITY_FLOOR`](super::PROBABILITY_FLOOR) counts as that. After a softmax,
/// [`SoftmaxCrossEntropy`](super::SoftmaxCrossEntropy) on the scores themselves is quicker and more
/// exact.
///
/// `BinaryBrain`'s `LossCrossEntropy`, which leaves `t` out of the loss (but not of its gradient) and
/// has no floor.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn weight(&self, target: &Target) -> Result<f64> {
        class_weight("cross-entropy", target, None)
    }

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
        let divisor = checked_whole(whole)?;
        let loss = ElementLoss::CrossEntropy;
        by_element("cross-entropy", loss, y, target, [0.0, 1.0], divisor, backend)
    }
}
