//! Noise on the parameters of a training step.

use lutweave_tensor::Array;

use crate::Result;
use crate::check::check_size;

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

/// Noise that is drawn where the parameters are.
pub trait NoiseKernels {
    /// `out = parameters + noise`, for nodes of `size` parameters each, with the draws of
    /// [`rng::stream`](lutweave_tensor::rng::stream) in the order of the parameters; logarithms may
    /// differ in their last bit. A backend that has none of this gives `false` and changes nothing, as the
    /// method does here: whoever asks draws on the host.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless both arrays are of the same whole number of nodes.
    fn add_noise(
        &self,
        _parameters: &Array,
        _size: usize,
        _noise: Noise,
        _streams: NodeStreams<'_>,
        _out: &mut Array,
    ) -> Result<bool> {
        Ok(false)
    }
}

pub(crate) fn check_noise(parameters: &Array, size: usize, out: &Array) -> Result<()> {
    let op = "add noise";
    check_size(op, "a node", "parameters", size.max(1), size)?;
    let whole = parameters.len() / size * size;
    check_size(op, "parameters", "values", whole, parameters.len())?;
    check_size(op, "out", "values", parameters.len(), out.len())
}
