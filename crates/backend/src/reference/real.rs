//! Look-up tables on real inputs, one frame at a time.

use lutweave_tensor::{Array, FrameBuffer};

use super::{Reference, multilinear, multilinear_gradient};
use crate::real::{RealKernels, check_real, check_real_backward};
use crate::{RealTables, Result, RowGradient, Sites};

/// The clamped inputs at one place in one frame.
fn inputs(x: &FrameBuffer, sites: Sites<'_>, place: usize, frame: usize) -> Result<Vec<f64>> {
    let mut values = Vec::with_capacity(sites.fan_in());
    for &source in sites.node(place) {
        values.push(match (source as usize).checked_sub(x.nodes()) {
            None => f64::from(x.row::<f32>(source as usize)?[frame]).clamp(0.0, 1.0),
            Some(constant) => constant as f64,
        });
    }
    Ok(values)
}

fn table(tables: &[f32], node: usize, fan_in: usize) -> Vec<f64> {
    tables[node << fan_in..(node + 1) << fan_in].iter().map(|&w| f64::from(w)).collect()
}

impl RealKernels for Reference {
    fn real_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_real("real forward", x, sites, tables, y)?;
        let tables = tables.entries(self)?;
        for place in 0..sites.places() {
            let table = table(&tables, place / sites.share(), sites.fan_in());
            for frame in 0..x.frames() {
                let value = multilinear(&table, &inputs(x, sites, place, frame)?);
                y.row_mut::<f32>(place)?[frame] = value as f32;
            }
        }
        Ok(())
    }

    fn real_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        gradient: RowGradient<'_>,
        dtables: &mut Array,
        mut dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_real_backward(x, sites, tables, &gradient, dtables, dx.as_deref())?;
        let tables = tables.entries(self)?;
        let dy = &*gradient.of_values(self)?;
        let (fan_in, frames) = (sites.fan_in(), x.frames());
        let mut total = vec![0f64; sites.all_sources() * frames]; // those of constants unread
        for place in 0..sites.places() {
            let node = place / sites.share();
            let table = table(&tables, node, fan_in);
            let mut own = vec![0f64; table.len()];
            for frame in 0..frames {
                let g = f64::from(dy.row::<f32>(place)?[frame]);
                let (dw, slopes) = multilinear_gradient(&table, &inputs(x, sites, place, frame)?);
                for (own, dw) in own.iter_mut().zip(dw) {
                    *own += g * dw;
                }
                for (&source, slope) in sites.node(place).iter().zip(slopes) {
                    total[source as usize * frames + frame] += g * slope;
                }
            }
            for (dtable, own) in dtables[node << fan_in..].iter_mut().zip(own) {
                *dtable = (f64::from(*dtable) + own) as f32;
            }
        }
        let Some(dx) = dx.as_mut() else { return Ok(()) };
        for (source, total) in total.chunks(frames).enumerate().take(sites.sources()) {
            for (dx, total) in dx.row_mut::<f32>(source)?.iter_mut().zip(total) {
                *dx = (f64::from(*dx) + total) as f32;
            }
        }
        Ok(())
    }
}
