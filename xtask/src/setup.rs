//! What the tests need on a fresh machine: found, or installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// A program the tests call, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

/// What the hardware tests call. Verilator compiles its models with a C++ compiler and make.
const HARDWARE: &[Tool] = &[
    Tool { program: "verilator", package: "verilator" },
    Tool { program: "iverilog", package: "iverilog" },
    Tool { program: "yosys", package: "yosys" },
    Tool { program: "g++", package: "g++" },
    Tool { program: "make", package: "make" },
];

/// Cargo's subcommands that a minimal toolchain lacks; rustup's components have the same names but
/// for `fmt`.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Makes sure that rustfmt and clippy are there.
pub(crate) fn components() -> Result<()> {
    let missing: Vec<&str> = COMPONENTS
        .iter()
        .filter(|(subcommand, _)| !quietly(workspace::cargo().args([subcommand, "--version"])))
        .map(|&(_, component)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("rustup component add {}", missing.join(" "));
    println!("missing: {}; running `{line}`", missing.join(", "));
    let done = workspace::command("rustup").args(["component", "add"]).args(&missing).status();
    ensure!(
        done.is_ok_and(|status| status.success()),
        "missing: {}; run `{line}`",
        missing.join(", ")
    );
    Ok(())
}

/// Makes sure that the hardware tools are there; installs them with apt-get where that is allowed.
pub(crate) fn hardware_tools() -> Result<()> {
    let missing = missing(HARDWARE, &find);
    if missing.is_empty() {
        let found: Vec<String> = HARDWARE.iter().map(|tool| tool.program.to_owned()).collect();
        println!("found {}", found.join(", "));
        return Ok(());
    }
    let advice = advice(&missing);
    if find("apt-get").is_none() {
        bail!("{advice}");
    }
    let Some(prefix) = root_prefix() else {
        bail!("{advice} (not done here: this user is not root, and sudo asks for a password)");
    };
    println!("missing: {}; installing", programs(&missing));
    // A package source that fails need not be the one that has our packages.
    if let Err(error) = apt_get(prefix, &["update"]) {
        println!("{error:#}; going on with the package lists there are");
    }
    let packages = missing.iter().map(|tool| tool.package);
    let install: Vec<&str> =
        ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages).collect();
    apt_get(prefix, &install).with_context(|| advice.clone())?;
    let missing = self::missing(HARDWARE, &find);
    ensure!(missing.is_empty(), "installed, but still not found: {}", programs(&missing));
    Ok(())
}

fn missing<'a>(tools: &'a [Tool], find: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<&'a Tool> {
    tools.iter().filter(|tool| find(tool.program).is_none()).collect()
}

fn programs(tools: &[&Tool]) -> String {
    tools.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ")
}

/// What the user should do about `missing`.
fn advice(missing: &[&Tool]) -> String {
    let packages = missing.iter().map(|tool| tool.package).collect::<Vec<_>>().join(" ");
    format!(
        "the hardware tests need {}; on Debian or Ubuntu: \
         `sudo apt-get update && sudo apt-get install --no-install-recommends {packages}`; \
         or leave these tests out with `cargo xtask test --quick`",
        programs(missing)
    )
}

/// The words before a command that make it run as root, if that needs no password.
fn root_prefix() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        Some(&[])
    } else if quietly(Command::new("sudo").args(["-n", "true"])) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

fn apt_get(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    // Wait for another apt-get, as on a machine that has only just started.
    let fixed =
        ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"];
    let words: Vec<&str> = prefix.iter().chain(&fixed).chain(arguments).copied().collect();
    println!("+ {}", words.join(" "));
    let status = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", words[0]))?;
    ensure!(status.success(), "`apt-get {}` failed with {status}", arguments[0]);
    Ok(())
}

/// Whether `command` can be run and succeeds; its output is dropped.
fn quietly(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where `program` is on the search path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file() || file.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_programs_and_packages() {
        let there = |program: &str| (program != "yosys" && program != "g++").then(PathBuf::new);
        let missing = missing(HARDWARE, &there);
        let advice = advice(&missing);
        assert!(advice.starts_with("the hardware tests need yosys, g++;"), "{advice}");
        assert!(advice.contains("install --no-install-recommends yosys g++`"), "{advice}");
    }

    #[test]
    fn finds_programs_only() {
        assert!(find("cargo").is_some() || std::env::var_os("PATH").is_none());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
