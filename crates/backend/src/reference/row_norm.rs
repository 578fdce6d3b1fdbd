//! Batch norm of LUT nodes on rows, one value at a time.

use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::row_norm::{
    RowNorm, RowNormKernels, check_row_backward, check_row_norm, check_row_output,
};

/// The rows of a node and their frames, one after the other.
fn values(share: usize, frames: usize, node: usize) -> impl Iterator<Item = (usize, usize)> {
    (node * share..(node + 1) * share).flat_map(move |row| (0..frames).map(move |f| (row, f)))
}

impl RowNormKernels for Reference {
    fn row_moments(
        &self,
        u: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_row_norm("row moments", u, share, (mean, variance))?;
        let count = (share * u.frames()) as f64;
        for node in 0..mean.len() {
            let (mut sum, mut squares) = (0f64, 0f64);
            for (row, frame) in values(share, u.frames(), node) {
                sum += f64::from(u.row::<f32>(row)?[frame]);
            }
            for (row, frame) in values(share, u.frames(), node) {
                squares += (f64::from(u.row::<f32>(row)?[frame]) - sum / count).powi(2);
            }
            mean[node] = (sum / count) as f32;
            variance[node] = (squares / count).max(1e-5) as f32;
        }
        Ok(())
    }

    fn row_output(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_output(u, norm, y)?;
        for row in 0..u.nodes() {
            for frame in 0..u.frames() {
                let value = u.row::<f32>(row)?[frame];
                let v = norm.map_or(value, |norm| norm.node(row / norm.share).of(value));
                if y.dtype() == DType::F32 {
                    y.row_mut::<f32>(row)?[frame] = v.clamp(0.0, 1.0);
                    continue;
                }
                let at = row * y.stride() + frame / 64;
                let word = &mut y.rows_mut::<u64>()?[at];
                *word = *word & !(1 << (frame % 64)) | u64::from(v > 0.5) << (frame % 64);
            }
        }
        Ok(())
    }

    /// `x̂ = (u − mean) · rstd` and `du = γ · rstd · (g − Σ g / n − x̂ · Σ g · x̂ / n)`, without the sums where
    /// statistics are constant.
    fn row_backward(
        &self,
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &FrameBuffer,
        du: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_backward(u, norm, dy, du)?;
        let (frames, share) = (u.frames(), norm.share);
        let gamma = f64::from(norm.gamma);
        for node in 0..norm.mean.len() {
            let (map, rstd) = (norm.node(node), f64::from(norm.variance[node]).sqrt().recip());
            // The number from mean zero and variance one, and the gradient that passes.
            let pair = |row: usize, frame: usize| -> Result<(f64, f64)> {
                let value = u.row::<f32>(row)?[frame];
                let (v, g) = (map.of(value), f64::from(dy.row::<f32>(row)?[frame]));
                let unit = (f64::from(value) - f64::from(norm.mean[node])) * rstd;
                Ok((unit, if v > 0.0 && v < 1.0 { g } else { 0.0 }))
            };
            let (mut total, mut product) = (0f64, 0f64);
            for (row, frame) in values(share, frames, node) {
                let (unit, g) = pair(row, frame)?;
                (total, product) = (total + g, product + g * unit);
            }
            let count = if norm.constant { f64::INFINITY } else { (share * frames) as f64 };
            for (row, frame) in values(share, frames, node) {
                let (unit, g) = pair(row, frame)?;
                let centred = g - total / count - unit * product / count;
                du.row_mut::<f32>(row)?[frame] = (gamma * rstd * centred) as f32;
            }
        }
        Ok(())
    }
}
