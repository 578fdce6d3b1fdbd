//! The training loop.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use lutweave_backend::{Backend, Cpu};
use lutweave_nn::Network;
use lutweave_tensor::{Dataset, Targets, rng};

use crate::metrics::{CategoricalAccuracy, MeanSquaredError};
use crate::{Error, Loss, Metric, Optimizer, Result, Schedule};

/// Frames evaluated at a time.
const BLOCK: usize = 1024;

/// Trains networks: mini-batches of shuffled samples, one update a batch.
///
/// The order of samples in epoch `e` comes from the seed and `e` alone, so the same seed gives the
/// same network for any number of threads.
pub struct Trainer<'a> {
    optimizer: Box<dyn Optimizer + 'a>,
    loss: Box<dyn Loss + 'a>,
    schedule: Schedule,
    epochs: usize,
    batch: usize,
    seed: u64,
    backend: &'a dyn Backend,
    on_step: Box<dyn FnMut(&Progress) + 'a>,
    on_epoch: Box<OnEpoch<'a>>,
}

/// What to call after an epoch.
type OnEpoch<'a> = dyn FnMut(&Epoch, &Network) -> ControlFlow<()> + 'a;

/// Where training is, after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs there will be.
    pub epochs: usize,
    /// The step in the epoch, from 1.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Mean loss of the epoch so far.
    pub loss: f32,
    /// Images trained a second in this epoch so far.
    pub images_per_s: f64,
}

/// The figures of one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs there will be.
    pub epochs: usize,
    /// Seconds since training began.
    pub seconds: f64,
    /// Mean loss over the epoch's training samples, each before its update.
    pub loss: f32,
    /// Share of the epoch's training samples that were answered right, each before its update.
    /// Where targets are real numbers, the mean squared error; see [`metric`](Self::metric).
    pub train_accuracy: f64,
    /// Share of the test samples that the trained network answers right, or as above.
    pub test_accuracy: f64,
    /// What the two figures are: the [`name`](Metric::name) of the metric.
    pub metric: String,
    /// Images trained a second in this epoch, evaluation excluded.
    pub images_per_s: f64,
}

/// What training did.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The finished epochs.
    pub epochs: Vec<Epoch>,
    /// Whether a callback ended training early.
    pub stopped: bool,
}

impl<'a> Trainer<'a> {
    /// A trainer for 10 epochs of batches of 64 with a cosine schedule and seed 1.
    pub fn new(optimizer: impl Optimizer + 'a, loss: impl Loss + 'a) -> Self {
        Self {
            optimizer: Box::new(optimizer),
            loss: Box::new(loss),
            schedule: Schedule::default(),
            epochs: 10,
            batch: 64,
            seed: 1,
            backend: cpu(),
            on_step: Box::new(|_| ()),
            on_epoch: Box::new(|_, _| ControlFlow::Continue(())),
        }
    }

    /// Passes over the training samples.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// Samples of one update; the last batch of an epoch may be smaller.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// How the learning rate changes.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The seed of the order of samples.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The hardware to train on.
    #[must_use]
    pub fn backend(self, backend: &'a dyn Backend) -> Self {
        Self { backend, ..self }
    }

    /// Calls a function after every step.
    #[must_use]
    pub fn on_step(self, call: impl FnMut(&Progress) + 'a) -> Self {
        Self { on_step: Box::new(call), ..self }
    }

    /// Calls a function after every epoch, with the network as it is then; it may end training.
    #[must_use]
    pub fn on_epoch(self, call: impl FnMut(&Epoch, &Network) -> ControlFlow<()> + 'a) -> Self {
        Self { on_epoch: Box::new(call), ..self }
    }

    /// Trains `net` on `train`, and evaluates it on `test` after every epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for no epochs, no batch or settings out of range, [`Error::Targets`] when
    /// the data sets do not suit the network, [`Error::Diverged`] when the loss stops being a number.
    pub fn fit(mut self, net: &mut Network, train: &Dataset, test: &Dataset) -> Result<History> {
        self.check(net, train, test)?;
        let start = Instant::now();
        let steps = train.len().div_ceil(self.batch);
        let mut history = History { epochs: Vec::with_capacity(self.epochs), stopped: false };
        for epoch in 1..=self.epochs {
            let (loss, train_accuracy, images_per_s) =
                self.train_epoch(net, train, epoch, steps)?;
            let mut metric = metric_of(test);
            let test_accuracy = evaluate(net, test, metric.as_mut(), self.backend)?;
            let report = Epoch {
                epoch,
                epochs: self.epochs,
                test_accuracy,
                metric: metric.name().to_owned(),
                seconds: start.elapsed().as_secs_f64(),
                loss,
                train_accuracy,
                images_per_s,
            };
            let flow = (self.on_epoch)(&report, net);
            history.epochs.push(report);
            if flow.is_break() {
                history.stopped = true;
                break;
            }
        }
        Ok(history)
    }

    fn train_epoch(
        &mut self,
        net: &mut Network,
        train: &Dataset,
        epoch: usize,
        steps: usize,
    ) -> Result<(f32, f64, f64)> {
        let mut metric = metric_of(train);
        let mut order: Vec<usize> = (0..train.len()).collect();
        rng::shuffle(&mut rng::stream(self.seed, &[rng::SHUFFLE, epoch as u64]), &mut order);
        let (mut total, mut weights, mut seen) = (0f64, 0f64, 0usize);
        let start = Instant::now();
        for (step, indices) in order.chunks(self.batch).enumerate() {
            let batch = Arc::new(net.batch(train, indices)?);
            let target = train.target(indices)?;
            let weight = self.loss.weight(&target)?;
            let factor = self.schedule.factor((epoch - 1) * steps + step, self.epochs * steps);
            let rate = self.optimizer.learning_rate() * factor;
            let (backend, loss_function) = (self.backend, &self.loss);
            let (optimizer, metric) = (&mut self.optimizer, &mut metric);
            // The whole step runs inside the thread pool: entering it once instead of once a
            // kernel saves a wake-up each time.
            let loss = rayon::scope(|_| {
                let (y, saved) = net.forward(batch, backend)?;
                let (loss, dy) = loss_function.evaluate_part(&y, &target, weight)?;
                if !loss.is_finite() {
                    return Err(Error::Diverged { epoch, step: step + 1, loss });
                }
                net.backward(saved, &dy, backend)?;
                optimizer.update(net.parameters_mut(), rate)?;
                metric.add(&y, &target)?;
                Ok(loss)
            })?;
            total += f64::from(loss) * weight;
            weights += weight;
            seen += indices.len();
            (self.on_step)(&Progress {
                epoch,
                epochs: self.epochs,
                step: step + 1,
                steps,
                loss: mean(total, weights),
                images_per_s: seen as f64 / start.elapsed().as_secs_f64(),
            });
        }
        let images_per_s = seen as f64 / start.elapsed().as_secs_f64();
        Ok((mean(total, weights), metric.value(), images_per_s))
    }

    fn check(&self, net: &Network, train: &Dataset, test: &Dataset) -> Result<()> {
        for (option, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                let got = value.to_string();
                return Err(Error::Option { option, expected: "at least 1", got });
            }
        }
        let rate = self.optimizer.learning_rate();
        if !(rate > 0.0 && rate.is_finite()) {
            let (expected, got) = ("a positive number", rate.to_string());
            return Err(Error::Option { option: "learning rate", expected, got });
        }
        self.schedule.check()?;
        for data in [train, test] {
            check_targets(data, net)?;
            if data.is_empty() {
                return Err(Error::Targets {
                    data: data.name().to_owned(),
                    expected: "at least one sample".to_owned(),
                    got: "none".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The backend unless another is given.
fn cpu() -> &'static dyn Backend {
    static CPU: LazyLock<Cpu> = LazyLock::new(Cpu::new);
    &*CPU
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("optimizer", &self.optimizer)
            .field("loss", &self.loss)
            .field("schedule", &self.schedule)
            .field("epochs", &self.epochs)
            .field("batch", &self.batch)
            .field("seed", &self.seed)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// The mean of losses of this weight in all; 0 of none.
fn mean(total: f64, weights: f64) -> f32 {
    if weights > 0.0 { (total / weights) as f32 } else { 0.0 }
}

/// Whether the network has an output for all that the targets want.
fn check_targets(data: &Dataset, net: &Network) -> Result<()> {
    let (shape, outputs) = (&net.output().shape, net.output().nodes());
    let error = |expected: String, got: String| {
        Err(Error::Targets { data: data.name().to_owned(), expected, got })
    };
    match data.targets().own() {
        Targets::Classes { count, .. } if *count > outputs => {
            let expected = format!("at most {outputs} classes, one per output of the network");
            error(expected, format!("{count} classes"))
        }
        Targets::Pixels { count, shape: positions, .. }
            if shape.split_first().is_none_or(|(c, rest)| rest != positions || count > c) =>
        {
            let expected = format!("the network's output, classes and positions, {shape:?}");
            error(expected, format!("{count} classes and positions {positions:?}"))
        }
        Targets::Real { shape: own, .. } if own.iter().product::<usize>() != outputs => {
            let expected = format!("{outputs} numbers, one per output of the network");
            error(expected, format!("numbers of shape {own:?}"))
        }
        _ => Ok(()),
    }
}

/// The metric by which networks are judged where no other is asked for.
fn metric_of(data: &Dataset) -> Box<dyn Metric> {
    match data.targets().own() {
        Targets::Real { .. } => Box::new(MeanSquaredError::new()),
        _ => Box::new(CategoricalAccuracy::new()),
    }
}

/// Share of samples whose class the network names right; of positions, where those have classes.
///
/// # Errors
///
/// [`Error::Targets`] or a network error when the data set does not suit the network.
pub fn accuracy(net: &Network, data: &Dataset) -> Result<f64> {
    evaluate(net, data, &mut CategoricalAccuracy::new(), cpu())
}

/// The value of a metric over the answers of the trained network to a data set.
///
/// # Errors
///
/// [`Error::Targets`] or a network error when the data set does not suit the network.
pub fn evaluate(
    net: &Network,
    data: &Dataset,
    metric: &mut dyn Metric,
    backend: &dyn Backend,
) -> Result<f64> {
    check_targets(data, net)?;
    metric.clear();
    let order: Vec<usize> = (0..data.len()).collect();
    for indices in order.chunks(BLOCK) {
        let (batch, target) = (net.batch(data, indices)?, data.target(indices)?);
        // Inside the thread pool from end to end, which is entered once.
        rayon::scope(|_| metric.add(&net.evaluate(&batch, backend)?, &target))?;
    }
    Ok(metric.value())
}

#[cfg(test)]
mod tests;
