//! `lutweave study`: a training for every combination of some choices, and what they are worth.
//!
//! A study is a list of factors and a function from a combination to a network, see
//! [`plan::Study`]; running, going on, tables, plots and the page are the same for all. A new one is a
//! file and its line in [`STUDIES`].

mod figures;
mod node_ablation;
mod page;
mod plan;
mod results;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};

use self::plan::{Setting, Study};
use crate::error::{Error, Result};

/// Every study: the line that a new one adds is here.
const STUDIES: &[&Study] = &[&node_ablation::STUDY];

/// Options of `lutweave study`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave study node-ablation
  lutweave study node-ablation --data mnist --data-dir data --epochs 2 --out out/nodes
  lutweave study node-ablation --out docs/src/node-ablation/digits --json

Every training that ends is a line of DIR/results.jsonl. After Ctrl-C, or when the power goes, the same
command goes on after the last of them; once all are there it writes page and plots anew and trains
nothing. Learning rates and the best of each kind are chosen on training samples kept aside; the test
samples are looked at for the chosen ones alone. Trainings are the same bits for any number of threads.

Exit status: 0 done, 1 failed or stopped, 2 wrong usage.")]
pub(crate) struct StudyArguments {
    /// Which.
    #[arg(value_parser = PossibleValuesParser::new(STUDIES.iter().map(|study| study.name)))]
    name: String,

    /// The data set.
    #[arg(long, value_name = "SET", default_value = "digits")]
    data: String,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Trainings of each combination, with seeds from 1.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u64).range(2..=1000))]
    seeds: u64,

    /// LUT nodes of every network [default: 300 for digits, 600 else].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(50..=100_000))]
    nodes: Option<u32>,

    /// Passes over the training samples [default: 40 for digits, 4 else].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    epochs: Option<u32>,

    /// Train on so many of the samples [default: all that are not kept aside].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(100..))]
    samples: Option<u32>,

    /// Folder for results, page and plots [default: out/NAME-SET].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Threads to train with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Print the figures as JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs a study, or goes on with it.
pub(crate) fn run(arguments: &StudyArguments) -> Result<ExitCode> {
    let Some(study) = STUDIES.iter().find(|study| study.name == arguments.name) else {
        return Err(Error::Options(format!("there is no study `{}`", arguments.name)));
    };
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let few = arguments.data == "digits";
    let setting = Setting {
        study: study.name.to_owned(),
        data: arguments.data.clone(),
        seeds: arguments.seeds,
        nodes: arguments.nodes.unwrap_or(if few { 300 } else { 600 }) as usize,
        epochs: arguments.epochs.unwrap_or(if few { 40 } else { 4 }) as usize,
        samples: arguments.samples.map(|samples| samples as usize),
    };
    let name = format!("{}-{}", study.name, setting.data_name());
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from("out").join(name));
    let Some(results) = run::run(study, &setting, &out, arguments.data_dir.as_deref())? else {
        say!("stopped; the same command goes on");
        return Ok(ExitCode::FAILURE);
    };
    page::write(study, &results, &out)?;
    let figures = figures::Figures::of(study, &results);
    if arguments.json {
        say!("{:#}", page::json(study, &results, &figures));
    } else {
        crate::say::print(format_args!("{}", page::summary(study, &figures)));
        say!("page: {}", out.join(page::PAGE).display());
    }
    Ok(ExitCode::SUCCESS)
}
