//! Models of LUT nodes that a backend computes by itself, so that a layer's numbers stay where they are.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_rows, check_size};
use crate::table::check_input;
use crate::{Result, Sites};

/// Numbers that the state of a node has after its values: the mean and the variance of the batch.
pub const MOMENTS: usize = 2;

/// What a node computes from its parameters, as kernels know it. The formulas stand with the models of
/// the same names in `lutweave-nn`; a model that is none of these is computed on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TableModel {
    /// Multilinear on bits that are 0.5 ± `bias`, of the entries or of what side of 0.5 they are on.
    #[allow(missing_docs)]
    Smoothed { bias: f32, binarize_table: bool },
    /// `(1 + w) / 2`, slopes by extended finite differences of scale `alpha` and decay `beta`.
    #[allow(missing_docs)]
    HardTable { alpha: f32, beta: f32 },
    /// The sigmoid of each entry, or `(1 + sin w) / 2`.
    #[allow(missing_docs)]
    Light { sine: bool },
    /// The sigmoid of `−WHT(θ) / temperature`.
    #[allow(missing_docs)]
    Walsh { temperature: f32 },
    /// A softmax over the 16 functions of two inputs; with `hard` the likeliest of them.
    #[allow(missing_docs)]
    GateMixture { temperature: f32, hard: bool },
    /// Whether the entry is above 0.5. Not trained.
    Binary,
    /// The mean of the inputs. No parameters.
    Average,
    /// Whether any input is one. No parameters.
    Max,
}

impl TableModel {
    /// Parameters of a node.
    pub fn parameters(self, fan_in: usize) -> usize {
        match self {
            Self::GateMixture { .. } => 16,
            Self::Average | Self::Max => 0,
            _ => 1 << fan_in,
        }
    }
}

/// The nodes of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a> {
    /// What each computes.
    pub model: TableModel,
    /// `[tables][parameters of a node]`.
    pub parameters: &'a Array,
    /// γ and β of a batch norm between value and threshold 0.5.
    pub norm: Option<(f32, f32)>,
}

/// What a layer keeps of a batch: `[tables][2^fan_in]` counts of patterns, and
/// `[tables][2^fan_in + MOMENTS]` values, then mean and variance.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct BatchState<'a> {
    pub counts: &'a mut Array<u32>,
    pub state: &'a mut Array,
}

/// What the backward pass of a layer writes.
#[derive(Debug)]
pub struct BatchGradient<'a> {
    /// [`Slopes::scale`](crate::Slopes::scale), of any length before.
    pub scale: &'a mut Array,
    /// [`Slopes::offset`](crate::Slopes::offset), likewise.
    pub offset: &'a mut Array,
    /// [`Slopes::slopes`](crate::Slopes::slopes), likewise; none where no gradient goes further down.
    pub slopes: Option<&'a mut Array>,
    /// Added to: the gradient of the parameters.
    pub parameters: &'a mut Array,
    /// Running averages that take over the mean and variance of the batch:
    /// `r ← keep · r + (1 − keep) · batch`.
    pub running: Option<Running<'a>>,
}

/// Running averages of mean and variance, one of each a table.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Running<'a> {
    pub mean: &'a mut Array,
    pub variance: &'a mut Array,
    /// How much of them is kept, from 0 to below 1.
    pub keep: f32,
}

/// Layers whose model the backend knows.
///
/// A backend that has none of this gives `false` and changes nothing, as the methods here do; the layer
/// then computes its model on the host, see [`TableKernels`](crate::TableKernels). One that has it
/// gives `true`, and the numbers never cross: bits, counts and values are those of the host as far as
/// the model is made of sums and products, the others agree within 1e-4.
pub trait ModelKernels {
    /// Counts patterns, makes the entries of every table from them, and looks these up: bits, or for
    /// `y` of f32 values clamped to 0 to 1. Writes all of `state`.
    ///
    /// # Errors
    ///
    /// As [`counted_forward`](crate::TableKernels::counted_forward).
    fn model_forward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _nodes: Nodes<'_>,
        _state: BatchState<'_>,
        _y: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }

    /// From the gradient of the answers to that of the parameters, and to what
    /// [`table_backward`](crate::TableKernels::table_backward) needs. `state` is what the forward pass
    /// wrote.
    ///
    /// # Errors
    ///
    /// As [`summed_backward`](crate::TableKernels::summed_backward).
    fn model_backward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _dy: &FrameBuffer,
        _nodes: Nodes<'_>,
        _state: BatchState<'_>,
        _gradient: BatchGradient<'_>,
    ) -> Result<bool> {
        Ok(false)
    }
}

/// Checks the operands of a forward pass.
pub(crate) fn check_model_forward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    nodes: Nodes<'_>,
    y: &FrameBuffer,
) -> Result<()> {
    let op = "model forward";
    check_input(op, x, sites)?;
    let dtype = if y.dtype() == DType::F32 { DType::F32 } else { DType::Bit };
    check_rows(op, "y", y, dtype, sites.places(), x)?;
    check_nodes(op, sites, nodes)?;
    Ok(())
}

fn check_nodes(op: &'static str, sites: Sites<'_>, nodes: Nodes<'_>) -> Result<()> {
    let expected = sites.tables() * nodes.model.parameters(sites.fan_in());
    check_size(op, "parameters", "values", expected, nodes.parameters.len())?;
    if matches!(nodes.model, TableModel::GateMixture { .. }) {
        check_size(op, "a gate mixture", "inputs", 2, sites.fan_in())?;
    }
    Ok(())
}

/// Checks the operands of a backward pass.
pub(crate) fn check_model_backward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    dy: &FrameBuffer,
    nodes: Nodes<'_>,
    state: &BatchState<'_>,
    gradient: &BatchGradient<'_>,
) -> Result<()> {
    let op = "model backward";
    check_input(op, x, sites)?;
    check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
    check_nodes(op, sites, nodes)?;
    let (tables, entries) = (sites.tables(), sites.entries());
    check_size(op, "counts", "values", entries, state.counts.len())?;
    check_size(op, "state", "values", entries + MOMENTS * tables, state.state.len())?;
    let parameters = gradient.parameters.len();
    check_size(op, "parameters", "gradients", nodes.parameters.len(), parameters)?;
    if let Some(running) = &gradient.running {
        check_size(op, "running mean", "values", tables, running.mean.len())?;
        check_size(op, "running variance", "values", tables, running.variance.len())?;
    }
    Ok(())
}
