//! The sums of candidates.

use lutweave_kernels as kernels;
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::candidate::{CandidateKernels, check_candidates};
use crate::{Result, Slopes};

/// Slots of a block, and candidates that each warp of it sums at a time.
const SLOTS: usize = 4;
const CANDIDATES: usize = 8;

impl CandidateKernels for Cuda {
    fn candidate_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        candidates: &[u32],
        sums: &mut Array,
    ) -> Result<()> {
        let each = check_candidates(x, wiring, dy, slopes, candidates, sums)?;
        if each == 0 {
            return Ok(());
        }
        let slots = wiring.table().len();
        let own = self.place_errors(x, wiring.into(), dy, slopes)?;
        let (there, table) = (self.input(x)?, self.table(candidates)?);
        let (slopes, out) = (self.input(slopes.slopes)?, self.changed(sums)?);
        self.launch(
            &kernels::CANDIDATE_SUMS,
            "candidate_sums",
            Shape::blocks([slots.div_ceil(SLOTS), each.div_ceil(CANDIDATES), 1], 128)?,
            arguments![
                &there,
                stride(x)?,
                &table.first,
                count(each)?,
                &own.errors,
                &own.patterns,
                &slopes,
                count(wiring.fan_in())?,
                count(slots)?,
                count(x.frames())?,
                own.stride,
                &out,
            ],
        )?;
        give(sums, out);
        Ok(())
    }
}
