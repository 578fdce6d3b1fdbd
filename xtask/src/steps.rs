//! Running steps one after the other, timing them, and counting tests on the way.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Adds what `line` counts, if it is a `test result:` line of a test program.
    fn add_line(&mut self, line: &str) {
        let line = without_colours(line);
        let Some((_, result)) = line.split_once("test result:") else { return };
        let number = |what: &str| {
            let before = result.split(what).next().filter(|before| before.len() < result.len())?;
            before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed;").unwrap_or(0);
        self.failed += number(" failed;").unwrap_or(0);
    }
}

/// `line` without the escape sequences that colour it.
fn without_colours(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

/// The steps of a task that have been run so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
    pub(crate) counts: Counts,
}

impl Steps {
    /// Runs a step and prints its name and time.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce(&mut Counts) -> Result<()>,
    ) -> Result<()> {
        println!("==> {name}");
        let start = Instant::now();
        let result = step(&mut self.counts);
        let time = start.elapsed();
        self.done.push((name, time, result.is_ok()));
        let end = if result.is_ok() { "done" } else { "failed" };
        println!("<== {name}: {end} in {:.1} s\n", time.as_secs_f64());
        result.with_context(|| format!("step `{name}`"))
    }

    /// The table of steps and seconds.
    pub(crate) fn table(&self) -> String {
        use std::fmt::Write as _;
        let total: Duration = self.done.iter().map(|(_, time, _)| *time).sum();
        let mut table = format!("{:<12} {:>8}\n", "step", "seconds");
        for (name, time, ok) in &self.done {
            let mark = if *ok { "" } else { "  failed" };
            let _ = writeln!(table, "{name:<12} {:>8.1}{mark}", time.as_secs_f64());
        }
        let _ = writeln!(table, "{:<12} {:>8.1}", "total", total.as_secs_f64());
        table
    }
}

/// Runs `command` and fails unless it succeeds.
pub(crate) fn run(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let line = describe(command);
    println!("+ {line}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    if let Some(output) = child.stdout.take() {
        pass_on(BufReader::new(output), io::stdout().lock(), counts)
            .with_context(|| format!("cannot pass on the output of `{line}`"))?;
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// Copies `from` to `to` line by line, counting tests.
fn pass_on(mut from: impl BufRead, mut to: impl Write, counts: &mut Counts) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        counts.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// `command` as one would type it: settings, the program's name, arguments.
fn describe(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quote(&value?.to_string_lossy())))
    });
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    let words = words.map(|word| quote(&word.to_string_lossy()));
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_result_lines_and_passes_everything_on() {
        let text = "running 3 tests\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\
            test result: \u{1b}[31mFAILED\u{1b}[0m. 3 passed; 2 failed; 0 ignored; 0 measured\n\
            \u{1b}[0m\u{1b}[32mtest result: ok\u{1b}[0m. 1 passed; 0 failed\n\
            100 passed; 100 failed\n\
            no newline at the end";
        let (mut counts, mut copy) = (Counts::default(), Vec::new());
        pass_on(text.as_bytes(), &mut copy, &mut counts).unwrap();
        assert_eq!(counts, Counts { passed: 16, failed: 2 });
        assert_eq!(copy, text.as_bytes());
    }

    #[test]
    fn a_step_that_fails_is_named_and_in_the_table() {
        let mut steps = Steps::default();
        steps.run("one", |_| Ok(())).unwrap();
        let error = steps.run("two", |_| bail!("broken")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `two`: broken");
        let table = steps.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("one") && !lines[1].contains("failed"), "{table}");
        assert!(lines[2].starts_with("two") && lines[2].ends_with("failed"), "{table}");
        assert!(lines[3].starts_with("total"), "{table}");
    }

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["doc", "a b"]).env("RUSTDOCFLAGS", "-D warnings").env_remove("HOME");
        assert_eq!(describe(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b'");
    }
}
