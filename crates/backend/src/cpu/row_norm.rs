//! Batch norm of LUT nodes on rows: sums in f64 row by row, nodes over threads. Memory is the bound.

use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use super::Cpu;
use crate::Result;
use crate::activation::ActivationKernels;
use crate::lanes::lane_sum;
use crate::row_norm::{
    RowNorm, RowNormKernels, check_row_backward, check_row_norm, check_row_output,
};

/// Smallest variance; part of the numeric contract.
const MIN_VARIANCE: f64 = 1e-5;

impl RowNormKernels for Cpu {
    fn row_moments(
        &self,
        u: &FrameBuffer,
        share: usize,
        mean: &mut Array,
        variance: &mut Array,
    ) -> Result<()> {
        check_row_norm("row moments", u, share, (mean, variance))?;
        let (stride, frames, count) = (u.stride(), u.frames(), (share * u.frames()) as f64);
        let nodes = u.rows::<f32>()?.par_chunks(stride * share);
        let moments = mean.par_iter_mut().zip(variance.par_iter_mut());
        moments.zip(nodes).for_each(|((mean, variance), rows)| {
            let rows = || rows.chunks_exact(stride);
            let total: f64 = rows().map(|row| lane_sum(frames, |f| f64::from(row[f]))).sum();
            let centre = total / count;
            let square = |value: f32| (f64::from(value) - centre) * (f64::from(value) - centre);
            let squares: f64 = rows().map(|row| lane_sum(frames, |f| square(row[f]))).sum();
            *mean = centre as f32;
            *variance = (squares / count).max(MIN_VARIANCE) as f32;
        });
        Ok(())
    }

    fn row_output(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_output(u, norm, y)?;
        let mut own = None;
        if let Some(norm) = norm {
            let (stride, frames) = (u.stride(), u.frames());
            let v = own.insert(FrameBuffer::zeros(DType::F32, u.shape(), frames)?);
            let rows = v.rows_mut::<f32>()?.par_chunks_mut(stride);
            rows.zip(u.rows::<f32>()?.par_chunks(stride)).enumerate().for_each(|(row, (v, u))| {
                let map = norm.node(row / norm.share);
                for (v, &u) in v[..frames].iter_mut().zip(u) {
                    *v = map.of(u);
                }
            });
        }
        let v = own.as_ref().unwrap_or(u);
        if y.dtype() == DType::Bit { self.binarize(v, 0.5, y) } else { self.clamp(v, 0.0, 1.0, y) }
    }

    fn row_backward(
        &self,
        u: &FrameBuffer,
        norm: RowNorm<'_>,
        dy: &FrameBuffer,
        du: &mut FrameBuffer,
    ) -> Result<()> {
        check_row_backward(u, norm, dy, du)?;
        let (stride, frames, all) = (u.stride(), u.frames(), u.stride() * norm.share);
        let nodes = du.rows_mut::<f32>()?.par_chunks_mut(all);
        let from = u.rows::<f32>()?.par_chunks(all).zip(dy.rows::<f32>()?.par_chunks(all));
        nodes.zip(from).enumerate().for_each(|(node, (du, (u, dy)))| {
            let rows = du.chunks_exact_mut(stride).map(|row| &mut row[..frames]);
            let from = u.chunks_exact(stride).zip(dy.chunks_exact(stride));
            let rows = rows.zip(from).map(|(du, (u, dy))| (du, &u[..frames], &dy[..frames]));
            backward_node(norm, node, rows.collect());
        });
        Ok(())
    }
}

/// The gradient of the values of one node: rows of it, of the values, and of the gradient that comes.
fn backward_node(norm: RowNorm<'_>, node: usize, mut rows: Vec<(&mut [f32], &[f32], &[f32])>) {
    let map = norm.node(node);
    if norm.constant {
        for (du, u, dy) in rows {
            for (du, (&u, &dy)) in du.iter_mut().zip(u.iter().zip(dy)) {
                let v = map.of(u);
                *du = dy * if v > 0.0 && v < 1.0 { map.gamma * map.rstd } else { 0.0 };
            }
        }
        return;
    }
    // First what passes the window.
    for (du, u, dy) in &mut rows {
        for (du, (&u, &dy)) in du.iter_mut().zip(u.iter().zip(*dy)) {
            let v = map.of(u);
            *du = if v <= 0.0 || v >= 1.0 { 0.0 } else { dy };
        }
    }
    let count = rows.iter().map(|(du, ..)| du.len()).sum::<usize>() as f64;
    let [mean, rstd, gamma] = [map.mean, map.rstd, map.gamma].map(f64::from);
    let total = |g: &[f32]| lane_sum(g.len(), |f| f64::from(g[f]));
    let product =
        |g: &[f32], u: &[f32]| lane_sum(g.len(), |f| f64::from(g[f]) * (f64::from(u[f]) - mean));
    let total = gamma * rows.iter().map(|(g, ..)| total(g)).sum::<f64>();
    let product = gamma * rows.iter().map(|(g, u, _)| product(g, u)).sum::<f64>();
    let dvar = -rstd * rstd * rstd * product;
    let dmean = (-rstd * total - mean * dvar) / count;
    for (du, u, _) in rows {
        for (du, &u) in du.iter_mut().zip(u) {
            *du = (gamma * rstd * f64::from(*du) + dmean + f64::from(u) * dvar / count) as f32;
        }
    }
}
