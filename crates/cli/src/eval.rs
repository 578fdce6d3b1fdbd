//! `lutweave eval`: how good a trained network is, as it trains and as it is frozen.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, value_parser};
use lutweave::prelude::*;
use lutweave::train::metrics::{Metric, TopK};
use lutweave::train::{evaluate, evaluate_soft, metric_of};

use crate::classes::{self, Judged};
use crate::device::DeviceArguments;
use crate::error::{Error, Result};
use crate::report::grouped;
use crate::samples;
use crate::train::config::DataConfig;
use crate::train::{figure, folder};

/// Options of `lutweave eval`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave eval out/digits/model.lutweave
  lutweave eval out/mnist/checkpoint.lutweave --data mnist --data-dir data --json
  lutweave eval out/mnist/model.lutweave --train --device cuda:0

Where targets are classes, it also tells which class is taken for which, and how often each is found;
--json has all of it.")]
pub(crate) struct EvalArguments {
    /// A model file or checkpoint.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    #[command(flatten)]
    pub(crate) samples: SampleArguments,

    /// Evaluate the training samples instead of the test samples.
    #[arg(long)]
    pub(crate) train: bool,

    #[command(flatten)]
    pub(crate) device: DeviceArguments,

    /// Threads to work with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which samples.
#[derive(Debug, Clone, Args)]
pub(crate) struct SampleArguments {
    /// The data set [default: that of the settings beside the model].
    #[arg(long, value_name = "NAME")]
    pub(crate) data: Option<String>,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl SampleArguments {
    /// The training and the test samples.
    pub(crate) fn open(&self, model: &Path) -> Result<(Dataset, Dataset)> {
        let config = match &self.data {
            Some(name) => DataConfig::named(name),
            None => beside(model).ok_or(Error::NoData)?,
        };
        let opened = samples::open(&config, self.data_dir.as_deref())?;
        Ok((opened.train, opened.test))
    }
}

/// The data set that the settings beside a model name.
fn beside(model: &Path) -> Option<DataConfig> {
    let text = std::fs::read_to_string(model.with_file_name(folder::CONFIG)).ok()?;
    let mut table: toml::Table = toml::from_str(&text).ok()?;
    table.remove("data")?.try_into().ok()
}

/// Evaluates.
pub(crate) fn run(arguments: &EvalArguments) -> Result<ExitCode> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let net = store::load(&arguments.model)?;
    let (train, test) = arguments.samples.open(&arguments.model)?;
    let data = if arguments.train { train } else { test };
    let backend = arguments.device.device.backend()?;
    let backend = &*backend;
    let frozen = Judged::of(&net, &data, backend, evaluate)?;
    let soft = Judged::of(&net, &data, backend, evaluate_soft)?;
    let top = match data.classes() {
        Some((classes, _)) if classes > 5 => {
            let mut top = TopK::new(5)?;
            Some((top.name().to_owned(), evaluate(&net, &data, &mut top, backend)?))
        }
        _ => None,
    };
    let metric = metric_of(&data);
    let name = metric.name();
    let lost = soft.value - frozen.value;
    let gap = if metric.more_is_better() { lost } else { -lost };
    if arguments.json {
        let object = serde_json::json!({
            "samples": data.len(),
            "metric": name,
            "soft": soft.value,
            "frozen": frozen.value,
            "gap": gap,
            "top_5": top.map(|top| top.1),
            "luts": net.luts(),
            "soft_classes": soft.confusion.as_ref().map(classes::json),
            "frozen_classes": frozen.confusion.as_ref().map(classes::json),
        });
        say!("{object:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let which = if arguments.train { "training" } else { "test" };
    say!(
        "{} {which} samples of {}, {} LUTs",
        grouped(data.len()),
        data.name(),
        grouped(net.luts())
    );
    say!("{name} of the frozen netlist     {}", figure(name, frozen.value));
    say!("{name} as the network trains     {}", figure(name, soft.value));
    say!("what freezing costs             {}", figure(name, gap));
    if let Some((name, value)) = top {
        say!("{name} of the frozen netlist     {}", figure("accuracy", value));
    }
    if let Some(confusion) = &frozen.confusion {
        say!("");
        crate::say::print(format_args!("{}", classes::text(confusion, soft.confusion.as_ref())));
    }
    Ok(ExitCode::SUCCESS)
}
