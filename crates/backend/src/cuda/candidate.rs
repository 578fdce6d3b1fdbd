//! Choices among candidates, and their sums.

use std::sync::Arc;

use lutweave_kernels as kernels;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give, stride, words};
use super::table::{PlaceErrors, splits};
use super::tables::{Inputs, Kind, OnDevice};
use crate::candidate::{
    CandidateGradient, CandidateKernels, Candidates, Choice, Made, Readers, check_candidates,
    check_choice,
};
use crate::table::{TableKernels, check_table_backward};
use crate::{Result, Sites, Slopes};

/// No pointer.
const NONE: u64 = 0;
/// Warps of a block that chooses, a node each, and of one that turns the choice around, a source each.
const WARPS: usize = 4;

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
            Shape::blocks([(slots / fan_in).div_ceil(WARPS), 1, 1], 32 * WARPS as u32)?,
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
        let turning = self.turning(of_slots, sources, each)?;
        let mut all = turning.arguments(fan_in, sources)?;
        all[2] = (&picked).into();
        self.launch(
            &kernels::CHOOSE,
            "turn_around",
            Shape::blocks([sources.div_ceil(WARPS), 1, 1], 32 * WARPS as u32)?,
            &all,
        )?;
        Ok(Choice::of((sources, fan_in), table, Made::Readers(Box::new(turning.readers()?))))
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
        self.summed_candidates(x, sites, dy, slopes, (candidates, sums, each), None)?;
        Ok(())
    }

    fn candidate_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        scores: CandidateGradient<'_>,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        let CandidateGradient { of_slots, sums } = scores;
        let each = check_candidates(x, sites, dy, slopes, of_slots, sums)?;
        let Some(dx) = dx else { return self.candidate_sums(x, sites, dy, slopes, of_slots, sums) };
        check_table_backward(x, sites, dy, slopes, dx)?;
        if each == 0 {
            return self.table_backward(x, sites, dy, slopes, dx);
        }
        let errors = self.blank_errors(dy)?;
        let turning = match sites.chosen().map(Choice::made) {
            Some(Made::Picked(picked)) => {
                let turning = self.turning(of_slots, sites.sources(), each)?;
                Some((turning, self.input(picked)?))
            }
            _ => None,
        };
        let sums = (of_slots, sums, each);
        let then = (&errors, turning.as_ref().map(|(turning, picked)| (turning, &**picked)));
        self.summed_candidates(x, sites, dy, slopes, sums, Some(then))?;
        let inputs = match turning {
            Some((turning, _)) => turning.inputs(),
            None => self.inputs_of(sites)?,
        };
        self.gathered(sites, &inputs, &errors, slopes.slopes, dx)
    }
}

/// Memory for a choice turned around, and what it is made of.
struct Turning {
    named: Arc<OnDevice>,
    first: Buffer,
    end: Buffer,
    readers: Buffer,
    length: [usize; 2],
}

impl Turning {
    /// As `TURNING_ARGUMENTS` has them; the third is what was picked.
    fn arguments(&self, fan_in: usize, sources: usize) -> Result<Vec<Argument>> {
        let Self { named, first, end, readers, .. } = self;
        let (fan_in, sources) = (count(fan_in)?, count(sources)?);
        Ok(arguments![&named.first, named.readers(), 0u64, fan_in, sources, first, end, readers]
            .to_vec())
    }

    /// For a choice to keep.
    fn readers(self) -> Result<Readers> {
        let [sources, candidates] = self.length;
        let [mut first, mut end] = [Array::zeros(sources)?, Array::zeros(sources)?];
        let mut slots = Array::zeros(2 * candidates)?;
        give(&mut first, self.first);
        give(&mut end, self.end);
        give(&mut slots, self.readers);
        Ok(Readers { first, end, slots })
    }

    /// For a backward pass.
    fn inputs(self) -> Inputs {
        Inputs::of([self.first, self.end, self.readers].map(Arc::new))
    }
}

/// Where errors go, and the choice that is turned around beside, with what was picked.
type Then<'a> = (&'a PlaceErrors, Option<(&'a Turning, &'a Buffer)>);

impl Cuda {
    fn turning(&self, of_slots: &[u32], sources: usize, each: usize) -> Result<Turning> {
        let named = self.prepared(of_slots, Kind::Candidates { sources, count: each })?;
        let memory = |length: usize| self.memory.allocate(4 * length);
        let length = [sources, of_slots.len()];
        let (first, end) = (memory(sources)?, memory(sources)?);
        Ok(Turning { named, first, end, readers: memory(2 * of_slots.len())?, length })
    }

    /// A choice and the counts of patterns with it.
    pub(super) fn chosen_counts(
        &self,
        x: &FrameBuffer,
        candidates: Candidates<'_>,
        slots: usize,
    ) -> Result<(Choice, Buffer)> {
        let Candidates { sources, fan_in, count: each, of_slots, scores } = candidates;
        let (there, scores, own) = (self.table(of_slots)?, self.input(scores)?, self.input(x)?);
        let [mut table, mut picked] = [Array::zeros(slots)?, Array::zeros(slots)?];
        let (table_there, picked_there) = (self.output(&table)?, self.output(&picked)?);
        let tables = slots / fan_in;
        let splits = splits(words(x));
        let counts = self.memory_of_counts(tables << fan_in, splits)?;
        self.launch(
            &kernels::PATTERN_COUNTS,
            &format!("chosen_counts_{fan_in}"),
            Shape::blocks([tables, splits, 1], 128)?,
            arguments![
                &own,
                stride(x)?,
                count(x.nodes())?,
                &there.first,
                &scores,
                count(each)?,
                count(x.frames())?,
                &counts,
                &table_there,
                &picked_there,
            ],
        )?;
        give(&mut table, table_there);
        give(&mut picked, picked_there);
        Ok((Choice::of((sources, fan_in), table, Made::Picked(picked)), counts))
    }

    /// Adds the sums of all candidates, each so many; on the way makes errors, and turns a choice around.
    fn summed_candidates(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        (candidates, sums, each): (&[u32], &mut Array, usize),
        then: Option<Then<'_>>,
    ) -> Result<()> {
        let (fan_in, nodes) = (sites.fan_in(), sites.places());
        let (wiring, table) = (self.sources_of(sites)?, self.table(candidates)?);
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let (scale, offset) = (self.input(slopes.scale)?, self.input(slopes.offset)?);
        let (slopes, out) = (self.input(slopes.slopes)?, self.changed(sums)?);
        let mut all = arguments![
            &x_there,
            stride(x)?,
            count(x.nodes())?,
            wiring.first(),
            &table.first,
            count(each)?,
            &dy_there,
            stride(dy)?,
            &scale,
            &offset,
            &slopes,
            count(nodes)?,
            count(x.frames())?,
            &out,
        ]
        .to_vec();
        match &then {
            Some((own, _)) => all.extend(arguments![&own.errors, &own.patterns]),
            None => all.extend(arguments![NONE, NONE]),
        }
        let mut blocks = nodes;
        match then.and_then(|(_, turning)| turning) {
            Some((turning, picked)) => {
                let mut own = turning.arguments(fan_in, sites.sources())?;
                own[2] = picked.into();
                all.extend(own);
                blocks += sites.sources().div_ceil(fan_in);
            }
            None => all.extend(arguments![NONE, NONE, NONE, 1u32, 0u32, NONE, NONE, NONE]),
        }
        self.launch(
            &kernels::CANDIDATE_SUMS,
            &format!("candidate_sums_{fan_in}"),
            Shape::blocks([blocks, 1, 1], 32 * count(fan_in)?)?,
            &all,
        )?;
        give(sums, out);
        Ok(())
    }
}
