//! What the hardware tests share: finding tools, linting, netlists to try.
//!
//! A test whose tool is missing says so in a line and passes; with `LUTWEAVE_REQUIRE_HDL=1` it
//! fails. Functions here panic when something is wrong, as tests do.

#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc)] // this is test code
#![allow(clippy::print_stdout)] // the line that says that a test was skipped

mod netlists;
mod stages;

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lutweave_lut::{Evaluator, Netlist};
use lutweave_rtl::{CoSimulation, Files, Installed, Simulator, Tool, Verilog};
pub use netlists::{Shape, core_of, counter, mixed_core, random_netlist};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
pub use stages::{classifier, random_branches, random_stages};

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

/// Runs the first of some commands that is installed, in the folder `dir`; returns what it said on
/// both of its outputs, after the exit status was found good. `None`, with a line, when none is
/// there: these are programs that Debian's packages of the tools may come without.
pub fn run_any(commands: &[&str], arguments: &[&str], dir: &Path) -> Option<String> {
    for command in commands {
        let output =
            Command::new(command).args(arguments).current_dir(dir).stdin(Stdio::null()).output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{command}: {error}"),
        };
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{command} {arguments:?}: {said}");
        return Some(said);
    }
    println!("skipped: none of {commands:?} was found");
    None
}

/// Fails unless both netlists have the same ports and give the same outputs for 256 random inputs,
/// or, where registers are among their cells, in each of 16 clock cycles from power-up.
pub fn assert_equal(a: &Netlist, b: &Netlist, seed: u64) {
    let ports = |netlist: &Netlist| -> Vec<(String, usize, usize)> {
        let inputs = netlist.inputs().iter().map(|p| (p.name.clone(), p.words, p.width));
        inputs.chain(netlist.outputs().iter().map(|p| (p.name.clone(), p.words, p.width))).collect()
    };
    assert_eq!(ports(a), ports(b));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut first, mut second) = (Evaluator::clocked(a), Evaluator::clocked(b));
    for cycle in 0..16 {
        let inputs: Vec<u64> = (0..a.input_bits()).map(|_| random.next_u64()).collect();
        first.settle(&inputs).expect("inputs");
        second.settle(&inputs).expect("inputs");
        for (index, port) in a.outputs().iter().enumerate() {
            let equal = first.output(index).eq(second.output(index));
            assert!(equal, "cycle {cycle}, output {}", port.name);
        }
        first.step(&inputs).expect("inputs");
        second.step(&inputs).expect("inputs");
    }
}
