//! The random streams of a layer that draws anew in every training step.
//!
//! Every call of `forward` takes the next step, and its seed is made from the layer's own stream
//! and the number of the step alone. The number of the next step belongs to the layer's state, so
//! training that goes on from a file draws what it would have drawn. Evaluation has one seed, the
//! same for ever, and takes no step.

use std::sync::atomic::{AtomicU64, Ordering};

use lutweave_tensor::rng;

use crate::{Error, Result, Site, StateData, StateTensor, StepState};

const TRAINING: u64 = 0;
const EVALUATION: u64 = 1;
const STATE: &str = "step";

/// Numbers the training steps of a layer.
#[derive(Debug)]
pub(super) struct Steps {
    key: u64,
    next: AtomicU64,
}

impl Steps {
    /// For one use of randomness of the layer built at `site`.
    pub(super) fn new(site: &Site<'_>, use_of: u64) -> Self {
        Self { key: rng::word(&mut site.stream(use_of)), next: AtomicU64::new(0) }
    }

    /// The seed of the next training step.
    pub(super) fn training(&self) -> u64 {
        self.seed(TRAINING, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The seed of every evaluation.
    pub(super) fn evaluation(&self) -> u64 {
        self.seed(EVALUATION, 0)
    }

    fn seed(&self, phase: u64, step: u64) -> u64 {
        rng::word(&mut rng::stream(self.key, &[phase, step]))
    }

    /// What a step changes of it.
    pub(super) fn before_step(&self) -> StepState {
        StepState { counts: vec![self.next.load(Ordering::Relaxed)], ..StepState::default() }
    }

    /// Makes that what it was.
    pub(super) fn undo_step(&mut self, before: &StepState) {
        if let [next] = before.counts[..] {
            *self.next.get_mut() = next;
        }
    }

    /// The number of the next step, low half first.
    pub(super) fn state(&self) -> Vec<StateTensor> {
        let next = self.next.load(Ordering::Relaxed);
        let data = StateData::U32(vec![next as u32, (next >> 32) as u32]);
        vec![StateTensor { name: STATE.to_owned(), data }]
    }

    /// Takes over what [`state`](Self::state) gave.
    pub(super) fn restore(&mut self, state: &[StateTensor], layer: &str) -> Result<()> {
        if let [StateTensor { name, data: StateData::U32(halves) }] = state
            && let (STATE, [low, high]) = (name.as_str(), halves.as_slice())
        {
            *self.next.get_mut() = u64::from(*high) << 32 | u64::from(*low);
            return Ok(());
        }
        let what = format!("stored state is not two whole numbers called `{STATE}`");
        Err(Error::State { layer: layer.to_owned(), what })
    }
}
