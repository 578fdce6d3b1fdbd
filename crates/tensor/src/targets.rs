//! What a network should answer: for a whole data set, frame-major, and for one batch, node-major.

use crate::{Error, FrameBuffer, Result};

/// The class of a frame or position that has none: losses and metrics pass it over.
pub const UNLABELLED: u32 = u32::MAX;

/// What a network should answer for each sample of a data set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// One class per sample.
    Classes {
        /// Number of classes.
        count: usize,
        /// The class of each sample, below `count`.
        labels: Vec<u32>,
    },
    /// One class per position of each sample, as in a segmentation map.
    Pixels {
        /// Number of classes.
        count: usize,
        /// Shape of the positions of one sample, for images `[height, width]`.
        shape: Vec<usize>,
        /// The class of each position, below `count` or [`UNLABELLED`], one sample after the other.
        labels: Vec<u32>,
    },
    /// Real numbers, `shape` of them per sample.
    Real {
        /// Shape of one target.
        shape: Vec<usize>,
        /// All targets, one sample after the other; finite.
        values: Vec<f32>,
    },
    /// Targets together with what a teacher network answers.
    Taught {
        /// The targets themselves; not `Taught` again.
        own: Box<Targets>,
        /// Shape of the teacher's answer to one sample.
        shape: Vec<usize>,
        /// The teacher's scores before softmax, one sample after the other; finite.
        logits: Vec<f32>,
    },
}

impl Targets {
    /// Refuses targets that are not those of `len` samples.
    pub(crate) fn check(&self, op: &'static str, len: usize) -> Result<()> {
        match self {
            Self::Classes { count, labels } => {
                check_length(op, len, 1, labels.len())?;
                check_labels(labels, 1, |label| label != UNLABELLED && (label as usize) < *count)
                    .map_err(|(sample, label)| Error::Label { sample, label, classes: *count })
            }
            Self::Pixels { count, shape, labels } => {
                let size = crate::node_count(op, shape)?;
                check_length(op, len, size, labels.len())?;
                check_labels(labels, size, |label| label == UNLABELLED || (label as usize) < *count)
                    .map_err(|(sample, label)| Error::Label { sample, label, classes: *count })
            }
            Self::Real { shape, values } => check_real(op, len, shape, values),
            Self::Taught { own, shape, logits } => {
                if matches!(**own, Self::Taught { .. }) {
                    let expected = "targets that have no teacher yet";
                    return Err(Error::Argument { op, expected, got: "taught ones".into() });
                }
                own.check(op, len)?;
                check_real(op, len, shape, logits)
            }
        }
    }

    /// The targets of the samples numbered `indices`, which exist.
    pub(crate) fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes { count, labels } => {
                Self::Classes { count: *count, labels: pick(labels, indices, 1) }
            }
            Self::Pixels { count, shape, labels } => {
                let labels = pick(labels, indices, shape.iter().product());
                Self::Pixels { count: *count, shape: shape.clone(), labels }
            }
            Self::Real { shape, values } => {
                let values = pick(values, indices, shape.iter().product());
                Self::Real { shape: shape.clone(), values }
            }
            Self::Taught { own, shape, logits } => {
                let logits = pick(logits, indices, shape.iter().product());
                Self::Taught { own: Box::new(own.select(indices)), shape: shape.clone(), logits }
            }
        }
    }

    /// The targets of the samples numbered `indices`, which exist, as one batch.
    pub(crate) fn batch(&self, indices: &[usize]) -> Result<Target> {
        Ok(match self.select(indices) {
            Self::Classes { labels, .. } => Target::Classes(labels),
            Self::Pixels { shape, labels, .. } => {
                Target::Pixels(FrameBuffer::from_frames(&shape, &labels)?)
            }
            Self::Real { shape, values } => {
                Target::Real(FrameBuffer::from_frames(&shape, &values)?)
            }
            Self::Taught { shape, logits, .. } => {
                let logits = FrameBuffer::from_frames(&shape, &logits)?;
                let own = Box::new(self.own().batch(indices)?);
                Target::Taught { own, logits }
            }
        })
    }

    /// The targets without what a teacher says of them.
    pub fn own(&self) -> &Self {
        let mut targets = self;
        while let Self::Taught { own, .. } = targets {
            targets = own;
        }
        targets
    }
}

/// What a network should answer for the frames of one batch.
///
/// ```
/// use lutweave_tensor::{FrameBuffer, Target, UNLABELLED};
///
/// // Two frames of a 1 × 3 map; the middle of the second is not labelled.
/// let labels = FrameBuffer::from_frames(&[1, 3], &[0, 1, 1, 0, UNLABELLED, 0])?;
/// let target = Target::Pixels(labels);
/// assert_eq!((target.frames(), target.labelled()), (2, 5));
/// # Ok::<(), lutweave_tensor::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// The class of each frame, or [`UNLABELLED`].
    Classes(Vec<u32>),
    /// The class of each position of each frame, or [`UNLABELLED`]; a buffer of u32.
    Pixels(FrameBuffer),
    /// Real numbers; a buffer of f32.
    Real(FrameBuffer),
    /// A target together with a teacher's scores before softmax, a buffer of f32.
    Taught {
        /// The target itself.
        own: Box<Target>,
        /// The teacher's scores.
        logits: FrameBuffer,
    },
}

impl Target {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        match self.own() {
            Self::Classes(labels) => labels.len(),
            Self::Pixels(buffer) | Self::Real(buffer) => buffer.frames(),
            Self::Taught { logits, .. } => logits.frames(), // never: `own` is no such target
        }
    }

    /// How many frames, or of [`Pixels`](Self::Pixels) positions, have a target.
    pub fn labelled(&self) -> usize {
        let count = |labels: &[u32]| labels.iter().filter(|&&label| label != UNLABELLED).count();
        match self.own() {
            Self::Classes(labels) => count(labels),
            Self::Pixels(buffer) => {
                (0..buffer.nodes()).map(|node| buffer.row(node).map_or(0, count)).sum()
            }
            other => other.frames(),
        }
    }

    /// The target without what a teacher says of it.
    pub fn own(&self) -> &Self {
        let mut target = self;
        while let Self::Taught { own, .. } = target {
            target = own;
        }
        target
    }

    /// What kind of target it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Pixels(_) => "classes of positions",
            Self::Real(_) => "real numbers",
            Self::Taught { .. } => "targets with a teacher's scores",
        }
    }
}

/// The items of `size` elements numbered `indices`, one after the other.
pub(crate) fn pick<T: Copy>(from: &[T], indices: &[usize], size: usize) -> Vec<T> {
    let mut picked = Vec::with_capacity(indices.len() * size);
    for &index in indices {
        picked.extend_from_slice(&from[index * size..(index + 1) * size]);
    }
    picked
}

fn check_length(op: &'static str, len: usize, size: usize, got: usize) -> Result<()> {
    match len.checked_mul(size) {
        Some(expected) if expected == got => Ok(()),
        expected => Err(Error::Length { op, expected: expected.unwrap_or(usize::MAX), got }),
    }
}

/// The first sample with a label that is not `fine`, and that label.
fn check_labels(
    labels: &[u32],
    size: usize,
    fine: impl Fn(u32) -> bool,
) -> std::result::Result<(), (usize, usize)> {
    match labels.iter().position(|&label| !fine(label)) {
        Some(at) => Err((at / size, labels[at] as usize)),
        None => Ok(()),
    }
}

fn check_real(op: &'static str, len: usize, shape: &[usize], values: &[f32]) -> Result<()> {
    let size = crate::node_count(op, shape)?;
    check_length(op, len, size, values.len())?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => {
            let (expected, sample) = ("finite targets", at / size);
            Err(Error::Argument { op, expected, got: format!("{} in sample {sample}", values[at]) })
        }
        None => Ok(()),
    }
}
