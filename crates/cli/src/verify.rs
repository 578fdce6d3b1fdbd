//! `lutweave verify`: whether network, netlist, programs and hardware give the same answers.

mod checks;
mod mutants;
mod spatial;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum, value_parser};
use lutweave::rtl::Simulator;

use crate::error::Result;
use crate::eval::SampleArguments;
use crate::spatial::image_size;
use subject::Subject;

/// Exit status where something was left out or not proved, and nothing differs.
const UNDECIDED: u8 = 3;

/// Options of `lutweave verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave verify out/digits/digits.lutweave --data digits
  lutweave verify out/digits/digits.lutweave --data digits --rtl out/digits
  lutweave verify model.lutweave --data mnist --data-dir data --mutants 20
  lutweave verify net.netlist --data digits --simulator icarus
  lutweave verify cnn.lutweave --data mnist --data-dir data --image 120x160

Each line of the table is a pair that was compared, how, on how much, and what came of it. Samples
are compared one by one; proofs hold for all inputs. --mutants puts single faults into the hardware
and counts how many of them the same checks catch. --image verifies a network as a filter over
images of that size, tiled with test samples: every pixel against the network, and its stream Verilog.

Exit status: 0 all equal, 1 a difference or an error, 3 something could not be checked.")]
pub(crate) struct VerifyArguments {
    /// A model file, or a netlist as text, BLIF, AIGER or JSON.
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    #[command(flatten)]
    samples: SampleArguments,

    /// Folder with the Verilog to verify, such as `lutweave demo` and `lutweave export` write
    /// [default: it is printed anew].
    #[arg(long, value_name = "DIR")]
    rtl: Option<PathBuf>,

    /// Verify the network as a filter over images of this size, height first, instead of its netlist
    /// for one sample.
    #[arg(long, value_name = "HxW", value_parser = image_size, conflicts_with_all = ["rtl", "mutants"])]
    image: Option<[usize; 2]>,

    /// Single faults to try: a bit of a table, or a wire.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(0..=10_000))]
    mutants: u32,

    /// What simulates the Verilog.
    #[arg(long, value_enum, default_value_t = Program::Verilator)]
    simulator: Program,

    /// Seconds that each proof and each run of a tool may take.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = value_parser!(u64).range(1..=1_000_000))]
    timeout: u64,
}

/// Simulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    /// Compiles: for many samples.
    Verilator,
    /// Interprets: starts at once.
    Icarus,
}

impl Program {
    fn simulator(self) -> Simulator {
        match self {
            Self::Verilator => Simulator::Verilator,
            Self::Icarus => Simulator::Icarus,
        }
    }
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The same on all that was compared.
    Equal,
    /// Where they differ.
    Different(String),
    /// Why it could not be said.
    LeftOut(String),
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    pair: String,
    method: String,
    amount: String,
    outcome: Outcome,
    /// What else is worth saying, such as times.
    note: String,
}

/// A row whose check may end with an error: that is why it says nothing.
fn row(pair: &str, method: &str, check: impl FnOnce() -> Result<(String, Outcome)>) -> Row {
    let (pair, method) = (pair.to_owned(), method.to_owned());
    let (amount, outcome) = check().unwrap_or_else(|error| {
        let text = error.text();
        let lines = text.lines().map(|line| line.trim().trim_start_matches("error: "));
        // What to do instead is said for the command that a step is all of.
        let lines = lines.filter(|line| !line.starts_with("try: "));
        (String::new(), Outcome::LeftOut(lines.collect::<Vec<_>>().join("; ")))
    });
    Row { pair, method, amount, outcome, note: String::new() }
}

/// Compares all pairs, prints a line for each as it is done, and the sum of it.
pub(crate) fn run(arguments: &VerifyArguments) -> Result<ExitCode> {
    let start = Instant::now();
    let limit = Duration::from_secs(arguments.timeout);
    let subject = Subject::open(&arguments.model, &arguments.samples)?;
    let simulator = arguments.simulator.simulator();
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        print(&row);
        rows.push(row);
    };
    let head =
        || say!("{}\n{:<28} {:<34} {:<22} result", subject.title(), "pair", "method", "compared");
    if let Some(image) = arguments.image {
        let filter = spatial::Check::new(&subject, image)?;
        head();
        checks::network(&subject).map(&mut done);
        filter.rows(simulator, limit, &mut done);
    } else {
        let hardware = checks::Hardware::prepare(&subject, arguments.rtl.as_deref())?;
        head();
        let checks: [&dyn Fn() -> Option<Row>; 6] = [
            &|| checks::network(&subject),
            &|| Some(checks::optimised(&subject, limit)),
            &|| Some(checks::engine(&subject)),
            &|| Some(checks::c_source(&subject, limit)),
            &|| Some(checks::simulated(&subject, &hardware, simulator, limit)),
            &|| Some(checks::elaborated(&subject, &hardware, limit)),
        ];
        checks.iter().filter_map(|check| check()).for_each(&mut done);
        if arguments.mutants > 0 {
            done(mutants::try_all(&subject, arguments.mutants as usize, limit));
        }
    }
    let (code, verdict) = verdict(&rows);
    say!("{verdict} ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(code)
}

fn print(row: &Row) {
    let outcome = match &row.outcome {
        Outcome::Equal => "equal".to_owned(),
        Outcome::Different(what) => format!("DIFFERENT: {what}"),
        Outcome::LeftOut(why) => format!("not checked: {why}"),
    };
    let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
    say!("{:<28} {:<34} {:<22} {outcome}{note}", row.pair, row.method, row.amount);
}

/// The exit status and its meaning.
fn verdict(rows: &[Row]) -> (ExitCode, &'static str) {
    if rows.iter().any(|row| matches!(row.outcome, Outcome::Different(_))) {
        (ExitCode::FAILURE, "something is different")
    } else if rows.iter().any(|row| matches!(row.outcome, Outcome::LeftOut(_))) {
        (ExitCode::from(UNDECIDED), "no difference found, but not everything could be checked")
    } else {
        (ExitCode::SUCCESS, "all equal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn line(outcome: Outcome) -> Row {
        row("a = b", "by hand", || Ok(("1 sample".to_owned(), outcome)))
    }

    #[test]
    fn a_difference_weighs_more_than_a_gap() {
        let (equal, gap) = (line(Outcome::Equal), line(Outcome::LeftOut("no tool".to_owned())));
        let other = line(Outcome::Different("sample 3".to_owned()));
        assert_eq!(verdict(std::slice::from_ref(&equal)).1, "all equal");
        assert!(verdict(&[equal.clone(), gap.clone()]).1.starts_with("no difference found"));
        assert_eq!(verdict(&[equal, gap, other]).1, "something is different");
    }

    #[test]
    fn an_error_is_a_gap_that_says_why() {
        let failed = row("a = b", "by hand", || Err(Error::Unexpected("there is no b")));
        assert_eq!(failed.outcome, Outcome::LeftOut("there is no b".to_owned()));
    }
}
