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
    /// A schedule is for a hyperparameter that nothing has.
    #[error("{of}: there is no `{name}` for a schedule to change; there is {there}")]
    Unknown {
        /// Where it was looked for.
        of: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        there: String,
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
    /// A loss or metric was given a kind of target that it does not take.
    #[error("{op}: expected {expected}, got {got}")]
    Target {
        /// The operation.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: &'static str,
    },
    /// The parameters or the stored state do not fit an optimizer.
    #[error("{optimizer}: expected {expected}, got {got}")]
    State {
        /// The optimizer.
        optimizer: &'static str,
        /// What would fit.
        expected: String,
        /// What there is.
        got: String,
    },
    /// The gradients are infinite or not numbers.
    #[error("{op}: the gradients have norm {norm}; a smaller learning rate may help")]
    NotFinite {
        /// The operation.
        op: &'static str,
        /// Their norm.
        norm: f64,
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
    /// A function that the caller gave to the trainer failed.
    #[error("a callback of the training failed")]
    Callback(#[source] crate::trainer::BoxError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] lutweave_nn::Error),
    /// A buffer could not be made.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
