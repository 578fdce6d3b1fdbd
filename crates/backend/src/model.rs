//! Models of LUT nodes that a backend computes by itself, so that a layer's numbers stay where they are.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_rows, check_size};
use crate::noise::NodeNoise;
use crate::table::check_input;
use crate::{Candidates, Choice, Result, Sites};

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
    /// A network of one hidden layer with so many units of this function.
    #[allow(missing_docs)]
    MicroMlp { units: usize, function: UnitFunction },
    /// Whether the entry is above 0.5. Not trained.
    Binary,
    /// The mean of the inputs. No parameters.
    Average,
    /// Whether any input is one. No parameters.
    Max,
}

/// The function of a hidden unit of a micro-MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnitFunction {
    Relu,
    LeakyRelu,
    Tanh,
    HardTanh,
    Sigmoid,
}

impl TableModel {
    /// Parameters of a node.
    pub fn parameters(self, fan_in: usize) -> usize {
        match self {
            Self::GateMixture { .. } => 16,
            Self::MicroMlp { units, .. } => units.saturating_mul(fan_in + 2).saturating_add(1),
            Self::Average | Self::Max => 0,
            _ => 1 << fan_in,
        }
    }

    /// The file of its kernel, and two settings as that takes them.
    pub(crate) fn kernel(self) -> (&'static str, f32, f32) {
        let yes = |yes: bool| f32::from(u8::from(yes));
        match self {
            Self::Smoothed { bias, binarize_table } => ("smoothed", bias, yes(binarize_table)),
            Self::HardTable { alpha, beta } => ("hard_table", alpha, beta),
            Self::Light { sine } => ("light", yes(sine), 0.0),
            Self::Walsh { temperature } => ("walsh", temperature, 0.0),
            Self::GateMixture { temperature, hard } => ("gate_mixture", temperature, yes(hard)),
            Self::MicroMlp { units, function } => {
                ("micro_mlp", units as f32, f32::from(function as u8))
            }
            Self::Binary => ("binary", 0.0, 0.0),
            Self::Average => ("average", 0.0, 0.0),
            Self::Max => ("max", 0.0, 0.0),
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
    /// `y` of f32 values clamped to 0 to 1. Writes all of `state`. With `noise`,
    /// entries are those of the parameters with this noise, which are written where it says.
    ///
    /// # Errors
    ///
    /// As [`counted_forward`](crate::TableKernels::counted_forward).
    fn model_forward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _nodes: Nodes<'_>,
        _noise: Option<NodeNoise<'_>>,
        _state: BatchState<'_>,
        _y: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }

    /// [`choose`](crate::CandidateKernels::choose), then [`model_forward`](Self::model_forward) with what was
    /// chosen, in one. None, as here, where the backend has none of this.
    ///
    /// # Errors
    ///
    /// As of the two.
    fn learned_forward(
        &self,
        _x: &FrameBuffer,
        _candidates: Candidates<'_>,
        _nodes: Nodes<'_>,
        _noise: Option<NodeNoise<'_>>,
        _state: BatchState<'_>,
        _y: &mut FrameBuffer,
    ) -> Result<Option<Choice>> {
        Ok(None)
    }

    /// The answer of nodes that learn nothing: as [`model_forward`](Self::model_forward), but with constants
    /// for mean and variance, one of each a table. `state` is written in full, of any length before.
    ///
    /// # Errors
    ///
    /// As of [`model_forward`](Self::model_forward).
    fn constant_forward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _nodes: Nodes<'_>,
        _moments: (&Array, &Array),
        _state: &mut Array,
        _y: &mut FrameBuffer,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Adds the gradient of the inputs of such nodes to `dx`: through the model and, with a norm, through
    /// its window, where `0 < v < 1`, and as through a constant factor.
    ///
    /// # Errors
    ///
    /// As of [`table_backward`](crate::TableKernels::table_backward).
    fn constant_backward(
        &self,
        _x: &FrameBuffer,
        _sites: Sites<'_>,
        _dy: &FrameBuffer,
        _nodes: Nodes<'_>,
        _state: &Array,
        _dx: &mut FrameBuffer,
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
    let expected = sites.tables().saturating_mul(nodes.model.parameters(sites.fan_in()));
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

/// Checks the moments that are constants.
pub(crate) fn check_moments(
    op: &'static str,
    sites: Sites<'_>,
    (mean, variance): (&Array, &Array),
) -> Result<()> {
    check_size(op, "mean", "values", sites.tables(), mean.len())?;
    check_size(op, "variance", "values", sites.tables(), variance.len())
}

/// Checks the operands of a backward pass of nodes that learn nothing; those of the gradient's way down are
/// checked with it.
pub(crate) fn check_constant_backward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    dy: &FrameBuffer,
    nodes: Nodes<'_>,
    state: &Array,
) -> Result<()> {
    let op = "constant backward";
    check_input(op, x, sites)?;
    check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
    check_nodes(op, sites, nodes)?;
    check_size(op, "state", "values", sites.entries() + MOMENTS * sites.tables(), state.len())
}
