//! Batch normalisation.

use lutweave_kernels::NORM;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::norm::{
    GroupMap, GroupNorm, NormKernels, check_backward, check_groups, check_keep, check_normalise,
    check_scale,
};
use crate::{Result, Running};

/// Threads of a block that adds up a group.
const THREADS: u32 = 256;

impl NormKernels for Cuda {
    fn moments(
        &self,
        x: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_groups("moments", x, share, &[("mean", mean), ("variance", variance)])?;
        let there = self.input(x)?;
        let (means, variances) = (self.output(&*mean)?, self.output(&*variance)?);
        self.launch(
            &NORM,
            "moments",
            Shape::blocks([mean.len(), 1, 1], THREADS)?,
            arguments![&there, stride(x)?, count(share)?, count(x.frames())?, &means, &variances,],
        )?;
        give(mean, means);
        give(variance, variances);
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
        let (variances, gammas) = (self.input(variance)?, self.input(gamma)?);
        let (rstds, scales) = (self.output(&*rstd)?, self.output(&*scale)?);
        let groups = count(variance.len())?;
        self.launch(
            &NORM,
            "norm_scale",
            Shape::blocks([variance.len().div_ceil(THREADS as usize), 1, 1], THREADS)?,
            arguments![&variances, epsilon, &gammas, groups, &rstds, &scales],
        )?;
        give(rstd, rstds);
        give(scale, scales);
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
        let (means, variances) = (self.input(mean)?, self.input(variance)?);
        let Running { mean: running_mean, variance: running_variance, keep } = running;
        let old = (self.input(&*running_mean)?, self.input(&*running_variance)?);
        let next = (self.output(&*running_mean)?, self.output(&*running_variance)?);
        let known = u32::from(factor.is_some());
        self.launch(
            &NORM,
            "keep_statistics",
            Shape::blocks([mean.len().div_ceil(THREADS as usize), 1, 1], THREADS)?,
            arguments![
                &means,
                &variances,
                count(mean.len())?,
                known,
                factor.unwrap_or(1.0),
                keep,
                &old.0,
                &old.1,
                &next.0,
                &next.1,
            ],
        )?;
        give(running_mean, next.0);
        give(running_variance, next.1);
        Ok(())
    }

    fn normalise(&self, x: &FrameBuffer, map: GroupMap<'_>, y: &mut FrameBuffer) -> Result<()> {
        check_normalise(x, map, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let (centre, scale) = (self.input(map.centre)?, self.input(map.scale)?);
        let shift = self.input(map.shift)?;
        self.launch(
            &NORM,
            "normalise",
            Shape::rows(y.nodes(), y.stride())?,
            arguments![
                &there,
                count(map.share)?,
                &centre,
                &scale,
                &shift,
                count(y.nodes())?,
                count(y.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
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
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let (mean, rstd) = (self.input(norm.mean)?, self.input(norm.rstd)?);
        let (gammas, betas) = (self.changed(&*dgamma)?, self.changed(&*dbeta)?);
        let means = self.memory.allocate(2 * norm.mean.bytes())?;
        self.launch(
            &NORM,
            "norm_sums",
            Shape::blocks([norm.mean.len(), 1, 1], THREADS)?,
            arguments![
                &x_there,
                &dy_there,
                stride(x)?,
                count(norm.share)?,
                count(x.frames())?,
                &mean,
                &rstd,
                &gammas,
                &betas,
                &means,
            ],
        )?;
        if let Some(dx) = dx {
            let (gamma, out) = (self.input(norm.gamma)?, self.output(dx)?);
            self.launch(
                &NORM,
                "norm_backward",
                Shape::rows(dx.nodes(), dx.stride())?,
                arguments![
                    &x_there,
                    &dy_there,
                    count(norm.share)?,
                    &mean,
                    &rstd,
                    &gamma,
                    &means,
                    count(dx.nodes())?,
                    count(dx.frames())?,
                    &out,
                    stride(dx)?,
                ],
            )?;
            give(dx, out);
        }
        give(dgamma, gammas);
        give(dbeta, betas);
        Ok(())
    }
}
