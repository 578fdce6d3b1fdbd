//! Choices among candidates, and their sums.

use lutweave_kernels as kernels;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use super::tables::Kind;
use crate::candidate::{
    CandidateKernels, Candidates, Choice, Readers, check_candidates, check_choice,
};
use crate::{Result, Sites, Slopes};

/// Slots of a block, and candidates that each warp of it sums at a time.
const SLOTS: usize = 4;
const CANDIDATES: usize = 8;
/// Threads of a block that chooses, a node each, and warps of one that turns the choice around, a source
/// each.
const NODES: usize = 64;
const SOURCES: usize = 4;

impl CandidateKernels for Cuda {
    /// Of the choice, what reads each source is made too: nothing of it crosses.
    fn choose(&self, candidates: Candidates<'_>) -> Result<Choice> {
        let slots = check_choice(candidates)?;
        let Candidates { sources, fan_in, count: each, of_slots, scores } = candidates;
        let (there, scores) = (self.table(of_slots)?, self.input(scores)?);
        let mut table = Array::zeros(slots)?;
        let (chosen, picked) = (self.output(&table)?, self.output(&table)?);
        self.launch(
            &kernels::CHOOSE,
            "choose",
            Shape::blocks([(slots / fan_in).div_ceil(NODES), 1, 1], NODES as u32)?,
            arguments![
                &there.first,
                &scores,
                count(each)?,
                count(fan_in)?,
                count(slots / fan_in)?,
                &chosen,
                &picked,
            ],
        )?;
        give(&mut table, chosen);
        let named = self.prepared(of_slots, Kind::Candidates { sources, count: each })?;
        let [mut first, mut end] = [Array::zeros(sources)?, Array::zeros(sources)?];
        let mut readers = Array::zeros(2 * of_slots.len())?;
        let (first_there, end_there) = (self.output(&first)?, self.output(&end)?);
        let out = self.output(&readers)?;
        self.launch(
            &kernels::CHOOSE,
            "turn_around",
            Shape::blocks([sources.div_ceil(SOURCES), 1, 1], 32 * SOURCES as u32)?,
            arguments![
                &named.first,
                named.readers(),
                &picked,
                count(fan_in)?,
                count(sources)?,
                &first_there,
                &end_there,
                &out,
            ],
        )?;
        give(&mut first, first_there);
        give(&mut end, end_there);
        give(&mut readers, out);
        let readers = Readers { first, end, slots: readers };
        Ok(Choice::of((sources, fan_in), table, Some(readers)))
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
        let each = check_candidates(x, sites, dy, slopes, candidates, sums)?;
        if each == 0 {
            return Ok(());
        }
        let slots = sites.slots();
        let own = self.place_errors(x, sites, dy, slopes)?;
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
                count(sites.fan_in())?,
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
