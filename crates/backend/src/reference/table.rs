//! The table kernels, one frame at a time.

use lutweave_lut::Wiring;
use lutweave_tensor::{DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::check::{check_rows, check_size};
use crate::table::{Slopes, TableKernels, check_input, check_slopes, table_words};

/// The pattern node `node` sees in `frame`: bit `i` is input `i`.
fn pattern(x: &FrameBuffer, wiring: &Wiring, node: usize, frame: usize) -> Result<usize> {
    let mut index = 0;
    for (i, &source) in wiring.node(node).iter().enumerate() {
        index |= usize::from(x.bit(source as usize, frame)?) << i;
    }
    Ok(index)
}

impl TableKernels for Reference {
    fn pattern_counts(&self, x: &FrameBuffer, wiring: &Wiring, counts: &mut [u32]) -> Result<()> {
        let op = "pattern counts";
        check_input(op, x, wiring)?;
        check_size(op, "counts", "values", wiring.nodes() << wiring.fan_in(), counts.len())?;
        counts.fill(0);
        for node in 0..wiring.nodes() {
            for frame in 0..x.frames() {
                counts[(node << wiring.fan_in()) + pattern(x, wiring, node, frame)?] += 1;
            }
        }
        Ok(())
    }

    fn table_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "table forward";
        check_input(op, x, wiring)?;
        check_rows(op, "y", y, DType::Bit, wiring.nodes(), x)?;
        let words = table_words(wiring.fan_in());
        check_size(op, "tables", "words", wiring.nodes() * words, tables.len())?;
        let stride = y.stride();
        y.rows_mut::<u64>()?.fill(0);
        for node in 0..wiring.nodes() {
            for frame in 0..x.frames() {
                let k = pattern(x, wiring, node, frame)?;
                let bit = tables[node * words + k / 64] >> (k % 64) & 1;
                y.rows_mut::<u64>()?[node * stride + frame / 64] |= bit << (frame % 64);
            }
        }
        Ok(())
    }

    fn value_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "value forward";
        check_input(op, x, wiring)?;
        check_rows(op, "y", y, DType::F32, wiring.nodes(), x)?;
        check_size(op, "values", "values", wiring.nodes() << wiring.fan_in(), values.len())?;
        for node in 0..wiring.nodes() {
            for frame in 0..x.frames() {
                let k = pattern(x, wiring, node, frame)?;
                y.row_mut::<f32>(node)?[frame] = values[(node << wiring.fan_in()) + k];
            }
        }
        Ok(())
    }

    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()> {
        let op = "pattern sums";
        check_input(op, x, wiring)?;
        check_rows(op, "dy", dy, DType::F32, wiring.nodes(), x)?;
        check_size(op, "sums", "values", wiring.nodes() << wiring.fan_in(), sums.len())?;
        let entries = 1 << wiring.fan_in();
        for (node, sums) in sums.chunks_mut(entries).enumerate() {
            let mut total = vec![0f64; entries];
            for (frame, &dy) in dy.row::<f32>(node)?.iter().enumerate() {
                total[pattern(x, wiring, node, frame)?] += f64::from(dy);
            }
            for (sum, total) in sums.iter_mut().zip(total) {
                *sum = total as f32;
            }
        }
        Ok(())
    }

    fn table_backward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "table backward";
        check_input(op, x, wiring)?;
        check_rows(op, "dy", dy, DType::F32, wiring.nodes(), x)?;
        check_rows(op, "dx", dx, DType::F32, wiring.sources(), x)?;
        check_slopes(op, slopes, wiring)?;
        let (fan_in, frames) = (wiring.fan_in(), x.frames());
        let entries = 1 << fan_in;
        let mut total: Vec<f64> = vec![0.0; wiring.sources() * frames];
        for node in 0..wiring.nodes() {
            for (frame, &dy) in dy.row::<f32>(node)?.iter().enumerate() {
                let k = pattern(x, wiring, node, frame)?;
                let at = node * entries + k;
                let e = f64::from(slopes.scale[at]) * f64::from(dy) + f64::from(slopes.offset[at]);
                for (i, &source) in wiring.node(node).iter().enumerate() {
                    let slope = slopes.slopes[(node * fan_in + i) * entries + k];
                    total[source as usize * frames + frame] += f64::from(slope) * e;
                }
            }
        }
        for (source, total) in total.chunks(frames).enumerate() {
            for (dx, total) in dx.row_mut::<f32>(source)?.iter_mut().zip(total) {
                *dx = (f64::from(*dx) + total) as f32;
            }
        }
        Ok(())
    }
}
