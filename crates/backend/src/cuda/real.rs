//! Tables on real inputs.

use lutweave_kernels as kernels;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride, words};
use super::table::splits;
use super::tables::Kind;
use crate::real::{RealKernels, check_real, check_real_gradients};
use crate::{Result, Sites};

/// Inputs whose combinations a thread has sums for; the others are seen to by blocks of their own.
const INPUTS: usize = 6;

impl RealKernels for Cuda {
    fn real_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: &Array,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_real("real forward", x, sites, tables, y)?;
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let (tables, out) = (self.input(tables)?, self.output(y)?);
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
                &tables,
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
        tables: &Array,
        dy: &FrameBuffer,
        dtables: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        let op = "real backward";
        check_real(op, x, sites, tables, dy)?;
        check_real_gradients(op, x, sites, dtables, dx.as_deref())?;
        let (wiring, x_there) = (self.sources_of(sites)?, self.input(x)?);
        let (dy_there, out) = (self.input(dy)?, self.changed(dtables)?);
        let (units, fan_in) = (sites.share() * words(x), sites.fan_in());
        count(units)?;
        let (splits, combinations) = (splits(units), 1usize << fan_in.saturating_sub(INPUTS));
        let partial = if splits > 1 { dtables.bytes() * splits } else { 0 };
        let partial = self.memory.allocate(partial)?;
        let tickets = self.memory.zeroed(sites.tables() * combinations * 4)?;
        self.launch(
            &kernels::REAL_TABLES,
            &format!("real_tables_{fan_in}"),
            Shape::blocks([sites.tables(), splits, combinations], 128)?,
            arguments![
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
            ],
        )?;
        give(dtables, out);
        let Some(dx) = dx else { return Ok(()) };

        let slopes = self.memory.allocate(dy.bytes() * fan_in)?;
        let tables = self.input(tables)?;
        self.launch(
            &kernels::REAL_SLOPES,
            &format!("real_slopes_{fan_in}"),
            Shape::rows(sites.places(), x.frames())?,
            arguments![
                &x_there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.places())?,
                count(sites.share())?,
                count(x.frames())?,
                &tables,
                &dy_there,
                stride(dy)?,
                &slopes,
            ],
        )?;
        let entries = sites.table();
        let kind = Kind::Entries { sources: sites.sources(), parts: 1, step: 0, start: 0, end: 1 };
        let readers = self.prepared(entries, kind)?;
        self.gather_gradients(&readers, None, (&slopes, stride(dy)?), dx)
    }
}
