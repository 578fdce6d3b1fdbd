//! Batch normalisation: sums in f64 row by row, then one pass over the rows. Memory is the bound.

use lutweave_tensor::{Array, FrameBuffer};
use rayon::prelude::*;

use super::{Cpu, Dispatch, Isa, Kernel};
use crate::norm::{
    GroupMap, GroupNorm, NormKernels, check_backward, check_groups, check_keep, check_normalise,
    check_scale,
};
use crate::{Result, Running};

/// Partial sums of a row; part of the numeric contract.
const LANES: usize = 16;

/// The sum of a row.
pub(super) fn total(isa: Isa, row: &[f32]) -> f64 {
    isa.run(Sums { a: row, b: row, origin: 0.0 })[0]
}

/// `Σ a` and `Σ a · (b − origin)` over a row.
struct Sums<'a> {
    a: &'a [f32],
    b: &'a [f32],
    origin: f64,
}

impl Kernel for Sums<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run(self) -> [f64; 2] {
        let mut sums = [0f64; LANES];
        let mut products = [0f64; LANES];
        let (a, b) = (self.a.chunks(LANES), self.b.chunks(LANES));
        for (a, b) in a.zip(b) {
            let lanes = sums.iter_mut().zip(&mut products).zip(a.iter().zip(b));
            for ((sum, product), (&a, &b)) in lanes {
                let a = f64::from(a);
                *sum += a;
                *product += a * (f64::from(b) - self.origin);
            }
        }
        [sums.iter().sum(), products.iter().sum()]
    }
}

/// `Σ (x − origin)` and `Σ (x − origin)²` over a row.
struct Powers<'a> {
    x: &'a [f32],
    origin: f64,
}

impl Kernel for Powers<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run(self) -> [f64; 2] {
        let mut sums = [0f64; LANES];
        let mut squares = [0f64; LANES];
        for x in self.x.chunks(LANES) {
            for ((sum, square), &x) in sums.iter_mut().zip(&mut squares).zip(x) {
                let x = f64::from(x) - self.origin;
                *sum += x;
                *square += x * x;
            }
        }
        [sums.iter().sum(), squares.iter().sum()]
    }
}

/// `y = (x − centre) · scale + shift`.
struct Apply<'a> {
    x: &'a [f32],
    centre: f32,
    scale: f32,
    shift: f32,
    y: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = (x - self.centre) * self.scale + self.shift;
        }
    }
}

/// `dx = scale · (dy − mean of dy − (x − centre) · slope)`.
struct Backward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    centre: f32,
    scale: f32,
    mean: f32,
    slope: f32,
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (dx, (x, dy)) in self.dx.iter_mut().zip(self.x.iter().zip(self.dy)) {
            *dx = self.scale * (dy - self.mean - (x - self.centre) * self.slope);
        }
    }
}

/// The sums of the rows of each group, added up in order.
fn by_group(rows: &[[f64; 2]], share: usize) -> Vec<[f64; 2]> {
    let add = |[a, b]: [f64; 2], row: &[f64; 2]| [a + row[0], b + row[1]];
    rows.chunks(share).map(|rows| rows.iter().fold([0.0; 2], add)).collect()
}

impl NormKernels for Cpu {
    fn moments(
        &self,
        x: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_groups("moments", x, share, &[("mean", mean), ("variance", variance)])?;
        let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
        // Near the mean, the sum of squares loses nothing when the square of the mean is taken off.
        let origin = |group: usize| f64::from(rows[group * share * stride]);
        let sums = rows.par_chunks(stride).enumerate();
        let sums = sums.map(|(node, row)| {
            self.isa().run(Powers { x: &row[..frames], origin: origin(node / share) })
        });
        let sums = by_group(&sums.collect::<Vec<_>>(), share);
        let count = (share * frames) as f64;
        let arrays = mean.iter_mut().zip(variance);
        for (group, ([sum, squares], (mean, variance))) in sums.into_iter().zip(arrays).enumerate()
        {
            let centred = sum / count;
            *mean = (origin(group) + centred) as f32;
            // Rounding may take it below zero; NaN stays.
            let value = squares / count - centred * centred;
            *variance = if value < 0.0 { 0.0 } else { value as f32 };
        }
        Ok(())
    }

    fn norm_scale(
        &self,
        variance: &Array,
        epsilon: f64,
        gamma: &Array,
        rstd: &mut Array,
        scale: &mut Array,
    ) -> Result<()> {
        check_scale(variance, gamma, rstd, scale)?;
        let from = variance.iter().zip(gamma);
        for ((&variance, &gamma), (rstd, scale)) in from.zip(rstd.iter_mut().zip(scale)) {
            *rstd = (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32;
            *scale = *rstd * gamma;
        }
        Ok(())
    }

    fn keep_statistics(
        &self,
        mean: &Array,
        variance: &Array,
        factor: Option<f32>,
        running: Running<'_>,
    ) -> Result<()> {
        check_keep(mean, variance, &running)?;
        let keep = running.keep;
        for (running, mean) in running.mean.iter_mut().zip(mean) {
            *running = *running * keep + mean * (1.0 - keep);
        }
        let Some(factor) = factor else { return Ok(()) };
        for (running, variance) in running.variance.iter_mut().zip(variance) {
            *running = *running * keep + variance * factor * (1.0 - keep);
        }
        Ok(())
    }

    fn normalise(&self, x: &FrameBuffer, map: GroupMap<'_>, y: &mut FrameBuffer) -> Result<()> {
        check_normalise(x, map, y)?;
        let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
        let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(stride);
        y_rows.zip(rows.par_chunks(stride)).enumerate().for_each(|(node, (y, x))| {
            let group = node / map.share;
            let [centre, scale, shift] = [map.centre, map.scale, map.shift].map(|v| v[group]);
            let (x, y) = (&x[..frames], &mut y[..frames]);
            self.isa().run(Apply { x, centre, scale, shift, y });
        });
        Ok(())
    }

    fn normalise_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        norm: GroupNorm<'_>,
        dgamma: &mut Array,
        dbeta: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_backward(x, dy, norm, (dgamma, dbeta), dx.as_deref())?;
        let GroupNorm { share, mean, rstd, gamma } = norm;
        let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
        let dy_rows = dy.rows::<f32>()?;
        let sums = rows.par_chunks(stride).zip(dy_rows.par_chunks(stride)).enumerate();
        let sums = sums.map(|(node, (x, dy))| {
            let origin = f64::from(mean[node / share]);
            self.isa().run(Sums { a: &dy[..frames], b: &x[..frames], origin })
        });
        let sums = by_group(&sums.collect::<Vec<_>>(), share);
        let parameters = dgamma.iter_mut().zip(dbeta).zip(rstd);
        for (&[sum, product], ((dgamma, dbeta), &rstd)) in sums.iter().zip(parameters) {
            *dgamma = (f64::from(*dgamma) + product * f64::from(rstd)) as f32;
            *dbeta = (f64::from(*dbeta) + sum) as f32;
        }
        let Some(dx) = dx else { return Ok(()) };
        let count = (share * frames) as f64;
        let from = rows.par_chunks(stride).zip(dy_rows.par_chunks(stride));
        let dx_rows = dx.rows_mut::<f32>()?.par_chunks_mut(stride);
        dx_rows.zip(from).enumerate().for_each(|(node, (dx, (x, dy)))| {
            let group = node / share;
            let [sum, product] = sums[group];
            let square = f64::from(rstd[group]) * f64::from(rstd[group]);
            self.isa().run(Backward {
                x: &x[..frames],
                dy: &dy[..frames],
                centre: mean[group],
                scale: gamma[group] * rstd[group],
                mean: (sum / count) as f32,
                slope: (square * product / count) as f32,
                dx: &mut dx[..frames],
            });
        });
        Ok(())
    }
}
