//! Losses: how wrong the answers of a batch are, and in which direction.
//!
//! # Means, and batches in parts
//!
//! A loss is a sum over frames, positions and nodes, divided by what the mini-batch weighs
//! ([`Loss::weight`]: mostly its labelled frames). So that a mini-batch may go through the network
//! in parts, with gradients added up, [`Loss::evaluate_part`] takes the weight of the *whole*
//! mini-batch: the gradients of the parts are then bit for bit those of the whole, and the losses of
//! the parts add up to its loss.
//!
//! ```
//! use lutweave_tensor::{FrameBuffer, Target};
//! use lutweave_train::{Loss, SoftmaxCrossEntropy};
//!
//! let part = |y: &[f32], label| {
//!     let target = Target::Classes(vec![label]);
//!     let y = FrameBuffer::from_frames(&[2], y)?;
//!     SoftmaxCrossEntropy.evaluate_part(&y, &target, 2.0) // of a mini-batch of two frames
//! };
//! let whole = FrameBuffer::from_frames(&[2], &[0.5f32, -1.0, 2.0, 0.0])?;
//! let (loss, _) = SoftmaxCrossEntropy.evaluate(&whole, &Target::Classes(vec![0, 1]))?;
//! let sum = part(&[0.5, -1.0], 0)?.0 + part(&[2.0, 0.0], 1)?.0;
//! assert!((loss - sum).abs() < 1e-6);
//! # Ok::<(), lutweave_train::Error>(())
//! ```
//!
//! Losses are summed in f64 in the order of the nodes, so they are the same bits for any number of
//! threads. Exponentials and logarithms come from `libm`, the same on every platform.

mod balanced;
mod binary_cross_entropy;
mod cross_entropy;
mod distillation;
mod feature_matching;
mod mean_squared_error;
mod part;
mod sigmoid_cross_entropy;
mod softmax_cross_entropy;
mod squared_hinge;
#[cfg(test)]
mod testing;
pub(crate) mod wanted;

use std::fmt::Debug;

use lutweave_backend::Backend;
pub use lutweave_backend::PROBABILITY_FLOOR;
use lutweave_tensor::{FrameBuffer, Target};

pub use self::balanced::balanced_weights;
pub use self::binary_cross_entropy::BinaryCrossEntropy;
pub use self::cross_entropy::CrossEntropy;
pub use self::distillation::Distillation;
pub use self::feature_matching::FeatureMatching;
pub use self::mean_squared_error::MeanSquaredError;
pub use self::part::PartLoss;
pub use self::sigmoid_cross_entropy::SigmoidCrossEntropy;
pub use self::softmax_cross_entropy::{SoftmaxCrossEntropy, WeightedSoftmaxCrossEntropy};
pub use self::squared_hinge::SquaredHinge;
use crate::{Error, Hyperparameter, Result};

/// How wrong the answers of a batch are, and in which direction.
///
/// Answers `y` are buffers of f32. [`Target::Classes`] are one class per frame, each node of `y`
/// being the score of one class; [`Target::Pixels`] one class per position, axis 0 of `y` being the
/// classes; [`Target::Real`] as many numbers as `y` has nodes. What is
/// [`UNLABELLED`](lutweave_tensor::UNLABELLED) adds nothing to loss, weight and gradient. Of a target
/// with a teacher's scores, losses that need no teacher take the target itself.
pub trait Loss: Debug + Send + Sync {
    /// What a target weighs: the mean loss of a batch is the sum of its losses divided by this.
    ///
    /// Unless a loss says otherwise the number of labelled frames; of positions, the labelled ones
    /// divided by the positions of a frame.
    ///
    /// # Errors
    ///
    /// When the target is not of a kind that the loss takes.
    fn weight(&self, target: &Target) -> Result<f64> {
        Ok(wanted::labelled_frames(target))
    }

    /// What a part of a mini-batch adds to its mean loss, and the gradient of that with respect to
    /// `y`. `whole` is the weight of the whole mini-batch, the sum of the
    /// [`weight`](Self::weight)s of its parts.
    ///
    /// # Errors
    ///
    /// When `y` is not of f32, the target is not of as many frames as `y`, has a label that is no
    /// class, or is of a kind that the loss does not take; when `whole` is negative or not finite.
    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> Result<(f32, FrameBuffer)>;

    /// [`evaluate_part`](Self::evaluate_part) where the answers are: on a GPU nothing crosses before the
    /// loss is read. As it is here it is the same on the host, which is what a loss without a kernel has.
    ///
    /// # Errors
    ///
    /// As that, and what the device says.
    fn evaluate_part_on(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
        _backend: &dyn Backend,
    ) -> Result<(PartLoss, FrameBuffer)> {
        let (loss, dy) = self.evaluate_part(y, target, whole)?;
        Ok((loss.into(), dy))
    }

    /// The settings that a [`Drive`](crate::Drive) can change, by name.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        Vec::new()
    }

    /// The mean loss of a batch, and its gradient with respect to `y`. Zero, both, when nothing is
    /// labelled.
    ///
    /// # Errors
    ///
    /// As [`evaluate_part`](Self::evaluate_part).
    fn evaluate(&self, y: &FrameBuffer, target: &Target) -> Result<(f32, FrameBuffer)> {
        self.evaluate_part(y, target, self.weight(target)?)
    }
}

impl<L: Loss + ?Sized> Loss for Box<L> {
    fn weight(&self, target: &Target) -> Result<f64> {
        (**self).weight(target)
    }

    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> Result<(f32, FrameBuffer)> {
        (**self).evaluate_part(y, target, whole)
    }

    fn evaluate_part_on(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
        backend: &dyn Backend,
    ) -> Result<(PartLoss, FrameBuffer)> {
        (**self).evaluate_part_on(y, target, whole, backend)
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        (**self).hyperparameters()
    }
}

/// Over what the losses of single nodes are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Reduction {
    /// The mean over nodes and frames.
    #[default]
    Mean,
    /// The sum over the nodes of a frame, the mean over frames.
    FrameMean,
    /// The sum over nodes and frames.
    Sum,
}

impl Reduction {
    /// By what the sum over `nodes` and frames is divided in a mini-batch of this weight; infinite
    /// where the weight is zero, so that nothing comes of nothing.
    fn divisor(self, nodes: usize, whole: f64) -> Result<f64> {
        let whole = checked_whole(whole)?;
        Ok(match self {
            Self::Mean => nodes as f64 * whole,
            Self::FrameMean => whole,
            Self::Sum => 1.0,
        })
    }
}

/// The weight of a mini-batch as a divisor.
fn checked_whole(whole: f64) -> Result<f64> {
    if whole >= 0.0 && whole.is_finite() {
        return Ok(if whole > 0.0 { whole } else { f64::INFINITY });
    }
    let expected = "a finite number that is not negative";
    Err(Error::Option { option: "weight of the mini-batch", expected, got: whole.to_string() })
}

#[cfg(test)]
mod tests;
