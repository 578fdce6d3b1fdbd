//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::bench::BenchCommand;
use crate::data::DataCommand;
use crate::device::DevicesArguments;
use crate::eval::EvalArguments;
use crate::explain::ExplainArguments;
use crate::export::ExportArguments;
use crate::inspect::InspectArguments;
use crate::optimise::OptimiseArguments;
use crate::prove::ProveArguments;
use crate::resources::ReportArguments;
use crate::run::RunArguments;
use crate::study::StudyArguments;
use crate::train::TrainArguments;
use crate::verify::VerifyArguments;
use crate::zoo::ZooCommand;

/// Trains networks of look-up tables, and turns them into hardware that is shown to compute the
/// same.
#[derive(Debug, Parser)]
#[command(name = "lutweave", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  lutweave demo\n  lutweave bench kernels\n  lutweave help demo"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// From handwritten digits to simulated Verilog.
    ///
    /// Trains a small network on the 8×8 digits that come with lutweave, freezes it to a netlist,
    /// checks that the netlist answers as the network does on every test image, writes Verilog
    /// with a test bench and a report, and runs the bench where Verilator is installed.
    Demo(DemoArguments),
    /// Run a network on images, or write it as a program.
    Run(RunArguments),
    /// Measure how fast this machine trains and runs networks.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Train the network of a file of settings.
    ///
    /// Writes checkpoints while it trains, so that nothing is lost when the power goes, a line of
    /// JSON an epoch, a report that grows, and at the end the model file.
    Train(TrainArguments),
    /// How good a trained network is: as it trains, and as its netlist answers.
    Eval(EvalArguments),
    /// What is in a model file, checkpoint or netlist.
    Inspect(InspectArguments),
    /// Which input values decided the answer to a sample, as text and as a heat map.
    Explain(ExplainArguments),
    /// What there is to train and run on, and why other devices are not.
    Devices(DevicesArguments),
    /// A network or netlist as Verilog, VHDL, C++, BLIF, AIGER, JSON or text.
    Export(ExportArguments),
    /// Make a netlist smaller: fewer LUTs that compute the same.
    #[command(alias = "optimize")]
    Optimise(OptimiseArguments),
    /// Prove that two netlists compute the same, or show an input that tells them apart.
    Prove(ProveArguments),
    /// What a network costs in hardware: LUTs, registers, depth, clock frequency.
    Report(ReportArguments),
    /// Whether network, netlist, programs and hardware give the same answers.
    Verify(VerifyArguments),
    /// Data sets: list, download, look at.
    #[command(subcommand)]
    Data(DataCommand),
    /// Train all combinations of some choices, and say what each is worth.
    Study(StudyArguments),
    /// Ready networks: list, train, check, compare.
    #[command(subcommand)]
    Zoo(ZooCommand),
}

/// Options of `lutweave demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave demo
  lutweave demo --out /tmp/digits --seed 7
  lutweave demo --epochs 3 --no-simulation

The same seed gives the same files, for any number of threads. Ctrl-C ends training after the
epoch that is running and keeps the model file; a second Ctrl-C ends the program.

Exit status: 0 done, 1 failed or stopped, 2 wrong usage.")]
pub(crate) struct DemoArguments {
    /// Folder for the results: a new one, an empty one, or that of an earlier demo.
    #[arg(long, value_name = "DIR", default_value = "out/digits")]
    pub(crate) out: PathBuf,

    /// Number that all chance is drawn from: wiring, first tables, order of the images.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Threads to train with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Passes over the training images.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) epochs: u32,

    /// Most LUTs that the layers of the network may take; more is an error.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_luts: u32,

    /// Leave the co-simulation out, even where Verilator is installed.
    #[arg(long)]
    pub(crate) no_simulation: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let Command::Demo(demo) = parse("lutweave demo").unwrap().command else {
            panic!("demo is the demo");
        };
        assert_eq!(demo.out, PathBuf::from("out/digits"));
        assert_eq!((demo.seed, demo.epochs, demo.max_luts), (1, 40, 1000));
        assert!(demo.threads.is_none() && !demo.no_simulation);
    }

    #[test]
    fn wrong_usage_says_what_would_be_right() {
        struct Case {
            line: &'static str,
            kind: ErrorKind,
            says: &'static [&'static str],
        }
        let cases = [
            Case {
                line: "lutweave demo --epoch 3",
                kind: ErrorKind::UnknownArgument,
                says: &["'--epoch'", "similar", "'--epochs'", "Usage: lutweave demo"],
            },
            Case {
                line: "lutweave demo --max-lut 3",
                kind: ErrorKind::UnknownArgument,
                says: &["'--max-luts'"],
            },
            Case {
                line: "lutweave dmeo",
                kind: ErrorKind::InvalidSubcommand,
                says: &["'demo'", "Usage: lutweave"],
            },
            Case {
                line: "lutweave demo --epochs 0",
                kind: ErrorKind::ValueValidation,
                says: &["--epochs", "1..=10000"],
            },
            Case {
                line: "lutweave demo --threads 0",
                kind: ErrorKind::ValueValidation,
                says: &["1..=1024"],
            },
            Case {
                line: "lutweave demo --seed one",
                kind: ErrorKind::ValueValidation,
                says: &["'one'", "--seed"],
            },
            Case { line: "lutweave demo --out", kind: ErrorKind::InvalidValue, says: &["<DIR>"] },
            Case {
                line: "lutweave",
                kind: ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                says: &["Examples:"],
            },
        ];
        for Case { line, kind, says } in cases {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), kind, "{line}");
            let text = error.to_string();
            for part in says {
                assert!(text.contains(part), "{line}: {part} not in\n{text}");
            }
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
