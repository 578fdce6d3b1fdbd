//! Batch normalisation, one value at a time.

use std::ops::Range;

use lutweave_tensor::{Array, FrameBuffer};

use super::Reference;
use crate::norm::{
    GroupMap, GroupNorm, NormKernels, check_backward, check_groups, check_keep, check_normalise,
    check_scale,
};
use crate::{Result, Running};

/// The nodes of a group.
fn nodes(group: usize, share: usize) -> Range<usize> {
    group * share..(group + 1) * share
}

impl NormKernels for Reference {
    fn moments(
        &self,
        x: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_groups("moments", x, share, &[("mean", mean), ("variance", variance)])?;
        let count = (share * x.frames()) as f64;
        for (group, (mean, variance)) in mean.iter_mut().zip(variance).enumerate() {
            let sum = |f: &dyn Fn(f64) -> f64| -> Result<f64> {
                let mut sum = 0f64;
                for node in nodes(group, share) {
                    sum += x.row::<f32>(node)?.iter().map(|&x| f(f64::from(x))).sum::<f64>();
                }
                Ok(sum)
            };
            let centre = sum(&|x| x)? / count;
            *mean = centre as f32;
            *variance = (sum(&|x| (x - centre) * (x - centre))? / count) as f32;
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
        for group in 0..variance.len() {
            let deviation = (f64::from(variance[group]) + epsilon).sqrt();
            rstd[group] = deviation.recip() as f32;
            scale[group] = (f64::from(gamma[group]) / deviation) as f32;
        }
        Ok(())
    }

    /// A running average goes the part `1 − keep` of the way from where it is to the batch.
    fn keep_statistics(
        &self,
        mean: &Array,
        variance: &Array,
        factor: Option<f32>,
        running: Running<'_>,
    ) -> Result<()> {
        check_keep(mean, variance, &running)?;
        let part = 1.0 - f64::from(running.keep);
        let moved =
            |from: f32, batch: f64| (f64::from(from) + part * (batch - f64::from(from))) as f32;
        for group in 0..mean.len() {
            running.mean[group] = moved(running.mean[group], f64::from(mean[group]));
            let Some(factor) = factor else { continue };
            let batch = f64::from(factor) * f64::from(variance[group]);
            running.variance[group] = moved(running.variance[group], batch);
        }
        Ok(())
    }

    fn normalise(&self, x: &FrameBuffer, map: GroupMap<'_>, y: &mut FrameBuffer) -> Result<()> {
        check_normalise(x, map, y)?;
        for node in 0..x.nodes() {
            let group = node / map.share;
            let [centre, scale, shift] =
                [map.centre, map.scale, map.shift].map(|values| f64::from(values[group]));
            for (y, &x) in y.row_mut::<f32>(node)?.iter_mut().zip(x.row::<f32>(node)?) {
                *y = ((f64::from(x) - centre) * scale + shift) as f32;
            }
        }
        Ok(())
    }

    fn normalise_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        norm: GroupNorm<'_>,
        dgamma: &mut Array,
        dbeta: &mut Array,
        mut dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_backward(x, dy, norm, (dgamma, dbeta), dx.as_deref())?;
        let count = (norm.share * x.frames()) as f64;
        for group in 0..norm.mean.len() {
            let [mean, rstd, gamma] =
                [norm.mean, norm.rstd, norm.gamma].map(|values| f64::from(values[group]));
            let (mut total, mut product) = (0f64, 0f64);
            for node in nodes(group, norm.share) {
                for (&x, &dy) in x.row::<f32>(node)?.iter().zip(dy.row::<f32>(node)?) {
                    total += f64::from(dy);
                    product += f64::from(dy) * (f64::from(x) - mean) * rstd;
                }
            }
            dgamma[group] = (f64::from(dgamma[group]) + product) as f32;
            dbeta[group] = (f64::from(dbeta[group]) + total) as f32;
            let Some(dx) = dx.as_deref_mut() else { continue };
            for node in nodes(group, norm.share) {
                let pairs = x.row::<f32>(node)?.iter().zip(dy.row::<f32>(node)?);
                for (dx, (&x, &dy)) in dx.row_mut::<f32>(node)?.iter_mut().zip(pairs) {
                    let unit = (f64::from(x) - mean) * rstd;
                    let centred = f64::from(dy) - total / count - unit * product / count;
                    *dx = (gamma * rstd * centred) as f32;
                }
            }
        }
        Ok(())
    }
}
