//! The table kernels, one frame at a time.

use lutweave_tensor::FrameBuffer;

use super::Reference;
use crate::table::{
    Slopes, TableKernels, check_counts, check_sums, check_table_backward, check_table_forward,
    check_value_forward, table_words,
};
use crate::{Result, Sites};

/// The pattern at one place in `frame`: bit `i` is input `i`.
fn pattern(x: &FrameBuffer, sites: Sites<'_>, place: usize, frame: usize) -> Result<usize> {
    let mut index = 0;
    for (i, &source) in sites.node(place).iter().enumerate() {
        let bit = match (source as usize).checked_sub(x.nodes()) {
            None => x.bit(source as usize, frame)?,
            Some(constant) => constant == 1,
        };
        index |= usize::from(bit) << i;
    }
    Ok(index)
}

impl TableKernels for Reference {
    fn pattern_counts(&self, x: &FrameBuffer, sites: Sites<'_>, counts: &mut [u32]) -> Result<()> {
        check_counts(x, sites, counts)?;
        counts.fill(0);
        for place in 0..sites.places() {
            let table = place / sites.share();
            for frame in 0..x.frames() {
                counts[(table << sites.fan_in()) + pattern(x, sites, place, frame)?] += 1;
            }
        }
        Ok(())
    }

    fn table_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_forward(x, sites, tables, y)?;
        let words = table_words(sites.fan_in());
        let stride = y.stride();
        y.rows_mut::<u64>()?.fill(0);
        for place in 0..sites.places() {
            let table = place / sites.share();
            for frame in 0..x.frames() {
                let k = pattern(x, sites, place, frame)?;
                let bit = tables[table * words + k / 64] >> (k % 64) & 1;
                y.rows_mut::<u64>()?[place * stride + frame / 64] |= bit << (frame % 64);
            }
        }
        Ok(())
    }

    fn value_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_value_forward(x, sites, values, y)?;
        for place in 0..sites.places() {
            let table = place / sites.share();
            for frame in 0..x.frames() {
                let k = pattern(x, sites, place, frame)?;
                y.row_mut::<f32>(place)?[frame] = values[(table << sites.fan_in()) + k];
            }
        }
        Ok(())
    }

    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()> {
        check_sums(x, sites, dy, sums)?;
        let (entries, share) = (1 << sites.fan_in(), sites.share());
        for (table, sums) in sums.chunks_mut(entries).enumerate() {
            let mut total = vec![0f64; entries];
            for place in table * share..(table + 1) * share {
                for (frame, &dy) in dy.row::<f32>(place)?.iter().enumerate() {
                    total[pattern(x, sites, place, frame)?] += f64::from(dy);
                }
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
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_backward(x, sites, dy, slopes, dx)?;
        let (fan_in, frames) = (sites.fan_in(), x.frames());
        let entries = 1 << fan_in;
        // The constants have rows too, which nobody reads.
        let mut total: Vec<f64> = vec![0.0; sites.all_sources() * frames];
        for place in 0..sites.places() {
            let table = place / sites.share();
            for (frame, &dy) in dy.row::<f32>(place)?.iter().enumerate() {
                let k = pattern(x, sites, place, frame)?;
                let at = table * entries + k;
                let e = f64::from(slopes.scale[at]) * f64::from(dy) + f64::from(slopes.offset[at]);
                for (i, &source) in sites.node(place).iter().enumerate() {
                    let slope = slopes.slopes[(table * fan_in + i) * entries + k];
                    total[source as usize * frames + frame] += f64::from(slope) * e;
                }
            }
        }
        for (source, total) in total.chunks(frames).enumerate().take(sites.sources()) {
            for (dx, total) in dx.row_mut::<f32>(source)?.iter_mut().zip(total) {
                *dx = (f64::from(*dx) + total) as f32;
            }
        }
        Ok(())
    }
}
