//! Sums of rows with fixed weights, one frame at a time.

use lutweave_tensor::{DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::sum::{RowSums, SumKernels, check_sums};

impl SumKernels for Reference {
    fn sum_rows(&self, x: &FrameBuffer, sums: &RowSums, y: &mut FrameBuffer) -> Result<()> {
        check_sums(x, sums, y)?;
        let x = x.convert(DType::F32)?;
        for row in 0..sums.len() {
            for frame in 0..x.frames() {
                let mut sum = 0.0;
                for (source, weight) in sums.of(row) {
                    sum += weight * x.row::<f32>(source)?[frame];
                }
                y.row_mut::<f32>(row)?[frame] = sum;
            }
        }
        Ok(())
    }
}
