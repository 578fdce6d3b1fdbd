//! What can be wrong with a file.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are no file of this format, or were changed.
    #[error("not a usable file: {check}: {what}")]
    Malformed {
        /// The check that failed.
        check: &'static str,
        /// What it found.
        what: String,
    },
    /// The file is well formed, and describes a network that cannot be built.
    #[error("the file describes a network that cannot be built")]
    Network(#[from] lutweave_nn::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
