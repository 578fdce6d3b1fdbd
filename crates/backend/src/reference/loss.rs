//! Losses, one number at a time in f64.

use lutweave_tensor::{Array, FrameBuffer, UNLABELLED};

use crate::loss::{
    ElementLoss, Layout, LossKernels, PROBABILITY_FLOOR, Row, Wanted, check_distillation,
    check_loss,
};
use crate::{Reference, Result};

/// What is wanted of one node in one frame; none where that is not labelled.
fn wanted_of(
    wanted: Wanted<'_>,
    layout: Layout,
    levels: [f32; 2],
    (node, frame, frames): (usize, usize, usize),
) -> Option<f64> {
    match wanted.row(node, layout, frames) {
        Row::Labels(labels, _) if labels[frame] == UNLABELLED => None,
        Row::Labels(labels, class) => Some(levels[usize::from(labels[frame] == class)].into()),
        Row::Real(values) => Some(values[frame].into()),
    }
}

/// Loss and slope of an answer.
fn element(loss: ElementLoss, y: f64, t: f64) -> (f64, f64) {
    let floored =
        |p: f64| if p < f64::from(PROBABILITY_FLOOR) { PROBABILITY_FLOOR.into() } else { p };
    match loss {
        ElementLoss::SquaredError => ((y - t).powi(2), 2.0 * (y - t)),
        ElementLoss::SquaredHinge => {
            let short = if t * y > 1.0 { 0.0 } else { 1.0 - t * y };
            (short * short, -2.0 * t * short)
        }
        ElementLoss::SigmoidCrossEntropy => {
            let value = y.max(0.0) - y * t + (-y.abs()).exp().ln_1p();
            (value, 1.0 / (1.0 + (-y).exp()) - t)
        }
        ElementLoss::CrossEntropy if t == 0.0 => (0.0, 0.0),
        ElementLoss::CrossEntropy => (-t * floored(y).ln(), -t / floored(y)),
        ElementLoss::BinaryCrossEntropy => {
            let (yes, no) = (floored(y), floored(1.0 - y));
            (-t * yes.ln() - (1.0 - t) * no.ln(), (1.0 - t) / no - t / yes)
        }
    }
}

impl LossKernels for Reference {
    fn softmax_cross_entropy(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        weights: Option<&[f32]>,
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_loss("softmax cross-entropy", y, layout, wanted, weights, Some(dy))?;
        let (mut sum, frames) = (0.0, y.frames());
        for frame in 0..frames {
            for position in 0..layout.positions {
                let node = |class: usize| class * layout.positions + position;
                let (mut scores, mut targets) = (Vec::new(), Vec::new());
                for class in 0..layout.classes {
                    scores.push(f64::from(y.row::<f32>(node(class))?[frame]));
                    let at = (node(class), frame, frames);
                    let t = wanted_of(wanted, layout, [0.0, 1.0], at).unwrap_or(0.0);
                    targets.push(t * weights.map_or(1.0, |weights| f64::from(weights[class])));
                }
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let all: f64 = scores.iter().map(|score| (score - most).exp()).sum();
                let target: f64 = targets.iter().sum();
                for (class, (score, t)) in scores.iter().zip(&targets).enumerate() {
                    let log = score - most - all.ln();
                    sum -= if *t == 0.0 { 0.0 } else { t * log };
                    let slope = (target * log.exp() - t) / f64::from(divisor);
                    dy.row_mut::<f32>(node(class))?[frame] = slope as f32;
                }
            }
        }
        Ok(vec![sum].into())
    }

    fn element_loss(
        &self,
        loss: ElementLoss,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        levels: [f32; 2],
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_loss("element loss", y, layout, wanted, None, Some(dy))?;
        let mut sum = 0.0;
        for node in 0..y.nodes() {
            for frame in 0..y.frames() {
                let at = (node, frame, y.frames());
                let answer = f64::from(y.row::<f32>(node)?[frame]);
                let (value, slope) = wanted_of(wanted, layout, levels, at)
                    .map_or((0.0, 0.0), |t| element(loss, answer, t));
                sum += value;
                dy.row_mut::<f32>(node)?[frame] = (slope / f64::from(divisor)) as f32;
            }
        }
        Ok(vec![sum].into())
    }

    fn distillation(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        teacher: &FrameBuffer,
        temperature: f32,
        (keep, scale): (f32, f32),
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_distillation(y, layout, teacher, dy)?;
        let mut sum = 0.0;
        // The logarithm of the softmax over the classes of one position and frame.
        let logs = |x: &FrameBuffer, position: usize, frame: usize| -> Result<Vec<f64>> {
            let score = |class: usize| -> Result<f64> {
                let row = x.row::<f32>(class * layout.positions + position)?;
                Ok(f64::from(row[frame]) / f64::from(temperature))
            };
            let scores: Vec<f64> = (0..layout.classes).map(score).collect::<Result<_>>()?;
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let all: f64 = scores.iter().map(|score| (score - most).exp()).sum();
            Ok(scores.into_iter().map(|score| score - most - all.ln()).collect())
        };
        for position in 0..layout.positions {
            for frame in 0..y.frames() {
                let (p, q) = (logs(teacher, position, frame)?, logs(y, position, frame)?);
                for (class, (p, q)) in p.into_iter().zip(q).enumerate() {
                    sum += if p.exp() == 0.0 { 0.0 } else { p.exp() * (p - q) };
                    let dy = &mut dy.row_mut::<f32>(class * layout.positions + position)?[frame];
                    let slope = f64::from(scale) * (q.exp() - p.exp());
                    *dy = (f64::from(keep) * f64::from(*dy) + slope) as f32;
                }
            }
        }
        Ok(vec![sum].into())
    }

    fn right(&self, y: &FrameBuffer, layout: Layout, wanted: Wanted<'_>) -> Result<[u64; 2]> {
        check_loss("right answers", y, layout, wanted, None, None)?;
        let mut counts = [0u64; 2];
        for frame in 0..y.frames() {
            for position in 0..layout.positions {
                let (mut own, mut best) = (None, (0, f32::NAN));
                let mut most = 0.0;
                for class in 0..layout.classes {
                    let node = class * layout.positions + position;
                    let t = wanted_of(wanted, layout, [0.0, 1.0], (node, frame, y.frames()));
                    if let Some(t) = t.filter(|&t| t > most) {
                        (own, most) = (Some(class), t);
                    }
                    let score = y.row::<f32>(node)?[frame];
                    if class == 0 || score > best.1 {
                        best = (class, score);
                    }
                }
                counts[0] += u64::from(own.is_some());
                counts[1] += u64::from(own == Some(best.0));
            }
        }
        Ok(counts)
    }
}
