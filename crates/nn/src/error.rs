//! What can be wrong with a network.

use lutweave_tensor::DType;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting of a layer is out of range.
    #[error("{layer}: expected {option} to be {expected}, got {got}")]
    Option {
        /// The layer.
        layer: String,
        /// The setting.
        option: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A layer cannot take what the layer before it gives.
    #[error("{layer}: expected {expected}, got {got_dtype} of shape {got_shape:?}")]
    Input {
        /// The layer.
        layer: String,
        /// What would fit.
        expected: String,
        /// Type given.
        got_dtype: DType,
        /// Shape given.
        got_shape: Vec<usize>,
    },
    /// A layer has no form in hardware, or not with these settings.
    #[error("{layer}: cannot be frozen to a netlist: {why}")]
    Freeze {
        /// The layer.
        layer: String,
        /// Why not, and what to do.
        why: String,
    },
    /// Stored state does not fit the layer.
    #[error("{layer}: {what}")]
    State {
        /// The layer.
        layer: String,
        /// What does not fit.
        what: String,
    },
    /// A parameter, input or gradient is not finite.
    #[error("{layer}: {what} is not a finite number")]
    NotFinite {
        /// The layer.
        layer: String,
        /// Where.
        what: String,
    },
    /// Something inside a named layer failed.
    #[error("{layer}")]
    Layer {
        /// The layer.
        layer: String,
        /// What failed.
        #[source]
        source: Box<Error>,
    },
    /// A kernel refused its operands.
    #[error(transparent)]
    Backend(#[from] lutweave_backend::Error),
    /// A buffer could not be made.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
    /// A netlist or wiring could not be made.
    #[error(transparent)]
    Lut(#[from] lutweave_lut::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
