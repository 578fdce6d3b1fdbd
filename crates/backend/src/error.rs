//! What can be wrong with the operands of a kernel.

use lutweave_tensor::DType;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operand has another element type than the kernel takes.
    #[error("{op}: expected {operand} of {expected}, got {got}")]
    DType {
        /// The kernel.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The type it takes.
        expected: DType,
        /// The type it was given.
        got: DType,
    },
    /// An operand has the wrong size.
    #[error("{op}: expected {operand} to have {expected} {unit}, got {got}")]
    Size {
        /// The kernel.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// What is counted.
        unit: &'static str,
        /// Size expected.
        expected: usize,
        /// Size given.
        got: usize,
    },
    /// Something this machine does not have.
    #[error("{what} is not available: {why}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// Why it cannot be had.
        why: String,
    },
    /// A buffer could not be made.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
