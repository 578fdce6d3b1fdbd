//! Batch norm of LUT nodes, on rows.

use lutweave_kernels::ROW_NORM;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::row_norm::{
    RowNorm, RowNormKernels, check_row_backward, check_row_norm, check_row_output,
};

/// Threads of a block that adds up a node.
const THREADS: u32 = 256;
/// No pointer.
const NONE: u64 = 0;

impl RowNormKernels for Cuda {
    fn row_moments(
        &self,
        u: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<bool> {
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
        Ok(true)
    }

    fn row_output(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_row_output(u, norm, y)?;
        let (there, out) = (self.input(u)?, self.output(y)?);
        let statistics = match norm {
            Some(norm) => Some((self.input(norm.mean)?, self.input(norm.variance)?)),
            None => None,
        };
        let pointers: [Argument; 2] = match &statistics {
            Some((mean, variance)) => [mean.into(), variance.into()],
            None => [NONE.into(), NONE.into()],
        };
        let (share, gamma, beta) =
            norm.map_or((1, 1.0, 0.0), |norm| (norm.share, norm.gamma, norm.beta));
        let mut all = arguments![&there, stride(u)?, count(share)?].to_vec();
        all.extend(pointers);
        let (nodes, frames) = (count(u.nodes())?, count(u.frames())?);
        all.extend(arguments![gamma, beta, nodes, frames, &out, stride(y)?]);
        let (kernel, columns) = if y.dtype() == DType::Bit {
            ("node_bits", stride(y)? as usize * 32)
        } else {
            ("node_reals", y.stride())
        };
        self.launch(&ROW_NORM, kernel, Shape::rows(u.nodes(), columns)?, &all)?;
        give(y, out);
        Ok(true)
    }

    fn row_backward(
        &self,
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &FrameBuffer,
        du: &mut FrameBuffer,
    ) -> Result<bool> {
        check_row_backward(u, norm, dy, du)?;
        let RowNorm { share, mean, variance, gamma, beta, constant } = norm;
        let (there, dy_there, out) = (self.input(u)?, self.input(dy)?, self.output(du)?);
        let (means, variances) = (self.input(mean)?, self.input(variance)?);
        // Two numbers of f64 a node.
        let slopes = self.memory.allocate(2 * size_of::<f64>() * mean.len())?;
        let (nodes, frames) = (count(u.nodes())?, count(u.frames())?);
        let statistics =
            arguments![&there, stride(u)?, count(share)?, &means, &variances, gamma, beta];
        if !constant {
            let mut all = statistics.to_vec();
            all.extend(arguments![&dy_there, frames, &slopes]);
            let shape = Shape::blocks([mean.len(), 1, 1], THREADS)?;
            self.launch(&ROW_NORM, "row_slopes", shape, &all)?;
        }
        let mut all = statistics.to_vec();
        all.extend(arguments![&dy_there, u32::from(constant), &slopes, nodes, frames, &out]);
        self.launch(&ROW_NORM, "row_backward", Shape::rows(u.nodes(), u.stride())?, &all)?;
        give(du, out);
        Ok(true)
    }
}
