//! Affine maps: the matrix products of dense and depthwise layers.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// Affine maps of real nodes, in one group or several.
///
/// With `groups` groups, `x` has `groups · inputs` nodes and `y` has `groups · outputs`; a group of
/// outputs reads its own group of inputs alone. One group is a dense layer, one for each channel a
/// depthwise one. Weights are `[groups][outputs][inputs]`, the bias is `[groups][outputs]`.
///
/// Sums over inputs and frames are taken over blocks that depend on the sizes alone, so results are
/// the same bits for any number of threads. Padding frames take no part.
pub trait DenseKernels {
    /// `y[o, f] = bias[o] + Σ_i weights[o][i] · x[i, f]`, within each group.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` and `y` are of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree or nodes are no whole multiple
    /// of the groups.
    fn affine_forward(
        &self,
        x: &FrameBuffer,
        weights: &Array,
        bias: &Array,
        groups: usize,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of the inputs: `dx[i, f] = Σ_o weights[o][i] · dy[o, f]`, within each group.
    ///
    /// # Errors
    ///
    /// As [`affine_forward`](Self::affine_forward).
    fn affine_backward_input(
        &self,
        dy: &FrameBuffer,
        weights: &Array,
        groups: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Adds the gradient of the parameters: `dweights[o][i] += Σ_f dy[o, f] · x[i, f]` within each
    /// group, and `dbias[o] += Σ_f dy[o, f]`.
    ///
    /// # Errors
    ///
    /// As [`affine_forward`](Self::affine_forward).
    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        groups: usize,
        dweights: &mut Array,
        dbias: &mut Array,
    ) -> Result<()>;
}

/// The sizes of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// Checks an affine map from `x` to `y`, or the gradients of one.
pub(crate) fn check_affine(
    op: &'static str,
    (x_name, x): (&'static str, &FrameBuffer),
    (y_name, y): (&'static str, &FrameBuffer),
    weights: &Array,
    groups: usize,
) -> Result<Group> {
    check_size(op, "the map", "groups", groups.max(1), groups)?;
    check_dtype(op, x_name, x, DType::F32)?;
    check_size(op, x_name, "nodes", x.nodes().next_multiple_of(groups), x.nodes())?;
    check_rows(op, y_name, y, DType::F32, y.nodes().next_multiple_of(groups), x)?;
    let group = Group { inputs: x.nodes() / groups, outputs: y.nodes() / groups };
    check_size(op, "weights", "values", group.inputs.saturating_mul(y.nodes()), weights.len())?;
    Ok(group)
}
