//! `lutweave data`: what data sets there are, getting them, and looking at them.

mod download;
mod error;
mod fetch;
mod picture;
mod show;
mod unpack;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use lutweave::data::{self, Known};

pub(crate) use error::Error;

use crate::error::Result;
use crate::report::grouped;

/// What to do with data sets.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DataCommand {
    /// The data sets that are known by name, and which of them are here.
    List(ListArguments),
    /// Download a data set to the data folder.
    ///
    /// Every file is compared with its known SHA-256 checksum. A download that was interrupted goes
    /// on where it stopped when the command is given again.
    Fetch(FetchArguments),
    /// Samples per class, and a picture of some of them.
    Show(ShowArguments),
}

/// Options of `lutweave data list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArguments {
    /// Folder that holds data sets [default: the one that LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Options of `lutweave data fetch`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave data fetch mnist --data-dir data
  LUTWEAVE_DATA=data lutweave data fetch cifar10")]
pub(crate) struct FetchArguments {
    /// Name of the data set, as `lutweave data list` has it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Folder that holds data sets [default: the one that LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Address of a folder that holds the files, instead of the public ones.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// Options of `lutweave data show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave data show digits --png digits.png
  lutweave data show flowers.csv --classes species
  lutweave data show houses.csv --numbers price,rent")]
pub(crate) struct ShowArguments {
    /// Name of a data set, or a file or folder.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Folder that holds data sets [default: the one that LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Write a picture of samples, one row a class.
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,

    /// Column of a table that holds classes [default: `class` or `label`].
    #[arg(long, value_name = "COLUMN", conflicts_with = "numbers")]
    pub(crate) classes: Option<String>,

    /// Columns of a table that hold the numbers to predict.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) numbers: Vec<String>,
}

/// Runs a command on data sets.
pub(crate) fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::List(arguments) => list(arguments.data_dir.as_deref()),
        DataCommand::Fetch(arguments) => fetch::run(arguments)?,
        DataCommand::Show(arguments) => show::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(data_dir: Option<&Path>) {
    let mut text = format!(
        "{:<15}{:>15}  {:<14}{:<10}{:<10}what it is\n",
        "name", "samples", "shape", "classes", "size"
    );
    for known in data::known() {
        let [train, test] = known.samples.map(grouped);
        let classes = known.classes.map_or("numbers".to_owned(), |classes| classes.to_string());
        let bytes = known.files.iter().map(|file| file.bytes).sum();
        let size = if known.files.is_empty() { "–".to_owned() } else { in_bytes(bytes) };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<15}{:>15}  {:<14}{classes:<10}{size:<10}{}, {}\n{:15}{}",
            known.name,
            format!("{train} + {test}"),
            format!("{:?}", known.shape),
            known.title,
            presence(known, data_dir),
            "",
            known.source,
        );
    }
    crate::say::print(format_args!("{text}"));
}

/// Whether a data set is here, in words.
fn presence(known: &Known, data_dir: Option<&Path>) -> String {
    if known.files.is_empty() {
        return "always here".to_owned();
    }
    match data::find_folder(known.name, data_dir) {
        Ok(folder) if holds_files(&folder) => format!("in `{}`", folder.display()),
        _ => "not here".to_owned(),
    }
}

/// Whether a folder holds more than downloads that are not complete.
fn holds_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().ends_with(".part"))
        })
    })
}

/// A number of bytes for people.
fn in_bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
