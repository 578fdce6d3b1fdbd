//! Targets row by row, as answers lie in memory.

use lutweave_backend::{Backend, ElementLoss, Layout, Wanted};
use lutweave_tensor::{DType, Error as TensorError, FrameBuffer, Target, UNLABELLED};

use super::PartLoss;
use crate::{Error, Result};

/// Checks a target against the answer `y` of `op`; a teacher's scores are passed over.
pub(crate) fn wanted<'a>(
    op: &'static str,
    y: &FrameBuffer,
    target: &'a Target,
) -> Result<(Wanted<'a>, Layout)> {
    let target = target.own();
    if y.dtype() != DType::F32 {
        return Err(TensorError::DType { op, expected: "f32", got: y.dtype() }.into());
    }
    let (frames, got) = (y.frames(), target.frames());
    if frames != got {
        let expected = format!("targets for {frames}");
        return Err(TensorError::Frames { op, expected, got }.into());
    }
    match target {
        Target::Classes(rows) => {
            let layout = Layout { classes: y.nodes(), positions: 1 };
            check_labels(rows, layout.classes)?;
            Ok((Wanted::Labels { rows, stride: frames }, layout))
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
            Ok((Wanted::Labels { rows: labels.rows()?, stride: labels.stride() }, layout))
        }
        Target::Real(values) => {
            if values.nodes() != y.nodes() {
                let (expected, got) = (y.shape().to_vec(), values.shape().to_vec());
                return Err(TensorError::ShapeMismatch { op, expected, got }.into());
            }
            let rows = values.rows()?;
            Ok((Wanted::Real { rows, of: values }, of_axis_0(y)))
        }
        other => Err(not_taken(op, "classes or real numbers", other)),
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

/// A loss that looks at one element at a time; of labels, other classes count as `levels[0]` and their
/// own as `levels[1]`.
pub(crate) fn by_element(
    op: &'static str,
    loss: ElementLoss,
    y: &FrameBuffer,
    target: &Target,
    levels: [f32; 2],
    divisor: f64,
    backend: &dyn Backend,
) -> Result<(PartLoss, FrameBuffer)> {
    let (wanted, layout) = wanted(op, y, target)?;
    let mut dy = FrameBuffer::zeros(y.dtype(), y.shape(), y.frames())?;
    let sum = backend.element_loss(loss, y, layout, wanted, levels, divisor as f32, &mut dy);
    Ok((PartLoss::mean(sum.map_err(lutweave_nn::Error::from)?, divisor), dy))
}
