//! Losses, in passes along rows.

use lutweave_tensor::{Array, DType, FrameBuffer, UNLABELLED};
use rayon::prelude::*;

use super::Cpu;
use crate::Result;
use crate::loss::{
    ElementLoss, Layout, LossKernels, PROBABILITY_FLOOR, Row, Wanted, check_distillation,
    check_loss,
};

/// Elements that a thread is given at least.
const PIECE: usize = 1 << 14;

impl LossKernels for Cpu {
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
        let softmax = Softmax::new(y, layout, 1.0)?;
        let weight = |class: usize| weights.map_or(1.0, |weights| weights[class]);
        let totals = totals(wanted, layout, y.frames(), &weight);
        let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
        let powers = softmax.powers.rows::<f32>()?;
        let losses = map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
            dy.fill(0.0);
            let y = &rows[node * stride..][..frames];
            let powers = &powers[node * stride..][..frames];
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
        Ok(vec![total(&losses)].into())
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
        let operands = Operands { y, layout, wanted, levels, divisor };
        match loss {
            ElementLoss::SquaredError => operands.each(dy, |y, t| {
                let difference = f64::from(y) - f64::from(t);
                (difference * difference, 2.0 * (y - t))
            }),
            ElementLoss::SquaredHinge => operands.each(dy, |y, t| {
                let short = 1.0 - f64::from(t) * f64::from(y);
                // Not `max`, which would make a zero of NaN.
                let short = if short < 0.0 { 0.0 } else { short };
                (short * short, -2.0 * t * short as f32)
            }),
            ElementLoss::SigmoidCrossEntropy => operands.each(dy, |y, t| {
                let small = libm::expf(-y.abs()); // from 0 to 1
                let sigmoid = if y >= 0.0 { 1.0 } else { small } / (1.0 + small);
                let (y, t64) = (f64::from(y), f64::from(t));
                (y.max(0.0) - y * t64 + libm::log1p(f64::from(small)), sigmoid - t)
            }),
            ElementLoss::CrossEntropy => operands.each(dy, |y, t| {
                if t == 0.0 {
                    return (0.0, 0.0);
                }
                let y = floored(y);
                (-f64::from(t) * libm::log(f64::from(y)), -t / y)
            }),
            ElementLoss::BinaryCrossEntropy => operands.each(dy, |y, t| {
                let (yes, no) = (floored(y), floored(1.0 - y));
                let logarithm = |probability: f32| libm::log(f64::from(probability));
                let (t64, slope) = (f64::from(t), (1.0 - t) / no - t / yes);
                (-t64 * logarithm(yes) - (1.0 - t64) * logarithm(no), slope)
            }),
        }
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
        let (frames, student) = (y.frames(), Softmax::new(y, layout, temperature)?);
        let (stride, taught) = (y.stride(), Softmax::new(teacher, layout, temperature)?);
        let (scores, teacher_scores) = (y.rows::<f32>()?, teacher.rows::<f32>()?);
        let (powers, teacher_powers) =
            (student.powers.rows::<f32>()?, taught.powers.rows::<f32>()?);
        let logarithm = |scores: &[f32], softmax: &Softmax, frame: usize, at: usize| {
            let score = f64::from(scores[frame]) - f64::from(softmax.most[at]);
            score / f64::from(temperature) - softmax.log_sum(at)
        };
        let losses = map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
            let (own, first) = (node * stride, node % layout.positions * frames);
            let mut loss = 0f64;
            for (frame, dy) in dy[..frames].iter_mut().enumerate() {
                let at = first + frame;
                let p = teacher_powers[own + frame] / taught.sums[at];
                let q = powers[own + frame] / student.sums[at];
                *dy = *dy * keep + scale * (q - p);
                if p != 0.0 {
                    let log_p = logarithm(&teacher_scores[own..], &taught, frame, at);
                    let log_q = logarithm(&scores[own..], &student, frame, at);
                    loss += f64::from(p) * (log_p - log_q);
                }
            }
            loss
        });
        Ok(vec![total(&losses)].into())
    }

    fn right(&self, y: &FrameBuffer, layout: Layout, wanted: Wanted<'_>) -> Result<[u64; 2]> {
        check_loss("right answers", y, layout, wanted, None, None)?;
        right(y, layout, wanted)
    }
}

/// What a loss of elements reads.
struct Operands<'a> {
    y: &'a FrameBuffer,
    layout: Layout,
    wanted: Wanted<'a>,
    levels: [f32; 2],
    divisor: f32,
}

impl Operands<'_> {
    /// Writes the gradient; gives the sum. `element` gives the loss and slope of an answer and what
    /// was wanted.
    fn each(
        self,
        dy: &mut FrameBuffer,
        element: impl Fn(f32, f32) -> (f64, f32) + Sync,
    ) -> Result<Array<f64>> {
        let Self { y, layout, wanted, levels, divisor } = self;
        let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
        let sums = map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
            dy.fill(0.0);
            let (y, mut sum) = (&rows[node * stride..][..frames], 0f64);
            wanted.row(node, layout, frames).each(levels, |frame, t| {
                let (loss, slope) = element(y[frame], t);
                sum += loss;
                dy[frame] = slope / divisor;
            });
            sum
        });
        Ok(vec![total(&sums)].into())
    }
}

/// The probability, at least the floor; NaN stays.
fn floored(probability: f32) -> f32 {
    if probability < PROBABILITY_FLOOR { PROBABILITY_FLOOR } else { probability }
}

/// `e^((y − most) / temperature)` for each class, and what belongs to each position and frame.
struct Softmax {
    /// The powers, of the shape of `y`; divided by the sum they are the probabilities.
    powers: FrameBuffer,
    /// The largest score, `positions` rows of `frames`.
    most: Vec<f32>,
    /// The sum of the powers, likewise.
    sums: Vec<f32>,
}

impl Softmax {
    fn new(y: &FrameBuffer, layout: Layout, temperature: f32) -> Result<Self> {
        let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
        let Layout { classes, positions } = layout;
        let row = |class: usize, position: usize| {
            &rows[(class * positions + position) * stride..][..frames]
        };
        let mut most = vec![f32::NEG_INFINITY; positions * frames];
        map_rows(&mut most, frames, |position, most| {
            for class in 0..classes {
                for (most, &y) in most.iter_mut().zip(row(class, position)) {
                    *most = if y > *most { y } else { *most };
                }
            }
        });
        let mut powers = FrameBuffer::zeros(DType::F32, y.shape(), frames)?;
        map_rows(powers.rows_mut::<f32>()?, stride, |node, powers| {
            let y = &rows[node * stride..][..frames];
            let most = &most[node % positions * frames..][..frames];
            for ((power, y), most) in powers.iter_mut().zip(y).zip(most) {
                *power = libm::expf((y - most) / temperature);
            }
        });
        let mut sums = vec![0f32; positions * frames];
        let rows = powers.rows::<f32>()?;
        map_rows(&mut sums, frames, |position, sums| {
            for class in 0..classes {
                let row = &rows[(class * positions + position) * stride..][..frames];
                for (sum, power) in sums.iter_mut().zip(row) {
                    *sum += power;
                }
            }
        });
        Ok(Self { powers, most, sums })
    }

    /// The logarithm of the sum of the powers of a position and frame.
    fn log_sum(&self, at: usize) -> f64 {
        libm::log(f64::from(self.sums[at]))
    }
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

/// How many are labelled, and right; a pass over the classes for each position.
fn right(y: &FrameBuffer, layout: Layout, wanted: Wanted<'_>) -> Result<[u64; 2]> {
    let (frames, mut counts) = (y.frames(), [0u64; 2]);
    for position in 0..layout.positions {
        let node = |class: usize| class * layout.positions + position;
        let (mut own, mut best) = (vec![UNLABELLED; frames], vec![0u32; frames]);
        match wanted.row(position, layout, frames) {
            Row::Labels(row, _) => own.copy_from_slice(row),
            Row::Real(_) => {
                let mut most = vec![0f32; frames];
                for class in 0..layout.classes {
                    wanted.row(node(class), layout, frames).each([0.0, 1.0], |frame, t| {
                        if t > most[frame] {
                            (own[frame], most[frame]) = (class as u32, t);
                        }
                    });
                }
            }
        }
        let mut most = y.row::<f32>(position)?.to_vec();
        for class in 1..layout.classes {
            let scores = y.row::<f32>(node(class))?;
            for ((best, most), &score) in best.iter_mut().zip(&mut most).zip(scores) {
                if score > *most {
                    (*best, *most) = (class as u32, score);
                }
            }
        }
        for (own, best) in own.iter().zip(best) {
            counts[0] += u64::from(*own != UNLABELLED);
            counts[1] += u64::from(*own == best);
        }
    }
    Ok(counts)
}

/// Calls `write` for each row of `stride` elements, with its number, on several threads where there
/// is enough to do; gives what it gives, in order.
fn map_rows<T: Send>(
    rows: &mut [f32],
    stride: usize,
    write: impl Fn(usize, &mut [f32]) -> T + Sync + Send,
) -> Vec<T> {
    let least = (PIECE / stride.max(1)).max(1);
    let rows = rows.par_chunks_mut(stride.max(1)).with_min_len(least).enumerate();
    rows.map(|(number, row)| write(number, row)).collect()
}

/// The sum in order.
fn total(sums: &[f64]) -> f64 {
    sums.iter().fold(0.0, |total, sum| total + sum)
}
