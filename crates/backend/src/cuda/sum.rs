//! Sums of rows with fixed weights.

use lutweave_kernels::SUM_ROWS;
use lutweave_tensor::{DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::sum::{RowSums, SumKernels, check_sums};

impl SumKernels for Cuda {
    fn sum_rows(&self, x: &FrameBuffer, sums: &RowSums, y: &mut FrameBuffer) -> Result<()> {
        check_sums(x, sums, y)?;
        let (first, sources, weights) = sums.parts();
        let (first, sources) = (self.table(first)?, self.table(sources)?);
        let weights = self.memory.send(weights)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let kernel = if x.dtype() == DType::U8 { "sum_bytes" } else { "sum_reals" };
        self.launch(
            &SUM_ROWS,
            kernel,
            Shape::rows(y.nodes(), y.stride())?,
            arguments![
                &first.first,
                &sources.first,
                &weights,
                &there,
                stride(x)?,
                count(y.nodes())?,
                count(x.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }
}
