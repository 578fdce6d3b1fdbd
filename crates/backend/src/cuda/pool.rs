//! Pooling over windows of rows.

use lutweave_kernels::POOL;
use lutweave_tensor::{DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give, stride};
use super::tables::Kind;
use crate::Result;
use crate::check::check_dtype;
use crate::pool::{Divisor, PoolKernels, check_pool, check_pool_backward};

impl Cuda {
    /// The OR of each window, of bits.
    fn or_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        taps: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (table, there, out) = (self.table(windows)?, self.input(x)?, self.output(y)?);
        self.launch(
            &POOL,
            "or_pool",
            Shape::rows(y.nodes(), stride(y)? as usize)?,
            arguments![&there, &table.first, count(taps)?, count(y.nodes())?, &out, stride(y)?],
        )?;
        give(y, out);
        Ok(())
    }

    /// The value of each window, of f32: the kernels take the same arguments.
    fn window_values(
        &self,
        kernel: &str,
        x: &FrameBuffer,
        windows: &[u32],
        taps: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (table, there, out) = (self.table(windows)?, self.input(x)?, self.output(y)?);
        self.launch(
            &POOL,
            kernel,
            Shape::rows(y.nodes(), y.stride())?,
            arguments![
                &there,
                &table.first,
                count(taps)?,
                count(y.nodes())?,
                count(y.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    /// The gradients that depend on `x`, which take the same arguments too.
    fn window_gradients(
        &self,
        kernel: &str,
        x: &FrameBuffer,
        (windows, taps): (&[u32], usize),
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let (sources, end) = (dx.nodes(), taps);
        let kind = Kind::Entries { sources, parts: taps, step: 1, start: 0, end };
        let (readers, table) = (self.prepared(windows, kind)?, self.table(windows)?);
        let (x_there, dy_there, out) = (self.input(x)?, self.input(dy)?, self.changed(dx)?);
        let kind = if x.dtype() == DType::Bit { "bits" } else { "reals" };
        self.launch(
            &POOL,
            &format!("{kernel}_{kind}"),
            Shape::rows(dx.nodes(), dx.frames())?,
            arguments![
                &x_there,
                stride(x)?,
                &readers.first,
                readers.readers(),
                &table.first,
                count(taps)?,
                &dy_there,
                count(dx.nodes())?,
                count(dx.frames())?,
                stride(dx)?,
                &out,
            ],
        )?;
        give(dx, out);
        Ok(())
    }

    /// One over the divisor of each window.
    fn scales(&self, windows: &[u32], taps: usize, divisor: Divisor) -> Result<Buffer> {
        let scales: Vec<f32> = windows.chunks(taps).map(|window| divisor.scale(window)).collect();
        self.memory.send(&scales)
    }
}

impl PoolKernels for Cuda {
    fn max_pool(&self, x: &FrameBuffer, windows: &[u32], y: &mut FrameBuffer) -> Result<()> {
        let taps = check_pool("max pool", x, windows, y, x.dtype())?;
        match x.dtype() {
            DType::Bit => self.or_pool(x, windows, taps, y),
            _ => self.window_values("max_pool", x, windows, taps, y),
        }
    }

    fn max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool_backward("max pool backward", x, windows, dy, dx)?;
        self.window_gradients("max_pool_backward", x, (windows, taps), dy, dx)
    }

    fn average_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        divisor: Divisor,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("average pool", x, windows, y, DType::F32)?;
        let (table, scales) = (self.table(windows)?, self.scales(windows, taps, divisor)?);
        let (there, out) = (self.input(x)?, self.output(y)?);
        let kind = if x.dtype() == DType::Bit { "bits" } else { "reals" };
        self.launch(
            &POOL,
            &format!("average_pool_{kind}"),
            Shape::rows(y.nodes(), y.stride())?,
            arguments![
                &there,
                stride(x)?,
                &table.first,
                count(taps)?,
                &scales,
                count(y.nodes())?,
                count(y.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn average_pool_backward(
        &self,
        windows: &[u32],
        divisor: Divisor,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "average pool backward";
        check_dtype(op, "dx", dx, DType::F32)?;
        let taps = check_pool(op, dx, windows, dy, DType::F32)?;
        let scales = self.scales(windows, taps, divisor)?;
        let (sources, end) = (dx.nodes(), taps);
        let kind = Kind::Entries { sources, parts: taps, step: 0, start: 0, end };
        let (readers, there) = (self.prepared(windows, kind)?, self.input(dy)?);
        self.gather_gradients(&readers, Some(&scales), (&there, stride(dy)?), dx)
    }

    fn stochastic_max_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("stochastic max pool", x, windows, y, x.dtype())?;
        match x.dtype() {
            DType::Bit => self.or_pool(x, windows, taps, y),
            _ => self.window_values("stochastic_pool", x, windows, taps, y),
        }
    }

    fn stochastic_max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "stochastic max pool backward";
        let taps = check_pool_backward(op, x, windows, dy, dx)?;
        self.window_gradients("stochastic_pool_backward", x, (windows, taps), dy, dx)
    }
}
