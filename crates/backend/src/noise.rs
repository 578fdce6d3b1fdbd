//! Noise on the parameters of a training step, drawn where they are: see
//! [`ModelKernels::model_forward`](crate::ModelKernels::model_forward).

use lutweave_tensor::Array;

/// Most parts of a path that a kernel goes on with.
pub(crate) const MOST_PARTS: usize = 4;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// `−ln(−ln U)`.
    Gumbel,
    /// `ln U − ln(1 − U)`.
    Logistic,
}

/// Noise of a model's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// What is drawn for each parameter.
    pub draw: Draw,
    /// What it is multiplied with.
    pub scale: f32,
    /// Whether draws are of a table's entries and parameters its Walsh coefficients: minus the transform
    /// of the noise, divided by the entries, is then what is added.
    pub transformed: bool,
}

/// The random streams of the nodes: that of node `n` has the path `before`, `n`, `after`.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct NodeStreams<'a> {
    pub seed: u64,
    pub before: &'a [u64],
    pub after: &'a [u64],
}

/// Noise of a layer's nodes in one step, and where their parameters with it are wanted: they are those of
/// the nodes plus the draws of [`rng::stream`](lutweave_tensor::rng::stream), one for each parameter in
/// order; logarithms may differ from the host's in their last bit.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct NodeNoise<'a> {
    pub noise: Noise,
    pub streams: NodeStreams<'a>,
    /// Of any length before.
    pub noisy: &'a mut Array,
}
