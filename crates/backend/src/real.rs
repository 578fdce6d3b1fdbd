//! Look-up tables on real inputs.

use std::borrow::Cow;

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::norm::check_keep;
use crate::row_norm::{RowGradient, RowPass, check_row_backward};
use crate::{Form, Result, Sites, WeightKernels};

/// The tables of a layer.
#[derive(Debug, Clone, Copy)]
pub struct RealTables<'a> {
    /// `[tables][2^fan_in]`.
    pub weights: &'a Array,
    /// Whether an entry is 1 where the weight is above 0.5, and else 0; gradients then pass as if it were
    /// the weight.
    pub binarize: bool,
}

impl<'a> From<&'a Array> for RealTables<'a> {
    /// Entries that are the weights.
    fn from(weights: &'a Array) -> Self {
        Self { weights, binarize: false }
    }
}

impl<'a> RealTables<'a> {
    /// The entries by themselves.
    pub(crate) fn entries(self, on: &impl WeightKernels) -> Result<Cow<'a, Array>> {
        if !self.binarize {
            return Ok(Cow::Borrowed(self.weights));
        }
        let mut bits = Array::zeros(self.weights.len())?;
        on.form_weights(self.weights, Form::Bit, 1.0, &mut bits)?;
        Ok(Cow::Owned(bits))
    }
}

/// Multilinear look-up tables whose inputs are real numbers in `[0, 1]`.
///
/// `y = Σ_k W[k] Π_i (k_i ? x_i : 1 − x_i)`, with inputs clamped to `[0, 1]` first; the gradient is
/// that of the clamped inputs, without a mask (as BinaryBrain's `StochasticLut`). Where each table is used
/// is said by [`Sites`].
pub trait RealKernels {
    /// The value of every place and frame.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` and `y` are of f32,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn real_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Adds the gradient of the tables to `dtables`, and that of the inputs to `dx` where there is
    /// one (constants have none), from that of the values, or of what a norm made of these.
    ///
    /// # Errors
    ///
    /// As [`real_forward`](Self::real_forward), for the gradient and `dx` too.
    fn real_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        gradient: RowGradient<'_>,
        dtables: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()>;
}

/// Splits every row of a buffer of f32 into blocks of frames: for each block, its part of each row.
/// Threads can then take blocks of frames while each writes to all rows.
///
/// # Errors
///
/// When the buffer is not of f32.
pub fn frame_blocks(buffer: &mut FrameBuffer, block: usize) -> Result<Vec<Vec<&mut [f32]>>> {
    let (nodes, frames, stride) = (buffer.nodes(), buffer.frames(), buffer.stride());
    let mut blocks: Vec<Vec<&mut [f32]>> = Vec::new();
    blocks.resize_with(frames.div_ceil(block), || Vec::with_capacity(nodes));
    for row in buffer.rows_mut::<f32>()?.chunks_mut(stride) {
        for (parts, part) in blocks.iter_mut().zip(row[..frames].chunks_mut(block)) {
            parts.push(part);
        }
    }
    Ok(blocks)
}

/// Checks a real input and the tables of a layer.
pub(crate) fn check_real(
    op: &'static str,
    x: &FrameBuffer,
    sites: Sites<'_>,
    tables: RealTables<'_>,
    nodes: &FrameBuffer,
) -> Result<()> {
    check_dtype(op, "x", x, DType::F32)?;
    sites.check(op, x)?;
    check_size(op, "tables", "values", sites.entries(), tables.weights.len())?;
    check_rows(op, "nodes", nodes, DType::F32, sites.places(), x)
}

/// Checks the gradients of a layer on real inputs.
pub(crate) fn check_real_backward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    tables: RealTables<'_>,
    gradient: &RowGradient<'_>,
    dtables: &Array,
    dx: Option<&FrameBuffer>,
) -> Result<()> {
    let op = "real backward";
    check_real(op, x, sites, tables, gradient.dy)?;
    check_gradient(op, sites, gradient)?;
    check_size(op, "dtables", "values", sites.entries(), dtables.len())?;
    dx.map_or(Ok(()), |dx| check_rows(op, "dx", dx, DType::F32, sites.sources(), x))
}

/// Checks the norm that a gradient comes back through.
pub(crate) fn check_gradient(
    op: &'static str,
    sites: Sites<'_>,
    gradient: &RowGradient<'_>,
) -> Result<()> {
    let Some(RowPass { u, norm, running }) = &gradient.norm else { return Ok(()) };
    check_row_backward(u, *norm, gradient.dy, u)?;
    check_size(op, "a node", "rows", sites.share(), norm.share)?;
    running.as_ref().map_or(Ok(()), |own| check_keep(norm.mean, norm.variance, own))
}
