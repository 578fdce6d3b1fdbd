//! Cross-entropy of probabilities.

use lutweave_tensor::{FrameBuffer, Target};

use super::softmax_cross_entropy::class_weight;
use super::wanted::by_element;
use super::{Loss, PROBABILITY_FLOOR, checked_whole};
use crate::Result;

/// Cross-entropy of answers that are probabilities already: `−t · ln y`, gradient `−t / y`.
///
/// Real targets are the wanted probabilities; classes count as 1 at their own node. Divided by the
/// sum of all targets, that is by the labelled frames or positions. A probability below
/// [`PROBABILITY_FLOOR`] counts as that. After a softmax,
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
        let divisor = checked_whole(whole)?;
        by_element("cross-entropy", y, target, [0.0, 1.0], divisor, |y, t| {
            if t == 0.0 {
                return (0.0, 0.0);
            }
            let y = floored(y);
            (-f64::from(t) * libm::log(f64::from(y)), -t / y)
        })
    }
}

/// The probability, at least the floor; NaN stays.
pub(super) fn floored(probability: f32) -> f32 {
    if probability < PROBABILITY_FLOOR { PROBABILITY_FLOOR } else { probability }
}
