//! Statistics of nodes over a batch, and the normalisation by them.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::{Result, Running};

/// Batch normalisation. `share` consecutive nodes form a group with one mean and one scale: 1 for a
/// node of its own, the pixels of an image for a channel. Arrays hold one number a group.
///
/// Sums are taken in f64, row by row in fixed order, so that they are the same bits for any number
/// of threads; padding frames take no part.
pub trait NormKernels {
    /// The mean and the biased variance `Σ (x − mean)² / n` of every group, over its
    /// `n = share · frames` values.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree or the nodes are no whole number
    /// of groups.
    fn moments(
        &self,
        x: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()>;

    /// What a normalisation by these variances multiplies with: `rstd = 1 / √(variance + epsilon)` in
    /// f64, rounded once, and `scale = rstd · gamma` in f32. One number a group; the same bits on every
    /// device.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless all arrays are equally long.
    fn norm_scale(
        &self,
        variance: &Array,
        epsilon: f64,
        gamma: &Array,
        rstd: &mut Array,
        scale: &mut Array,
    ) -> Result<()>;

    /// Takes the mean and the variance of a batch over into running ones,
    /// `r = r · keep + batch · (1 − keep)` in f32, where the variance of the batch is `factor` times what is
    /// given; none where it is not known, which leaves the running one as it is. The same bits on every
    /// device.
    ///
    /// # Errors
    ///
    /// As [`norm_scale`](Self::norm_scale).
    fn keep_statistics(
        &self,
        mean: &Array,
        variance: &Array,
        factor: Option<f32>,
        running: Running<'_>,
    ) -> Result<()>;

    /// `y = (x − centre) · scale + shift`, with the three numbers of the node's group.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments), for `y` too.
    fn normalise(&self, x: &FrameBuffer, map: GroupMap<'_>, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of `y = x̂ · γ + β` with `x̂ = (x − mean) · rstd`, where mean and `rstd` are
    /// those of this very batch:
    ///
    /// ```text
    /// dgamma += Σ dy · x̂        dbeta += Σ dy
    /// dx = γ · rstd · (dy − Σ dy / n − x̂ · Σ dy · x̂ / n)
    /// ```
    ///
    /// with sums over the `n` values of the group. That is exact whatever small number the variance
    /// had added to it before its root was taken.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments), for `dy` and `dx` too.
    fn normalise_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        norm: GroupNorm<'_>,
        dgamma: &mut Array,
        dbeta: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()>;
}

/// An affine map for each group of nodes.
#[derive(Debug, Clone, Copy)]
pub struct GroupMap<'a> {
    /// Nodes of a group.
    pub share: usize,
    /// What is taken off first.
    pub centre: &'a Array,
    /// The factor.
    pub scale: &'a Array,
    /// What is added last.
    pub shift: &'a Array,
}

/// The normalisation that a batch went through.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm<'a> {
    /// Nodes of a group.
    pub share: usize,
    /// Mean of the batch.
    pub mean: &'a Array,
    /// Reciprocal standard deviation of the batch.
    pub rstd: &'a Array,
    /// γ.
    pub gamma: &'a Array,
}

/// Checks a batch and the arrays of its groups.
pub(crate) fn check_groups(
    op: &'static str,
    x: &FrameBuffer,
    share: usize,
    arrays: &[(&'static str, &Array)],
) -> Result<()> {
    check_dtype(op, "x", x, DType::F32)?;
    check_size(op, "a group", "nodes", share.max(1), share)?;
    check_size(op, "x", "nodes", x.nodes().next_multiple_of(share), x.nodes())?;
    for (name, values) in arrays {
        check_size(op, name, "values", x.nodes() / share, values.len())?;
    }
    Ok(())
}

pub(crate) fn check_normalise(x: &FrameBuffer, map: GroupMap<'_>, y: &FrameBuffer) -> Result<()> {
    let op = "normalise";
    let arrays = [("centre", map.centre), ("scale", map.scale), ("shift", map.shift)];
    check_groups(op, x, map.share, &arrays)?;
    check_rows(op, "y", y, DType::F32, x.nodes(), x)
}

pub(crate) fn check_backward(
    x: &FrameBuffer,
    dy: &FrameBuffer,
    norm: GroupNorm<'_>,
    (dgamma, dbeta): (&Array, &Array),
    dx: Option<&FrameBuffer>,
) -> Result<()> {
    let op = "normalise backward";
    let arrays = [("mean", norm.mean), ("rstd", norm.rstd), ("gamma", norm.gamma)];
    check_groups(op, x, norm.share, &arrays)?;
    check_groups(op, x, norm.share, &[("dgamma", dgamma), ("dbeta", dbeta)])?;
    check_rows(op, "dy", dy, DType::F32, x.nodes(), x)?;
    dx.map_or(Ok(()), |dx| check_rows(op, "dx", dx, DType::F32, x.nodes(), x))
}

/// Checks arrays of one number a group.
pub(crate) fn check_arrays(
    op: &'static str,
    groups: &Array,
    arrays: &[(&'static str, &Array)],
) -> Result<()> {
    arrays
        .iter()
        .try_for_each(|(name, array)| check_size(op, name, "values", groups.len(), array.len()))
}

pub(crate) fn check_scale(
    variance: &Array,
    gamma: &Array,
    rstd: &Array,
    scale: &Array,
) -> Result<()> {
    check_arrays("norm scale", variance, &[("gamma", gamma), ("rstd", rstd), ("scale", scale)])
}

pub(crate) fn check_keep(mean: &Array, variance: &Array, running: &Running<'_>) -> Result<()> {
    let arrays = [
        ("variance", variance),
        ("running mean", &*running.mean),
        ("running variance", &*running.variance),
    ];
    check_arrays("keep statistics", mean, &arrays)
}
