//! Choices among candidates, and their sums: nodes over threads, one node at a time.
//!
//! `Σ g·(2x − 1)` is `2·Σ_{x = 1} g − Σ g`: for each candidate a sum masked by its packed bits, over
//! the gradients of its slot in one block of frames, which stay in the nearest cache.

use lutweave_lut::MAX_FAN_IN;
use lutweave_tensor::{Array, FrameBuffer, WORD};
use rayon::prelude::*;

use super::node::Node;
use super::{Cpu, Dispatch, Kernel, portable};
use crate::candidate::{
    CandidateKernels, Candidates, Choice, Made, check_candidates, check_choice,
};
use crate::sites::Rows;
use crate::{Result, Sites, Slopes};

/// Frames whose gradients are made at a time; part of the numeric contract.
const BLOCK: usize = 512;
/// Fewest nodes a thread takes at once.
const MIN_NODES: usize = 4;

/// Chooses distinct sources for the slots of one node, the best score first; ties go to the lower
/// slot and the earlier candidate.
fn choose(candidates: &[u32], scores: &[f32], count: usize, chosen: &mut [u32]) {
    let best_of = |slot: usize, taken: &[u32]| {
        let at = slot * count..(slot + 1) * count;
        let mut best = (candidates[at.start], f32::NEG_INFINITY);
        let mut found = false;
        for (&candidate, &score) in candidates[at.clone()].iter().zip(&scores[at]) {
            if (!found || score > best.1) && !taken.contains(&candidate) {
                (best, found) = ((candidate, score), true);
            }
        }
        best
    };
    let (mut taken, mut bests) = ([0u32; MAX_FAN_IN], [(0u32, 0f32); MAX_FAN_IN]);
    for (slot, best) in bests[..chosen.len()].iter_mut().enumerate() {
        *best = best_of(slot, &[]);
    }
    let mut open = [true; MAX_FAN_IN];
    for served in 0..chosen.len() {
        let mut first: Option<usize> = None;
        for slot in (0..chosen.len()).filter(|&slot| open[slot]) {
            if first.is_none_or(|first| bests[slot].1 > bests[first].1) {
                first = Some(slot);
            }
        }
        let Some(slot) = first else { return };
        let source = bests[slot].0;
        (chosen[slot], taken[served], open[slot]) = (source, source, false);
        for slot in (0..chosen.len()).filter(|&slot| open[slot]) {
            if bests[slot].0 == source {
                bests[slot] = best_of(slot, &taken[..=served]);
            }
        }
    }
}

impl CandidateKernels for Cpu {
    fn choose(&self, candidates: Candidates<'_>) -> Result<Choice> {
        let slots = check_choice(candidates)?;
        let Candidates { sources, fan_in, count, of_slots, scores } = candidates;
        let mut table = Array::zeros(slots)?;
        let nodes = table.par_chunks_mut(fan_in).zip(of_slots.par_chunks(fan_in * count));
        let nodes = nodes.zip(scores.par_chunks(fan_in * count));
        nodes.for_each(|((chosen, candidates), scores)| choose(candidates, scores, count, chosen));
        Ok(Choice::of((sources, fan_in), table, Made::Nothing))
    }

    fn candidate_sums(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        candidates: &[u32],
        sums: &mut Array,
    ) -> Result<()> {
        let count = check_candidates(x, sites, dy, slopes, candidates, sums)?;
        if count == 0 {
            return Ok(());
        }
        let rows = Rows::<u64>::new(x, sites, |_, _| {})?;
        let frames = x.frames();
        let (dy, dy_stride) = (dy.rows::<f32>()?, dy.stride());
        let (fan_in, entries) = (sites.fan_in(), 1usize << sites.fan_in());
        let nodes = sums.par_chunks_mut(fan_in * count);
        let nodes = nodes.zip(candidates.par_chunks(fan_in * count)).with_min_len(MIN_NODES);
        nodes.enumerate().for_each(|(j, (sums, candidates))| {
            self.isa().run(NodeSums {
                node: Node::new(&rows, sites, j),
                rows: &rows,
                dy: &dy[j * dy_stride..][..frames],
                scale: &slopes.scale[j * entries..][..entries],
                offset: &slopes.offset[j * entries..][..entries],
                slopes: &slopes.slopes[j * entries * fan_in..][..entries * fan_in],
                candidates,
                sums,
            });
        });
        Ok(())
    }
}

/// The sums of one node.
struct NodeSums<'a> {
    node: Node<'a>,
    rows: &'a Rows<'a, u64>,
    dy: &'a [f32],
    /// `[2^fan_in]`.
    scale: &'a [f32],
    /// `[2^fan_in]`.
    offset: &'a [f32],
    /// `[fan_in][2^fan_in]`.
    slopes: &'a [f32],
    /// `[fan_in][count]`.
    candidates: &'a [u32],
    /// `[fan_in][count]`.
    sums: &'a mut [f32],
}

impl Kernel for NodeSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let count = self.candidates.len() / self.node.fan_in();
        let mut gradients = [[0f32; BLOCK]; MAX_FAN_IN];
        for (block, dy) in self.dy.chunks(BLOCK).enumerate() {
            let first_word = block * (BLOCK / WORD);
            let words = dy.len().div_ceil(WORD);
            self.fill(first_word, dy, &mut gradients);
            let slots = self.sums.chunks_exact_mut(count);
            let slots = slots.zip(self.candidates.chunks_exact(count)).zip(&gradients);
            for ((sums, candidates), gradients) in slots {
                let (gradients, _) = gradients[..words * WORD].as_chunks::<WORD>();
                let all = masked_sum(gradients.iter().map(|gradients| (u64::MAX, gradients)));
                for (sum, &candidate) in sums.iter_mut().zip(candidates) {
                    let row = &self.rows.row(candidate)[first_word..][..words];
                    let ones = masked_sum(row.iter().copied().zip(gradients));
                    *sum += 2.0 * ones - all;
                }
            }
        }
    }
}

impl NodeSums<'_> {
    /// The gradient of every input over one block of frames; zero in the last word past them.
    #[inline(always)]
    fn fill(&self, first_word: usize, dy: &[f32], gradients: &mut [[f32; BLOCK]; MAX_FAN_IN]) {
        let (entries, inputs) = (self.scale.len(), self.node.place(0));
        for (word, dy) in dy.chunks(WORD).enumerate() {
            let patterns = portable::patterns(&inputs, first_word + word);
            let mut e = [0f32; WORD];
            for ((e, dy), &k) in e.iter_mut().zip(dy).zip(&patterns) {
                *e = self.scale[usize::from(k)] * dy + self.offset[usize::from(k)];
            }
            for (slopes, gradients) in self.slopes.chunks_exact(entries).zip(&mut *gradients) {
                let gradients = &mut gradients[word * WORD..][..WORD];
                for ((gradient, e), &k) in gradients.iter_mut().zip(e).zip(&patterns) {
                    *gradient = slopes[usize::from(k)] * e;
                }
            }
        }
    }
}

/// The sum of the gradients whose bit is one, in 64 partial sums by place in the word, which are
/// then added in halves: the same additions on every instruction set.
#[inline(always)]
fn masked_sum<'a>(words: impl Iterator<Item = (u64, &'a [f32; WORD])>) -> f32 {
    let mut parts = [0f32; WORD];
    for (bits, gradients) in words {
        for (half, (parts, gradients)) in
            parts.chunks_exact_mut(32).zip(gradients.chunks_exact(32)).enumerate()
        {
            let bits = (bits >> (32 * half)) as u32;
            for (place, (part, gradient)) in parts.iter_mut().zip(gradients).enumerate() {
                let mask = u32::from(bits & 1 << place != 0).wrapping_neg();
                *part += f32::from_bits(gradient.to_bits() & mask);
            }
        }
    }
    let mut length = WORD;
    while length > 1 {
        length /= 2;
        let (low, high) = parts.split_at_mut(length);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
    }
    parts[0]
}
