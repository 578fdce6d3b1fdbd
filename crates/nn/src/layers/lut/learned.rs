//! Wiring that is learned: each input of each node (a slot) chooses among candidate sources.
//!
//! Every candidate has a score. Forward reads the candidate with the best score, except that no two
//! slots of a node read the same source: the best score of the node is served first, and the others
//! take their next best. With `g[f]` the gradient that reaches a slot in frame `f`, and `x_c` the bit
//! of candidate `c`, its score has the gradient
//!
//! ```text
//! Σ_f g[f] · (2·x_c[f] − 1)
//! ```
//!
//! a straight-through estimator: what the loss would do if the input were that candidate's bit a
//! little more. Candidate 0 is the balanced choice and begins ahead, the others are random.

use lutweave_backend::Candidates;
use lutweave_lut::Wiring;

use crate::layer::{state_f32, state_u32};
use crate::{Error, Parameter, Result, Site, StateTensor};

/// What candidate 0 is ahead of the others at the beginning: a few steps of an optimizer.
const HEAD_START: f32 = 0.01;
/// Most scores of a layer; training needs about 20 bytes for each.
const MAX_SCORES: usize = 1 << 26;

/// Candidates and scores of all slots.
#[derive(Debug)]
pub(super) struct Learned {
    /// `[nodes][fan_in][count]`, distinct within a slot.
    pub(super) candidates: Vec<u32>,
    /// One for each candidate.
    pub(super) scores: Parameter,
    /// Candidates of a slot, at least the fan-in.
    count: usize,
    /// Whether the choice is made for good.
    pub(super) frozen: bool,
}

impl Learned {
    /// Candidates of each slot: that of `fixed`, then others of the pool.
    pub(super) fn new(
        fixed: &Wiring,
        mut pool: Vec<u32>,
        count: usize,
        site: &Site<'_>,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        // With that many, seven other inputs cannot take all candidates of a slot.
        let (least, most) = (fixed.fan_in(), pool.len());
        if most < least {
            return Err(site.input_error(format!("at least {least} inputs that vary")));
        }
        if !(least..=most).contains(&count) {
            return Err(site.option_error("candidates", format!("{least} to {most}"), count));
        }
        let slots = fixed.table().len();
        if count > MAX_SCORES / slots {
            let expected = format!("at most {} for {slots} inputs", MAX_SCORES / slots);
            return Err(site.option_error("candidates", expected, count));
        }
        let mut candidates = Vec::with_capacity(slots * count);
        for &source in fixed.table() {
            if count < most {
                for taken in 0..count {
                    let pick = taken + below(most - taken);
                    pool.swap(taken, pick);
                }
            }
            let others = pool.iter().copied().filter(|&other| other != source);
            candidates.push(source);
            candidates.extend(others.take(count - 1));
        }
        let mut scores = vec![0.0; slots * count];
        scores.iter_mut().step_by(count).for_each(|score| *score = HEAD_START);
        Ok(Self {
            candidates,
            scores: Parameter::new("scores", scores, None),
            count,
            frozen: false,
        })
    }

    /// What there is to choose from, for nodes of so many inputs that may read so many sources.
    pub(super) fn candidates(&self, sources: usize, fan_in: usize) -> Candidates<'_> {
        let (count, of_slots, scores) = (self.count, &self.candidates, &self.scores.values);
        Candidates { sources, fan_in, count, of_slots, scores }
    }

    pub(super) fn state(&self) -> Vec<StateTensor> {
        vec![
            StateTensor::u32("candidates", &self.candidates),
            StateTensor::f32("scores", &self.scores.values),
            StateTensor::u32("wiring_frozen", &[u32::from(self.frozen)]),
        ]
    }

    /// What [`state`](Self::state) gave, checked, as a new value.
    pub(super) fn stored(
        &self,
        state: &[StateTensor],
        sources: usize,
        layer: &str,
    ) -> Result<Self> {
        let candidates = state_u32(state, "candidates", self.candidates.len(), layer)?.to_vec();
        let scores = state_f32(state, "scores", candidates.len(), layer)?.to_vec();
        let frozen = state_u32(state, "wiring_frozen", 1, layer)?[0] != 0;
        let refuse = |what: &str| {
            Err(Error::State { layer: layer.to_owned(), what: format!("stored candidates {what}") })
        };
        if candidates.iter().any(|&candidate| candidate as usize >= sources) {
            return refuse("are no inputs");
        }
        let mut sorted = candidates.clone();
        for slot in sorted.chunks_mut(self.count) {
            slot.sort_unstable();
            if slot.windows(2).any(|pair| pair[0] == pair[1]) {
                return refuse("repeat within an input");
            }
        }
        let scores = Parameter::new("scores", scores, self.scores.range);
        Ok(Self { candidates, scores, count: self.count, frozen })
    }
}

#[cfg(test)]
mod tests;
