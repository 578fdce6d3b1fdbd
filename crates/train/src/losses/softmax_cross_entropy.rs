//! Softmax and cross-entropy in one.

use lutweave_tensor::{FrameBuffer, Target, UNLABELLED};

use super::softmax::Softmax;
use super::wanted::{Layout, Row, Wanted, map_rows, not_taken, total};
use super::{Loss, checked_whole};
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
        evaluate(y, target, None, checked_whole(whole)?)
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
        evaluate(y, target, Some(&self.weights), checked_whole(whole)?)
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
) -> Result<(f32, FrameBuffer)> {
    let (wanted, layout) = Wanted::new(NAME, y, target)?;
    let classes = layout.classes;
    if let Some(got) = weights.map(<[f32]>::len).filter(|&length| length != classes) {
        let op = "class weights";
        return Err(lutweave_tensor::Error::Length { op, expected: classes, got }.into());
    }
    let softmax = Softmax::new(y, layout, 1.0)?;
    let weight = |class: usize| weights.map_or(1.0, |weights| weights[class]);
    let totals = totals(wanted, layout, y.frames(), &weight);
    let (losses, dy) = gradient(y, &softmax, wanted, layout, &totals, &weight, divisor as f32)?;
    Ok(((total(&losses) / divisor) as f32, dy))
}

/// The weighted sum of the targets of each position and frame.
fn totals(
    wanted: Wanted<'_>,
    layout: Layout,
    frames: usize,
    weight: &(impl Fn(usize) -> f32 + Sync),
) -> Vec<f32> {
    let mut totals = vec![0f32; layout.positions * frames];
    map_rows(&mut totals, frames, |position, totals| match wanted.row(position, layout, frames) {
        Row::Labels(labels, _) => {
            for (total, &label) in totals.iter_mut().zip(labels) {
                *total = if label == UNLABELLED { 0.0 } else { weight(label as usize) };
            }
        }
        Row::Real(_) => {
            for class in 0..layout.classes {
                let node = class * layout.positions + position;
                wanted.row(node, layout, frames).each([0.0, 1.0], |frame, t| {
                    totals[frame] += weight(class) * t;
                });
            }
        }
    });
    totals
}

/// The gradient, and the loss of each node.
fn gradient(
    y: &FrameBuffer,
    softmax: &Softmax,
    wanted: Wanted<'_>,
    layout: Layout,
    totals: &[f32],
    weight: &(impl Fn(usize) -> f32 + Sync),
    divisor: f32,
) -> Result<(Vec<f64>, FrameBuffer)> {
    let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
    let powers = softmax.powers.rows::<f32>()?;
    let mut dy = FrameBuffer::zeros(y.dtype(), y.shape(), frames)?;
    let losses = map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
        let (y, powers) = (&rows[node * stride..][..frames], &powers[node * stride..][..frames]);
        let first = node % layout.positions * frames;
        let (weight, mut loss) = (weight(node / layout.positions), 0f64);
        wanted.row(node, layout, frames).each([0.0, 1.0], |frame, t| {
            let (at, t) = (first + frame, weight * t);
            dy[frame] = (totals[at] * (powers[frame] / softmax.sums[at]) - t) / divisor;
            if t != 0.0 {
                let score = f64::from(y[frame]) - f64::from(softmax.most[at]);
                loss += f64::from(t) * (softmax.log_sum(at) - score);
            }
        });
        loss
    });
    Ok((losses, dy))
}
