//! What can be wrong with an export, its vectors or a run of the tools.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The netlist, or values for its ports, were refused by the netlist crate.
    #[error(transparent)]
    Netlist(#[from] lutweave_lut::Error),
    /// The module name cannot be used as it is.
    #[error("module name `{name}`: {what}")]
    ModuleName {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The printer cannot express the netlist.
    #[error("export of netlist `{netlist}`: {what}")]
    Unsupported {
        /// Name of the netlist.
        netlist: String,
        /// What cannot be expressed.
        what: String,
    },
    /// A stage cannot be streamed.
    #[error("stream of stage `{stage}`: {what}")]
    Stage {
        /// Name of the stage.
        stage: String,
        /// Why not, and what would do.
        what: String,
    },
    /// A list of values has the wrong length.
    #[error("{op}: expected {expected} values, got {got}")]
    Length {
        /// The operation.
        op: &'static str,
        /// Values expected.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// An expected output does not fit the width of its port.
    #[error("{op}: value {value} at position {position} does not fit in {width} bits")]
    Value {
        /// The operation.
        op: &'static str,
        /// The value.
        value: u64,
        /// Its place among the values given.
        position: usize,
        /// Width of the word it is for.
        width: usize,
    },
    /// A file of a foreign format is malformed, or holds what cannot be taken over.
    #[error("{format}, {place}: {what}")]
    Read {
        /// The format.
        format: &'static str,
        /// Where: a line, a byte, or a part of the file.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The writer failed.
    #[error("write the export: the writer failed")]
    Write(#[from] std::fmt::Error),
    /// A file or folder could not be written or read.
    #[error("{op} `{path}`")]
    Io {
        /// The operation.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A tool is not installed.
    #[error("`{command}` was not found; install it: `apt-get install {package}`")]
    MissingTool {
        /// The command that was looked for.
        command: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// A tool is older than what is needed.
    #[error("`{command}` is version {found}, needed is {needed} or newer")]
    OldTool {
        /// The command.
        command: &'static str,
        /// Version found.
        found: String,
        /// Lowest version that will do.
        needed: u32,
    },
    /// A tool ended with an error, or said something that could not be understood.
    #[error("`{command}` failed: {what}\n{output}")]
    Tool {
        /// The command.
        command: String,
        /// How it ended.
        what: String,
        /// The first lines of what it said.
        output: String,
    },
    /// A tool ran longer than allowed and was ended.
    #[error("`{command}` ran longer than {seconds} s and was ended")]
    Timeout {
        /// The command.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// The hardware did not answer as expected.
    #[error("co-simulation: {passed} of {total} results equal\n{report}")]
    Mismatch {
        /// Results that were right.
        passed: usize,
        /// Results expected.
        total: usize,
        /// What the test bench said: the first samples that differ, and the counts.
        report: String,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A piece of a stranger's text, cut short and fit for a terminal.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("..");
    }
    format!("`{short}`")
}
