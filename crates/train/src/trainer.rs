//! The training loop.

mod evaluate;
mod feed;
mod record;
mod replicas;
mod run;

use std::fmt;
use std::sync::LazyLock;
use std::thread;

use lutweave_backend::{Backend, Cpu, Reduce};
use lutweave_nn::Network;
use lutweave_tensor::Dataset;

use self::evaluate::TestSet;
pub use self::evaluate::{accuracy, check_targets, evaluate, evaluate_soft, metric_of};
pub use self::feed::{BoxError, Place};
use self::feed::{Feed, Maker, Plan, Prepare};
pub use self::record::{Best, Checkpoint, Epoch, Flow, History, Position, Progress, Sum};
use self::run::Run;
use crate::{Drive, Error, Loss, Optimizer, Result, Schedule};

/// Samples of the test set on which the network is looked at as it trains, unless another number is
/// asked for.
const SOFT_SAMPLES: usize = 10_000;

/// Trains networks: mini-batches of shuffled samples, one update a batch.
///
/// The order of samples in epoch `e` comes from the seed and `e` alone, so the same seed gives the
/// same network for any number of threads. After every epoch the network is evaluated on the test
/// samples twice: as it trains, and as its netlist answers. Batches are made by a thread of their
/// own while the network trains on the one before.
pub struct Trainer<'a> {
    optimizer: Box<dyn Optimizer + 'a>,
    loss: Box<dyn Loss + 'a>,
    schedule: Schedule,
    drives: Vec<Drive<'a>>,
    length: Length,
    batch: usize,
    chunk: Option<usize>,
    seed: u64,
    soft_samples: usize,
    patience: Option<usize>,
    keep_best: bool,
    backend: &'a dyn Backend,
    others: Option<(Vec<&'a dyn Backend>, &'a dyn Reduce)>,
    prepare: Option<Box<Prepare<'a>>>,
    resume: Option<Checkpoint>,
    reshape: Option<Box<Reshape<'a>>>,
    on_step: Box<dyn FnMut(&Progress) -> Flow + 'a>,
    on_epoch: Box<OnEpoch<'a>>,
    on_checkpoint: Box<OnCheckpoint<'a>>,
}

/// What changes the network after the steps of an epoch.
type Reshape<'a> = dyn FnMut(&mut Network, usize, usize) -> std::result::Result<(), BoxError> + 'a;
/// What to call after an epoch.
type OnEpoch<'a> = dyn FnMut(&Epoch, &Network) -> Flow + 'a;
/// What to call with a checkpoint.
type OnCheckpoint<'a> = dyn FnMut(&Network, &Checkpoint) -> std::result::Result<(), BoxError> + 'a;

/// How long training goes on.
#[derive(Debug, Clone, Copy)]
enum Length {
    Epochs(usize),
    Steps(usize),
}

impl<'a> Trainer<'a> {
    /// A trainer for 10 epochs of batches of 64 with a cosine schedule and seed 1.
    pub fn new(optimizer: impl Optimizer + 'a, loss: impl Loss + 'a) -> Self {
        Self {
            optimizer: Box::new(optimizer),
            loss: Box::new(loss),
            schedule: Schedule::default(),
            drives: Vec::new(),
            length: Length::Epochs(10),
            batch: 64,
            chunk: None,
            seed: 1,
            soft_samples: SOFT_SAMPLES,
            patience: None,
            keep_best: false,
            backend: cpu(),
            others: None,
            prepare: None,
            resume: None,
            reshape: None,
            on_step: Box::new(|_| Flow::Continue),
            on_epoch: Box::new(|_, _| Flow::Continue),
            on_checkpoint: Box::new(|_, _| Ok(())),
        }
    }

    /// Passes over the training samples.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Self { length: Length::Epochs(epochs), ..self }
    }

    /// Ends after so many steps instead, the last epoch being shorter where it must.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Self { length: Length::Steps(steps), ..self }
    }

    /// Samples of one update; the last batch of an epoch may be smaller.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Lets at most so many samples of a batch through the network at a time and adds up their
    /// gradients, where a whole batch needs too much memory. Batch norm is then over such a part;
    /// apart from it the gradient is that of the whole batch.
    #[must_use]
    pub fn chunk(self, samples: usize) -> Self {
        Self { chunk: Some(samples), ..self }
    }

    /// How the learning rate changes, step by step.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Another hyperparameter that changes, step by step; any number of them. One that nothing has
    /// is an error when training begins.
    #[must_use]
    pub fn drive(mut self, drive: Drive<'a>) -> Self {
        self.drives.push(drive);
        self
    }

    /// The seed of the order of samples.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// On how many of the test samples, at least 1, the network is looked at as it trains; 10,000
    /// unless set. They are spread evenly over the test set and the same in every epoch.
    #[must_use]
    pub fn soft_samples(self, samples: usize) -> Self {
        Self { soft_samples: samples, ..self }
    }

    /// Ends training when the frozen metric has not become better for so many epochs, at least 1.
    #[must_use]
    pub fn patience(self, epochs: usize) -> Self {
        Self { patience: Some(epochs), ..self }
    }

    /// Gives back the network of the epoch with the best frozen metric instead of the last one.
    /// The test samples then choose the network: for a figure to quote, keep others aside.
    #[must_use]
    pub fn keep_best(self, keep_best: bool) -> Self {
        Self { keep_best, ..self }
    }

    /// The hardware to train on.
    #[must_use]
    pub fn backend(self, backend: &'a dyn Backend) -> Self {
        Self { backend, ..self }
    }

    /// Trains on several devices at once: each batch is cut into as many parts, which go through copies
    /// of the network side by side; `reduce` sums their gradients and shares the parameters. `others`
    /// are the devices after that of [`backend`](Self::backend), which keeps the network, evaluates it and
    /// updates it.
    ///
    /// The gradient is that of the whole batch, but for batch norm, which is over each part, as with
    /// [`chunk`](Self::chunk); running averages are those of the parts of the first device.
    ///
    /// Called on a thread of a rayon pool, training has the devices work one after the other, to the same
    /// bits: such a thread may not wait for others.
    ///
    /// ```
    /// # use lutweave_backend::{Cpu, HostReduce};
    /// # use lutweave_train::{Adam, SoftmaxCrossEntropy, Trainer};
    /// let (first, second) = (Cpu::new(), Cpu::new());
    /// let trainer = Trainer::new(Adam::new(1e-2), SoftmaxCrossEntropy)
    ///     .backend(&first)
    ///     .across(&[&second], &HostReduce);
    /// ```
    #[must_use]
    pub fn across(self, others: &[&'a dyn Backend], reduce: &'a dyn Reduce) -> Self {
        let others = if others.is_empty() { None } else { Some((others.to_vec(), reduce)) };
        Self { others, ..self }
    }

    /// Changes the samples of every batch before they are trained on, as augmentation does. The
    /// function is called on a thread of its own with the samples and their [`Place`], from which
    /// alone its random streams may come. It gives samples of the same shape and type.
    #[must_use]
    pub fn prepare(
        self,
        prepare: impl Fn(Dataset, &Place<'_>) -> std::result::Result<Dataset, BoxError>
        + Send
        + Sync
        + 'a,
    ) -> Self {
        Self { prepare: Some(Box::new(prepare)), ..self }
    }

    /// Goes on from a checkpoint, with the network that was handed out with it. All settings must
    /// be those of the training before; the result is then the same, bit for bit, as if it had not
    /// stopped.
    #[must_use]
    pub fn resume(self, checkpoint: Checkpoint) -> Self {
        Self { resume: Some(checkpoint), ..self }
    }

    /// Changes the network after the last step of every epoch, before it is evaluated: as pruning
    /// does. The function gets the network, the epoch, from 1, and how many there are. What it does
    /// follows from these alone, so that training goes on from a checkpoint as if it had not stopped.
    #[must_use]
    pub fn reshape(
        self,
        reshape: impl FnMut(&mut Network, usize, usize) -> std::result::Result<(), BoxError> + 'a,
    ) -> Self {
        Self { reshape: Some(Box::new(reshape)), ..self }
    }

    /// Calls a function after every step. What it gives says how training goes on: nothing, a
    /// [`ControlFlow`](std::ops::ControlFlow), or a [`Flow`].
    #[must_use]
    pub fn on_step<F: Into<Flow>>(self, mut call: impl FnMut(&Progress) -> F + 'a) -> Self {
        Self { on_step: Box::new(move |progress| call(progress).into()), ..self }
    }

    /// Calls a function after every epoch, with the network as it is then; what it gives says how
    /// training goes on, as in [`on_step`](Self::on_step).
    #[must_use]
    pub fn on_epoch<F: Into<Flow>>(self, mut call: impl FnMut(&Epoch, &Network) -> F + 'a) -> Self {
        Self { on_epoch: Box::new(move |epoch, net| call(epoch, net).into()), ..self }
    }

    /// Calls a function with the network and a checkpoint, when another callback has asked for it
    /// by [`Flow::Checkpoint`] or [`Flow::Stop`]. An error ends training with
    /// [`Error::Callback`].
    #[must_use]
    pub fn on_checkpoint(
        self,
        call: impl FnMut(&Network, &Checkpoint) -> std::result::Result<(), BoxError> + 'a,
    ) -> Self {
        Self { on_checkpoint: Box::new(call), ..self }
    }

    /// Trains `net` on `train`, and evaluates it on `test` after every epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for no epochs, no batch or settings out of range, [`Error::Targets`] when
    /// the data sets do not suit the network, [`Error::Diverged`] when the loss stops being a
    /// number and [`lutweave_nn::Error::NotFinite`] when another is none, with the network as it was before
    /// that step; [`Error::State`] when the checkpoint is of another training, [`Error::Callback`] when a
    /// callback fails.
    pub fn fit(mut self, net: &mut Network, train: &Dataset, test: &Dataset) -> Result<History> {
        let plan = self.check(net, train, test)?;
        let done = self.resume.take().unwrap_or_default();
        check_position(&done, &plan)?;
        if !done.optimizer.is_empty() {
            self.optimizer.restore(&done.optimizer)?;
        }
        let (input, prepare) = (net.input().clone(), self.prepare.take());
        let next = (done.position.epoch, done.position.step);
        let others = self.others.iter().flat_map(|(others, _)| others).copied();
        let backends: Vec<&dyn Backend> = [self.backend].into_iter().chain(others).collect();
        let maker = || Maker::new(train, input.clone(), prepare.as_deref(), &backends, plan, next);
        thread::scope(|scope| {
            let feed = Feed::start(scope, maker);
            let test = TestSet::new(test, self.soft_samples);
            Run::new(self, net, plan, feed, test, done)?.go(train)
        })
    }

    fn check(&self, net: &Network, train: &Dataset, test: &Dataset) -> Result<Plan> {
        let (name, length) = match self.length {
            Length::Epochs(epochs) => ("epochs", epochs),
            Length::Steps(steps) => ("steps", steps),
        };
        let settings = [
            (name, length),
            ("batch", self.batch),
            ("chunk", self.chunk.unwrap_or(1)),
            ("patience", self.patience.unwrap_or(1)),
            ("soft samples", self.soft_samples),
        ];
        for (option, value) in settings {
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
        let steps = train.len().div_ceil(self.batch);
        let total = match self.length {
            Length::Steps(steps) => Some(steps),
            Length::Epochs(epochs) => epochs.checked_mul(steps),
        };
        let Some(total) = total else {
            let (expected, got) = ("fewer", length.to_string());
            return Err(Error::Option { option: "epochs", expected, got });
        };
        let devices = 1 + self.others.as_ref().map_or(0, |(others, _)| others.len());
        if self.batch < devices {
            let expected = "at least one sample for each device";
            let got = format!("{} for {devices}", self.batch);
            return Err(Error::Option { option: "batch", expected, got });
        }
        let chunk = self.chunk.unwrap_or(self.batch).min(self.batch.div_ceil(devices));
        Ok(Plan { batch: self.batch, chunk, seed: self.seed, steps, total })
    }
}

/// Refuses to go on from what cannot be the checkpoint of such a training.
fn check_position(done: &Checkpoint, plan: &Plan) -> Result<()> {
    let (position, epochs) = (&done.position, plan.epochs());
    let error = |expected: String, got: String| {
        Err(Error::State { optimizer: "checkpoint", expected, got })
    };
    if position.epoch > epochs {
        return error(format!("at most {epochs} epochs"), position.epoch.to_string());
    }
    let steps = plan.steps_of(position.epoch);
    if position.step > steps {
        return error(format!("at most {steps} steps of an epoch"), position.step.to_string());
    }
    if done.history.len() != position.epoch {
        let expected = format!("the figures of {} epochs", position.epoch);
        return error(expected, done.history.len().to_string());
    }
    if let Some(best) = &done.best
        && !(1..=position.epoch).contains(&best.epoch)
    {
        let expected = format!("the best of {} epochs", position.epoch);
        return error(expected, format!("epoch {}", best.epoch));
    }
    let numbers = [position.loss, position.train].map(|sum| [sum.total, sum.weight]).concat();
    if !numbers.iter().chain([&position.seconds]).all(|number| number.is_finite()) {
        return error("finite sums".to_owned(), "others".to_owned());
    }
    Ok(())
}

/// The backend unless another is given.
pub(crate) fn cpu() -> &'static dyn Backend {
    static CPU: LazyLock<Cpu> = LazyLock::new(Cpu::new);
    &*CPU
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("optimizer", &self.optimizer)
            .field("loss", &self.loss)
            .field("schedule", &self.schedule)
            .field("drives", &self.drives)
            .field("length", &self.length)
            .field("batch", &self.batch)
            .field("seed", &self.seed)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
