#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bit_error;
mod case;
mod check;
mod convolution;
mod dropout;
mod images;
mod layer;
mod options;
mod pipeline;
mod plan;
mod real;
mod subject;
mod tables;
mod train;

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use case::{Head, Input};
use check::Check;

/// Most files of a folder.
const MAX_FILES: usize = 10_000;

/// How a case that did not pass ended.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// lutweave does not have what the case is about.
    #[error("{0}")]
    Skip(String),
    /// A difference, or a file that is not of the schema.
    #[error("{0}")]
    Fail(String),
}

type Outcome<T> = std::result::Result<T, Problem>;

fn skip<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Problem::Skip(why.into()))
}

fn fail<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Problem::Fail(what.into()))
}

/// An error of the library under test, with its causes: any of them is a failure.
fn library_error(error: impl std::error::Error) -> Problem {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Problem::Fail(text)
}

impl From<lutweave::nn::Error> for Problem {
    fn from(error: lutweave::nn::Error) -> Self {
        library_error(error)
    }
}

impl From<lutweave::tensor::Error> for Problem {
    fn from(error: lutweave::tensor::Error) -> Self {
        library_error(error)
    }
}

impl From<lutweave::backend::Error> for Problem {
    fn from(error: lutweave::backend::Error) -> Self {
        library_error(error)
    }
}

impl From<lutweave::lut::Error> for Problem {
    fn from(error: lutweave::lut::Error) -> Self {
        library_error(error)
    }
}

impl From<lutweave::train::Error> for Problem {
    fn from(error: lutweave::train::Error) -> Self {
        library_error(error)
    }
}

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that agree.
    pub passed: usize,
    /// Cases that differ, and files that are not of the schema.
    pub failed: usize,
    /// Cases about what lutweave does not have.
    pub skipped: usize,
}

impl Report {
    /// Whether something ran and nothing failed.
    pub fn is_ok(self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

/// Runs every `*.json` file of a folder, in the order of their names, and writes a line each.
///
/// # Errors
///
/// When the folder cannot be listed, holds too many files, or `out` cannot be written.
pub fn run(folder: &Path, out: &mut impl Write) -> io::Result<Report> {
    let mut report = Report::default();
    for path in files(folder)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match run_file(&path) {
            Ok(check) => {
                report.passed += 1;
                writeln!(out, "ok    {name}  {check}")?;
            }
            Err(Problem::Fail(what)) => {
                report.failed += 1;
                writeln!(out, "FAIL  {name}: {}", one_line(what))?;
            }
            Err(Problem::Skip(why)) => {
                report.skipped += 1;
                writeln!(out, "skip  {name}: {}", one_line(why))?;
            }
        }
    }
    let Report { passed, failed, skipped } = report;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    Ok(report)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!("more than {MAX_FILES} case files")));
        }
    }
    files.sort();
    Ok(files)
}

/// Text of a file may be in a message: it stays one line of moderate length.
fn one_line(text: impl Display) -> String {
    let text = text.to_string();
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(600).collect()
}

fn run_file(path: &Path) -> Outcome<Check> {
    let text = case::read(path)?;
    let head: Head = case::parse(&text)?;
    match head.input(&text)? {
        Input::Layer(case) => layer::run(&case),
        Input::Loss(case) => train::run_loss(&case),
        Input::Metric(case) => train::run_metric(&case),
        Input::Optimizer(case) => train::run_optimizer(&case),
        Input::Pipeline(case) => pipeline::run(&case),
    }
}
