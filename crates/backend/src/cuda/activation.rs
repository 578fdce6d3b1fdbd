//! Functions of one element, softmax, and masks.

use std::sync::Arc;

use lutweave_kernels::ACTIVATION;
use lutweave_tensor::{DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give, stride};
use crate::Result;
use crate::activation::{
    ActivationKernels, FixedPoint, TwoLevels, Window, check_clamp, check_dropout, check_levels,
    check_same,
};

/// Arguments that come before those of the result, and the buffers they point to.
#[derive(Default)]
struct Operands {
    kept: Vec<Arc<Buffer>>,
    arguments: Vec<Argument>,
}

impl Operands {
    fn number(mut self, number: impl Into<Argument>) -> Self {
        self.arguments.push(number.into());
        self
    }

    fn rows(mut self, on: &Cuda, x: &FrameBuffer) -> Result<Self> {
        let there = on.input(x)?;
        self.arguments.push((&there).into());
        self.kept.push(there);
        Ok(self)
    }

    fn strided(self, on: &Cuda, x: &FrameBuffer) -> Result<Self> {
        Ok(self.rows(on, x)?.number(stride(x)?))
    }

    /// Runs a kernel that goes on with nodes, frames, the result and its stride.
    fn run(self, on: &Cuda, kernel: &str, y: &mut FrameBuffer) -> Result<()> {
        let nodes = count(y.nodes())?;
        self.number(nodes).run_rows(on, kernel, y.nodes(), y)
    }

    /// Runs a kernel with another number of rows, which it was given.
    fn run_rows(self, on: &Cuda, kernel: &str, rows: usize, y: &mut FrameBuffer) -> Result<()> {
        let out = on.output(y)?;
        let mut arguments = self.arguments;
        arguments.extend_from_slice(arguments![count(y.frames())?, &out, stride(y)?]);
        on.launch(&ACTIVATION, kernel, Shape::rows(rows, y.stride())?, &arguments)?;
        give(y, out);
        Ok(())
    }
}

/// Channels and points of a softmax.
fn axes(y: &FrameBuffer) -> (usize, usize) {
    let channels = y.shape()[0];
    (channels, y.nodes() / channels)
}

impl ActivationKernels for Cuda {
    fn binarize(&self, x: &FrameBuffer, threshold: f32, y: &mut FrameBuffer) -> Result<()> {
        check_same("binarize", ("x", x), &[("y", y, DType::Bit)])?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let columns = stride(y)? as usize * 32;
        self.launch(
            &ACTIVATION,
            "binarize",
            Shape::rows(x.nodes(), columns)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                count(x.frames())?,
                threshold,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn levels(&self, x: &FrameBuffer, levels: TwoLevels, y: &mut FrameBuffer) -> Result<()> {
        check_levels(x, y)?;
        let TwoLevels { threshold, low, high } = levels;
        let (kernel, operands) = match x.dtype() {
            DType::Bit => ("levels_bits", Operands::default().strided(self, x)?),
            _ => ("levels_reals", Operands::default().rows(self, x)?.number(threshold)),
        };
        operands.number(low).number(high).run(self, kernel, y)
    }

    fn clamp(&self, x: &FrameBuffer, low: f32, high: f32, y: &mut FrameBuffer) -> Result<()> {
        check_clamp(x, low, high, y)?;
        Operands::default().rows(self, x)?.number(low).number(high).run(self, "clamp", y)
    }

    fn window_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        window: Window,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("window backward", ("x", x), &others)?;
        let operands = Operands::default().rows(self, x)?.rows(self, dy)?;
        let operands = operands.number(window.low).number(window.high).number(window.slope);
        operands.run(self, "window_backward", dx)
    }

    fn sigmoid(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("sigmoid", ("x", x), &[("y", y, DType::F32)])?;
        Operands::default().rows(self, x)?.run(self, "sigmoid", y)
    }

    fn sigmoid_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("sigmoid backward", ("y", y), &others)?;
        Operands::default().rows(self, y)?.rows(self, dy)?.run(self, "sigmoid_backward", dx)
    }

    fn softmax(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("softmax", ("x", x), &[("y", y, DType::F32)])?;
        let (channels, points) = axes(x);
        let operands = Operands::default().rows(self, x)?.number(count(channels)?);
        operands.number(count(points)?).run_rows(self, "softmax", points, y)
    }

    fn softmax_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("softmax backward", ("y", y), &others)?;
        let (channels, points) = axes(y);
        let operands = Operands::default().rows(self, y)?.rows(self, dy)?;
        let operands = operands.number(count(channels)?).number(count(points)?);
        operands.run_rows(self, "softmax_backward", points, dx)
    }

    fn quantise(&self, x: &FrameBuffer, to: FixedPoint, y: &mut FrameBuffer) -> Result<()> {
        check_same("quantise", ("x", x), &[("y", y, DType::F32)])?;
        let (step, low, high) = to.limits();
        let operands = Operands::default().rows(self, x)?.number(step).number(low).number(high);
        operands.run(self, "quantise", y)
    }

    fn dropout(
        &self,
        x: &FrameBuffer,
        dropped: &FrameBuffer,
        scale: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let each = check_dropout(x, dropped, y)?;
        let operands = Operands::default().rows(self, x)?.strided(self, dropped)?;
        operands.number(u32::from(each)).number(scale).run(self, "dropout", y)
    }
}
