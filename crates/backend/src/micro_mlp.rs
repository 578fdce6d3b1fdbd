//! Nodes that are small networks, on inputs that are real numbers.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::real::check_gradient;
use crate::{Result, RowGradient, Sites, UnitFunction};

/// Nodes with one hidden layer each. Parameters of a node, in order: weights `[units][fan_in]` and biases
/// `[units]` of the hidden layer, then weights `[units]` and the bias of the output.
#[derive(Debug, Clone, Copy)]
pub struct MicroMlps<'a> {
    /// Hidden units of a node, at least one.
    pub units: usize,
    /// Their function.
    pub function: UnitFunction,
    /// `[tables][units · (fan_in + 2) + 1]`.
    pub parameters: &'a Array,
}

/// Micro-MLPs where the numbers are.
///
/// Inputs enter as they are; the constants of a wiring are 0 and 1. A backend that has none of this gives
/// `false` and changes nothing, as the methods here do; the layer then computes on the host, with the same
/// results up to rounding.
pub trait MicroMlpKernels {
    /// The value of every place and frame.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` and `y` are of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn micro_forward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _nodes: MicroMlps<'_>,
        _y: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Adds the gradient of the parameters, and that of the inputs where it is wanted, from that of the
    /// values, or of what a norm made of these; running averages are then taken over too.
    ///
    /// # Errors
    ///
    /// As [`micro_forward`](Self::micro_forward), for the gradients too.
    fn micro_backward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _nodes: MicroMlps<'_>,
        _back: RowGradient<'_>,
        _gradient: &mut Array,
        _dx: Option<&mut FrameBuffer>,
    ) -> Result<bool> {
        Ok(false)
    }
}

/// Checks the operands of either pass, of which `y` is the answer or its gradient.
pub(crate) fn check_micro(
    op: &'static str,
    x: &FrameBuffer,
    sites: Sites<'_>,
    nodes: MicroMlps<'_>,
    y: &FrameBuffer,
) -> Result<()> {
    check_dtype(op, "x", x, DType::F32)?;
    sites.check(op, x)?;
    check_rows(op, "y", y, DType::F32, sites.places(), x)?;
    check_size(op, "a node", "units", nodes.units.max(1), nodes.units)?;
    let size = nodes.units.saturating_mul(sites.fan_in() + 2).saturating_add(1);
    let all = size.saturating_mul(sites.tables());
    check_size(op, "parameters", "values", all, nodes.parameters.len())
}

/// Checks all operands of the way back.
pub(crate) fn check_micro_backward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    nodes: MicroMlps<'_>,
    back: &RowGradient<'_>,
    gradient: &Array,
    dx: Option<&FrameBuffer>,
) -> Result<()> {
    let op = "micro-MLP backward";
    check_micro(op, x, sites, nodes, back.dy)?;
    check_gradient(op, sites, back)?;
    check_size(op, "parameters", "gradients", nodes.parameters.len(), gradient.len())?;
    dx.map_or(Ok(()), |dx| check_rows(op, "dx", dx, DType::F32, sites.sources(), x))
}
