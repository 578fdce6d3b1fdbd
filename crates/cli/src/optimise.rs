//! `lutweave optimise`: the same netlist with fewer LUTs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, value_parser};
use lutweave::lut::opt::Options;
use lutweave::prelude::*;
use lutweave::tensor::Values;

use crate::error::{Error, Result};
use crate::open::open_netlist;
use crate::report::{count, grouped, percent};
use crate::samples;
use crate::train::config::DataConfig;

/// Options of `lutweave optimise`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave optimise out/digits/digits.netlist
  lutweave optimise out/digits/digits.lutweave --expand --out small.netlist
  lutweave optimise digits.netlist --luts 4 --out ice40.netlist
  lutweave optimise digits.netlist --dont-cares digits --out smaller.netlist

The result computes the same, which `lutweave prove IN OUT` shows, unless --dont-cares is given.")]
pub(crate) struct OptimiseArguments {
    /// A netlist as text, BLIF, AIGER or JSON, or a model file.
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// File for the optimised netlist; without it, only the gain is shown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Most inputs of a LUT: 6 for most large FPGAs, 4 for small ones.
    #[arg(long, value_name = "K", default_value_t = 6, value_parser = value_parser!(u8).range(3..=8))]
    luts: u8,

    /// Make LUTs of thresholds, popcounts and arg-max too.
    #[arg(long)]
    expand: bool,

    /// Take as free what no LUT sees on the training samples of this data set. The result is NOT
    /// equivalent: it answers alike on these samples only.
    #[arg(long, value_name = "DATA")]
    dont_cares: Option<String>,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR", requires = "dont_cares")]
    data_dir: Option<PathBuf>,
}

/// Optimises, and prints what was gained.
pub(crate) fn run(arguments: &OptimiseArguments) -> Result<ExitCode> {
    let given = open_netlist(&arguments.input)?;
    let options =
        Options { inputs: arguments.luts.into(), expand: arguments.expand, ..Options::default() };
    let start = Instant::now();
    let (mut best, report) = given.optimise(&options)?;
    say!("{report}");
    say!("equivalent, found in {:.2} s", start.elapsed().as_secs_f64());
    if let Some(name) = &arguments.dont_cares {
        best = observed(&given, &best, &options, name, arguments)?;
    }
    if let Some(out) = &arguments.out {
        store::write_atomic(out, best.to_text().as_bytes())?;
        say!("{} written", out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The netlist with the patterns that no training sample shows taken as free.
fn observed(
    given: &Netlist,
    best: &Netlist,
    options: &Options,
    name: &str,
    arguments: &OptimiseArguments,
) -> Result<Netlist> {
    let set = samples::open(&DataConfig::named(name), arguments.data_dir.as_deref())?;
    let (narrow, seen) = best.assume_observed(&frames(&set.train)?)?;
    let (smaller, report) = narrow.optimise(options)?;
    say!("\ndon't-cares from {} of {name}: NOT equivalent", count(seen.frames, "training sample"));
    say!(
        "{} of {} table entries never seen; {} lost {}",
        grouped(seen.unseen),
        grouped(seen.entries),
        count(seen.narrowed, "LUT"),
        count(seen.dropped, "input")
    );
    say!("LUTs {} -> {}", grouped(best_luts(best)), grouped(report.after.luts()));
    let inputs = frames(&set.test)?;
    if let Some((_, labels)) = set.test.classes() {
        let right = |netlist: &Netlist| -> Result<Option<f64>> {
            let answers = Evaluator::new(netlist)?.frames(&inputs)?;
            let right = answers.iter().zip(labels).filter(|&(a, &b)| *a == u64::from(b)).count();
            let share = right as f64 / labels.len().max(1) as f64;
            Ok((answers.len() == labels.len()).then_some(share))
        };
        if let (Some(before), Some(after)) = (right(given)?, right(&smaller)?) {
            say!("test accuracy {} -> {}", percent(before), percent(after));
        }
    }
    Ok(smaller)
}

fn best_luts(netlist: &Netlist) -> usize {
    Role::ALL.iter().map(|&role| netlist.lut_count(role)).sum()
}

/// The values of all samples, one after the other.
fn frames(set: &Dataset) -> Result<Vec<u64>> {
    match set.values() {
        Values::U8(values) => Ok(values.iter().map(|&value| value.into()).collect()),
        _ => Err(Error::Unexpected("the samples are no whole numbers from 0 to 255")),
    }
}
