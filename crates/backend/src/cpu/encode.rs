//! Threshold encoding and group sums, a packed word at a time.

use lutweave_tensor::{Array, DType, Element, FrameBuffer, WORD};
use rayon::prelude::*;

use super::Cpu;
use super::grain::grain;
use crate::Result;
use crate::encode::{EncodeKernels, check_groups, check_threshold};

impl EncodeKernels for Cpu {
    fn threshold(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        levels: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_threshold(x, thresholds, levels, y)?;
        if x.dtype() == DType::U8 {
            threshold_rows::<u8>(x, thresholds, levels, points, y)
        } else {
            threshold_rows::<f32>(x, thresholds, levels, points, y)
        }
    }

    fn group_sum(&self, x: &FrameBuffer, scale: f32, y: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum", x, DType::Bit, y)?;
        let (rows, x_stride, y_stride) = (x.rows::<u64>()?, x.stride(), y.stride());
        let words = x.frames().div_ceil(WORD);
        let work = grain(size * x.frames());
        let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(y_stride).with_min_len(work);
        y_rows.zip(rows.par_chunks(size * x_stride)).for_each(|(y, group)| {
            for (word, y) in y.chunks_exact_mut(WORD).enumerate().take(words) {
                let mut counts = [0u32; WORD];
                for row in group.chunks_exact(x_stride) {
                    for (f, count) in counts.iter_mut().enumerate() {
                        *count += (row[word] >> f & 1) as u32;
                    }
                }
                for (y, count) in y.iter_mut().zip(counts) {
                    *y = scale * count as f32; // padding counts zero
                }
            }
        });
        Ok(())
    }

    fn group_sum_backward(&self, dy: &FrameBuffer, scale: f32, dx: &mut FrameBuffer) -> Result<()> {
        let size = check_groups("group sum backward", dx, DType::F32, dy)?;
        let (rows, stride) = (dy.rows::<f32>()?, dx.stride());
        dx.rows_mut::<f32>()?
            .par_chunks_mut(stride)
            .with_min_len(grain(stride))
            .enumerate()
            .for_each(|(node, dx)| {
                let dy = &rows[node / size * stride..][..stride];
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx = scale * dy;
                }
            });
        Ok(())
    }
}

/// Threshold encoding of rows of one type; a frame past the end compares as zero and is masked.
fn threshold_rows<T: Element + Into<f32>>(
    x: &FrameBuffer,
    thresholds: &[f32],
    levels: usize,
    points: usize,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (rows, x_stride, y_stride) = (x.rows::<T>()?, x.stride(), y.stride());
    let words = x.frames().div_ceil(WORD);
    y.rows_mut::<u64>()?
        .par_chunks_mut(y_stride)
        .with_min_len(grain(x_stride))
        .enumerate()
        .for_each(|(row, y)| {
            let (channel, level) = (row / points / levels, row / points % levels);
            let node = channel * points + row % points;
            let threshold = thresholds[node * levels + level];
            let values = rows[node * x_stride..][..x_stride].chunks_exact(WORD);
            for ((word, y), values) in y[..words].iter_mut().enumerate().zip(values) {
                let above = |(f, &value): (usize, &T)| u64::from(value.into() > threshold) << f;
                let bits = values.iter().enumerate().map(above).fold(0, |bits, bit| bits | bit);
                *y = bits & x.frame_mask(word);
            }
        });
    Ok(())
}
