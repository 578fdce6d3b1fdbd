//! `cargo xtask demo`: the main job of the project in one command.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace;

/// Runs `lutweave demo` with `arguments`.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let mut cargo = workspace::cargo();
    // Paths among the arguments are meant from where the user stands.
    cargo.current_dir(std::env::current_dir().context("cannot tell the current folder")?);
    cargo.args(["run", "--release", "--manifest-path"]).arg(workspace::root().join("Cargo.toml"));
    cargo.args(["-p", "lutweave-cli", "--bin", "lutweave", "--", "demo"]).args(arguments);
    replace(cargo).context("cannot run cargo")
}

/// Becomes `command`, so that Ctrl-C reaches the demo alone: it ends in its own time.
#[cfg(unix)]
fn replace(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace(mut command: Command) -> std::io::Result<ExitCode> {
    Ok(if command.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
