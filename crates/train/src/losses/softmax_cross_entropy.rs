//! Softmax and cross-entropy in one.

use lutweave_backend::Backend;
use lutweave_tensor::{FrameBuffer, Target, UNLABELLED};

use super::part::on_host;
use super::wanted::{not_taken, wanted};
use super::{Loss, PartLoss, checked_whole};
use crate::{Error, Result};

const NAME: &str = "softmax cross-entropy";

/// Softmax cross-entropy of scores: `−Σ t · ln softmax(y)`, gradient `(Σt · softmax(y) − t) / whole`.
///
/// Softmax and sum are over the classes: for [`Target::Classes`] all nodes, else axis 0, at each
/// position. Real targets are the wanted probabilities of the classes, not negative; where they are
/// all zero, as where a label is missing, nothing is added. The mean is over what is labelled: `whole`
/// is the sum of all targets.
///
/// The largest score is subtracted first, so scores of any size are safe. `BinaryBrain`'s
/// `LossSoftmaxCrossEntropy`, without its 1e-7 inside the logarithm.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoftmaxCrossEntropy;

impl SoftmaxCrossEntropy {
    /// The same with a weight for each class, for classes of unequal size: targets count as many
    /// times, in loss, gradient and mean.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless there is a weight, and all are finite and not negative.
    pub fn weighted(self, weights: &[f32]) -> Result<WeightedSoftmaxCrossEntropy> {
        match weights.iter().find(|&&weight| !(weight >= 0.0 && weight.is_finite())) {
            None if !weights.is_empty() => {
                Ok(WeightedSoftmaxCrossEntropy { weights: weights.to_vec() })
            }
            wrong => Err(Error::Option {
                option: "class weights",
                expected: "at least one number, all finite and not negative",
                got: wrong.map_or("none".to_owned(), f32::to_string),
            }),
        }
    }
}

impl Loss for SoftmaxCrossEntropy {
    fn weight(&self, target: &Target) -> Result<f64> {
        class_weight(NAME, target, None)
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
        evaluate(y, target, None, checked_whole(whole)?, backend)
    }
}

/// [`SoftmaxCrossEntropy`] with a weight for each class; see [`SoftmaxCrossEntropy::weighted`].
#[derive(Debug, Clone)]
pub struct WeightedSoftmaxCrossEntropy {
    weights: Vec<f32>,
}

impl Loss for WeightedSoftmaxCrossEntropy {
    fn weight(&self, target: &Target) -> Result<f64> {
        class_weight(NAME, target, Some(&self.weights))
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
        evaluate(y, target, Some(&self.weights), checked_whole(whole)?, backend)
    }
}

/// The sum of all targets, each times the weight of its class.
pub(super) fn class_weight(
    op: &'static str,
    target: &Target,
    weights: Option<&[f32]>,
) -> Result<f64> {
    let labels = |labels: &[u32]| -> f64 {
        let labels = labels.iter().filter(|&&label| label != UNLABELLED);
        // A label that is no class is refused with the answer, where the classes are known.
        let weight = |&label: &u32| match weights {
            Some(weights) => weights.get(label as usize).copied().map_or(0.0, f64::from),
            None => 1.0,
        };
        labels.map(weight).fold(0.0, |sum, weight| sum + weight)
    };
    match target.own() {
        Target::Classes(all) => Ok(labels(all)),
        Target::Pixels(map) => {
            (0..map.nodes()).try_fold(0.0, |sum, node| Ok(sum + labels(map.row(node)?)))
        }
        Target::Real(values) => {
            let classes = values.shape().first().copied().unwrap_or(1);
            let (positions, mut sum) = (values.nodes() / classes, 0.0);
            for node in 0..values.nodes() {
                let weight = weights.and_then(|weights| weights.get(node / positions));
                let row = values.row::<f32>(node)?;
                if let Some(value) = row.iter().find(|&&value| value < 0.0 || value.is_nan()) {
                    return Err(Error::Option {
                        option: "real targets of a cross-entropy",
                        expected: "numbers that are not negative",
                        got: value.to_string(),
                    });
                }
                let row: f64 = row.iter().map(|&value| f64::from(value)).sum();
                sum += row * weight.map_or(1.0, |&weight| f64::from(weight));
            }
            Ok(sum)
        }
        other => Err(not_taken(op, "classes or probabilities", other)),
    }
}

fn evaluate(
    y: &FrameBuffer,
    target: &Target,
    weights: Option<&[f32]>,
    divisor: f64,
    backend: &dyn Backend,
) -> Result<(PartLoss, FrameBuffer)> {
    let (wanted, layout) = wanted(NAME, y, target)?;
    let classes = layout.classes;
    if let Some(got) = weights.map(<[f32]>::len).filter(|&length| length != classes) {
        let op = "class weights";
        return Err(lutweave_tensor::Error::Length { op, expected: classes, got }.into());
    }
    let mut dy = FrameBuffer::zeros(y.dtype(), y.shape(), y.frames())?;
    let sum = backend.softmax_cross_entropy(y, layout, wanted, weights, divisor as f32, &mut dy);
    Ok((PartLoss::mean(sum.map_err(lutweave_nn::Error::from)?, divisor), dy))
}
