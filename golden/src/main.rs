//! Runs the recorded cases of a folder; see the library.
#![forbid(unsafe_code)]
// A command line tool talks through its output.
#![allow(clippy::print_stderr)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// Compares lutweave with numbers recorded by running `BinaryBrain`.
///
/// Prints a line for each case: `ok` with the worst difference, `FAIL` with the first bad element,
/// or `skip` with what is not there; then `N passed, N failed, N skipped`. Succeeds when nothing
/// failed and something ran.
#[derive(Debug, Parser)]
#[command(name = "lutweave-golden")]
struct Arguments {
    /// The folder of case files; without it, the fixtures of this package.
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let fixtures = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    let folder = Arguments::parse().folder.unwrap_or_else(fixtures);
    let report = lutweave_golden::run(&folder, &mut io::stdout().lock())
        .with_context(|| format!("cannot run the cases of {}", folder.display()));
    match report {
        Ok(report) if report.is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
