//! `lutweave train`: from a file of settings to a trained, saved network.

mod backup;
mod budget;
pub(crate) mod config;
mod descend;
pub(crate) mod folder;
mod layers;
mod loss;
mod parts;
mod place;
mod record;
mod shares;
mod show;
pub(crate) mod source;
mod split;
mod teacher;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use clap::{Args, value_parser};
use lutweave::backend::Backend;
use lutweave::prelude::*;
use lutweave::train::{self, Checkpoint, Flow, History, Position};

use self::backup::Copies;
use self::budget::Budget;
use self::config::Config;
use self::folder::{CHECKPOINT, CONFIG, Folder, MODEL, REPORT, TRAINING};
use self::loss::LossOf;
use self::record::Record;
pub(crate) use self::show::{figure, flip_ratio};
use self::source::Source;
use self::split::Samples;
use self::teacher::Teacher;
use crate::classes::Judged;
use crate::device::{Device, Devices, Driver, Gpus, Opened, TrainDeviceArguments};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::{count, grouped};
use crate::samples;

/// Options of `lutweave train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave train examples/configs/digits.toml
  lutweave train examples/configs/mnist-thermometer.toml --data-dir data --out out/mnist
  lutweave train examples/configs/mnist-thermometer.toml --out out/mnist --resume
  lutweave train examples/configs/digits.toml --set training.epochs=5 --set seed=7
  lutweave train examples/configs/digits.toml --set data.validation=200 --backups 5
  lutweave train examples/configs/mnist-thermometer.toml --data-dir data --device cuda:0
  lutweave train examples/configs/mnist-cnn.toml --data-dir data --device cuda:0,cuda:1
  lutweave train examples/configs/mnist-cnn.toml --data-dir data --device cuda:all --exchange host
  lutweave train examples/configs/digits.toml --budget 500luts --out out/small

Ctrl-C and SIGTERM end the step that is running, write a checkpoint and say how to go on; a second
Ctrl-C ends the program at once. Training that was stopped, or killed, goes on with --resume to the
same file, bit for bit, as training that was not. On several GPUs that holds with --exchange host and
as many of them; fewer go on too, with the parts of batches that there were.

Exit status: 0 done, 1 failed or stopped, 2 wrong usage.")]
pub(crate) struct TrainArguments {
    /// Settings: data, encoder, network, loss, optimizer, schedule, training.
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,

    /// Most LUTs of the system, encoder and head included, such as 2000 or 2000luts: the network of the
    /// settings is trained, and nodes are taken out of it until it fits; as `--set budget.luts=N`.
    #[arg(long, value_name = "N", value_parser = budget::luts)]
    pub(crate) budget: Option<usize>,

    #[command(flatten)]
    pub(crate) options: TrainOptions,
}

/// What trainings of a file and of the zoo have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainOptions {
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

    /// After epochs put dated copies of the checkpoint into DIR/backups and keep the N newest, or all
    /// with 0 [default: what the settings say of `training.backups`, if anything].
    #[arg(long, value_name = "N")]
    pub(crate) backups: Option<usize>,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) device: TrainDeviceArguments,

    /// Threads to train with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// A training that came to its end.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) net: Network,
    /// The full test set.
    pub(crate) test: Dataset,
    pub(crate) steps: u64,
    pub(crate) seconds: f64,
    /// Where it was trained, as `--device` takes it.
    pub(crate) device: String,
}

/// Trains.
pub(crate) fn run(arguments: &TrainArguments) -> Result<ExitCode> {
    let mut options = arguments.options.clone();
    options.set.extend(arguments.budget.map(|luts| format!("budget.luts={luts}")));
    let options = &options;
    options.set_threads()?;
    let source = Source::read(&arguments.config, &options.set)?;
    let command = ["train", &arguments.config.to_string_lossy()].map(str::to_owned);
    let name = arguments.config.file_stem().map_or("network".into(), |stem| stem.to_string_lossy());
    let trained = train(&Interrupt::listen(), &name, &source, &command, options, &options.set)?;
    Ok(if trained.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl TrainOptions {
    /// Makes the threads that are asked for; to be called once.
    pub(crate) fn set_threads(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        Ok(())
    }
}

/// Trains the network of these settings, which is called `stem` if they do not name it; nothing
/// comes of it when it is stopped. `command` is what goes on with it, with the changes `set`.
pub(crate) fn train(
    interrupt: &Interrupt,
    stem: &str,
    source: &Source,
    command: &[String],
    arguments: &TrainOptions,
    set: &[String],
) -> Result<Option<Trained>> {
    let config = source.parse()?;
    let name = config.name.clone().unwrap_or_else(|| stem.to_owned());
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("out").join(&name));
    let job = Job { interrupt, name: &name, arguments, gpus: &Driver };
    let trained = job.run(source, &config, &out)?;
    if trained.is_none() {
        say!("stopped; go on with");
        say!("  {}", resume_command(command, set, arguments, &out));
    }
    Ok(trained)
}

/// What to train, and how it is watched.
#[derive(Clone, Copy)]
struct Job<'j> {
    interrupt: &'j Interrupt,
    name: &'j str,
    arguments: &'j TrainOptions,
    gpus: &'j dyn Gpus,
}

impl Job<'_> {
    /// Trains into a folder.
    fn run(self, source: &Source, config: &Config, out: &Path) -> Result<Option<Trained>> {
        let Self { interrupt, name, arguments, gpus } = self;
        let devices = arguments.device.open(gpus, config.training.batch)?;
        let backend = devices.first();
        let teacher = Teacher::read(&config.loss)?;
        let mut note = source.canonical()?;
        note.extend(teacher.iter().map(Teacher::note));
        note.push_str(&shares::note(devices.count()));
        let checkpoint = if arguments.resume { resumed(out, &note)? } else { None };
        let shares = shares::of(config, &devices, checkpoint.as_ref().map(|both| &both.1), out)?;
        let samples = Samples::open(config, source, arguments.data_dir.as_deref())?;
        loss::check_targets(config, source, &samples.train)?;
        parts::check_optimizers(config, source)?;
        let (mut net, checkpoint) = if let Some(both) = checkpoint {
            both
        } else {
            let net = match config.descent.as_ref().and_then(|descent| descent.from.as_ref()) {
                Some(file) => store::load(Path::new(file))?,
                None => layers::network(config, source, &samples.train)?,
            };
            (net, Checkpoint { note, ..Checkpoint::default() })
        };
        loss::check_output(config, source, &net, &samples.train, backend)?;
        let loss = LossOf::new(config, source, &net, &samples.train)?;
        parts::group(config, source, &mut net)?;
        for drive in parts::drives(config, source)? {
            let (mut optimizer, mut loss) = (parts::optimizer(config, &net), loss.make()?);
            drive.check(&mut optimizer, &mut loss, &net)?;
        }
        let budget = Budget::new(config, source, &net, &samples.train, backend)?;
        if let Some(teacher) = &teacher {
            teacher.check(&net)?;
        }
        descend::check(config, &net, &samples)?;
        let goes_on = checkpoint.position.epoch > 0 || checkpoint.position.step > 0;
        let folder = if arguments.resume {
            Folder::of(out)
        } else {
            Folder::begin(out, arguments.overwrite)?
        };
        if arguments.resume {
            std::fs::create_dir_all(out).map_err(Error::io("make output folder", out))?;
        }
        folder.write(CONFIG, source.text.as_bytes())?;
        announce(name, config, &net, &samples);
        devices.announce();
        if goes_on {
            going_on(&checkpoint.position, shares, &devices);
        }
        let mut before = (0, 0.0);
        if config.gradients_first() {
            say!("with gradients first:");
            let source = source.before_descent()?;
            let first = self.run(&source, &source.parse()?, &out.join(TRAINING))?;
            let Some(first) = first else { return Ok(None) };
            before = (first.steps, first.seconds);
            if !goes_on {
                net = first.net;
            }
        }
        let copies = Copies::new(out, config.training.backups, arguments.backups);
        let session = Session {
            name,
            config,
            loss: &loss,
            source,
            folder: &folder,
            copies: copies.as_ref(),
            teacher: teacher.as_ref(),
            budget: budget.as_ref(),
            backend,
            devices: &devices,
            shares,
        };
        let (history, judged) = match &config.descent {
            None => session.fit(interrupt, &mut net, checkpoint, &samples)?,
            Some(descent) => session.descend(interrupt, &mut net, checkpoint, &samples, descent)?,
        };
        let Some(judged) = judged else { return Ok(None) };
        store::save(folder.file(MODEL), &net)?;
        finished(&history, config.training.keep_best, judged.value);
        if let Some(budget) = &budget {
            budget.finish(&net, &folder)?;
        }
        say!("model: {}", folder.file(MODEL).display());
        say!("report: {}", folder.file(REPORT).display());
        let last = history.epochs.last();
        let a_epoch = samples.train.len().div_ceil(config.training.batch.max(1));
        let epochs = last.map_or(0, |last| last.epoch);
        let steps = match config.descent {
            Some(_) => epochs * net.luts(),
            None => config.training.steps.unwrap_or(epochs * a_epoch),
        };
        Ok(Some(Trained {
            net,
            test: samples.test,
            steps: before.0 + steps as u64,
            seconds: before.1 + last.map_or(0.0, |last| last.seconds),
            device: devices.name().to_owned(),
        }))
    }
}

/// Tells what is trained on what.
fn announce(name: &str, config: &Config, net: &Network, samples: &Samples) {
    say!(
        "{name}: {}, {} trained numbers, seed {}; {} of {} to train on, {}{} to test on",
        count(net.luts(), "LUT"),
        grouped(net.describe().parameters()),
        config.seed,
        count(samples.train.len(), "sample"),
        config.data.set,
        samples.validation.as_ref().map_or(String::new(), |kept| {
            format!("{} to validate with, ", grouped(kept.len()))
        }),
        grouped(samples.test.len())
    );
}

/// Tells where a training goes on.
fn going_on(position: &Position, shares: usize, devices: &Opened) {
    let Position { epoch, step, .. } = *position;
    let steps = if step == 0 { String::new() } else { format!(" and {}", count(step, "step")) };
    say!("going on after epoch {epoch}{steps}");
    if shares > devices.count() {
        say!("batches stay in the {shares} parts that {shares} GPUs had of them");
    }
}

/// An error of a callback as what it was.
fn unwrapped(error: train::Error) -> Error {
    match error {
        train::Error::Callback(error) => match error.downcast() {
            Ok(error) => Error::Store(*error),
            Err(error) => Error::Train(train::Error::Callback(error)),
        },
        error => Error::Train(error),
    }
}

/// What the training came to, in a line.
fn finished(history: &History, keep_best: bool, frozen: f64) {
    let Some(last) = history.epochs.last() else { return };
    let stale = if history.stale { ", as it got no better" } else { "" };
    let best = history.best.filter(|_| keep_best);
    let best = best.map_or(String::new(), |epoch| format!("; kept the best, of epoch {epoch}"));
    say!(
        "trained {} in {:.1} s{stale}{best}: frozen {} {} on the test samples",
        count(last.epoch, "epoch"),
        last.seconds,
        last.metric,
        figure(&last.metric, frozen)
    );
}

/// The checkpoint in a folder, if there is one, of a training with these settings.
fn resumed(out: &Path, settings: &str) -> Result<Option<(Network, Checkpoint)>> {
    let path = out.join(CHECKPOINT);
    if !path.exists() {
        return Ok(None);
    }
    let (net, checkpoint) = store::load_checkpoint(&path)?;
    // A teacher may have moved: its checksum, which is a line as well, says whether it is the same.
    // Fewer devices may go on.
    let counts = |line: &&str| !line.starts_with("teacher = ") && !line.starts_with(shares::LINE);
    let mut old = checkpoint.note.lines().filter(counts);
    let mut new = settings.lines().filter(counts);
    loop {
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => break,
            (a, b) => {
                let [was, is] = [a, b].map(|line| line.unwrap_or("the end").to_owned());
                return Err(Error::OtherSettings { path, was, is });
            }
        }
    }
    Ok(Some((net, checkpoint)))
}

/// The command that goes on with a training.
fn resume_command(
    command: &[String],
    set: &[String],
    arguments: &TrainOptions,
    out: &Path,
) -> String {
    let quote = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let mut words = vec!["lutweave".to_owned()];
    words.extend(command.iter().map(|word| quote(word)));
    words.extend(set.iter().map(|change| format!("--set {}", quote(change))));
    if let Some(folder) = &arguments.data_dir {
        words.push(format!("--data-dir {}", quote(&folder.to_string_lossy())));
    }
    if let Some(keep) = arguments.backups {
        words.push(format!("--backups {keep}"));
    }
    let TrainDeviceArguments { device, exchange } = &arguments.device;
    if *device != Devices::One(Device::Cpu) {
        words.push(format!("--device {device}"));
    }
    words.extend(exchange.iter().map(|exchange| format!("--exchange {exchange}")));
    words.push(format!("--out {} --resume", quote(&out.to_string_lossy())));
    words.join(" ")
}

/// What a training did, and what the network then answers to the test samples; nothing of that when it
/// was stopped.
type Finished = (History, Option<Judged>);

/// A training and what it writes to.
struct Session<'s> {
    name: &'s str,
    config: &'s Config,
    loss: &'s LossOf<'s>,
    source: &'s Source,
    folder: &'s Folder,
    copies: Option<&'s Copies>,
    teacher: Option<&'s Teacher>,
    budget: Option<&'s Budget<'s>>,
    /// The first of the devices.
    backend: &'s dyn Backend,
    devices: &'s Opened,
    /// The parts that a batch has for devices: as many as there were when training began.
    shares: usize,
}

impl<'s> Session<'s> {
    /// Trains until the end or a signal; at the end also judges the frozen network on the test
    /// samples.
    fn fit(
        &self,
        interrupt: &Interrupt,
        net: &mut Network,
        checkpoint: Checkpoint,
        samples: &Samples,
    ) -> Result<Finished> {
        let settings = &self.config.training;
        let (watched, _) = samples.watched();
        let record = RefCell::new(Record::new(self, net, &checkpoint.history, samples)?);
        // What a callback could not do is told when training has ended.
        let failed: RefCell<Option<Error>> = RefCell::new(None);
        let saved = Cell::new(Instant::now());
        let every = settings.checkpoint_seconds;
        let is_due = || saved.get().elapsed().as_secs_f64() >= every;
        let steps = samples.train.len().div_ceil(settings.batch.max(1)) as u64;
        interrupt.begin();
        let augmentation = samples::augmentation(&self.config.data.augment, self.config.seed)?;
        let mut trainer = self.trainer(checkpoint, net)?;
        let (teacher, mut taught) = (self.teacher, None);
        match (augmentation.is_empty(), teacher) {
            (true, None) => {}
            // Images that stay as they are need to be looked at by the teacher once.
            (true, Some(teacher)) => taught = Some(teacher.teach(samples.train.clone())?),
            (false, _) => {
                trainer = trainer.prepare(|batch, place| {
                    let batch = samples::changed(&augmentation, &batch, place)?;
                    Ok(match teacher {
                        Some(teacher) => teacher.teach(batch)?,
                        None => batch,
                    })
                });
            }
        }
        let result = trainer
            .on_step(|step| {
                let stopping = interrupt.stopping();
                record.borrow().step(step, steps, stopping);
                match (stopping, is_due()) {
                    (true, _) => Flow::Stop,
                    (false, true) => Flow::Checkpoint,
                    (false, false) => Flow::Continue,
                }
            })
            .on_epoch(|epoch, _| {
                let last = epoch.epoch == epoch.epochs;
                let copied = self.copies.is_some_and(|copies| copies.is_due(epoch));
                if let Err(error) = record.borrow_mut().epoch(epoch) {
                    failed.borrow_mut().get_or_insert(error);
                    return Flow::Stop;
                }
                if last || copied || is_due() { Flow::Checkpoint } else { Flow::Continue }
            })
            .on_checkpoint(|net, checkpoint| {
                self.save(net, checkpoint)?;
                saved.set(Instant::now());
                Ok(())
            })
            .fit(net, taught.as_ref().unwrap_or(&samples.train), watched);
        interrupt.end();
        let result = match failed.into_inner() {
            Some(error) => Err(error),
            None => result.map_err(unwrapped),
        };
        record.into_inner().finish(net, result)
    }

    /// Writes a checkpoint, and the copy of it that is due.
    fn save(&self, net: &Network, checkpoint: &Checkpoint) -> store::Result<()> {
        store::save_checkpoint(self.folder.file(CHECKPOINT), net, checkpoint)?;
        match self.copies {
            Some(copies) => copies.save(net, checkpoint, SystemTime::now()),
            None => Ok(()),
        }
    }

    /// The trainer that the settings describe.
    fn trainer(&self, checkpoint: Checkpoint, net: &Network) -> Result<Trainer<'s>> {
        let (config, settings) = (self.config, &self.config.training);
        let mut trainer = Trainer::new(parts::optimizer(config, net), self.loss.make()?)
            .schedule(config.schedule.schedule())
            .batch(settings.batch)
            .seed(config.seed)
            .keep_best(settings.keep_best)
            .resume(checkpoint);
        if let Some(epochs) = settings.epochs {
            trainer = trainer.epochs(epochs);
        }
        if let Some(steps) = settings.steps {
            trainer = trainer.steps(steps);
        }
        let share = settings.batch.div_ceil(self.shares);
        if let Some(chunk) = settings.chunk {
            trainer = trainer.chunk(chunk.min(share));
        } else if self.shares > 1 {
            trainer = trainer.chunk(share);
        }
        if let Some(patience) = settings.patience {
            trainer = trainer.patience(patience);
        }
        if let Some(samples) = settings.soft_samples {
            trainer = trainer.soft_samples(samples);
        }
        for drive in parts::drives(self.config, self.source)? {
            trainer = trainer.drive(drive);
        }
        if let Some(budget) = self.budget {
            trainer = trainer.reshape(|net, epoch, epochs| budget.reshape(net, epoch, epochs));
        }
        Ok(self.devices.give(trainer))
    }
}

#[cfg(test)]
mod tests;
