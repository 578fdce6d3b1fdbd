//! `cargo xtask test`: everything that must hold before a change goes in.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::steps::{Counts, Steps, run as run_command};
use crate::{layers, links, setup, workspace};

/// Runs all steps, or the quick ones; ends with the table and the number of tests.
pub(crate) fn run(quick: bool) -> ExitCode {
    let mut steps = Steps::default();
    let result = run_steps(quick, &mut steps);
    if let Err(error) = &result {
        println!("error: {error:#}\n");
    }
    let Counts { passed, failed } = steps.counts;
    println!("{}\n{passed} passed, {failed} failed", steps.table());
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_steps(quick: bool, steps: &mut Steps) -> Result<()> {
    steps.run("set-up", |_| {
        setup::components()?;
        if quick { Ok(()) } else { setup::hardware_tools() }
    })?;
    // The steps that take no time come first, whatever they check.
    steps.run("layers", |_| layers::run())?;
    steps.run("links", |_| links::run())?;
    for (name, mut command) in commands(quick) {
        steps.run(name, |counts| run_command(&mut command, counts))?;
    }
    Ok(())
}

/// The steps that are one command each.
///
/// All of them build with the dev profile and the features of the whole workspace, so that what
/// one has compiled serves the next: clippy and the documentation share what they check, tests
/// and benches what they link.
fn commands(quick: bool) -> Vec<(&'static str, Command)> {
    let cargo = |arguments: &[&str]| {
        let mut command = workspace::cargo();
        command.args(arguments);
        command
    };
    let mut commands = vec![
        ("format", cargo(&["fmt", "--all", "--check"])),
        ("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ];
    // Snapshots are compared, never written. One failing test program does not hide the others.
    let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
    test.env("INSTA_UPDATE", "no");
    if quick {
        test.args(["--exclude", "lutweave-hdl-tests"]);
    } else {
        test.env("LUTWEAVE_REQUIRE_HDL", "1");
    }
    commands.push(("test", test));
    if !quick {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        commands.push(("doc", doc));
        // Each benchmark once, to see that it runs; nothing is measured, so the dev profile does.
        let bench = cargo(&["bench", "--profile", "dev", "-p", "lutweave-benches", "--", "--test"]);
        commands.push(("bench", bench));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(command: &Command, word: &str) -> bool {
        command.get_args().any(|argument| argument == word)
    }

    #[test]
    fn quick_leaves_out_hardware_docs_and_benches() {
        let names = |quick| commands(quick).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(false), ["format", "clippy", "test", "doc", "bench"]);
        assert_eq!(names(true), ["format", "clippy", "test"]);
        for quick in [false, true] {
            let test = commands(quick).remove(2).1;
            assert_eq!(has(&test, "lutweave-hdl-tests"), quick);
            let required = test.get_envs().any(|(name, _)| name == "LUTWEAVE_REQUIRE_HDL");
            assert_eq!(required, !quick);
        }
    }
}
