//! The Verilog and its co-simulation.

use std::fs;
use std::io::IsTerminal as _;
use std::time::Duration;

use lutweave::lut::Netlist;
use lutweave::rtl::{self, CoSimulation, Files, Simulator, Vectors, Verilog};

use super::design::{Answers, BENCH, EXPECTED, INPUTS, MODULE, NAME};
use crate::args::DemoArguments;
use crate::error::Result;
use crate::output::OutputFolder;
use crate::report::Simulation;

/// Longest time that building the bench may take, and running it.
const LIMIT: Duration = Duration::from_mins(5);
/// Folder that the simulator builds in, removed afterwards.
const WORK: &str = ".simulation";

/// How the co-simulation went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ran to its end.
    Ran(CoSimulation),
    /// It was not to be, or could not be: why, and what would help.
    LeftOut { why: String, remedy: String },
    /// It should have run, and did not.
    Failed(rtl::Error),
}

/// Writes the module, its bench, and the vectors: what the *network* answers is expected.
pub(super) fn write_hardware(
    folder: &mut OutputFolder,
    netlist: &Netlist,
    answers: &Answers,
) -> Result<Files> {
    let vectors = Vectors::with_expected(netlist, &answers.inputs, &answers.expected())?;
    let verilog = Verilog::new(NAME);
    folder.write(MODULE, verilog.module_text(netlist)?.as_bytes())?;
    folder.write(BENCH, verilog.bench_text(netlist, vectors.samples())?.as_bytes())?;
    folder.write(INPUTS, vectors.inputs_text().as_bytes())?;
    folder.write(EXPECTED, vectors.expected_text().as_bytes())?;
    Ok(Files {
        module: folder.file(MODULE),
        bench: folder.file(BENCH),
        inputs: folder.file(INPUTS),
        expected: folder.file(EXPECTED),
    })
}

/// Builds and runs the bench where Verilator is installed and nothing forbids it.
pub(super) fn run(arguments: &DemoArguments, folder: &OutputFolder, files: &Files) -> Outcome {
    if arguments.no_simulation {
        let why = "--no-simulation was given".to_owned();
        return Outcome::LeftOut { why, remedy: String::new() };
    }
    match Simulator::Verilator.tool().find() {
        Ok(_) => {}
        Err(error @ (rtl::Error::MissingTool { .. } | rtl::Error::OldTool { .. })) => {
            return missing(&error);
        }
        Err(error) => return Outcome::Failed(error),
    }
    if std::io::stderr().is_terminal() {
        eprintln!("building the simulation with Verilator …");
    }
    let work = folder.file(WORK);
    let ran = Simulator::Verilator.run(files, &work, &[], LIMIT);
    // Nobody needs it; what could not be removed does no harm.
    let _ = fs::remove_dir_all(&work);
    match ran {
        Ok(found) => Outcome::Ran(found),
        Err(error) => Outcome::Failed(error),
    }
}

fn missing(error: &rtl::Error) -> Outcome {
    match error {
        rtl::Error::OldTool { command, found, needed } => Outcome::LeftOut {
            why: format!("{command} is version {found}"),
            remedy: format!("; install version {needed} or newer"),
        },
        _ => Outcome::LeftOut {
            why: "Verilator is not installed".to_owned(),
            remedy: "; install it with `apt-get install verilator` (Debian, Ubuntu) or \
                     `brew install verilator` (macOS)"
                .to_owned(),
        },
    }
}

/// The result in a line.
pub(super) fn in_words(found: &CoSimulation) -> String {
    let CoSimulation { passed, total, .. } = found;
    let latency = found.latency.map_or("unknown".to_owned(), |cycles| format!("{cycles} cycles"));
    format!("co-simulation: {passed}/{total} results equal, latency {latency}")
}

impl Outcome {
    /// What the report says of it.
    pub(super) fn for_report(&self) -> Simulation {
        match self {
            Self::Ran(found) => Simulation::Ran { equal: found.passed, total: found.total },
            Self::LeftOut { why, .. } => Simulation::LeftOut(why.clone()),
            Self::Failed(_) => Simulation::LeftOut("the simulator failed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_left_out_with_a_remedy() {
        let error = rtl::Error::MissingTool { command: "verilator", package: "verilator" };
        let Outcome::LeftOut { why, remedy } = missing(&error) else { panic!("left out") };
        assert_eq!(why, "Verilator is not installed");
        assert!(remedy.contains("apt-get install verilator"));
        let error =
            rtl::Error::OldTool { command: "verilator", found: "4.2".to_owned(), needed: 5 };
        let Outcome::LeftOut { why, remedy } = missing(&error) else { panic!("left out") };
        assert_eq!(
            format!("{why}{remedy}"),
            "verilator is version 4.2; install version 5 or newer"
        );
    }

    #[test]
    fn the_line_has_counts_and_latency() {
        let found = CoSimulation {
            passed: 360,
            total: 360,
            latency: Some(5),
            equal: true,
            report: String::new(),
            build: Duration::ZERO,
            ran: Duration::ZERO,
        };
        assert_eq!(in_words(&found), "co-simulation: 360/360 results equal, latency 5 cycles");
    }
}
