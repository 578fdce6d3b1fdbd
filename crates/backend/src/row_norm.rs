//! Batch norm of LUT nodes, frame by frame: where tables read real numbers there are no patterns to count.

use std::borrow::Cow;

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::norm::NormKernels;
use crate::{Result, Running};

/// The map of each node from its values `u` to `v = (u − mean) · rstd · γ + β` with `rstd = 1 / √variance`.
/// `share` rows that follow one another are of one node.
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

/// The map of one node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeMap {
    pub(crate) mean: f32,
    pub(crate) rstd: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
}

impl NodeMap {
    /// `v` of a value: four roundings, in this order, for every backend.
    #[inline(always)]
    pub(crate) fn of(self, value: f32) -> f32 {
        (value - self.mean) * self.rstd * self.gamma + self.beta
    }
}

impl RowNorm<'_> {
    /// The map of one node; `rstd` is rounded once.
    pub(crate) fn node(&self, node: usize) -> NodeMap {
        let rstd = (1.0 / f64::from(self.variance[node]).sqrt()) as f32;
        NodeMap { mean: self.mean[node], rstd, gamma: self.gamma, beta: self.beta }
    }
}

/// The gradient that comes back to the values of nodes.
#[derive(Debug)]
pub struct RowGradient<'a> {
    /// That of what the nodes give; without a norm, of the values themselves.
    pub dy: &'a FrameBuffer,
    /// What it goes back through.
    pub norm: Option<RowPass<'a>>,
}

/// The norm that a batch went through, [`RowNormKernels::row_backward`].
#[derive(Debug)]
pub struct RowPass<'a> {
    /// The values.
    pub u: &'a FrameBuffer,
    /// The map of their nodes.
    pub norm: RowNorm<'a>,
    /// Averages that take over the statistics of this batch, as
    /// [`keep_statistics`](NormKernels::keep_statistics) does with a factor of one.
    pub running: Option<Running<'a>>,
}

impl<'a> RowGradient<'a> {
    /// The gradient of the values by itself.
    ///
    /// # Errors
    ///
    /// Those of [`row_backward`](RowNormKernels::row_backward) and
    /// [`keep_statistics`](NormKernels::keep_statistics).
    pub fn of_values(
        self,
        on: &(impl RowNormKernels + NormKernels),
    ) -> Result<Cow<'a, FrameBuffer>> {
        let Some(RowPass { u, norm, running }) = self.norm else {
            return Ok(Cow::Borrowed(self.dy));
        };
        let mut du = FrameBuffer::zeros(DType::F32, u.shape(), u.frames())?;
        on.row_backward(u, norm, self.dy, &mut du)?;
        if let Some(running) = running {
            on.keep_statistics(norm.mean, norm.variance, Some(1.0), running)?;
        }
        Ok(Cow::Owned(du))
    }
}

/// Batch norm and the window of the straight-through estimator, on rows. Sums are in f64 and in fixed order.
pub trait RowNormKernels {
    /// Mean and variance of the values of every node; variances are at least 1e-5.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `u` is of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn row_moments(
        &self,
        u: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()>;

    /// What the nodes give: `v > 0.5` for `y` of bits, `v` clamped to 0 to 1 for `y` of f32; without a norm
    /// `v` is `u`. The same bits for every backend.
    ///
    /// # Errors
    ///
    /// As [`row_moments`](Self::row_moments), for `y` too.
    fn row_output(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        y: &mut FrameBuffer,
    ) -> Result<()>;

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
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &FrameBuffer,
        du: &mut FrameBuffer,
    ) -> Result<()>;
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
