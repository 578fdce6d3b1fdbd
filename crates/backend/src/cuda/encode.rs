//! Threshold encoding and group sums.

use lutweave_kernels::ENCODE;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::encode::{EncodeKernels, check_groups, check_threshold};

impl EncodeKernels for Cuda {
    fn threshold(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        levels: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_threshold(x, thresholds, levels, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let thresholds = self.input(thresholds)?;
        let kernel = if x.dtype() == DType::U8 { "threshold_bytes" } else { "threshold_reals" };
        self.launch(
            &ENCODE,
            kernel,
            Shape::rows(x.nodes(), stride(y)? as usize * 32)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                count(x.frames())?,
                &thresholds,
                count(levels)?,
                count(points)?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn group_sum(&self, x: &FrameBuffer, scale: f32, y: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum", x, DType::Bit, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        self.launch(
            &ENCODE,
            "group_sum",
            Shape::blocks([y.nodes(), y.stride() / 32, 1], 256)?,
            arguments![
                &there,
                stride(x)?,
                count(size)?,
                count(x.frames())?,
                scale,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn group_sum_backward(&self, dy: &FrameBuffer, scale: f32, dx: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum backward", dx, DType::F32, dy)?;
        let (there, out) = (self.input(dy)?, self.output(dx)?);
        self.launch(
            &ENCODE,
            "group_sum_backward",
            Shape::rows(dx.nodes(), dx.stride())?,
            arguments![
                &there,
                count(dx.nodes())?,
                count(size)?,
                count(dx.frames())?,
                scale,
                &out,
                stride(dx)?,
            ],
        )?;
        give(dx, out);
        Ok(())
    }
}
