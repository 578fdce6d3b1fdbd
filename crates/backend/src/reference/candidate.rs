//! The sums of candidates, one frame at a time.

use lutweave_tensor::{Array, FrameBuffer};

use super::Reference;
use crate::candidate::{
    CandidateKernels, Candidates, Choice, Made, check_candidates, check_choice,
};
use crate::{Result, Sites, Slopes};

/// The best of the candidates that are not taken.
fn best<'a>(candidates: &'a [u32], scores: &'a [f32], taken: &[u32]) -> Option<(&'a u32, &'a f32)> {
    let free = candidates.iter().zip(scores).filter(|(candidate, _)| !taken.contains(candidate));
    free.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

impl CandidateKernels for Reference {
    fn choose(&self, candidates: Candidates<'_>) -> Result<Choice> {
        let slots = check_choice(candidates)?;
        let Candidates { sources, fan_in, count, of_slots, scores } = candidates;
        let slot = |number: usize| number * count..(number + 1) * count;
        let mut table = vec![0u32; slots];
        for node in 0..slots / fan_in {
            let mut taken = Vec::new();
            // What a slot would like most; its first candidate where all are taken.
            let wish = |number: usize, taken: &[u32]| {
                let at = slot(number);
                let own = best(&of_slots[at.clone()], &scores[at.clone()], taken);
                own.map_or((of_slots[at.start], f32::NEG_INFINITY), |own| (*own.0, *own.1))
            };
            let slots = node * fan_in..(node + 1) * fan_in;
            let mut open: Vec<(usize, (u32, f32))> =
                slots.map(|number| (number, wish(number, &taken))).collect();
            while !open.is_empty() {
                let first = |first: usize, next: usize| {
                    if open[next].1.1 > open[first].1.1 { next } else { first }
                };
                let first = (0..open.len()).reduce(first).unwrap_or(0);
                let (number, (source, _)) = open.remove(first);
                table[number] = source;
                taken.push(source);
                for (number, own) in open.iter_mut().filter(|(_, own)| own.0 == source) {
                    *own = wish(*number, &taken);
                }
            }
        }
        Ok(Choice::of((sources, fan_in), table.into(), Made::Nothing))
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
        let entries = 1 << sites.fan_in();
        for node in 0..sites.places() {
            for i in 0..sites.fan_in() {
                let slot = node * sites.fan_in() + i;
                for at in slot * count..(slot + 1) * count {
                    let mut total = 0f64;
                    for (frame, &dy) in dy.row::<f32>(node)?.iter().enumerate() {
                        let mut k = 0;
                        for (i, &source) in sites.node(node).iter().enumerate() {
                            k |= usize::from(x.bit(source as usize, frame)?) << i;
                        }
                        let scale = f64::from(slopes.scale[node * entries + k]);
                        let offset = f64::from(slopes.offset[node * entries + k]);
                        let slope = f64::from(slopes.slopes[slot * entries + k]);
                        let g = slope * (scale * f64::from(dy) + offset);
                        total += if x.bit(candidates[at] as usize, frame)? { g } else { -g };
                    }
                    sums[at] = (f64::from(sums[at]) + total) as f32;
                }
            }
        }
        Ok(())
    }
}
