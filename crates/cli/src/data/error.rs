//! What can go wrong with data sets, beside what their readers say.

use std::io;
use std::path::PathBuf;

/// An error of `lutweave data`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A name that cannot be fetched.
    #[error("`{name}` cannot be fetched: it is none of {known}")]
    Unknown { name: String, known: String },
    /// No mirror gave the file.
    #[error("cannot fetch `{file}` of {set}")]
    Fetch {
        set: &'static str,
        file: &'static str,
        folder: PathBuf,
        /// Where the files of the set can be had.
        urls: Vec<String>,
        source: Box<Failure>,
    },
    /// An archive that was fetched is not as it should be.
    #[error("unpack `{}`: {what}", .path.display())]
    Archive { path: PathBuf, what: String },
    /// A data set that is no row of images.
    #[error(
        "{name}: no picture of samples of shape {shape:?}: expected one or three channels, rows and columns"
    )]
    NoPicture { name: String, shape: Vec<usize> },
    /// The picture could not be encoded.
    #[error("make the picture")]
    Picture(#[from] png::EncodingError),
}

impl Error {
    /// What the user can do.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            Self::Fetch { folder, urls, .. } => Some(format!(
                "the same command later (it goes on where it stopped), or put these files into `{}` \
                 by other means:\n    {}",
                folder.display(),
                urls.join("\n    ")
            )),
            Self::Unknown { .. } => Some("lutweave data list".to_owned()),
            _ => None,
        }
    }
}

/// Why one address did not give a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection, or one that broke.
    #[error("{url}: {cause}")]
    Http { url: String, cause: Box<ureq::Error> },
    /// The connection broke while the file came.
    #[error("{url}: {cause}")]
    Broken { url: String, cause: io::Error },
    /// The server has something else.
    #[error("{url}: {what}")]
    Answer { url: String, what: String },
    /// The bytes are not those of the published file.
    #[error("{url}: expected SHA-256 {expected}, got {got}")]
    Checksum { url: String, expected: String, got: String },
    /// The file could not be written.
    #[error("write `{}`: {cause}", .path.display())]
    Write { path: PathBuf, cause: io::Error },
}
