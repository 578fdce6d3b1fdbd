//! The two ends of a network: numbers to bits, and bits to scores.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// Threshold encoding and group sums.
pub trait EncodeKernels {
    /// Compares every input with its thresholds: `y[(c * levels + l) * points + p, f] =
    /// x[c * points + p, f] > thresholds[(c * points + p) * levels + l]`.
    ///
    /// `x` is u8 or f32 with shape `[c, points..]`; NaN is above nothing.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) for other types,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn threshold(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        levels: usize,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Counts the ones in groups of rows that follow one another, as many groups as `y` has nodes:
    /// `y[g, f] = scale * Σ x[n, f]` over the nodes `n` of group `g`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of bits and `y` of f32,
    /// [`Error::Size`](crate::Error::Size) when the nodes of
    /// `x` are no whole number of groups.
    fn group_sum(&self, x: &FrameBuffer, scale: f32, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`group_sum`](Self::group_sum): `dx[n, f] = scale * dy[g, f]`.
    ///
    /// # Errors
    ///
    /// As [`group_sum`](Self::group_sum), for f32 `dy` and `dx`.
    fn group_sum_backward(&self, dy: &FrameBuffer, scale: f32, dx: &mut FrameBuffer) -> Result<()>;
}

/// Checks the operands of a threshold encoding; returns the points of one channel.
pub(crate) fn check_threshold(
    x: &FrameBuffer,
    thresholds: &Array,
    levels: usize,
    y: &FrameBuffer,
) -> Result<usize> {
    let op = "threshold";
    if x.dtype() != DType::U8 {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_size(op, "thresholds", "values", x.nodes().saturating_mul(levels), thresholds.len())?;
    check_rows(op, "y", y, DType::Bit, thresholds.len(), x)?;
    Ok(x.nodes() / x.shape()[0])
}

/// Checks grouped rows; returns the rows of one group.
pub(crate) fn check_groups(
    op: &'static str,
    rows: &FrameBuffer,
    dtype: DType,
    groups: &FrameBuffer,
) -> Result<usize> {
    check_dtype(op, "groups", groups, DType::F32)?;
    let size = rows.nodes() / groups.nodes();
    check_rows(op, "rows", rows, dtype, size.max(1) * groups.nodes(), groups)?;
    Ok(size)
}
