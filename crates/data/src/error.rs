//! What can be wrong with a data set's files.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder was given, and the environment names none.
    #[error(
        "{name}: no data folder given; name one, or set {variable} to a folder that holds `{name}`"
    )]
    NoFolder {
        /// The data set.
        name: String,
        /// The environment variable that was looked at.
        variable: &'static str,
    },
    /// The folder of a data set does not exist.
    #[error("{name}: no folder `{}`", path.display())]
    Folder {
        /// The data set.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A name that is neither a known data set nor a file or folder.
    #[error(
        "unknown data set `{name}`: no file or folder of this name, and none of {}",
        known.join(", ")
    )]
    Unknown {
        /// The name.
        name: String,
        /// The names that are known.
        known: Vec<&'static str>,
    },
    /// A folder or file that is no data set in any form this crate reads.
    #[error("`{}`: no data set: {expected}", path.display())]
    NoSet {
        /// The folder or file.
        path: PathBuf,
        /// What is looked for.
        expected: &'static str,
    },
    /// A file of a data set does not exist.
    #[error("{name}: found no `{file}` ({others}) in `{}`; put the file there", folder.display())]
    Missing {
        /// The data set.
        name: String,
        /// The file's usual name.
        file: String,
        /// Its other spellings.
        others: String,
        /// Where it belongs.
        folder: PathBuf,
    },
    /// Something is wrong with the file at `path`.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The file could not be read, or its gzip stream is damaged.
    #[error("{op}: cannot read: {source}")]
    Read {
        /// The operation.
        op: &'static str,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// The first four bytes are not those of the format.
    #[error("{op}: expected the magic number {expected:#010x}, got {got:#010x}")]
    Magic {
        /// The operation.
        op: &'static str,
        /// Magic number expected.
        expected: u32,
        /// Magic number found.
        got: u32,
    },
    /// The header claims more than the reader takes.
    #[error("{op}: the header claims {dimensions:?} bytes of data, the limit is {limit}")]
    TooLarge {
        /// The operation.
        op: &'static str,
        /// The dimensions in the header; their product is the number of bytes.
        dimensions: Vec<u32>,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The header claims images without a pixel.
    #[error("{op}: images of {rows} x {columns} pixels hold nothing")]
    NoPixels {
        /// The operation.
        op: &'static str,
        /// Rows in the header.
        rows: u32,
        /// Columns in the header.
        columns: u32,
    },
    /// The file ends before the data that its header claims.
    #[error("{op}: expected {expected} bytes, the file ends after {got}")]
    Truncated {
        /// The operation.
        op: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        got: u64,
    },
    /// The file goes on after the data that its header claims.
    #[error("{op}: expected {expected} bytes, the file goes on after them")]
    Trailing {
        /// The operation.
        op: &'static str,
        /// Bytes expected.
        expected: u64,
    },
    /// The content breaks a rule of its format.
    #[error("{op}: {what}")]
    Malformed {
        /// The operation.
        op: &'static str,
        /// Which.
        what: String,
    },
    /// A part of the format that this crate does not read.
    #[error("{op}: {what} is not supported")]
    Unsupported {
        /// The operation.
        op: &'static str,
        /// What it is.
        what: String,
    },
    /// There is more of something than the reader takes.
    #[error("{op}: more than {limit} {what}")]
    Limit {
        /// The operation.
        op: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: u64,
    },
    /// A column that a table does not have.
    #[error("{op}: no column {column}; there are {}", listed(columns))]
    Column {
        /// The operation.
        op: &'static str,
        /// The column that was looked for.
        column: String,
        /// The columns of the table.
        columns: Vec<String>,
    },
    /// A setting out of its range.
    #[error("{op}: expected {expected}, got {got}")]
    Argument {
        /// The operation.
        op: &'static str,
        /// What would be right.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// Two files that belong together do not fit.
    #[error("{op}: expected {expected}, got {got}")]
    Mismatch {
        /// The operation.
        op: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A line of a text file is malformed.
    #[error("{op}: line {line}: {what}")]
    Line {
        /// The operation.
        op: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong in it.
        what: String,
    },
    /// The samples do not make a data set, for instance because of a label that is no class.
    #[error(transparent)]
    Tensor(#[from] lutweave_tensor::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: the error is in the file at `path`.
    pub(crate) fn in_file(path: &Path) -> impl FnOnce(Self) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source: Box::new(source) }
    }
}

/// The first of some names, in backticks.
fn listed(names: &[String]) -> String {
    const MOST: usize = 12;
    let mut text: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        text.push(format!("{} more", names.len() - MOST));
    }
    text.join(", ")
}
