//! Rows moved by a table, one frame at a time.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::FrameBuffer;

use super::Reference;
use crate::Result;
use crate::rows::{RowKernels, check_gather, check_scatter};

impl RowKernels for Reference {
    fn gather_rows(
        &self,
        x: &FrameBuffer,
        table: &[u32],
        fill: f64,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_gather(x, table, y)?;
        let constant = FrameBuffer::from_frames(&[1], &vec![fill; x.frames()])?;
        let constant = constant.convert(x.dtype())?;
        for (row, &source) in table.iter().enumerate() {
            let (from, source) = match source {
                NO_SOURCE => (&constant, 0),
                source => (x, source as usize),
            };
            y.copy_from(row, 0, from, source..source + 1, 0..x.frames())?;
        }
        Ok(())
    }

    fn scatter_rows(&self, dy: &FrameBuffer, table: &[u32], dx: &mut FrameBuffer) -> Result<()> {
        check_scatter(dy, table, dx)?;
        for (row, &source) in table.iter().enumerate() {
            if source == NO_SOURCE {
                continue;
            }
            let dx = dx.row_mut::<f32>(source as usize)?;
            for (dx, dy) in dx.iter_mut().zip(dy.row::<f32>(row)?) {
                *dx += dy;
            }
        }
        Ok(())
    }
}
