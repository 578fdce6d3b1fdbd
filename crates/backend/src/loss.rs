//! Losses: how wrong answers are, and in which direction.

use lutweave_tensor::{Array, DType, FrameBuffer, UNLABELLED};

use crate::Result;
use crate::check::{check_rows, check_size};

/// How the nodes of an answer are split into classes and positions: node `class · positions + position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Classes of a position.
    pub classes: usize,
    /// Positions of a frame, 1 where classes are those of the frame.
    pub positions: usize,
}

/// What an answer should be.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Rows of labels, one for each position, `stride` apart; each is a class or
    /// [`UNLABELLED`], which is passed over.
    Labels {
        /// The rows.
        rows: &'a [u32],
        /// From the beginning of one to that of the next.
        stride: usize,
    },
    /// Rows of f32, one for each node.
    Real {
        /// The rows of the buffer, padding included.
        rows: &'a [f32],
        /// The buffer.
        of: &'a FrameBuffer,
    },
}

/// The part of what is wanted that a node is about.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// The label of each frame, and the class of the node.
    Labels(&'a [u32], u32),
    /// A number for each frame.
    Real(&'a [f32]),
}

impl<'a> Wanted<'a> {
    /// What node `node` of an answer of `frames` frames should be.
    pub fn row(self, node: usize, layout: Layout, frames: usize) -> Row<'a> {
        match self {
            Self::Labels { rows, stride } => {
                let (class, position) = (node / layout.positions, node % layout.positions);
                Row::Labels(&rows[position * stride..][..frames], class as u32)
            }
            Self::Real { rows, of } => Row::Real(&rows[node * of.stride()..][..frames]),
        }
    }
}

impl Row<'_> {
    /// Calls `see` for each frame that is labelled, with its number and what is wanted; of labels,
    /// `[no, yes]`.
    #[inline]
    pub fn each(self, [no, yes]: [f32; 2], mut see: impl FnMut(usize, f32)) {
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

/// A loss that looks at one answer `y` and what was wanted of it, `t`, at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementLoss {
    /// `(y − t)²`, slope `2 · (y − t)`.
    SquaredError,
    /// `max(0, 1 − t · y)²`, slope `−2 · t · max(0, 1 − t · y)`.
    SquaredHinge,
    /// Of scores: `max(y, 0) − y · t + ln(1 + e^−|y|)`, slope `σ(y) − t`.
    SigmoidCrossEntropy,
    /// Of probabilities: `−t · ln y`, slope `−t / y`; zero where `t` is.
    CrossEntropy,
    /// Of probabilities: `−t · ln y − (1 − t) · ln(1 − y)`, slope `(1 − t) / (1 − y) − t / y`.
    BinaryCrossEntropy,
}

/// Probabilities nearer than this to 0 (or 1) count as this near: logarithms stay finite.
/// `BinaryBrain`'s number.
pub const PROBABILITY_FLOOR: f32 = 1e-7;

/// The losses, and how many answers are right.
///
/// The sums of losses are over nodes and frames, in f64 and in fixed order: the same bits for any
/// number of threads. Gradients are written in full, those of unlabelled frames and of the padding
/// zero. Exponentials and logarithms of the CPU come from `libm`; another backend agrees within 1e-5.
///
/// Sums are arrays of one number: on a device they stay there until someone reads them.
///
/// All methods err with [`Error::DType`](crate::Error::DType) unless buffers are of f32, and with
/// [`Error::Size`](crate::Error::Size) where sizes do not agree; labels are classes, or are refused by
/// whoever makes a [`Wanted`] of a stranger's.
pub trait LossKernels {
    /// Softmax over the classes of each position and frame, and cross-entropy. With `t` weighted by
    /// `weights`, one a class:
    ///
    /// ```text
    /// sum = −Σ t · ln softmax(y)        dy = (Σt · softmax(y) − t) / divisor
    /// ```
    ///
    /// The largest score is subtracted first, so scores of any size are safe.
    ///
    /// # Errors
    ///
    /// As above.
    fn softmax_cross_entropy(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        weights: Option<&[f32]>,
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>>;

    /// The sum of a loss over all that is labelled, and `dy = slope / divisor`. Labels count as
    /// `levels[1]` at the node of their class and `levels[0]` at the others.
    ///
    /// # Errors
    ///
    /// As above.
    #[allow(clippy::too_many_arguments)]
    fn element_loss(
        &self,
        loss: ElementLoss,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        levels: [f32; 2],
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>>;

    /// Softmax of answers and of a teacher's scores at a temperature, over the classes of each position
    /// and frame, `q` and `p`, and how far apart they are (Kullback and Leibler):
    ///
    /// ```text
    /// sum = Σ p · (ln p − ln q)        dy = keep · dy + scale · (q − p)
    /// ```
    ///
    /// where `scales` is `(keep, scale)`.
    ///
    /// # Errors
    ///
    /// As above.
    #[allow(clippy::too_many_arguments)]
    fn distillation(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        teacher: &FrameBuffer,
        temperature: f32,
        scales: (f32, f32),
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>>;

    /// How many frames and positions are labelled, and of how many of these the best-scored class,
    /// the first of several, is the wanted one. Numbers stand for the class of the largest, the first
    /// of several; none where no number is above zero.
    ///
    /// # Errors
    ///
    /// As above.
    fn right(&self, y: &FrameBuffer, layout: Layout, wanted: Wanted<'_>) -> Result<[u64; 2]>;
}

/// Checks the operands of a distillation.
pub(crate) fn check_distillation(
    y: &FrameBuffer,
    layout: Layout,
    teacher: &FrameBuffer,
    dy: &FrameBuffer,
) -> Result<()> {
    let op = "distillation";
    let wanted = Wanted::Real { rows: teacher.rows::<f32>()?, of: teacher };
    check_loss(op, y, layout, wanted, None, Some(dy))
}

/// Checks all operands; `dy` where there is one.
pub(crate) fn check_loss(
    op: &'static str,
    y: &FrameBuffer,
    layout: Layout,
    wanted: Wanted<'_>,
    weights: Option<&[f32]>,
    dy: Option<&FrameBuffer>,
) -> Result<()> {
    let nodes = layout.classes.saturating_mul(layout.positions);
    check_size(op, "the layout", "nodes", y.nodes(), nodes)?;
    check_rows(op, "y", y, DType::F32, nodes, y)?;
    if let Some(weights) = weights {
        check_size(op, "weights", "classes", layout.classes, weights.len())?;
    }
    match wanted {
        Wanted::Labels { rows, stride } => {
            // Of the last row no padding need be there.
            let needed = (layout.positions - 1).saturating_mul(stride).saturating_add(y.frames());
            check_size(op, "labels", "numbers", needed.max(rows.len()), rows.len())?;
            check_size(op, "labels", "frames", y.frames().max(stride), stride)?;
        }
        Wanted::Real { rows, of } => {
            check_rows(op, "targets", of, DType::F32, nodes, y)?;
            check_size(op, "targets", "numbers", nodes * of.stride(), rows.len())?;
        }
    }
    dy.map_or(Ok(()), |dy| check_rows(op, "dy", dy, DType::F32, nodes, y))
}
