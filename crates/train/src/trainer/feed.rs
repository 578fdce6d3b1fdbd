//! Mini-batches, made ahead of time by a thread of their own.
//!
//! What a batch holds follows from the seed and its place alone, so the thread changes nothing but
//! the time it takes.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use lutweave_backend::Backend;
use lutweave_nn::{Signal, batch_of};
use lutweave_tensor::{Dataset, FrameBuffer, Target, rng};

use crate::{Error, Result};

/// Batches that wait to be trained on.
const AHEAD: usize = 2;

/// Where the samples of a batch are in a training.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The trainer's seed.
    pub seed: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// The numbers of the samples in the training set, in the order of the batch.
    pub samples: &'a [usize],
}

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Changes the samples of a batch before they are trained on.
pub(super) type Prepare<'a> =
    dyn Fn(Dataset, &Place<'_>) -> std::result::Result<Dataset, BoxError> + Send + Sync + 'a;

/// Which batches there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Samples of a batch.
    pub(super) batch: usize,
    /// Most samples that go through the network at a time.
    pub(super) chunk: usize,
    pub(super) seed: u64,
    /// Steps of a whole epoch.
    pub(super) steps: usize,
    /// Steps of the whole training.
    pub(super) total: usize,
}

impl Plan {
    /// Epochs, of which the last may be shorter.
    pub(super) fn epochs(&self) -> usize {
        self.total.div_ceil(self.steps)
    }

    /// Steps of epoch `epoch`, from 0.
    pub(super) fn steps_of(&self, epoch: usize) -> usize {
        self.total.saturating_sub(epoch * self.steps).min(self.steps)
    }
}

/// A mini-batch in the parts that go through the network one by one.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) parts: Vec<(Arc<FrameBuffer>, Target)>,
    pub(super) samples: usize,
}

/// Makes the batches one after the other.
pub(super) struct Maker<'a> {
    data: &'a Dataset,
    input: Signal,
    prepare: Option<&'a Prepare<'a>>,
    /// The devices that parts go to, in turn.
    backends: &'a [&'a dyn Backend],
    plan: Plan,
    /// Epoch and step of the next batch, from 0.
    next: (usize, usize),
    order: Vec<usize>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        data: &'a Dataset,
        input: Signal,
        prepare: Option<&'a Prepare<'a>>,
        backends: &'a [&'a dyn Backend],
        plan: Plan,
        next: (usize, usize),
    ) -> Self {
        Self { data, input, prepare, backends, plan, next, order: Vec::new() }
    }

    fn make(&mut self) -> Option<Result<Batch>> {
        let (mut epoch, mut step) = self.next;
        if step >= self.plan.steps_of(epoch) {
            (epoch, step) = (epoch + 1, 0);
            self.order.clear();
        }
        if step >= self.plan.steps_of(epoch) {
            return None;
        }
        if self.order.is_empty() {
            self.order = (0..self.data.len()).collect();
            let path = [rng::SHUFFLE, epoch as u64 + 1];
            rng::shuffle(&mut rng::stream(self.plan.seed, &path), &mut self.order);
        }
        self.next = (epoch, step + 1);
        let samples = self.order.chunks(self.plan.batch).nth(step)?;
        Some(self.batch(epoch + 1, samples))
    }

    fn batch(&self, epoch: usize, samples: &[usize]) -> Result<Batch> {
        let mut parts = Vec::with_capacity(samples.len().div_ceil(self.plan.chunk));
        for samples in samples.chunks(self.plan.chunk) {
            let Some(prepare) = self.prepare else {
                let batch = batch_of(&self.input, self.data, samples)?;
                parts.push((Arc::new(batch), self.data.target(samples)?));
                continue;
            };
            let place = Place { seed: self.plan.seed, epoch, samples };
            let made = prepare(self.data.select(samples)?, &place).map_err(Error::Callback)?;
            let all: Vec<usize> = (0..made.len()).collect();
            parts.push((Arc::new(batch_of(&self.input, &made, &all)?), made.target(&all)?));
        }
        for ((batch, _), backend) in parts.iter().zip(self.backends.iter().cycle()) {
            // What cannot be sent ahead is sent, or refused, when it is trained on.
            let _ = backend.prefetch(batch);
        }
        Ok(Batch { parts, samples: samples.len() })
    }
}

impl fmt::Debug for Maker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").field("plan", &self.plan).field("next", &self.next).finish()
    }
}

/// Where batches come from.
#[derive(Debug)]
pub(super) enum Feed<'a> {
    /// A thread that makes them ahead of time.
    Ahead(Receiver<Result<Batch>>),
    /// Nobody: where no thread can be had, they are made when they are asked for.
    Here(Maker<'a>),
}

impl<'a> Feed<'a> {
    /// Begins to make batches. `again` gives the maker once more, should there be no thread.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        make: impl Fn() -> Maker<'a>,
    ) -> Self
    where
        'a: 'scope,
    {
        let (send, receive) = sync_channel(AHEAD);
        let mut maker = make();
        let thread = Builder::new().name("batches".to_owned()).spawn_scoped(scope, move || {
            while let Some(batch) = maker.make() {
                // Nobody listens when training has ended early.
                if send.send(batch).is_err() {
                    return;
                }
            }
        });
        match thread {
            Ok(_) => Self::Ahead(receive),
            Err(_) => Self::Here(make()),
        }
    }

    /// The next batch; none after the last.
    pub(super) fn next(&mut self) -> Option<Result<Batch>> {
        match self {
            Self::Ahead(receive) => receive.recv().ok(),
            Self::Here(maker) => maker.make(),
        }
    }
}
