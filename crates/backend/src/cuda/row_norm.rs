//! Batch norm of LUT nodes, on rows.

use std::sync::Arc;

use lutweave_kernels::ROW_NORM;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments, joined};
use super::memory::Buffer;
use super::operands::{count, give, stride};
use crate::row_norm::{
    RowNorm, RowNormKernels, check_row_backward, check_row_norm, check_row_output,
};
use crate::{Result, Running};

/// Threads of a block that adds up a node.
const THREADS: u32 = 256;
/// No pointer.
const NONE: u64 = 0;

/// A norm on the device, as kernels take it.
pub(super) struct Norm {
    pub(super) arguments: [Argument; 6],
    /// What the arguments point to.
    kept: Vec<Arc<Buffer>>,
}

impl Norm {
    /// No norm, of no values.
    pub(super) fn none() -> Self {
        Self { arguments: *arguments![NONE, NONE, NONE, 1.0f32, 0.0f32, NONE], kept: Vec::new() }
    }

    /// The same with what goes through the statistics of each node.
    fn with_slopes(mut self, slopes: Buffer) -> Self {
        self.arguments[5] = (&slopes).into();
        self.kept.push(Arc::new(slopes));
        self
    }
}

impl Cuda {
    /// The norm of values, without what goes through the statistics.
    fn norm(&self, u: &FrameBuffer, norm: Option<RowNorm<'_>>) -> Result<Norm> {
        let values = self.input(u)?;
        let Some(RowNorm { mean, variance, gamma, beta, .. }) = norm else {
            let mut none = Norm::none();
            none.arguments[0] = (&values).into();
            none.kept.push(values);
            return Ok(none);
        };
        let (mean, variance) = (self.input(mean)?, self.input(variance)?);
        let arguments = *arguments![&values, &mean, &variance, gamma, beta, NONE];
        Ok(Norm { arguments, kept: vec![values, mean, variance] })
    }

    /// The norm that a gradient goes back through, with sums over the frames unless statistics are constant;
    /// running averages take these over on the way.
    pub(super) fn norm_back(
        &self,
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &Buffer,
        running: Option<Running<'_>>,
    ) -> Result<Norm> {
        let there = self.norm(u, Some(norm))?;
        if norm.constant {
            return Ok(there);
        }
        let slopes = self.memory.allocate(2 * norm.mean.bytes())?;
        // The old ones stay as they are, for whoever undoes the step.
        let averages = match &running {
            Some(Running { mean, variance, .. }) => Some((
                [self.input(&**mean)?, self.input(&**variance)?],
                [self.output(&**mean)?, self.output(&**variance)?],
            )),
            None => None,
        };
        let four: [Argument; 4] = match &averages {
            Some(([mean, variance], [next_mean, next_variance])) => {
                *arguments![mean, variance, next_mean, next_variance]
            }
            None => [NONE.into(); 4],
        };
        let keep = running.as_ref().map_or(0.0, |own| own.keep);
        let all = joined(&[
            &there.arguments,
            arguments![stride(u)?, count(norm.share)?, dy, count(u.frames())?, &slopes, keep],
            &four,
        ]);
        let shape = Shape::blocks([norm.mean.len(), 1, 1], THREADS)?;
        self.launch(&ROW_NORM, "row_slopes", shape, &all)?;
        if let (Some(running), Some((_, [mean, variance]))) = (running, averages) {
            give(running.mean, mean);
            give(running.variance, variance);
        }
        Ok(there.with_slopes(slopes))
    }
}

impl RowNormKernels for Cuda {
    fn row_moments(
        &self,
        u: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_row_norm("row moments", u, share, (mean, variance))?;
        let (there, means, variances) =
            (self.input(u)?, self.output(&*mean)?, self.output(&*variance)?);
        self.launch(
            &ROW_NORM,
            "row_moments",
            Shape::blocks([mean.len(), 1, 1], THREADS)?,
            arguments![&there, stride(u)?, count(share)?, count(u.frames())?, &means, &variances],
        )?;
        give(mean, means);
        give(variance, variances);
        Ok(())
    }

    fn row_output(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_output(u, norm, y)?;
        let (there, out) = (self.norm(u, norm)?, self.output(y)?);
        let share = count(norm.map_or(1, |norm| norm.share))?;
        let (nodes, frames) = (count(u.nodes())?, count(u.frames())?);
        let rest = arguments![stride(u)?, share, nodes, frames, &out, stride(y)?];
        let (kernel, columns) = match y.dtype() {
            DType::Bit => ("node_bits", stride(y)? as usize * 32),
            _ => ("node_reals", y.stride()),
        };
        let all = joined(&[&there.arguments, rest]);
        self.launch(&ROW_NORM, kernel, Shape::rows(u.nodes(), columns)?, &all)?;
        give(y, out);
        Ok(())
    }

    fn row_backward(
        &self,
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &FrameBuffer,
        du: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_backward(u, norm, dy, du)?;
        let (dy, out) = (self.input(dy)?, self.output(du)?);
        let there = self.norm_back(u, norm, &dy, None)?;
        let (share, nodes, frames) = (count(norm.share)?, count(u.nodes())?, count(u.frames())?);
        let rest = arguments![stride(u)?, share, &dy, nodes, frames, &out];
        let all = joined(&[&there.arguments, rest]);
        self.launch(&ROW_NORM, "row_backward", Shape::rows(u.nodes(), u.stride())?, &all)?;
        give(du, out);
        Ok(())
    }
}
