//! Sums of rows with fixed weights, a row at a time.

use lutweave_tensor::{DType, Element, FrameBuffer};

use super::rows::for_row_blocks;
use super::{Cpu, Dispatch, Kernel};
use crate::Result;
use crate::sum::{RowSums, SumKernels, check_sums};

impl SumKernels for Cpu {
    fn sum_rows(&self, x: &FrameBuffer, sums: &RowSums, y: &mut FrameBuffer) -> Result<()> {
        check_sums(x, sums, y)?;
        if x.dtype() == DType::U8 {
            add::<u8>(*self, x, sums, y)
        } else {
            add::<f32>(*self, x, sums, y)
        }
    }
}

fn add<T: Element + Into<f32>>(
    cpu: Cpu,
    x: &FrameBuffer,
    sums: &RowSums,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (x, x_stride, stride) = (x.rows::<T>()?, x.stride(), y.stride());
    for_row_blocks(y.rows_mut::<f32>()?, stride, |first, y| {
        cpu.isa().run(Add { x, x_stride, sums, first, stride, y });
    });
    Ok(())
}

/// The sums of a block of rows; padding is that of `x`, zeros, and sums of it.
struct Add<'a, T> {
    x: &'a [T],
    x_stride: usize,
    sums: &'a RowSums,
    first: usize,
    stride: usize,
    y: &'a mut [f32],
}

impl<T: Element + Into<f32>> Kernel for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, y) in self.y.chunks_exact_mut(self.stride).enumerate() {
            y.fill(0.0);
            for (source, weight) in self.sums.of(self.first + row) {
                let x = &self.x[source * self.x_stride..][..self.x_stride];
                for (y, &x) in y.iter_mut().zip(x) {
                    *y += weight * x.into();
                }
            }
        }
    }
}
