//! Affine maps: the matrix products of dense and depthwise layers.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::{Form, Result};

/// An affine map of nodes in one group or several: `y = O(B(bias) + Σ_i W(weights[o][i]) · X(x[i]))`.
///
/// With `groups` groups, `x` has `groups · inputs` nodes and `y` has `groups · outputs`; a group of
/// outputs reads its own group of inputs alone. One group is a dense layer, one for each channel a
/// depthwise one.
#[derive(Debug, Clone, Copy)]
pub struct Affine<'a> {
    /// Groups of nodes.
    pub groups: usize,
    /// `[groups][outputs][inputs]`.
    pub weights: &'a Array,
    /// `[groups][outputs]`; zeros where there is none.
    pub bias: Option<&'a Array>,
    /// `X`, `W` and `O`.
    pub forms: Forms,
}

/// What is made of the numbers of an affine map; by default they are taken as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Forms {
    /// `X`, of inputs; of bits see [`Form::of_bit`].
    pub inputs: Form,
    /// `W`, of weights. Where they are rounded, so is the bias (`B`).
    pub weights: Form,
    /// `O`, of answers.
    pub outputs: Form,
}

impl Forms {
    /// What is made of the bias.
    pub(crate) fn bias(self) -> Form {
        if let Form::Rounded(_) = self.weights { self.weights } else { Form::Real }
    }

    /// Whether weights are whole numbers of steps. Sums of whole numbers are exact, so the bias comes
    /// last, in one rounding, and what is given is the same for every order of the sum.
    pub fn has_whole_weights(self) -> bool {
        self.weights != Form::Real
    }

    /// How much an input counts for when it changes by one. From 0 to 1 a bit may go from −1 to 1, twice
    /// as far.
    pub(crate) fn slope(self, x: &FrameBuffer) -> f32 {
        if x.dtype() == DType::Bit && self.inputs == Form::Sign { 2.0 } else { 1.0 }
    }

    /// Whether gradients pass only to inputs from −1 to 1.
    pub(crate) fn has_input_window(self, x: &FrameBuffer) -> bool {
        x.dtype() == DType::F32 && self.inputs.has_window()
    }
}

impl Affine<'_> {
    /// What is added to the sum of an output; none without a bias, or where there is no such output.
    #[inline(always)]
    pub fn bias_of(&self, output: usize) -> Option<f32> {
        self.bias?.get(output).map(|&bias| self.forms.bias().of(bias))
    }

    /// What is given for a sum without bias.
    #[inline(always)]
    pub fn finish(&self, output: usize, sum: f32) -> f32 {
        self.forms.outputs.of(self.bias_of(output).map_or(sum, |bias| sum + bias))
    }
}

/// Affine maps and their gradients.
///
/// Gradients pass straight through every form, but where numbers count by their signs only to those from
/// −1 to 1 (Hubara et al. 2016); the gradient of a bit is that of its change from 0 to 1.
///
/// Sums over inputs and frames are taken over blocks that depend on the sizes alone, so results are
/// the same bits for any number of threads. Padding frames take no part.
pub trait DenseKernels {
    /// The map of every frame of `x`, of bits or f32.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of bits or f32 and `y` of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree or nodes are no whole multiple
    /// of the groups.
    fn affine_forward(&self, x: &FrameBuffer, map: Affine<'_>, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of the inputs: `dx[i, f] = Σ_o W(weights[o][i]) · dy[o, f]`, within each group.
    ///
    /// # Errors
    ///
    /// As [`affine_forward`](Self::affine_forward), for `dy` and `dx` of f32.
    fn affine_backward_input(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Adds the gradient of the parameters: `dweights[o][i] += Σ_f dy[o, f] · X(x[i, f])` within each
    /// group, and `dbias[o] += Σ_f dy[o, f]` where it is wanted.
    ///
    /// # Errors
    ///
    /// As [`affine_forward`](Self::affine_forward), for `dy` of f32.
    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dweights: &mut Array,
        dbias: Option<&mut Array>,
    ) -> Result<()>;
}

/// The sizes of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// Checks an affine map from `x` to `y`, or the gradients of one.
fn check_affine(
    op: &'static str,
    x: &FrameBuffer,
    (name, y): (&'static str, &FrameBuffer),
    map: Affine<'_>,
) -> Result<Group> {
    let Affine { groups, weights, bias, .. } = map;
    check_size(op, "the map", "groups", groups.max(1), groups)?;
    if x.dtype() != DType::Bit {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_size(op, "x", "nodes", x.nodes().next_multiple_of(groups), x.nodes())?;
    check_rows(op, name, y, DType::F32, y.nodes().next_multiple_of(groups), x)?;
    let group = Group { inputs: x.nodes() / groups, outputs: y.nodes() / groups };
    check_size(op, "weights", "values", group.inputs.saturating_mul(y.nodes()), weights.len())?;
    bias.map_or(Ok(()), |bias| check_size(op, "bias", "values", y.nodes(), bias.len()))?;
    Ok(group)
}

pub(crate) fn check_forward(x: &FrameBuffer, map: Affine<'_>, y: &FrameBuffer) -> Result<Group> {
    check_affine("affine forward", x, ("y", y), map)
}

pub(crate) fn check_backward_input(
    x: &FrameBuffer,
    dy: &FrameBuffer,
    map: Affine<'_>,
    dx: &FrameBuffer,
) -> Result<Group> {
    let op = "affine backward input";
    let group = check_affine(op, x, ("dy", dy), map)?;
    check_rows(op, "dx", dx, DType::F32, x.nodes(), x)?;
    Ok(group)
}

pub(crate) fn check_backward_weights(
    x: &FrameBuffer,
    dy: &FrameBuffer,
    map: Affine<'_>,
    dweights: &Array,
    dbias: Option<&Array>,
) -> Result<Group> {
    let op = "affine backward weights";
    let group = check_affine(op, x, ("dy", dy), map)?;
    check_size(op, "dweights", "values", map.weights.len(), dweights.len())?;
    dbias.map_or(Ok(()), |dbias| check_size(op, "dbias", "values", dy.nodes(), dbias.len()))?;
    Ok(group)
}
