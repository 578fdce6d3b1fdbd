//! Tables on real inputs.

use lutweave_kernels as kernels;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments, joined};
use super::operands::{count, give, stride, words};
use super::row_norm::Norm;
use super::table::splits;
use super::tables::Kind;
use crate::real::{RealKernels, check_real, check_real_backward};
use crate::{RealTables, Result, RowGradient, RowPass, Sites};

/// Inputs whose combinations a thread has sums for; the others are seen to by blocks of their own.
const INPUTS: usize = 6;
/// Warps of a block of the way back, and threads.
const WARPS: usize = 4;
const THREADS: u32 = 128;

impl RealKernels for Cuda {
    fn real_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_real("real forward", x, sites, tables, y)?;
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let (bits, weights) = (u32::from(tables.binarize), self.input(tables.weights)?);
        let out = self.output(y)?;
        self.launch(
            &kernels::REAL_FORWARD,
            &format!("real_forward_{}", sites.fan_in()),
            Shape::rows(sites.places(), y.stride())?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.places())?,
                count(sites.share())?,
                count(x.frames())?,
                &weights,
                bits,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn real_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        gradient: RowGradient<'_>,
        dtables: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_real_backward(x, sites, tables, &gradient, dtables, dx.as_deref())?;
        let (dy, units, fan_in) = (gradient.dy, sites.share() * words(x), sites.fan_in());
        let (wiring, x_there, dy_there) =
            (self.sources_of(sites)?, self.input(x)?, self.input(dy)?);
        let norm = match gradient.norm {
            Some(RowPass { u, norm, running }) => self.norm_back(u, norm, &dy_there, running)?,
            None => Norm::none(),
        };
        let (bits, weights) = (u32::from(tables.binarize), self.input(tables.weights)?);
        let out = self.changed(&*dtables)?;
        // Blocks of tables, and those of slopes where the inputs have a gradient.
        let (splits, combinations) = (splits(units), 1usize << fan_in.saturating_sub(INPUTS));
        let ahead = sites.tables() * splits * combinations;
        let all = count(sites.tables() * units)? as usize;
        let behind = if dx.is_some() { all.div_ceil(WARPS) } else { 0 };
        let partial = if splits > 1 { dtables.bytes() * splits } else { 0 };
        let partial = self.memory.allocate(partial)?;
        let tickets = self.memory.zeroed(sites.tables() * combinations * 4)?;
        let slopes = self.memory.allocate(if dx.is_some() { dy.bytes() * fan_in } else { 0 })?;
        let frames = count(x.frames())?;
        let operands = joined(&[
            arguments![&x_there, stride(x)?, count(x.nodes())?, wiring.first()],
            arguments![count(sites.share())?, frames, &dy_there, stride(dy)?],
            &norm.arguments,
            arguments![count(sites.tables())?, &weights, bits, count(splits)?, &partial, &tickets],
            arguments![&out, &slopes],
        ]);
        self.launch(
            &kernels::REAL_BACKWARD,
            &format!("real_backward_{fan_in}"),
            Shape::blocks([ahead + behind, 1, 1], THREADS)?,
            &operands,
        )?;
        give(dtables, out);
        let Some(dx) = dx else { return Ok(()) };
        let entries = sites.table();
        let kind = Kind::Entries { sources: sites.sources(), parts: 1, step: 0, start: 0, end: 1 };
        let readers = self.prepared(entries, kind)?;
        self.gather_gradients(&readers, None, (&slopes, stride(dy)?), dx)
    }
}
