//! Batch normalisation.

use lutweave_kernels::NORM;
use lutweave_tensor::FrameBuffer;

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::norm::{
    GroupMap, GroupNorm, NormKernels, check_backward, check_groups, check_normalise,
};

/// Threads of a block that adds up a group.
const THREADS: u32 = 256;

impl NormKernels for Cuda {
    fn moments(
        &self,
        x: &FrameBuffer,
        share: usize,
        mean: &mut [f32],
        variance: &mut [f32],
    ) -> Result<()> {
        check_groups("moments", x, share, &[("mean", mean), ("variance", variance)])?;
        let there = self.input(x)?;
        let (means, variances) = (
            self.memory.allocate(size_of_val(mean))?,
            self.memory.allocate(size_of_val(variance))?,
        );
        self.launch(
            &NORM,
            "moments",
            Shape::blocks([mean.len(), 1, 1], THREADS)?,
            arguments![&there, stride(x)?, count(share)?, count(x.frames())?, &means, &variances,],
        )?;
        means.read_to(mean)?;
        variances.read_to(variance)
    }

    fn normalise(&self, x: &FrameBuffer, map: GroupMap<'_>, y: &mut FrameBuffer) -> Result<()> {
        check_normalise(x, map, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let (centre, scale) = (self.memory.send(map.centre)?, self.memory.send(map.scale)?);
        let shift = self.memory.send(map.shift)?;
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
        dgamma: &mut [f32],
        dbeta: &mut [f32],
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_backward(x, dy, norm, (dgamma, dbeta), dx.as_deref())?;
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let (mean, rstd) = (self.memory.send(norm.mean)?, self.memory.send(norm.rstd)?);
        let (gammas, betas) = (self.memory.send(dgamma)?, self.memory.send(dbeta)?);
        let means = self.memory.allocate(2 * size_of_val(norm.mean))?;
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
            let (gamma, out) = (self.memory.send(norm.gamma)?, self.output(dx)?);
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
        gammas.read_to(dgamma)?;
        betas.read_to(dbeta)
    }
}
