//! The tasks of this repository, started as `cargo xtask <task>`.
#![forbid(unsafe_code)]
// A command line tool talks through its output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cuda_check;
mod demo;
mod fuzz;
mod golden;
mod layers;
mod links;
mod setup;
mod steps;
mod test;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                 train on digits, export Verilog, simulate it
  cargo xtask demo --out /tmp/run  the same, written elsewhere
  cargo xtask test                 everything that CI runs
  cargo xtask test --quick         without hardware tools, docs and benches
  cargo xtask golden               does it compute what BinaryBrain computed?
  cargo xtask golden FOLDER        the same, for the case files of a folder
  cargo xtask fuzz npy --seconds 600
                                   do bytes make that reader fail? (all: no name)
  cargo xtask cuda-check           does NVIDIA's compiler take every kernel?
  cargo xtask layers               may each crate use what it uses?
  cargo xtask links                does each link in a Markdown file lead somewhere?";

/// The tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every check, in the order of their cost; stops at the first that fails.
    ///
    /// Installs what is missing on a Debian or Ubuntu machine first (verilator, iverilog, yosys, a
    /// C++ compiler, make; rustfmt and clippy through rustup), if run as root or with sudo that
    /// asks no password. Ends with a table of steps and seconds, and the number of tests.
    Test {
        /// Leave out what needs hardware tools, the documentation and the benches.
        #[arg(long)]
        quick: bool,
    },
    /// Runs `lutweave demo` in a release build, with any further arguments.
    ///
    /// `cargo xtask demo -- --help` lists what the demo takes.
    Demo {
        /// Arguments of `lutweave demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Compares lutweave with recorded numbers of `BinaryBrain`, in a release build.
    ///
    /// A line for each case, then the counts. What a case is made of: golden/fixtures/README.md.
    Golden {
        /// The folder of case files; without it, the project's own.
        folder: Option<PathBuf>,
    },
    /// Feeds the readers of files with altered bytes, guided by the branches that they take.
    ///
    /// The targets are in fuzz/targets. Needs Linux and a C++ compiler, no other toolchain.
    Fuzz {
        /// Which; without a name, all one after the other.
        targets: Vec<String>,
        /// How long each runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Compiles every CUDA kernel for several generations of GPUs, and says what each needs.
    ///
    /// Registers, spills, shared memory and occupancy, a line for each kernel and generation. Fails
    /// where one does not compile, or a table kernel spills registers. Needs Python and its package
    /// index, from which it takes NVRTC and ptxas into an environment below the target folder; needs
    /// neither a GPU nor the CUDA toolkit.
    CudaCheck {
        /// Print a Markdown table.
        #[arg(long)]
        markdown: bool,
    },
    /// Checks that each crate uses only what its row in the crate map allows.
    ///
    /// Also that each published crate has a README that its crate docs include, and that each
    /// states its rule on unsafe code.
    Layers,
    /// Checks the relative links of all Markdown files, and that the book lists its chapters.
    Links,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test { quick } => Ok(test::run(quick)),
        Task::Demo { arguments } => demo::run(&arguments),
        Task::Golden { folder } => golden::run(folder.as_deref()),
        Task::Fuzz { targets, seconds } => fuzz::run(&targets, seconds),
        Task::CudaCheck { markdown } => cuda_check::run(markdown).map(|()| ExitCode::SUCCESS),
        Task::Layers => layers::run().map(|()| ExitCode::SUCCESS),
        Task::Links => links::run().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(line: &str) -> Vec<OsString> {
        let words = ["cargo xtask", "demo"].into_iter().chain(line.split_whitespace());
        match Arguments::try_parse_from(words).unwrap().task {
            Task::Demo { arguments } => arguments,
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_demo_gets_its_arguments_with_and_without_dashes() {
        for line in ["--out x --epochs 3", "-- --out x --epochs 3"] {
            assert_eq!(demo(line), ["--out", "x", "--epochs", "3"]);
        }
        assert!(demo("").is_empty());
        assert_eq!(demo("-- --help"), ["--help"]);
    }
}
