//! What the hardware tests share: finding tools, linting, netlists to try.
//!
//! A test whose tool is missing says so in a line and passes; with `LUTWEAVE_REQUIRE_HDL=1` it
//! fails. Functions here panic when something is wrong, as tests do.

#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc)] // this is test code
#![allow(clippy::print_stdout)] // the line that says that a test was skipped

mod netlists;
mod stages;

use std::path::Path;
use std::time::Duration;

use lutweave_lut::Netlist;
use lutweave_rtl::{CoSimulation, Files, Installed, Simulator, Tool, Verilog};
pub use netlists::{Shape, core_of, counter, random_netlist};
pub use stages::{classifier, random_stages};

/// How long any one run of a tool may take.
pub const LIMIT: Duration = Duration::from_mins(2);

/// The tool, or `None` with a line that says why the test is skipped.
pub fn find(tool: Tool) -> Option<Installed> {
    match tool.find() {
        Ok(installed) => Some(installed),
        Err(error) if std::env::var("LUTWEAVE_REQUIRE_HDL").is_ok_and(|value| value == "1") => {
            panic!("LUTWEAVE_REQUIRE_HDL=1: {error}");
        }
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// A temporary folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Writes the Verilog of a netlist into `dir` under the name of the netlist.
pub fn write(netlist: &Netlist, dir: &Path) -> Files {
    write_as(netlist.name(), netlist, dir)
}

/// Writes the Verilog of a netlist into `dir` under a name of its own.
pub fn write_as(name: &str, netlist: &Netlist, dir: &Path) -> Files {
    Verilog::new(name).write(netlist, dir).expect("export")
}

/// Fails when a tool that is installed has anything to say about the module or its bench.
pub fn lint(files: &Files, dir: &Path) {
    let module = files.module.to_str().expect("a path in UTF-8");
    let bench = files.bench.to_str().expect("a path in UTF-8");
    let check = format!("read_verilog {module}; proc; check -assert");
    let lints: [(Tool, Vec<&str>); 5] = [
        (Tool::Verilator, vec!["--lint-only", "-Wall", module]),
        (Tool::Verilator, vec!["--lint-only", "-Wall", "--timing", module, bench]),
        (Tool::Icarus, vec!["-g2001", "-Wall", "-t", "null", module]),
        (Tool::Icarus, vec!["-g2001", "-Wall", "-t", "null", module, bench]),
        (Tool::Yosys, vec!["-q", "-p", &check]),
    ];
    for (tool, arguments) in lints {
        if let Some(tool) = find(tool) {
            let said = tool.run(&arguments, dir, LIMIT).expect("lint");
            assert_eq!(said.trim(), "", "{:?} on {module}", tool.tool);
        }
    }
}

/// Runs the bench in a folder of its own; `None` when the simulator is missing.
pub fn simulate(
    simulator: Simulator,
    files: &Files,
    dir: &Path,
    options: &[&str],
) -> Option<CoSimulation> {
    find(simulator.tool())?;
    let work = dir.join("work");
    Some(simulator.run(files, work, options, LIMIT).expect("co-simulation"))
}

/// The text of a module with one bit flipped: entry 0 of the last table of two inputs.
pub fn flip_table_bit(text: &str) -> String {
    let start = text.rfind("  localparam [3:0] ").expect("a table of two inputs");
    let end = start + text[start..].find(';').expect("the end of a table");
    let digit = text[..end].chars().next_back().and_then(|digit| digit.to_digit(16));
    let flipped = digit.expect("a hexadecimal digit") ^ 1;
    format!("{}{flipped:x}{}", &text[..end - 1], &text[end..])
}
