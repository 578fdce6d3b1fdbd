//! The table kernels.

use lutweave_kernels as kernels;
use lutweave_tensor::{DType, FrameBuffer};
use rayon::prelude::*;

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::model::no_model;
use super::operands::{count, give, stride, words};
use crate::table::{
    Entries, MakeEntries, MakeGradient, Slopes, TableGradient, TableKernels, check_counts,
    check_gradient, check_parts, check_sums, check_table_backward, check_table_forward,
    check_value_forward, table_words,
};
use crate::{Result, Sites};

/// Units of 32 frames at one place that a block sees to before a table is split over several. Part of
/// the numeric contract: changing it changes results.
const UNITS: usize = 512;
/// Most blocks of one table.
const MOST_SPLITS: usize = 64;

/// Blocks that the units of a table are split over: of the sizes alone, not of the device.
pub(super) fn splits(units: usize) -> usize {
    (units / UNITS).clamp(1, MOST_SPLITS)
}

/// Threads of a block of `pattern_sums`.
fn sum_threads(fan_in: usize) -> u32 {
    match fan_in {
        0..7 => 128,
        7 => 64,
        _ => 32,
    }
}

/// The errors of all places, and their patterns, for one backward pass.
pub(super) struct PlaceErrors {
    pub(super) errors: Buffer,
    pub(super) patterns: Buffer,
    pub(super) stride: u32,
}

impl Cuda {
    /// `scale[k] · dy + offset[k]` and `k` of every place and frame.
    pub(super) fn place_errors(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
    ) -> Result<PlaceErrors> {
        let (fan_in, places) = (sites.fan_in(), sites.places());
        let wiring = self.sources_of(sites)?;
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let (scale, offset) = (self.input(slopes.scale)?, self.input(slopes.offset)?);
        let errors = self.memory.allocate(dy.bytes())?;
        let patterns = self.memory.allocate(dy.bytes() / size_of::<f32>())?;
        let (nodes, frames) = (count(x.nodes())?, count(x.frames())?);
        self.launch(
            &kernels::TABLE_ERRORS,
            &format!("table_errors_{fan_in}"),
            Shape::rows(places, x.frames())?,
            arguments![
                &x_there,
                stride(x)?,
                nodes,
                wiring.first(),
                count(places)?,
                count(sites.share())?,
                frames,
                &dy_there,
                stride(dy)?,
                &scale,
                &offset,
                &errors,
                &patterns,
            ],
        )?;
        Ok(PlaceErrors { errors, patterns, stride: stride(dy)? })
    }
}

impl TableKernels for Cuda {
    fn pattern_counts(&self, x: &FrameBuffer, sites: Sites<'_>, counts: &mut [u32]) -> Result<()> {
        check_counts(x, sites, counts)?;
        self.counted(x, sites)?.read_to(counts)
    }

    fn table_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_forward(x, sites, tables, y)?;
        let tables = self.memory.send(tables)?;
        self.looked_up(&kernels::TABLE_FORWARD, x, sites, &tables, y)
    }

    fn value_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_value_forward(x, sites, values, y)?;
        let values = self.memory.send(values)?;
        self.looked_up(&kernels::VALUE_FORWARD, x, sites, &values, y)
    }

    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()> {
        check_sums(x, sites, dy, sums)?;
        self.summed(x, sites, dy, &no_model())?.read_to(sums)
    }

    fn table_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_backward(x, sites, dy, slopes, dx)?;
        let (sources, fan_in) = (sites.sources(), sites.fan_in());
        let inputs = self.inputs_of(sites)?;
        let own = self.place_errors(x, sites, dy, slopes)?;
        let (slopes, out) = (self.input(slopes.slopes)?, self.changed(dx)?);
        self.launch(
            &kernels::TABLE_BACKWARD,
            "table_backward",
            Shape::rows(sources, x.frames())?,
            arguments![
                inputs.first,
                inputs.end,
                inputs.readers,
                &own.errors,
                &own.patterns,
                &slopes,
                count(fan_in)?,
                count(sources)?,
                count(x.frames())?,
                own.stride,
                &out,
            ],
        )?;
        give(dx, out);
        Ok(())
    }

    /// As in general, with the tables made by all threads of the host.
    fn counted_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        counts: &mut [u32],
        state: &mut [f32],
        make: MakeEntries<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (tables, entries) = (sites.tables(), 1usize << sites.fan_in());
        check_parts("counted forward", "state", state.len(), tables)?;
        self.pattern_counts(x, sites, counts)?;
        let (words, share) = (table_words(sites.fan_in()), state.len() / tables);
        let mut rest = state;
        let mut states = Vec::with_capacity(tables);
        for _ in 0..tables {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(share);
            states.push(own);
            rest = others;
        }
        let each = counts.par_chunks(entries).zip(states).enumerate();
        if y.dtype() == DType::Bit {
            let mut bits = vec![0u64; tables * words];
            each.zip(bits.par_chunks_mut(words)).for_each(|((table, (counts, state)), bits)| {
                make(table, counts, state, Entries::Bits(bits));
            });
            return self.table_forward(x, sites, &bits, y);
        }
        let mut values = vec![0f32; tables * entries];
        each.zip(values.par_chunks_mut(entries)).for_each(|((table, (counts, state)), values)| {
            make(table, counts, state, Entries::Values(values));
        });
        self.value_forward(x, sites, &values, y)
    }

    /// As in general, with what follows the sums done by all threads of the host.
    fn summed_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        arrays: TableGradient<'_>,
        make: MakeGradient<'_>,
    ) -> Result<()> {
        check_gradient("summed backward", &arrays, sites)?;
        self.pattern_sums(x, sites, dy, &mut *arrays.sums)?;
        let mut parts = Vec::with_capacity(sites.tables());
        let mut rest = arrays;
        for table in 0..sites.tables() {
            let (own, others) = rest.split_at(1, sites.tables() - table);
            parts.push(own);
            rest = others;
        }
        parts.into_par_iter().enumerate().for_each(|(table, own)| make(table, own));
        Ok(())
    }
}

impl Cuda {
    /// The counts of patterns, on the device.
    pub(super) fn counted(&self, x: &FrameBuffer, sites: Sites<'_>) -> Result<Buffer> {
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let units = sites.share() * words(x);
        let out = match splits(units) {
            1 => self.memory.allocate(4 * sites.entries())?,
            _ => self.memory.zeroed(4 * sites.entries())?,
        };
        count(units)?;
        self.launch(
            &kernels::PATTERN_COUNTS,
            &format!("pattern_counts_{}", sites.fan_in()),
            Shape::blocks([sites.tables(), splits(units), 1], 128)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.share())?,
                count(x.frames())?,
                &out,
            ],
        )?;
        Ok(out)
    }

    /// The sums of `dy` by pattern, on the device; what the last block of each table goes on with is
    /// said by `then`.
    pub(super) fn summed(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        then: &[Argument],
    ) -> Result<Buffer> {
        let wiring = self.sources_of(sites)?;
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let units = sites.share() * words(x);
        count(units)?;
        let splits = splits(units);
        let out = self.memory.allocate(4 * sites.entries())?;
        let partial =
            self.memory.allocate(if splits > 1 { 4 * sites.entries() * splits } else { 0 })?;
        let tickets = self.memory.zeroed(if splits > 1 { sites.tables() * 4 } else { 4 })?;
        let mut all = arguments![
            &x_there,
            stride(x)?,
            count(x.nodes())?,
            wiring.first(),
            count(sites.share())?,
            count(x.frames())?,
            &dy_there,
            stride(dy)?,
            &partial,
            &tickets,
            &out,
        ]
        .to_vec();
        all.extend(then);
        self.launch(
            &kernels::PATTERN_SUMS,
            &format!("pattern_sums_{}", sites.fan_in()),
            Shape::blocks([sites.tables(), splits, 1], sum_threads(sites.fan_in()))?,
            &all,
        )?;
        Ok(out)
    }

    /// The look-up of bits or of numbers, which take the same arguments.
    pub(super) fn looked_up(
        &self,
        source: &kernels::Source,
        x: &FrameBuffer,
        sites: Sites<'_>,
        entries: &Buffer,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let out = self.output(y)?;
        let columns = stride(y)?;
        self.launch(
            source,
            &format!("{}_{}", source.name, sites.fan_in()),
            Shape::rows(sites.places(), columns as usize)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.places())?,
                count(sites.share())?,
                count(x.frames())?,
                entries,
                &out,
                columns,
            ],
        )?;
        give(y, out);
        Ok(())
    }
}
