//! The sums of candidates, one frame at a time.

use lutweave_lut::Wiring;
use lutweave_tensor::{Array, FrameBuffer};

use super::Reference;
use crate::candidate::{CandidateKernels, check_candidates};
use crate::{Result, Slopes};

impl CandidateKernels for Reference {
    fn candidate_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        candidates: &[u32],
        sums: &mut Array,
    ) -> Result<()> {
        let count = check_candidates(x, wiring, dy, slopes, candidates, sums)?;
        let entries = 1 << wiring.fan_in();
        for node in 0..wiring.nodes() {
            for i in 0..wiring.fan_in() {
                let slot = node * wiring.fan_in() + i;
                for at in slot * count..(slot + 1) * count {
                    let mut total = 0f64;
                    for (frame, &dy) in dy.row::<f32>(node)?.iter().enumerate() {
                        let mut k = 0;
                        for (i, &source) in wiring.node(node).iter().enumerate() {
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
