//! `cargo xtask fuzz`: the fuzz targets, with the compiler that is there.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What makes the compiler count the branches that a run takes, which libFuzzer follows: the flags
/// that cargo-fuzz gives, but for the address sanitizer, which only a nightly compiler has.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// Most megabytes of one allocation, and of all: readers refuse data above 1 GiB.
const LIMITS: [&str; 2] = ["-malloc_limit_mb=1200", "-rss_limit_mb=2048"];

/// Runs these targets, or all, for so many seconds each.
pub(crate) fn run(targets: &[String], seconds: u32) -> Result<ExitCode> {
    let folder = workspace::root().join("fuzz");
    let all = all_targets(&folder)?;
    if let Some(other) = targets.iter().find(|target| !all.contains(target)) {
        bail!("there is no fuzz target `{other}`; expected one of {}", all.join(", "));
    }
    // Flags for a named platform leave build scripts as they are.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let built = folder.join("target");
    let mut cargo = workspace::cargo();
    cargo.env("RUSTFLAGS", FLAGS.join(" ")).current_dir(&folder);
    cargo.args(["build", "--release", "--target", &platform, "--target-dir"]).arg(&built);
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("the fuzz targets cannot be built; they need Linux and a C++ compiler");
    }
    let mut failed = Vec::new();
    for target in if targets.is_empty() { &all[..] } else { targets } {
        let [corpus, artifacts] =
            ["corpus", "artifacts"].map(|kind| folder.join(kind).join(target));
        for made in [&corpus, &artifacts] {
            fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        println!("{target}, {seconds} s");
        let program = built.join(&platform).join("release").join(target);
        let mut fuzzer = Command::new(&program);
        fuzzer.arg(format!("-max_total_time={seconds}")).args(LIMITS).arg("-timeout=20");
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        // What is found goes to the first folder.
        fuzzer.arg(&corpus).arg(folder.join("seeds").join(target));
        let status = fuzzer.status();
        if !status.with_context(|| format!("cannot run {}", program.display()))?.success() {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{} failed; the files that did it are in fuzz/artifacts", failed.join(", "))
}

/// The names of all targets, in order.
fn all_targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let targets = folder.join("targets");
    for entry in
        fs::read_dir(&targets).with_context(|| format!("cannot read {}", targets.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_seeds() {
        let folder = workspace::root().join("fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let names = all_targets(&folder).unwrap();
        assert!(!names.is_empty());
        for name in names {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            let seeds = fs::read_dir(folder.join("seeds").join(&name)).unwrap();
            assert!(seeds.count() > 0, "{name}");
        }
    }
}
