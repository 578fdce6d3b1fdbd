//! Rows moved by a table, and the gradients of everything that copies.

use lutweave_kernels as kernels;
use lutweave_tensor::FrameBuffer;

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give, stride};
use super::tables::{Kind, OnDevice};
use crate::Result;
use crate::rows::{RowKernels, check_gather, check_scatter};

/// Bytes that a thread copies at a time.
const LINE: usize = 16;

impl Cuda {
    /// `dx[source] += Σ dy[row, first frame + f] · scale[row]` over the readers of each source.
    pub(super) fn gather_gradients(
        &self,
        readers: &OnDevice,
        scales: Option<&Buffer>,
        (dy, dy_stride): (&Buffer, u32),
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let out = self.changed(dx)?;
        self.launch(
            &kernels::SCATTER_ROWS,
            "scatter_rows",
            Shape::rows(dx.nodes(), dx.frames())?,
            arguments![
                &readers.first,
                readers.readers(),
                scales.map_or(0u64.into(), Argument::from),
                dy,
                dy_stride,
                count(dx.nodes())?,
                count(dx.frames())?,
                &out,
                stride(dx)?,
            ],
        )?;
        give(dx, out);
        Ok(())
    }
}

impl RowKernels for Cuda {
    fn gather_rows(
        &self,
        x: &FrameBuffer,
        table: &[u32],
        fill: f64,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_gather(x, table, y)?;
        let constant = FrameBuffer::from_frames(&[1], &vec![fill; x.frames()])?;
        let constant = self.memory.send(constant.convert(x.dtype())?.as_bytes()?)?;
        let (sources, there) = (self.table(table)?, self.input(x)?);
        let out = self.output(y)?;
        let lines = y.bytes() / y.nodes() / LINE;
        self.launch(
            &kernels::GATHER_ROWS,
            "gather_rows",
            Shape::rows(y.nodes(), lines)?,
            arguments![&there, &constant, &sources.first, count(y.nodes())?, count(lines)?, &out],
        )?;
        give(y, out);
        Ok(())
    }

    fn scatter_rows(&self, dy: &FrameBuffer, table: &[u32], dx: &mut FrameBuffer) -> Result<()> {
        check_scatter(dy, table, dx)?;
        let kind = Kind::Entries { sources: dx.nodes(), parts: 1, step: 0, start: 0, end: 1 };
        let (readers, there) = (self.prepared(table, kind)?, self.input(dy)?);
        self.gather_gradients(&readers, None, (&there, stride(dy)?), dx)
    }
}
