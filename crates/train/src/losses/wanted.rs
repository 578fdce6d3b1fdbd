//! Targets row by row, as answers lie in memory.

use lutweave_tensor::{Error as TensorError, FrameBuffer, Target, UNLABELLED};
use rayon::prelude::*;

use crate::{Error, Result};

/// Elements that a thread is given at least.
const PIECE: usize = 1 << 14;

/// How nodes are split into classes and positions: node `class · positions + position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) classes: usize,
    pub(crate) positions: usize,
}

/// A target that fits an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Rows of labels, one for each position, `stride` apart.
    Labels { rows: &'a [u32], stride: usize },
    /// Rows of numbers, one for each node, `stride` apart.
    Real { rows: &'a [f32], stride: usize },
}

/// The part of a target that a node is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a> {
    /// The label of each frame, and the class of the node.
    Labels(&'a [u32], u32),
    /// A number for each frame.
    Real(&'a [f32]),
}

impl<'a> Wanted<'a> {
    /// Checks a target against the answer `y` of `op`; a teacher's scores are passed over.
    pub(crate) fn new(
        op: &'static str,
        y: &FrameBuffer,
        target: &'a Target,
    ) -> Result<(Self, Layout)> {
        let target = target.own();
        let (frames, got) = (y.frames(), target.frames());
        if frames != got {
            let expected = format!("targets for {frames}");
            return Err(TensorError::Frames { op, expected, got }.into());
        }
        match target {
            Target::Classes(rows) => {
                let layout = Layout { classes: y.nodes(), positions: 1 };
                check_labels(rows, layout.classes)?;
                Ok((Self::Labels { rows, stride: frames }, layout))
            }
            Target::Pixels(labels) => {
                let layout = of_axis_0(y);
                if labels.nodes() != layout.positions || y.shape().len() < 2 {
                    let expected = y.shape().get(1..).unwrap_or_default().to_vec();
                    let got = labels.shape().to_vec();
                    return Err(TensorError::ShapeMismatch { op, expected, got }.into());
                }
                for position in 0..labels.nodes() {
                    check_labels(labels.row::<u32>(position)?, layout.classes)?;
                }
                Ok((Self::Labels { rows: labels.rows()?, stride: labels.stride() }, layout))
            }
            Target::Real(values) => {
                if values.nodes() != y.nodes() {
                    let (expected, got) = (y.shape().to_vec(), values.shape().to_vec());
                    return Err(TensorError::ShapeMismatch { op, expected, got }.into());
                }
                let rows = values.rows()?;
                Ok((Self::Real { rows, stride: values.stride() }, of_axis_0(y)))
            }
            other => Err(not_taken(op, "classes or real numbers", other)),
        }
    }

    /// What node `node` of an answer of `frames` frames should be.
    pub(crate) fn row(self, node: usize, layout: Layout, frames: usize) -> Row<'a> {
        match self {
            Self::Labels { rows, stride } => {
                let (class, position) = (node / layout.positions, node % layout.positions);
                Row::Labels(&rows[position * stride..][..frames], class as u32)
            }
            Self::Real { rows, stride } => Row::Real(&rows[node * stride..][..frames]),
        }
    }
}

impl Row<'_> {
    /// Calls `see` for each frame that is labelled, with its number and what is wanted; of labels,
    /// `[no, yes]`.
    #[inline]
    pub(crate) fn each(self, [no, yes]: [f32; 2], mut see: impl FnMut(usize, f32)) {
        match self {
            Row::Labels(labels, class) => {
                for (frame, &label) in labels.iter().enumerate() {
                    if label != UNLABELLED {
                        see(frame, if label == class { yes } else { no });
                    }
                }
            }
            Row::Real(values) => {
                for (frame, &value) in values.iter().enumerate() {
                    see(frame, value);
                }
            }
        }
    }
}

/// Axis 0 is the classes, the others the positions.
fn of_axis_0(y: &FrameBuffer) -> Layout {
    let classes = y.shape().first().copied().unwrap_or(1);
    Layout { classes, positions: y.nodes() / classes }
}

fn check_labels(labels: &[u32], classes: usize) -> Result<()> {
    let wrong = |&label: &u32| label != UNLABELLED && label as usize >= classes;
    match labels.iter().position(wrong) {
        Some(sample) => {
            let label = labels[sample] as usize;
            Err(TensorError::Label { sample, label, classes }.into())
        }
        None => Ok(()),
    }
}

/// The error for a kind of target that `op` does not take.
pub(crate) fn not_taken(op: &'static str, expected: &'static str, got: &Target) -> Error {
    Error::Target { op, expected, got: got.kind() }
}

/// Labelled frames; labelled positions count as parts of a frame.
pub(crate) fn labelled_frames(target: &Target) -> f64 {
    let positions = match target.own() {
        Target::Pixels(labels) => labels.nodes(),
        _ => 1,
    };
    target.labelled() as f64 / positions as f64
}

/// Writes the gradient of a loss that looks at one element at a time; gives the sum of the losses.
///
/// `element` is given an answer and what was wanted (of labels, `levels[0]` for other classes and
/// `levels[1]` for their own), and gives loss and slope.
pub(crate) fn by_element(
    op: &'static str,
    y: &FrameBuffer,
    target: &Target,
    levels: [f32; 2],
    divisor: f64,
    element: impl Fn(f32, f32) -> (f64, f32) + Sync,
) -> Result<(f32, FrameBuffer)> {
    let (wanted, layout) = Wanted::new(op, y, target)?;
    let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
    let scale = divisor as f32;
    let mut dy = FrameBuffer::zeros(y.dtype(), y.shape(), frames)?;
    let sums = map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
        let (y, mut sum) = (&rows[node * stride..][..frames], 0f64);
        wanted.row(node, layout, frames).each(levels, |frame, t| {
            let (loss, slope) = element(y[frame], t);
            sum += loss;
            dy[frame] = slope / scale;
        });
        sum
    });
    Ok(((total(&sums) / divisor) as f32, dy))
}

/// Calls `write` for each row of `stride` elements, with its number, on several threads where there
/// is enough to do; gives what it gives, in order.
pub(crate) fn map_rows<T: Send>(
    rows: &mut [f32],
    stride: usize,
    write: impl Fn(usize, &mut [f32]) -> T + Sync + Send,
) -> Vec<T> {
    let least = (PIECE / stride.max(1)).max(1);
    let rows = rows.par_chunks_mut(stride.max(1)).with_min_len(least).enumerate();
    rows.map(|(number, row)| write(number, row)).collect()
}

/// The sum in order.
pub(crate) fn total(sums: &[f64]) -> f64 {
    sums.iter().fold(0.0, |total, sum| total + sum)
}
