//! `cargo xtask golden`: lutweave against recorded numbers of its predecessor.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace;

/// Runs the cases of `folder`, or those of the project.
pub(crate) fn run(folder: Option<&Path>) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    // A folder is meant from where the user stands.
    cargo.current_dir(std::env::current_dir().context("cannot tell the current folder")?);
    cargo.args(["run", "--quiet", "--release", "--manifest-path"]);
    cargo.arg(workspace::root().join("Cargo.toml")).args(["-p", "lutweave-golden", "--"]);
    cargo.args(folder);
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
