//! What can go wrong in training.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range.
    #[error("training: expected {option} to be {expected}, got {got}")]
    Option {
        /// The setting.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// The targets of a data set are not what the loss or the network needs.
    #[error("data set `{data}`: expected {expected}, got {got}")]
    Targets {
        /// Name of the data set.
        data: String,
        /// What would fit.
        expected: String,
        /// What there is.
        got: String,
    },
    /// The loss is infinite or not a number.
    #[error("epoch {epoch}, step {step}: the loss is {loss}; a smaller learning rate may help")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in it, from 1.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// The network failed.
    #[error(transparent)]
    Network(#[from] lutweave_nn::Error),
    /// A buffer could not be made.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
