//! Lowering, one frame at a time.

use std::ops::Range;

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer, THRESHOLD, WORD};

use super::Reference;
use crate::Result;
use crate::window::{WindowKernels, check_gradient, check_lower, check_raise};

impl WindowKernels for Reference {
    fn lower(
        &self,
        x: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        border: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let all = check_lower("lower", x, sources, &positions, y)?;
        for element in 0..y.nodes() {
            for (place, position) in positions.clone().enumerate() {
                let source = sources[element * all + position];
                for frame in 0..x.frames() {
                    let value = match source {
                        NO_SOURCE => border,
                        source => read(x, source as usize, frame)?,
                    };
                    write(y, element, place * x.frames() + frame, value)?;
                }
            }
        }
        Ok(())
    }

    fn lower_backward(
        &self,
        dy: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "lower backward";
        check_gradient(op, dx)?;
        let all = check_lower(op, dx, sources, &positions, dy)?;
        for element in 0..dy.nodes() {
            for (place, position) in positions.clone().enumerate() {
                let source = sources[element * all + position];
                if source == NO_SOURCE {
                    continue;
                }
                for frame in 0..dx.frames() {
                    let g = dy.row::<f32>(element)?[place * dx.frames() + frame];
                    dx.row_mut::<f32>(source as usize)?[frame] += g;
                }
            }
        }
        Ok(())
    }

    fn raise(&self, x: &FrameBuffer, positions: Range<usize>, y: &mut FrameBuffer) -> Result<()> {
        let all = check_raise("raise", x, &positions, y)?;
        for node in 0..x.nodes() {
            for (place, position) in positions.clone().enumerate() {
                for frame in 0..y.frames() {
                    let value = read(x, node, place * y.frames() + frame)?;
                    write(y, node * all + position, frame, value)?;
                }
            }
        }
        Ok(())
    }

    fn raise_backward(
        &self,
        dy: &FrameBuffer,
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "raise backward";
        check_gradient(op, dy)?;
        let all = check_raise(op, dx, &positions, dy)?;
        for node in 0..dx.nodes() {
            for (place, position) in positions.clone().enumerate() {
                for frame in 0..dy.frames() {
                    let value = read(dy, node * all + position, frame)?;
                    write(dx, node, place * dy.frames() + frame, value)?;
                }
            }
        }
        Ok(())
    }
}

/// One value of bits or f32.
pub(super) fn read(x: &FrameBuffer, node: usize, frame: usize) -> Result<f32> {
    match x.dtype() {
        DType::Bit => Ok(f32::from(u8::from(x.bit(node, frame)?))),
        _ => Ok(x.row::<f32>(node)?[frame]),
    }
}

/// Writes one value of bits or f32; a bit is 1 above the threshold.
pub(super) fn write(y: &mut FrameBuffer, node: usize, frame: usize, value: f32) -> Result<()> {
    if y.dtype() != DType::Bit {
        y.row_mut::<f32>(node)?[frame] = value;
        return Ok(());
    }
    let stride = y.stride();
    let word = &mut y.rows_mut::<u64>()?[node * stride + frame / WORD];
    let bit = u64::from(f64::from(value) > THRESHOLD);
    *word = *word & !(1 << (frame % WORD)) | bit << (frame % WORD);
    Ok(())
}
