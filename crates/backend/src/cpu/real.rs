//! Look-up tables on real inputs: a tree of linear interpolations, sixteen frames at a time, and
//! the same tree backwards. Costs about `2^n` multiply-adds a frame forward and four times that
//! backward; arithmetic is the bound.

use lutweave_lut::Wiring;
use lutweave_tensor::FrameBuffer;
use rayon::prelude::*;

use super::{Cpu, Kernel};
use crate::Result;
use crate::real::{RealKernels, check_real, check_real_gradients, frame_blocks};

/// Frames in one step of the loops: a register of AVX-512.
const LANES: usize = 16;
/// Frames of one unit of backward work. Table gradients are summed by block, then in block order:
/// part of the numeric contract.
const BLOCK: usize = 512;
/// Most inner nodes of the tree of interpolations, and its leaves.
const TREE: usize = 256;

type Lanes = [f32; LANES];

/// The rows of one node's inputs.
struct Rows<'a> {
    all: &'a [f32],
    stride: usize,
    sources: &'a [u32],
}

impl Rows<'_> {
    /// Sixteen frames of input `i`, clamped to `[0, 1]`; past the row's end, zeros.
    #[inline(always)]
    fn lanes(&self, i: usize, frame: usize) -> Lanes {
        let row = &self.all[self.sources[i] as usize * self.stride..][..self.stride];
        let mut lanes = [0f32; LANES];
        lanes.copy_from_slice(&row[frame..frame + LANES]);
        lanes.map(|value| value.clamp(0.0, 1.0))
    }
}

/// Forward: `y` is a padded row; its padding becomes zero again in the caller.
struct Forward<'a> {
    rows: Rows<'a>,
    table: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (step, y) in self.y.chunks_exact_mut(LANES).enumerate() {
            let mut level = [[0f32; LANES]; TREE];
            for (level, &w) in level.iter_mut().zip(self.table) {
                *level = [w; LANES];
            }
            let mut length = self.table.len();
            for i in 0..self.rows.sources.len() {
                let x = self.rows.lanes(i, step * LANES);
                length /= 2;
                for k in 0..length {
                    let (low, high) = (level[2 * k], level[2 * k + 1]);
                    for lane in 0..LANES {
                        level[k][lane] = low[lane] + x[lane] * (high[lane] - low[lane]);
                    }
                }
            }
            y.copy_from_slice(&level[0]);
        }
    }
}

/// Backward over one block of frames.
struct Backward<'a, 'b> {
    rows: Rows<'a>,
    table: &'a [f32],
    first: usize,
    dy: &'a [f32],
    dtable: &'a mut [f32],
    /// The block's part of every source row.
    dx: Option<&'a mut [&'b mut [f32]]>,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::large_stack_arrays)] // 32 KiB: the tree of one node, no allocation a call
    fn run(mut self) {
        let (fan_in, entries) = (self.rows.sources.len(), self.table.len());
        let mut total = [[0f32; LANES]; TREE];
        for (step, dy) in self.dy.chunks(LANES).enumerate() {
            // Level i of the tree holds entries >> i values, after those of the levels before it.
            let mut tree = [[0f32; LANES]; 2 * TREE];
            for (leaf, &w) in tree.iter_mut().zip(self.table) {
                *leaf = [w; LANES];
            }
            let mut x = [[0f32; LANES]; 8];
            let mut start = 0;
            for (i, x) in x.iter_mut().enumerate().take(fan_in) {
                *x = self.rows.lanes(i, self.first + step * LANES);
                let length = entries >> i;
                for k in 0..length / 2 {
                    let (low, high) = (tree[start + 2 * k], tree[start + 2 * k + 1]);
                    for lane in 0..LANES {
                        tree[start + length + k][lane] =
                            low[lane] + x[lane] * (high[lane] - low[lane]);
                    }
                }
                start += length;
            }
            // The gradient of the values, from the root back to the leaves.
            let mut gradient = [[0f32; LANES]; TREE];
            gradient[0][..dy.len()].copy_from_slice(dy);
            for i in (0..fan_in).rev() {
                let length = entries >> i;
                start -= length;
                let mut slope = [0f32; LANES];
                for k in (0..length / 2).rev() {
                    let g = gradient[k];
                    let (low, high) = (tree[start + 2 * k], tree[start + 2 * k + 1]);
                    for lane in 0..LANES {
                        slope[lane] += g[lane] * (high[lane] - low[lane]);
                        let upper = g[lane] * x[i][lane];
                        gradient[2 * k][lane] = g[lane] - upper;
                        gradient[2 * k + 1][lane] = upper;
                    }
                }
                if let Some(rows) = self.dx.as_deref_mut() {
                    let dx = &mut rows[self.rows.sources[i] as usize][step * LANES..][..dy.len()];
                    for (dx, slope) in dx.iter_mut().zip(slope) {
                        *dx += slope;
                    }
                }
            }
            for (total, gradient) in total.iter_mut().zip(&gradient).take(entries) {
                for (total, gradient) in total.iter_mut().zip(gradient) {
                    *total += gradient;
                }
            }
        }
        for (dtable, total) in self.dtable.iter_mut().zip(&total) {
            *dtable = total.iter().sum();
        }
    }
}

impl RealKernels for Cpu {
    fn real_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        tables: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_real("real forward", x, wiring, tables, y)?;
        let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
        let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(stride);
        y_rows.zip(tables.par_chunks(1 << wiring.fan_in())).enumerate().for_each(
            |(node, (y, table))| {
                let rows = Rows { all: rows, stride, sources: wiring.node(node) };
                self.isa().run(Forward { rows, table, y: &mut *y });
                y[frames..].fill(0.0);
            },
        );
        Ok(())
    }

    fn real_backward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        tables: &[f32],
        dy: &FrameBuffer,
        dtables: &mut [f32],
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        let op = "real backward";
        check_real(op, x, wiring, tables, dy)?;
        check_real_gradients(op, x, wiring, dtables, dx.as_deref())?;
        let (rows, stride, entries) = (x.rows::<f32>()?, x.stride(), 1usize << wiring.fan_in());
        let dy_rows = dy.rows::<f32>()?;
        let count = x.frames().div_ceil(BLOCK);
        let mut blocks: Vec<Option<Vec<&mut [f32]>>> = match dx {
            Some(dx) => frame_blocks(dx, BLOCK)?.into_iter().map(Some).collect(),
            None => (0..count).map(|_| None).collect(),
        };
        let parts = blocks.par_iter_mut().enumerate().map(|(block, parts)| {
            let first = block * BLOCK;
            let length = BLOCK.min(x.frames() - first);
            let mut sums = vec![0f32; dtables.len()];
            for (node, (dtable, table)) in
                sums.chunks_mut(entries).zip(tables.chunks(entries)).enumerate()
            {
                let rows = Rows { all: rows, stride, sources: wiring.node(node) };
                let dy = &dy_rows[node * stride + first..][..length];
                let dx = parts.as_deref_mut();
                self.isa().run(Backward { rows, table, first, dy, dtable, dx });
            }
            sums
        });
        for part in parts.collect::<Vec<_>>() {
            for (dtable, part) in dtables.iter_mut().zip(part) {
                *dtable += part;
            }
        }
        Ok(())
    }
}
