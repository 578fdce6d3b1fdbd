//! `lutweave prove`: whether two netlists compute the same.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use lutweave::prove::{Limits, equivalent};

use crate::error::Result;
use crate::open::open_netlist;

/// Exit status where neither a proof nor a difference was found.
const UNDECIDED: u8 = 3;
/// Exit status where the netlists could not be compared.
const TROUBLE: u8 = 2;

/// Options of `lutweave prove`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave prove out/digits/digits.netlist small.netlist
  lutweave prove out/digits/digits.lutweave edited.netlist --timeout 30

Exit status: 0 proved equal, 1 different (with inputs that show it), 2 the netlists cannot be
compared or wrong usage, 3 not proved within the limit.")]
pub(crate) struct ProveArguments {
    /// A netlist as text, BLIF, AIGER or JSON, or a model file.
    #[arg(value_name = "A")]
    first: PathBuf,

    /// The netlist or model file to compare it with.
    #[arg(value_name = "B")]
    second: PathBuf,

    /// Seconds for the whole comparison.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = value_parser!(u64).range(1..=1_000_000))]
    timeout: u64,
}

/// Compares, and prints the verdict.
pub(crate) fn run(arguments: &ProveArguments) -> ExitCode {
    compare(arguments).unwrap_or_else(|error| {
        eprint!("{}", error.text());
        ExitCode::from(TROUBLE)
    })
}

fn compare(arguments: &ProveArguments) -> Result<ExitCode> {
    let (first, second) = (open_netlist(&arguments.first)?, open_netlist(&arguments.second)?);
    let total = Duration::from_secs(arguments.timeout);
    let start = Instant::now();
    let verdict = equivalent(&first, &second, &Limits { total, ..Limits::default() })?;
    say!("{verdict}");
    say!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(if verdict.is_different() {
        ExitCode::FAILURE
    } else if verdict.is_proved() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNDECIDED)
    })
}
