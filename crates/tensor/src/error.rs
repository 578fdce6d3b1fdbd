//! What can be wrong with sizes and data.

use crate::DType;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape is empty, has a zero axis, or is too large.
    #[error("{op}: shape {shape:?} is empty or too large")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Two shapes that must agree do not.
    #[error("{op}: expected shape {expected:?}, got {got:?}")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// Shape expected.
        expected: Vec<usize>,
        /// Shape given.
        got: Vec<usize>,
    },
    /// A buffer has the wrong number of elements.
    #[error("{op}: expected {expected} elements, got {got}")]
    Length {
        /// The operation.
        op: &'static str,
        /// Elements expected.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// A number of frames that cannot be used.
    #[error("{op}: expected {expected} frames, got {got}")]
    Frames {
        /// The operation.
        op: &'static str,
        /// What would fit.
        expected: String,
        /// Frames given.
        got: usize,
    },
    /// An index past the end.
    #[error("{op}: index {index} is past the {len} there are")]
    Index {
        /// The operation.
        op: &'static str,
        /// The index.
        index: usize,
        /// Number of things there are.
        len: usize,
    },
    /// A label that is no class.
    #[error("sample {sample}: label {label} is not one of {classes} classes")]
    Label {
        /// The sample.
        sample: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Values of another type than the operation takes.
    #[error("{op}: expected {expected}, got {got}")]
    DType {
        /// The operation.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: DType,
    },
    /// A range that is empty, runs backwards, or ends past the end.
    #[error("{op}: range {start}..{end} is empty or not within 0..{len}")]
    Range {
        /// The operation.
        op: &'static str,
        /// First index.
        start: usize,
        /// One past the last index.
        end: usize,
        /// Number of things there are.
        len: usize,
    },
    /// Axes that are no permutation of those of the tensor.
    #[error("{op}: expected each of the axes 0..{rank} once, got {axes:?}")]
    Axes {
        /// The operation.
        op: &'static str,
        /// Axes given.
        axes: Vec<usize>,
        /// Number of axes there are.
        rank: usize,
    },
    /// A view whose elements do not lie one after the other in memory.
    #[error("{op}: expected contiguous elements, got strides {strides:?} for shape {shape:?}")]
    NotContiguous {
        /// The operation.
        op: &'static str,
        /// Shape of the view.
        shape: Vec<usize>,
        /// Its strides, in elements.
        strides: Vec<usize>,
    },
    /// A number that the operation cannot use.
    #[error("{op}: expected {expected}, got {got}")]
    Argument {
        /// The operation.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: String,
    },
    /// Memory that could not be had.
    #[error("allocation: {bytes} bytes are not to be had")]
    Memory {
        /// Bytes wanted.
        bytes: usize,
    },
    /// Numbers that a device did not give.
    #[error("{op}: the device says: {why}")]
    Device {
        /// The operation.
        op: &'static str,
        /// What the device says.
        why: String,
    },
    /// A variable name that is not in the list.
    #[error("{op}: there is no variable {name:?}")]
    UnknownVariable {
        /// The operation.
        op: &'static str,
        /// The name.
        name: String,
    },
    /// A variable that does not fit; `source` says why.
    #[error("variable {name:?}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
