//! Co-simulation: the printed hardware against the expected outputs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::tools::{self, first_lines};
use crate::{Error, Files, Result, Tool};

/// Results from which on a simulation is worth optimising: it then runs several times as fast, and takes
/// half as long again to compile.
const MANY: usize = 50_000;

/// A simulator that runs test benches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulator {
    /// Interprets: starts at once, some thousand samples a second on a thousand LUTs. Knows
    /// unknown values.
    Icarus,
    /// Compiles to C++: some ten seconds to start, then a hundred times faster. Zeros and ones
    /// only.
    Verilator,
}

/// What a co-simulation found.
#[must_use = "a co-simulation may have found differences; `verify` makes them an error"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoSimulation {
    /// Results that were right.
    pub passed: usize,
    /// Results expected.
    pub total: usize,
    /// Measured clock cycles from the first sample to its result; `None` when no result came.
    pub latency: Option<usize>,
    /// Whether every result was right, at the right latency, and none came that should not.
    pub equal: bool,
    /// What the bench said.
    pub report: String,
    /// How long building the simulation took.
    pub build: Duration,
    /// How long it ran, reading the vectors included.
    pub ran: Duration,
}

impl CoSimulation {
    /// Itself when the hardware did all that was expected.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] when not.
    pub fn verify(self) -> Result<Self> {
        if self.equal {
            return Ok(self);
        }
        let Self { passed, total, report, .. } = self;
        Err(Error::Mismatch { passed, total, report: first_lines(&report) })
    }
}

impl Simulator {
    /// The tool it is.
    pub fn tool(self) -> Tool {
        match self {
            Self::Icarus => Tool::Icarus,
            Self::Verilator => Tool::Verilator,
        }
    }

    /// Builds the test bench in the folder `work`, which is made where it is missing, and runs it.
    ///
    /// `options` are plusargs of the bench, as in `+gaps=50`. Building and running may each take
    /// as long as `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`] or [`Error::OldTool`]; [`Error::Tool`] when the simulator refuses
    /// the text or ends without a verdict; [`Error::Timeout`]; [`Error::Io`]. Differences between
    /// the hardware and what is expected are no error here: see [`CoSimulation::verify`].
    pub fn run(
        self,
        files: &Files,
        work: impl AsRef<Path>,
        options: &[&str],
        limit: Duration,
    ) -> Result<CoSimulation> {
        let work = work.as_ref();
        let tool = self.tool().find()?;
        let io = |op, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { op, path, source }
        };
        fs::create_dir_all(work).map_err(io("make folder", work))?;
        let full = |path: &Path| path.canonicalize().map_err(io("read", path));
        let (work, module, bench) = (full(work)?, full(&files.module)?, full(&files.bench)?);
        let (inputs, expected) = (full(&files.inputs)?, full(&files.expected)?);

        let mut build = Command::new(tool.tool.command());
        let mut simulation;
        match self {
            Self::Icarus => {
                build.args(["-g2001", "-o", "bench.vvp"]);
                simulation = Command::new("vvp");
                simulation.args(["-n", "bench.vvp"]);
            }
            Self::Verilator => {
                // Compiling is all the cost of a short run, so it is not optimised much; a
                // thousand LUTs still run at some ten thousand samples a second.
                let flags = if lines(&expected)? < MANY {
                    "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
                } else {
                    "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
                };
                build.args(["--binary", "--timing", "-O3", "--build-jobs", "0", "--Mdir", "."]);
                build.args(["-MAKEFLAGS", flags]);
                build.args(["--prefix", "Vbench", "-o", "bench"]);
                simulation = Command::new(work.join("bench"));
            }
        }
        build.arg(module).arg(bench);
        let start = Instant::now();
        tools::run(build, &work, limit)?;
        let built = Instant::now();
        simulation.arg(plusarg("+inputs=", inputs)).arg(plusarg("+expected=", expected));
        simulation.args(options);
        let report = tools::run(simulation, &work, limit)?;
        let found = read_verdict(&report).ok_or_else(|| Error::Tool {
            command: self.tool().command().to_owned(),
            what: "the test bench ended without a verdict".to_owned(),
            output: first_lines(&report),
        })?;
        Ok(CoSimulation { build: built - start, ran: built.elapsed(), ..found })
    }
}

/// Lines of a file.
fn lines(path: &Path) -> Result<usize> {
    let text =
        fs::read(path).map_err(|source| Error::Io { op: "read", path: path.to_owned(), source })?;
    Ok(text.split(|&byte| byte == b'\n').count().saturating_sub(1))
}

fn plusarg(name: &str, path: PathBuf) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}

/// Reads the line of the bench with the counts.
fn read_verdict(report: &str) -> Option<CoSimulation> {
    let line = |start| report.lines().find_map(|line: &str| line.strip_prefix(start));
    let (counts, equal) = match line("FAIL: ") {
        Some(counts) => (counts.replacen(" of ", "/", 1), false),
        None => (line("co-simulation: ")?.to_owned(), true),
    };
    let (counts, latency) = counts.split_once(" results equal, latency ")?;
    let (passed, total) = counts.split_once('/')?;
    let latency = latency.strip_suffix(" cycles")?;
    Some(CoSimulation {
        passed: passed.parse().ok()?,
        total: total.parse().ok()?,
        latency: latency.parse().ok(),
        equal,
        report: report.to_owned(),
        build: Duration::ZERO,
        ran: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_verdict_of_a_bench() {
        let good = "noise\nco-simulation: 360/360 results equal, latency 5 cycles\n";
        let found = read_verdict(good).unwrap();
        assert_eq!((found.passed, found.total, found.latency), (360, 360, Some(5)));
        assert!(found.equal && found.verify().is_ok());

        let bad = "sample 3: expected y = 1\nsample 3:   actual y = 0\n\
                   FAIL: 0 of 360 results equal, latency -1 cycles\nFAIL: 0 differ, 360 missing\n";
        let found = read_verdict(bad).unwrap();
        assert_eq!((found.passed, found.total, found.latency), (0, 360, None));
        let error = found.verify().unwrap_err().to_string();
        assert!(error.starts_with("co-simulation: 0 of 360 results equal\nsample 3:"), "{error}");

        for text in ["", "co-simulation: all well", "FAIL: cannot open x.mem"] {
            assert_eq!(read_verdict(text), None, "{text:?}");
        }
    }
}
