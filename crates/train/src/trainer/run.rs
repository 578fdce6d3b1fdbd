//! A training that goes on: steps, the ends of epochs, checkpoints.

use std::time::{Duration, Instant};

use lutweave_backend::Backend;
use lutweave_nn::Network;
use lutweave_tensor::Dataset;

use super::Trainer;
use super::evaluate::{TestSet, metric_of};
use super::feed::{Batch, Feed, Plan};
use super::record::{Best, Checkpoint, Epoch, Flow, History, Position, Progress, Sum};
use super::replicas::{Replicas, check, run_parts};
use crate::{Error, Metric, Result};

/// What a training works with and how far it has come.
pub(super) struct Run<'r, 'a, 'd> {
    trainer: Trainer<'a>,
    /// The devices after the first, where there are several.
    replicas: Option<Replicas<'a>>,
    net: &'r mut Network,
    plan: Plan,
    feed: Feed<'d>,
    test: TestSet<'d>,
    position: Position,
    history: Vec<Epoch>,
    best: Option<Best>,
    /// The network's bits when the epoch began; none where they are not known.
    bits: Option<Vec<u64>>,
    note: String,
    /// When this sitting began, and the seconds of those before.
    started: Instant,
    before: f64,
    /// Time and images of this sitting's steps: of all of them, and of the present epoch.
    all: Pace,
    epoch: Pace,
}

/// How fast training is.
#[derive(Debug, Default)]
struct Pace {
    time: Duration,
    images: usize,
}

impl Pace {
    fn add(&mut self, time: Duration, images: usize) {
        self.time += time;
        self.images += images;
    }

    fn images_per_s(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.images as f64 / seconds } else { 0.0 }
    }
}

/// Why training ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    Stopped,
    Stale,
}

/// Whether the updates of a step change nothing.
fn is_held(backend: &dyn Backend) -> Result<bool> {
    Ok(backend.is_held().map_err(lutweave_nn::Error::from)?)
}

impl<'r, 'a, 'd> Run<'r, 'a, 'd> {
    pub(super) fn new(
        trainer: Trainer<'a>,
        net: &'r mut Network,
        plan: Plan,
        feed: Feed<'d>,
        test: TestSet<'d>,
        done: Checkpoint,
    ) -> Result<Self> {
        let Checkpoint { position, history, best, bits, note, .. } = done;
        // A checkpoint of a file that has none of them gives an epoch without this figure.
        let bits = if position.step > 0 { Some(bits) } else { None };
        let replicas = match &trainer.others {
            Some((others, reduce)) => Some(Replicas::new(net, others, *reduce)?),
            None => None,
        };
        Ok(Self {
            trainer,
            replicas,
            net,
            plan,
            feed,
            test,
            history,
            best,
            bits,
            note,
            started: Instant::now(),
            before: position.seconds,
            position,
            all: Pace::default(),
            epoch: Pace::default(),
        })
    }

    /// Trains to the end.
    pub(super) fn go(mut self, train: &Dataset) -> Result<History> {
        let early = self.epochs(train)?;
        let stopped = early == Some(Early::Stopped);
        if self.trainer.keep_best
            && !stopped
            && let Some(best) = &self.best
        {
            self.net.restore(&best.state)?;
        }
        Ok(History {
            epochs: self.history,
            stopped,
            stale: early == Some(Early::Stale),
            best: self.best.map(|best| best.epoch),
        })
    }

    fn epochs(&mut self, train: &Dataset) -> Result<Option<Early>> {
        let mut metric = metric_of(train);
        while self.position.epoch < self.plan.epochs() {
            if self.is_stale() {
                return Ok(Some(Early::Stale));
            }
            self.epoch = Pace::default();
            if self.bits.is_none() {
                self.bits = Some(self.net.trained_bits()?.words);
            }
            while self.position.step < self.plan.steps_of(self.position.epoch) {
                self.step(metric.as_mut())?;
                let progress = self.progress();
                let flow = (self.trainer.on_step)(&progress);
                if self.obey(flow)? {
                    return Ok(Some(Early::Stopped));
                }
            }
            if let Some(reshape) = &mut self.trainer.reshape {
                let (epoch, epochs) = (self.position.epoch + 1, self.plan.epochs());
                reshape(self.net, epoch, epochs).map_err(Error::Callback)?;
                if let Some(replicas) = &mut self.replicas {
                    replicas.renew(self.net)?;
                }
            }
            let report = self.end_epoch(metric.as_ref())?;
            let flow = (self.trainer.on_epoch)(&report, self.net);
            if self.obey(flow)? {
                return Ok(Some(Early::Stopped));
            }
        }
        Ok(None)
    }

    /// Whether the best epoch was too long ago.
    fn is_stale(&self) -> bool {
        match (self.trainer.patience, &self.best) {
            (Some(patience), Some(best)) => self.position.epoch - best.epoch >= patience,
            _ => false,
        }
    }

    /// Does what a callback wants; gives whether training ends.
    fn obey(&mut self, flow: Flow) -> Result<bool> {
        if flow != Flow::Continue {
            self.position.seconds = self.seconds();
            let checkpoint = Checkpoint {
                position: self.position,
                optimizer: self.trainer.optimizer.state(),
                history: self.history.clone(),
                best: self.best.clone(),
                bits: self.bits.clone().unwrap_or_default(),
                note: self.note.clone(),
            };
            (self.trainer.on_checkpoint)(self.net, &checkpoint).map_err(Error::Callback)?;
        }
        Ok(flow == Flow::Stop)
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Gives all driven hyperparameters their value for the next step.
    fn drive(&mut self) -> Result<()> {
        let step = self.position.epoch * self.plan.steps + self.position.step;
        let Trainer { drives, optimizer, loss, .. } = &mut self.trainer;
        for drive in drives {
            let place = (step, self.plan.total);
            drive.apply(place, &mut *optimizer, &mut *loss, self.net)?;
            for net in self.replicas.iter_mut().flat_map(Replicas::networks) {
                drive.apply(place, &mut *optimizer, &mut *loss, net)?;
            }
        }
        Ok(())
    }

    /// The learning rate of the step `back` steps before the next.
    fn rate(&self, back: usize) -> f32 {
        let step = self.position.epoch * self.plan.steps + self.position.step;
        let factor = self.trainer.schedule.factor(step.saturating_sub(back), self.plan.total);
        self.trainer.optimizer.learning_rate() * factor
    }

    /// One mini-batch, one update. Where a number is not finite there is none: network and optimizer are
    /// then what they were before.
    fn step(&mut self, metric: &mut dyn Metric) -> Result<()> {
        let start = Instant::now();
        let Some(batch) = self.feed.next() else {
            return Err(Error::Callback("no more batches could be made".into()));
        };
        let Batch { parts, samples } = batch?;
        let (epoch, step) = (self.position.epoch + 1, self.position.step + 1);
        let rate = self.rate(0);
        self.drive()?;
        let Trainer { optimizer, loss, backend, .. } = &mut self.trainer;
        let (net, replicas) = (&mut *self.net, &mut self.replicas);
        // Where the device answers at the end, all of the step is asked for before anything is read.
        let later = if replicas.is_none() { backend.step() } else { None };
        let backend = later.as_deref().unwrap_or(*backend);
        let (mut total, mut value) = (0f64, Sum::default());
        let weights: Result<Vec<f64>> = parts.iter().map(|part| loss.weight(&part.1)).collect();
        let weight: f64 = weights?.iter().sum();
        let (before, mut updated) = (net.before_step(), false);
        let several = replicas.is_some();
        let step_of_all = || -> Result<()> {
            let loss = loss.as_ref();
            let done = if let Some(replicas) = replicas.as_mut() {
                replicas.run((net, backend), parts, (loss, weight))?
            } else {
                let parts = parts.into_iter().enumerate();
                let parts = parts.map(|(number, (batch, target))| (number, batch, target));
                run_parts(net, backend, parts.collect(), (loss, weight), later.is_some())?
            };
            if later.is_some() && !done.iter().any(|(_, loss, ..)| loss.is_known_bad()) {
                // The device holds it where it has found a number that is not finite.
                optimizer.update_on(net.parameters_mut(), rate, backend)?;
                updated = true;
            }
            for (_, _, y, target) in &done {
                metric.clear();
                metric.add_on(y, target, backend)?;
                value.add(metric.value(), target.labelled() as f64);
            }
            check(&done, backend)?;
            for (_, loss, ..) in done {
                let loss = loss.read()?;
                if !loss.is_finite() {
                    return Err(Error::Diverged { epoch, step, loss });
                }
                total += f64::from(loss);
            }
            if later.is_none() {
                optimizer.update_on(net.parameters_mut(), rate, backend)?;
                updated = true;
            } else if is_held(backend)? {
                return Err(Error::Diverged { epoch, step, loss: total as f32 });
            }
            replicas.as_mut().map_or(Ok(()), |replicas| replicas.share(net))
        };
        // The whole step runs inside the thread pool: entering it once instead of once a kernel
        // saves a wake-up each time. With several devices it waits for their threads, which need the pool.
        let done = if several { step_of_all() } else { rayon::scope(|_| step_of_all()) };
        if done.is_err() && (!updated || is_held(backend).unwrap_or(false)) {
            net.undo_step(before);
            if updated {
                optimizer.undo_count();
            }
        }
        done?;
        self.position.loss.add(total, weight);
        self.position.train.add(value.mean(), value.weight);
        self.position.step = step;
        let time = start.elapsed();
        self.all.add(time, samples);
        self.epoch.add(time, samples);
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress {
            epoch: self.position.epoch + 1,
            epochs: self.plan.epochs(),
            step: self.position.step,
            steps: self.plan.steps_of(self.position.epoch),
            loss: self.position.loss.mean() as f32,
            train: self.position.train.mean(),
            images_per_s: self.all.images_per_s(),
        }
    }

    /// Evaluates, and goes on to the next epoch.
    fn end_epoch(&mut self, metric: &dyn Metric) -> Result<Epoch> {
        let learning_rate = self.rate(1);
        let figures = self.test.figures(self.net, self.trainer.backend)?;
        let bits = self.net.trained_bits()?;
        let flips = self.bits.take().and_then(|before| bits.flipped_since(&before));
        let report = Epoch {
            epoch: self.position.epoch + 1,
            epochs: self.plan.epochs(),
            seconds: self.seconds(),
            loss: self.position.loss.mean() as f32,
            train: self.position.train.mean(),
            soft: figures.soft,
            frozen: figures.frozen,
            gap: figures.gap,
            metric: metric.name().to_owned(),
            learning_rate,
            images_per_s: self.epoch.images_per_s(),
            flips,
        };
        let better = self.best.as_ref().is_none_or(|best| {
            let (new, old) = (report.frozen, best.frozen);
            if figures.more_is_better { new > old } else { new < old }
        });
        if better {
            let state = if self.trainer.keep_best { self.net.state() } else { Vec::new() };
            self.best = Some(Best { epoch: report.epoch, frozen: report.frozen, state });
        }
        self.history.push(report.clone());
        let position = Position { epoch: self.position.epoch + 1, ..Position::default() };
        self.position = position;
        Ok(report)
    }
}
