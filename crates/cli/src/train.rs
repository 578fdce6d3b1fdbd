//! `lutweave train`: from a file of settings to a trained, saved network.

pub(crate) mod config;
pub(crate) mod folder;
mod layers;
mod place;
mod show;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use lutweave::backend::Backend;
use lutweave::prelude::*;
use lutweave::train::{self, Checkpoint, Flow, History, Loss, Optimizer};

use self::config::{Config, LossConfig, OptimizerConfig, Source};
use self::folder::{CHECKPOINT, CONFIG, Folder, MODEL, REPORT};
use self::show::Show;
pub(crate) use self::show::figure;
use crate::device::{Device, DeviceArguments};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::training::Training;
use crate::report::{count, grouped};
use crate::samples;

/// Seconds between two versions of the report at least.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Options of `lutweave train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave train examples/configs/digits.toml
  lutweave train examples/configs/mnist-thermometer.toml --data-dir data --out out/mnist
  lutweave train examples/configs/mnist-thermometer.toml --out out/mnist --resume
  lutweave train examples/configs/digits.toml --set training.epochs=5 --set seed=7
  lutweave train examples/configs/mnist-thermometer.toml --data-dir data --device cuda:0

Ctrl-C and SIGTERM end the step that is running, write a checkpoint and say how to go on; a second
Ctrl-C ends the program at once. Training that was stopped, or killed, goes on with --resume to the
same file, bit for bit, as training that was not.

Exit status: 0 done, 1 failed or stopped, 2 wrong usage.")]
pub(crate) struct TrainArguments {
    /// Settings: data, encoder, network, loss, optimizer, schedule, training.
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,

    /// Folder for checkpoint, log, report and model [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Go on from the checkpoint in the folder; from the beginning where there is none yet.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,

    /// Begin anew in the folder of an earlier training.
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Change a setting, such as training.epochs=5 or network.layers.1.nodes=500.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) device: DeviceArguments,

    /// Threads to train with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// Trains.
pub(crate) fn run(arguments: &TrainArguments) -> Result<ExitCode> {
    let interrupt = Interrupt::listen();
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let backend = arguments.device.device.backend()?;
    let backend = &*backend;
    let source = Source::read(&arguments.config, &arguments.set)?;
    let config = source.parse()?;
    let name = name(&config, &arguments.config);
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("out").join(&name));
    let checkpoint = if arguments.resume { resumed(&out, &source)? } else { None };
    let opened = samples::open(&config.data, arguments.data_dir.as_deref())?;
    let (train, test) = (opened.train, opened.test);
    let (mut net, checkpoint) = if let Some(both) = checkpoint {
        both
    } else {
        let note = source.canonical()?;
        let net = layers::network(&config, &source, &train)?;
        (net, Checkpoint { note, ..Checkpoint::default() })
    };
    let goes_on = checkpoint.position.epoch > 0 || checkpoint.position.step > 0;
    let folder =
        if arguments.resume { Folder::of(&out) } else { Folder::begin(&out, arguments.overwrite)? };
    if arguments.resume {
        std::fs::create_dir_all(&out).map_err(Error::io("make output folder", &out))?;
    }
    folder.write(CONFIG, source.text.as_bytes())?;
    say!(
        "{name}: {}, {} trained numbers, seed {}; {} of {} to train on, {} to test on",
        count(net.luts(), "LUT"),
        grouped(net.describe().parameters()),
        config.seed,
        count(train.len(), "sample"),
        config.data.set,
        grouped(test.len())
    );
    if goes_on {
        let position = checkpoint.position;
        say!("going on after epoch {} and {}", position.epoch, count(position.step, "step"));
    }
    let session =
        Session { name: &name, config: &config, source: &source, folder: &folder, backend };
    let history = session.fit(&interrupt, &mut net, checkpoint, &train, &test)?;
    if history.stopped {
        say!("stopped; go on with");
        say!("  {}", resume_command(arguments, &out));
        return Ok(ExitCode::FAILURE);
    }
    store::save(folder.file(MODEL), &net)?;
    finished(&net, &history, &test, backend)?;
    say!("model: {}", folder.file(MODEL).display());
    say!("report: {}", folder.file(REPORT).display());
    Ok(ExitCode::SUCCESS)
}

/// What the training came to, in a line.
fn finished(net: &Network, history: &History, test: &Dataset, backend: &dyn Backend) -> Result<()> {
    let Some(last) = history.epochs.last() else { return Ok(()) };
    let mut metric = train::metric_of(test);
    let frozen = train::evaluate(net, test, metric.as_mut(), backend)?;
    let stale = if history.stale { ", as it got no better" } else { "" };
    say!(
        "trained {} in {:.1} s{stale}: frozen {} {} on the test samples",
        count(last.epoch, "epoch"),
        last.seconds,
        last.metric,
        figure(&last.metric, frozen)
    );
    Ok(())
}

fn name(config: &Config, path: &Path) -> String {
    let stem = || path.file_stem().map_or("network".into(), |stem| stem.to_string_lossy());
    config.name.clone().unwrap_or_else(|| stem().into_owned())
}

/// The checkpoint in a folder, if there is one, of a training with these settings.
fn resumed(out: &Path, source: &Source) -> Result<Option<(Network, Checkpoint)>> {
    let path = out.join(CHECKPOINT);
    if !path.exists() {
        return Ok(None);
    }
    let (net, checkpoint) = store::load_checkpoint(&path)?;
    let canonical = source.canonical()?;
    if canonical == checkpoint.note {
        return Ok(Some((net, checkpoint)));
    }
    let mut old = checkpoint.note.lines();
    let mut new = canonical.lines();
    loop {
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => {
                let [was, is] = [a, b].map(|line| line.unwrap_or("the end").to_owned());
                return Err(Error::OtherSettings { path, was, is });
            }
        }
    }
}

/// The command that goes on with a training.
fn resume_command(arguments: &TrainArguments, out: &Path) -> String {
    let quote = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let mut words = vec!["lutweave train".to_owned(), quote(&arguments.config.to_string_lossy())];
    words.extend(arguments.set.iter().map(|change| format!("--set {}", quote(change))));
    if let Some(folder) = &arguments.data_dir {
        words.push(format!("--data-dir {}", quote(&folder.to_string_lossy())));
    }
    let DeviceArguments { device } = arguments.device;
    if device != Device::Cpu {
        words.push(format!("--device {device}"));
    }
    words.push(format!("--out {} --resume", quote(&out.to_string_lossy())));
    words.join(" ")
}

/// A training and what it writes to.
struct Session<'s> {
    name: &'s str,
    config: &'s Config,
    source: &'s Source,
    folder: &'s Folder,
    backend: &'s dyn Backend,
}

impl<'s> Session<'s> {
    /// Trains until the end or a signal.
    fn fit(
        &self,
        interrupt: &Interrupt,
        net: &mut Network,
        checkpoint: Checkpoint,
        train: &Dataset,
        test: &Dataset,
    ) -> Result<History> {
        let (settings, layers, luts) = (&self.config.training, net.describe(), net.luts());
        let log = RefCell::new(self.folder.log(&checkpoint.history, luts)?);
        let show = RefCell::new(Show::start(checkpoint.history.last()));
        let epochs = RefCell::new(checkpoint.history.clone());
        // What a callback could not do is told when training has ended.
        let failed: RefCell<Option<Error>> = RefCell::new(None);
        let saved = Cell::new(Instant::now());
        let reported: Cell<Option<Instant>> = Cell::new(None);
        let every = settings.checkpoint_seconds;
        let is_due = || saved.get().elapsed().as_secs_f64() >= every;
        let metric = train::metric_of(test);
        let steps = train.len().div_ceil(settings.batch.max(1)) as u64;
        let report = |running: bool| {
            let page = Training {
                name: self.name,
                data: (&self.config.data.set, train.len(), test.len()),
                epochs: &epochs.borrow(),
                layers: &layers,
                running,
                config: &self.source.text,
            };
            reported.set(Some(Instant::now()));
            self.folder.write(REPORT, page.html(show::short).as_bytes())
        };
        let note = |result: Result<()>| match result {
            Ok(()) => true,
            Err(error) => {
                failed.borrow_mut().get_or_insert(error);
                false
            }
        };
        interrupt.begin();
        let augmentation = samples::augmentation(&self.config.data.augment, self.config.seed)?;
        let mut trainer = self.trainer(checkpoint);
        if !augmentation.is_empty() {
            trainer =
                trainer.prepare(|batch, place| samples::changed(&augmentation, &batch, place));
        }
        let result = trainer
            .on_step(|step| {
                let stopping = interrupt.stopping();
                show.borrow().step(metric.name(), step, steps, stopping);
                match (stopping, is_due()) {
                    (true, _) => Flow::Stop,
                    (false, true) => Flow::Checkpoint,
                    (false, false) => Flow::Continue,
                }
            })
            .on_epoch(|epoch, _| {
                show.borrow_mut().epoch(epoch);
                epochs.borrow_mut().push(epoch.clone());
                let last = epoch.epoch == epoch.epochs;
                let again = reported.get().is_none_or(|at| at.elapsed() >= REPORT_EVERY);
                let mut written = note(log.borrow_mut().add(epoch));
                if again || last {
                    written &= note(report(!last));
                }
                match (written, last || is_due()) {
                    (false, _) => Flow::Stop,
                    (true, true) => Flow::Checkpoint,
                    (true, false) => Flow::Continue,
                }
            })
            .on_checkpoint(|net, checkpoint| {
                store::save_checkpoint(self.folder.file(CHECKPOINT), net, checkpoint)?;
                saved.set(Instant::now());
                Ok(())
            })
            .fit(net, train, test);
        interrupt.end();
        let earlier = failed.into_inner();
        let result = match (earlier, result) {
            (Some(error), _) => Err(error),
            (None, Err(train::Error::Callback(error))) => Err(match error.downcast() {
                Ok(error) => Error::Store(*error),
                Err(error) => Error::Train(train::Error::Callback(error)),
            }),
            (None, result) => Ok(result?),
        };
        let result = result.and_then(|history| report(false).map(|()| history));
        show.into_inner().finish();
        result
    }

    /// The trainer that the settings describe.
    fn trainer(&self, checkpoint: Checkpoint) -> Trainer<'s> {
        let (config, settings) = (self.config, &self.config.training);
        let mut trainer = Trainer::new(optimizer(&config.optimizer), loss(&config.loss))
            .schedule(config.schedule.schedule())
            .batch(settings.batch)
            .seed(config.seed)
            .backend(self.backend)
            .keep_best(settings.keep_best)
            .resume(checkpoint);
        if let Some(epochs) = settings.epochs {
            trainer = trainer.epochs(epochs);
        }
        if let Some(steps) = settings.steps {
            trainer = trainer.steps(steps);
        }
        if let Some(chunk) = settings.chunk {
            trainer = trainer.chunk(chunk);
        }
        if let Some(patience) = settings.patience {
            trainer = trainer.patience(patience);
        }
        if let Some(samples) = settings.soft_samples {
            trainer = trainer.soft_samples(samples);
        }
        trainer
    }
}

fn loss(config: &LossConfig) -> Box<dyn Loss> {
    match config {
        LossConfig::SoftmaxCrossEntropy => Box::new(train::SoftmaxCrossEntropy),
        LossConfig::SigmoidCrossEntropy => Box::<train::SigmoidCrossEntropy>::default(),
        LossConfig::CrossEntropy => Box::new(train::CrossEntropy),
        LossConfig::BinaryCrossEntropy => Box::<train::BinaryCrossEntropy>::default(),
        LossConfig::MeanSquaredError => Box::<train::MeanSquaredError>::default(),
        LossConfig::SquaredHinge => Box::<train::SquaredHinge>::default(),
    }
}

fn optimizer(config: &OptimizerConfig) -> Box<dyn Optimizer> {
    fn clipped(optimizer: impl Optimizer + 'static, limit: Option<f32>) -> Box<dyn Optimizer> {
        match limit {
            Some(limit) => Box::new(train::Clip::by_norm(optimizer, limit)),
            None => Box::new(optimizer),
        }
    }
    match *config {
        OptimizerConfig::Sgd { learning_rate, momentum, nesterov, weight_decay, clip_norm } => {
            let sgd = train::Sgd::new(learning_rate).momentum(momentum).nesterov(nesterov);
            clipped(sgd.weight_decay(weight_decay), clip_norm)
        }
        OptimizerConfig::AdaGrad { learning_rate, clip_norm } => {
            clipped(train::AdaGrad::new(learning_rate), clip_norm)
        }
        OptimizerConfig::Adam { learning_rate, betas, clip_norm } => {
            clipped(Adam::new(learning_rate).betas(betas.0, betas.1), clip_norm)
        }
        OptimizerConfig::AdamW { learning_rate, betas, weight_decay, clip_norm } => {
            let adam = train::AdamW::new(learning_rate).betas(betas.0, betas.1);
            clipped(adam.weight_decay(weight_decay), clip_norm)
        }
        OptimizerConfig::ShiftAdaMax { learning_rate, clip_norm } => {
            clipped(train::ShiftAdaMax::new(learning_rate), clip_norm)
        }
    }
}
