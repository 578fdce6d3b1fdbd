//! What is told of a training while it goes on, and what going on with it later needs.

use std::ops::ControlFlow;

use lutweave_nn::StateTensor;
use serde::{Deserialize, Serialize};

/// Where training is, after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs there will be.
    pub epochs: usize,
    /// The step in the epoch, from 1.
    pub step: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Mean loss of the epoch so far.
    pub loss: f32,
    /// The metric over the epoch's training samples so far, each before its update.
    pub train: f64,
    /// Images trained a second since training began or went on, evaluation excluded.
    pub images_per_s: f64,
}

/// The figures of one epoch.
///
/// `train`, `soft` and `frozen` are values of the same metric: `accuracy`, a share of 1, where
/// targets are classes, and `mean squared error` where they are real numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs there will be.
    pub epochs: usize,
    /// Seconds of training until its end, evaluation and earlier sittings included.
    pub seconds: f64,
    /// Mean loss over the epoch's training samples, each before its update.
    pub loss: f32,
    /// The metric over the epoch's training samples, each before its update.
    pub train: f64,
    /// The metric of the network as it trains (batch statistics, noise, numbers where the netlist
    /// has bits) over the sample of the test set that [`soft_samples`] sets; all of it if that is
    /// small enough.
    ///
    /// [`soft_samples`]: crate::Trainer::soft_samples
    pub soft: f64,
    /// The metric of what the netlist computes, over the whole test set.
    pub frozen: f64,
    /// What the network loses when it is frozen: `soft` minus the frozen metric of the same
    /// samples, or the other way round where less is better. Positive when freezing costs.
    pub gap: f64,
    /// What the figures are: the [`name`](crate::Metric::name) of the metric.
    pub metric: String,
    /// Learning rate of the last step.
    pub learning_rate: f32,
    /// Images trained a second in this epoch, evaluation excluded.
    pub images_per_s: f64,
    /// The share of the network's [`trained_bits`](lutweave_nn::Network::trained_bits), entries of
    /// truth tables and signs of binary weights, that the epoch has flipped: how much of the
    /// network still moves (Helwegen et al. 2019). None where nothing in it is bits.
    pub flips: Option<f64>,
}

/// What training did.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The finished epochs, those of earlier sittings included.
    pub epochs: Vec<Epoch>,
    /// Whether a callback ended training early.
    pub stopped: bool,
    /// Whether training ended because it got no better; see
    /// [`patience`](crate::Trainer::patience).
    pub stale: bool,
    /// The epoch with the best frozen metric, from 1; the first of equals.
    pub best: Option<usize>,
}

/// What training does after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// It goes on.
    #[default]
    Continue,
    /// It hands out a [`Checkpoint`] and goes on.
    Checkpoint,
    /// It hands out a [`Checkpoint`] and ends.
    Stop,
}

impl From<()> for Flow {
    fn from((): ()) -> Self {
        Self::Continue
    }
}

impl From<ControlFlow<()>> for Flow {
    fn from(flow: ControlFlow<()>) -> Self {
        if flow.is_break() { Self::Stop } else { Self::Continue }
    }
}

/// A weighted sum, of which the mean is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Σ weight · value.
    pub total: f64,
    /// Σ weight.
    pub weight: f64,
}

impl Sum {
    /// Adds a value.
    pub(super) fn add(&mut self, value: f64, weight: f64) {
        self.total += value * weight;
        self.weight += weight;
    }

    /// The mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        if self.weight > 0.0 { self.total / self.weight } else { 0.0 }
    }
}

/// How far training has come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Finished epochs.
    pub epoch: usize,
    /// Finished steps of the next one.
    pub step: usize,
    /// The losses of those steps.
    pub loss: Sum,
    /// The values of the metric in those steps.
    pub train: Sum,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// The network as it was when it was best.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Its frozen metric.
    pub frozen: f64,
    /// Its state; empty unless it is kept.
    pub state: Vec<StateTensor>,
}

/// All that a training has besides the network. With both,
/// [`Trainer::resume`](crate::Trainer::resume) goes on to the same bits as a training that never
/// stopped.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checkpoint {
    /// How far it has come. Random streams follow from this and the seed.
    pub position: Position,
    /// What the optimizer has gathered.
    pub optimizer: Vec<StateTensor>,
    /// The figures of the finished epochs.
    pub history: Vec<Epoch>,
    /// The best network so far.
    pub best: Option<Best>,
    /// Inside an epoch the network's bits as they were when it began, so that its flips can be
    /// counted; empty between epochs.
    pub bits: Vec<u64>,
    /// Text of the caller's, such as the settings; the trainer takes it over unread.
    pub note: String,
}
