//! Batch norm of LUT nodes, frame by frame: where tables read real numbers there are no patterns to count.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// The map of each node from its values `u` to `v = (u − mean) / √variance · γ + β`. `share` rows that
/// follow one another are of one node.
#[derive(Debug, Clone, Copy)]
pub struct RowNorm<'a> {
    /// Rows of a node.
    pub share: usize,
    /// The mean of each node.
    pub mean: &'a Array,
    /// The variance of each node.
    pub variance: &'a Array,
    /// γ, the same for all.
    pub gamma: f32,
    /// β, the same for all.
    pub beta: f32,
    /// Whether the statistics are running ones: no gradient goes through them.
    pub constant: bool,
}

/// Batch norm and the window of the straight-through estimator, on rows.
///
/// A backend that has none of this gives `false` and changes nothing, as the methods here do; the layer then
/// computes on the host. Sums are in f64 and in fixed order.
pub trait RowNormKernels {
    /// Mean and variance of the values of every node; variances are at least 1e-5.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `u` is of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn row_moments(
        &self,
        _u: &FrameBuffer,
        _share: usize,
        _mean: &mut Array,
        _variance: &mut Array,
    ) -> Result<bool> {
        Ok(false)
    }

    /// What the nodes give: `v > 0.5` for `y` of bits, `v` clamped to 0 to 1 for `y` of f32; without a norm
    /// `v` is `u`.
    ///
    /// # Errors
    ///
    /// As [`row_moments`](Self::row_moments), for `y` too.
    fn row_output(
        &self,
        _u: &FrameBuffer,
        _norm: Option<RowNorm<'_>>,
        _y: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }

    /// The gradient of `u` from that of what the nodes give, which passes where `0 < v < 1`:
    ///
    /// ```text
    /// g     = γ · dy where 0 < v < 1                    rstd  = 1 / √variance
    /// dvar  = −rstd³ Σ g · (u − mean)                   dmean = (−rstd Σ g − mean · dvar) / n
    /// du    = rstd · g + dmean + u · dvar / n
    /// ```
    ///
    /// over the `n` values of a node; without `dmean` and `dvar` where statistics are constant.
    ///
    /// # Errors
    ///
    /// As [`row_moments`](Self::row_moments), for `dy` and `du` too.
    fn row_backward(
        &self,
        _u: &FrameBuffer,
        _norm: RowNorm<'_>,
        _dy: &FrameBuffer,
        _du: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }
}

/// Checks values and the statistics of their nodes.
pub(crate) fn check_row_norm(
    op: &'static str,
    u: &FrameBuffer,
    share: usize,
    (mean, variance): (&Array, &Array),
) -> Result<()> {
    check_dtype(op, "u", u, DType::F32)?;
    check_size(op, "a node", "rows", share.max(1), share)?;
    check_size(op, "u", "rows", u.nodes().next_multiple_of(share), u.nodes())?;
    check_size(op, "mean", "values", u.nodes() / share, mean.len())?;
    check_size(op, "variance", "values", u.nodes() / share, variance.len())
}

pub(crate) fn check_row_output(
    u: &FrameBuffer,
    norm: Option<RowNorm<'_>>,
    y: &FrameBuffer,
) -> Result<()> {
    let op = "row output";
    check_dtype(op, "u", u, DType::F32)?;
    if let Some(norm) = norm {
        check_row_norm(op, u, norm.share, (norm.mean, norm.variance))?;
    }
    let dtype = if y.dtype() == DType::F32 { DType::F32 } else { DType::Bit };
    check_rows(op, "y", y, dtype, u.nodes(), u)
}

pub(crate) fn check_row_backward(
    u: &FrameBuffer,
    norm: RowNorm<'_>,
    dy: &FrameBuffer,
    du: &FrameBuffer,
) -> Result<()> {
    let op = "row backward";
    check_row_norm(op, u, norm.share, (norm.mean, norm.variance))?;
    check_rows(op, "dy", dy, DType::F32, u.nodes(), u)?;
    check_rows(op, "du", du, DType::F32, u.nodes(), u)
}
