//! Threshold encoding and group sums, one frame at a time.

use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::encode::{EncodeKernels, check_groups, check_threshold};

impl EncodeKernels for Reference {
    fn threshold(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        levels: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_threshold(x, thresholds, levels, y)?;
        let stride = y.stride();
        y.rows_mut::<u64>()?.fill(0);
        for node in 0..x.nodes() {
            let (channel, point) = (node / points, node % points);
            for level in 0..levels {
                let threshold = thresholds[node * levels + level];
                let row = (channel * levels + level) * points + point;
                for frame in 0..x.frames() {
                    let value = match x.dtype() {
                        DType::U8 => f32::from(x.row::<u8>(node)?[frame]),
                        _ => x.row::<f32>(node)?[frame],
                    };
                    let bit = u64::from(value > threshold);
                    y.rows_mut::<u64>()?[row * stride + frame / 64] |= bit << (frame % 64);
                }
            }
        }
        Ok(())
    }

    fn group_sum(&self, x: &FrameBuffer, scale: f32, y: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum", x, DType::Bit, y)?;
        for group in 0..y.nodes() {
            for frame in 0..x.frames() {
                let mut count = 0u32;
                for node in group * size..(group + 1) * size {
                    count += u32::from(x.bit(node, frame)?);
                }
                y.row_mut::<f32>(group)?[frame] = scale * count as f32;
            }
        }
        Ok(())
    }

    fn group_sum_backward(&self, dy: &FrameBuffer, scale: f32, dx: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum backward", dx, DType::F32, dy)?;
        for node in 0..dx.nodes() {
            let dy = dy.row::<f32>(node / size)?;
            for (dx, dy) in dx.row_mut::<f32>(node)?.iter_mut().zip(dy) {
                *dx = scale * dy;
            }
        }
        Ok(())
    }
}
