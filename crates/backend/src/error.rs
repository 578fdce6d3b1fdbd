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
    /// A table names a row that its operand does not have.
    #[error("{op}: entry {entry} of the table is row {row} of {rows}")]
    Row {
        /// The kernel.
        op: &'static str,
        /// Place in the table.
        entry: usize,
        /// The row it names.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A pooling window without anything in it.
    #[error("{op}: window {window} has no taps")]
    EmptyWindow {
        /// The kernel.
        op: &'static str,
        /// The window.
        window: usize,
    },
    /// Nodes that are no whole number of runs with a table each.
    #[error("{nodes} nodes cannot share tables by {share}")]
    Share {
        /// Nodes of the wiring.
        nodes: usize,
        /// How many were to share a table.
        share: usize,
    },
    /// Something this machine does not have.
    #[error("{what} is not available: {why}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// Why it cannot be had.
        why: String,
    },
    /// Something that a device could not do.
    #[error("{op}: the device says: {why}")]
    Device {
        /// What it was asked for.
        op: &'static str,
        /// What it says.
        why: String,
    },
    /// A buffer could not be made.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
