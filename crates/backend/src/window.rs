//! Lowering of images for layers that are used at every position of a window.

use std::ops::Range;

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};
use crate::rows::check_sources;

/// Lowering and its inverse, for bits and f32.
///
/// A layer that is used at `P` positions of `F` frames sees `P · F` frames, **position-major**:
/// frame `f` at position `p` is frame `p · F + f`. So both directions copy rows of `F` frames and
/// never look inside. `sources` is [`Window::sources`](lutweave_lut::Window::sources), one row of
/// all `P` positions for each window element. Every kernel does a range of the positions, so that
/// callers can keep what is lowered in the cache; frame 0 is then the first position of the range.
///
/// `BinaryBrain` (`ConvolutionIm2Col`, `ConvolutionCol2Im`) has them frame-major, `f · P + p`.
pub trait WindowKernels {
    /// Window elements as nodes: `y[e, (p − start) · F + f] = x[sources[e, p], f]` for the
    /// positions `p` of the range, or `border` where there is no source; in bits, that is 1 when
    /// above [`THRESHOLD`](lutweave_tensor::THRESHOLD).
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` and `y` are both of bits or f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree or the range is empty,
    /// [`Error::Row`](crate::Error::Row) for a source, at these positions, that `x` does not have.
    fn lower(
        &self,
        x: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        border: f32,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of [`lower`](Self::lower), added: `dx[sources[e, p], f] += dy[e, (p − start) ·
    /// F + f]`, in the order of elements, then positions. A pixel gets the gradient of every place
    /// it was copied to, the border included; that of constants is dropped.
    ///
    /// # Errors
    ///
    /// As [`lower`](Self::lower), for f32.
    fn lower_backward(
        &self,
        dy: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Positions as nodes: `y[n · P + p, f] = x[n, (p − start) · F + f]` for the positions of the
    /// range; the other rows of `y` stay. `y` has `P` nodes for each of `x`.
    ///
    /// # Errors
    ///
    /// As [`lower`](Self::lower).
    fn raise(&self, x: &FrameBuffer, positions: Range<usize>, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`raise`](Self::raise), its exact inverse: `dx[n, (p − start) · F + f] =
    /// dy[n · P + p, f]`.
    ///
    /// # Errors
    ///
    /// As [`lower`](Self::lower), for f32.
    fn raise_backward(
        &self,
        dy: &FrameBuffer,
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()>;
}

/// Checks an image and what it is lowered to; returns the number of all positions.
pub(crate) fn check_lower(
    op: &'static str,
    image: &FrameBuffer,
    sources: &[u32],
    positions: &Range<usize>,
    lowered: &FrameBuffer,
) -> Result<usize> {
    let all = (sources.len() / lowered.nodes()).max(1);
    check_size(op, "sources", "entries", lowered.nodes().saturating_mul(all), sources.len())?;
    check_lowered(op, image, positions, all, lowered)?;
    check_size(op, "sources", "entries", sources.len().min(NO_SOURCE as usize), sources.len())?;
    for (element, row) in sources.chunks_exact(all).enumerate() {
        let first = element * all + positions.start;
        check_sources(op, &row[positions.clone()], first, image.nodes())?;
    }
    Ok(all)
}

/// Checks lowered frames and what they are raised to; returns the number of all positions.
pub(crate) fn check_raise(
    op: &'static str,
    lowered: &FrameBuffer,
    positions: &Range<usize>,
    raised: &FrameBuffer,
) -> Result<usize> {
    let all = (raised.nodes() / lowered.nodes()).max(1);
    check_size(op, "positions", "nodes", lowered.nodes().saturating_mul(all), raised.nodes())?;
    check_lowered(op, raised, positions, all, lowered)?;
    Ok(all)
}

/// Checks the type of both and the frames of what is lowered.
fn check_lowered(
    op: &'static str,
    image: &FrameBuffer,
    positions: &Range<usize>,
    all: usize,
    lowered: &FrameBuffer,
) -> Result<()> {
    if image.dtype() != DType::Bit {
        check_dtype(op, "image", image, DType::F32)?;
    }
    check_dtype(op, "lowered", lowered, image.dtype())?;
    check_size(op, "positions", "at the end", positions.end.min(all), positions.end)?;
    let first = positions.start.min(all.min(positions.end).saturating_sub(1));
    check_size(op, "positions", "at the start", first, positions.start)?;
    let frames = positions.len().saturating_mul(image.frames());
    check_size(op, "lowered", "frames", frames, lowered.frames())
}

/// Checks that the image of a gradient is of f32.
pub(crate) fn check_gradient(op: &'static str, image: &FrameBuffer) -> Result<()> {
    check_rows(op, "gradient", image, DType::F32, image.nodes(), image)
}
