//! What can be wrong with a netlist, a program or the values given to it.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The netlist was refused, for instance because a register feeds back.
    #[error(transparent)]
    Netlist(#[from] lutweave_lut::Error),
    /// There is nothing to compute.
    #[error("{op}: expected at least one frame, got none")]
    NoFrames {
        /// The operation.
        op: &'static str,
    },
    /// Values given or asked for do not fit the netlist's ports.
    #[error("{op}: expected {expected} {what}, got {got}")]
    Length {
        /// The operation.
        op: &'static str,
        /// What is counted.
        what: &'static str,
        /// Number expected.
        expected: usize,
        /// Number given.
        got: usize,
    },
    /// A value does not fit its input word.
    #[error("{op}: value {value} at position {position} does not fit in {width} bits")]
    Value {
        /// The operation.
        op: &'static str,
        /// The value.
        value: u8,
        /// Its place among the values given.
        position: usize,
        /// Width of the word it is for.
        width: usize,
    },
    /// The netlist cannot be run in the way asked for.
    #[error("{op}: {what}")]
    Unsupported {
        /// The operation.
        op: &'static str,
        /// What is not supported.
        what: String,
    },
    /// Something this machine or this build does not have.
    #[error("{what} is not available: {why}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// Why it is not there.
        why: String,
    },
    /// The bytes of a stored program are damaged, or of something else.
    #[error("stored program: {what}")]
    Format {
        /// What is wrong.
        what: String,
    },
    /// Reading or writing a stream failed.
    #[error("{op}")]
    Io {
        /// The operation.
        op: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
