//! Look-up tables on real inputs: a tree of linear interpolations, sixteen frames at a time, and
//! the same tree backwards. Costs about `2^n` multiply-adds a frame forward and four times that
//! backward; arithmetic is the bound.

use lutweave_tensor::{Array, FrameBuffer};
use rayon::prelude::*;

use super::{Cpu, Dispatch, Isa, Kernel};
use crate::real::{RealKernels, check_real, check_real_backward, frame_blocks};
use crate::sites::{Rows, real_ones};
use crate::{RealTables, Result, RowGradient, Sites};

/// Frames in one step of the loops: a register of AVX-512.
const LANES: usize = 16;
/// Frames of one unit of backward work. Table gradients are summed by place and block, then in
/// order of blocks: part of the numeric contract.
const BLOCK: usize = 512;

type Lanes = [f32; LANES];

/// Sixteen frames of a row, clamped to `[0, 1]`.
#[inline(always)]
fn lanes(row: &[f32], frame: usize) -> Lanes {
    let mut lanes = [0f32; LANES];
    lanes.copy_from_slice(&row[frame..frame + LANES]);
    lanes.map(|value| value.clamp(0.0, 1.0))
}

/// The rows of `N` inputs at one place.
fn inputs<'a, const N: usize>(rows: &'a Rows<'_, f32>, sources: &[u32]) -> [&'a [f32]; N] {
    let mut inputs = [&[][..]; N];
    for (input, &source) in inputs.iter_mut().zip(sources) {
        *input = rows.row(source);
    }
    inputs
}

/// Runs the version of a kernel for fan-in `N`, with its `E` = 2^N entries and twice as many.
macro_rules! by_fan_in {
    ($fan_in:expr, $kernel:ident($($arg:expr),*)) => {
        match $fan_in {
            1 => $kernel::<1, 2, 4>($($arg),*),
            2 => $kernel::<2, 4, 8>($($arg),*),
            3 => $kernel::<3, 8, 16>($($arg),*),
            4 => $kernel::<4, 16, 32>($($arg),*),
            5 => $kernel::<5, 32, 64>($($arg),*),
            6 => $kernel::<6, 64, 128>($($arg),*),
            7 => $kernel::<7, 128, 256>($($arg),*),
            _ => $kernel::<8, 256, 512>($($arg),*),
        }
    };
}

/// Forward at one place: `y` is a padded row; its padding becomes zero again in the caller.
struct Forward<'a, const N: usize, const E: usize> {
    inputs: [&'a [f32]; N],
    table: &'a [f32],
    y: &'a mut [f32],
}

impl<const N: usize, const E: usize> Kernel for Forward<'_, N, E> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut level = [[0f32; LANES]; E];
        for (step, y) in self.y.chunks_exact_mut(LANES).enumerate() {
            for (level, &w) in level.iter_mut().zip(self.table) {
                *level = [w; LANES];
            }
            for (i, row) in self.inputs.iter().enumerate() {
                let x = lanes(row, step * LANES);
                for k in 0..E >> (i + 1) {
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

fn forward<const N: usize, const E: usize, const TREE: usize>(
    isa: Isa,
    rows: &Rows<'_, f32>,
    sources: &[u32],
    table: &[f32],
    y: &mut [f32],
) {
    isa.run(Forward::<N, E> { inputs: inputs(rows, sources), table, y });
}

/// One block of frames at one place, on the way back.
struct Block<'a, 'b> {
    rows: &'a Rows<'a, f32>,
    sources: &'a [u32],
    table: &'a [f32],
    /// The first frame.
    first: usize,
    dy: &'a [f32],
    /// To which the gradient of the table is added.
    dtable: &'a mut [f32],
    /// The block's part of every row of `dx`; there are none for constants.
    dx: Option<&'a mut [&'b mut [f32]]>,
}

/// Backward over one block of frames; `TREE` is `2 · E`.
struct Backward<'a, 'b, const N: usize, const E: usize, const TREE: usize>(Block<'a, 'b>);

impl<const N: usize, const E: usize, const TREE: usize> Kernel for Backward<'_, '_, N, E, TREE> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::large_stack_arrays)] // at most 64 KiB: the tree of one node, and its gradients
    fn run(self) {
        let Block { rows, sources, table, first, dy, dtable, mut dx } = self.0;
        let inputs = inputs::<N>(rows, sources);
        // Level i of the tree holds E >> i values, after those of the levels before it. The leaves
        // are the same for all frames.
        let mut tree = [[0f32; LANES]; TREE];
        for (leaf, &w) in tree.iter_mut().zip(table) {
            *leaf = [w; LANES];
        }
        let mut gradient = [[0f32; LANES]; E];
        let mut total = [[0f32; LANES]; E];
        for (step, dy) in dy.chunks(LANES).enumerate() {
            let mut x = [[0f32; LANES]; N];
            let mut start = 0;
            for (i, x) in x.iter_mut().enumerate() {
                *x = lanes(inputs[i], first + step * LANES);
                let length = E >> i;
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
            gradient[0] = [0f32; LANES];
            gradient[0][..dy.len()].copy_from_slice(dy);
            for i in (0..N).rev() {
                let length = E >> i;
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
                let target = dx.as_deref_mut().and_then(|rows| rows.get_mut(sources[i] as usize));
                if let Some(row) = target {
                    let dx = &mut row[step * LANES..][..dy.len()];
                    for (dx, slope) in dx.iter_mut().zip(slope) {
                        *dx += slope;
                    }
                }
            }
            for (total, gradient) in total.iter_mut().zip(&gradient) {
                for (total, gradient) in total.iter_mut().zip(gradient) {
                    *total += gradient;
                }
            }
        }
        for (dtable, total) in dtable.iter_mut().zip(&total) {
            *dtable += total.iter().sum::<f32>();
        }
    }
}

fn backward<const N: usize, const E: usize, const TREE: usize>(isa: Isa, block: Block<'_, '_>) {
    isa.run(Backward::<N, E, TREE>(block));
}

impl RealKernels for Cpu {
    fn real_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_real("real forward", x, sites, tables, y)?;
        let tables = tables.entries(self)?;
        let (rows, frames) = (Rows::new(x, sites, real_ones)?, x.frames());
        let (isa, fan_in, share) = (self.isa(), sites.fan_in(), sites.share());
        let places = y.rows_mut::<f32>()?.par_chunks_mut(rows.stride()).enumerate();
        places.for_each(|(place, y)| {
            let table = &tables[(place / share) << fan_in..][..1 << fan_in];
            let sources = sites.node(place);
            by_fan_in!(fan_in, forward(isa, &rows, sources, table, &mut *y));
            y[frames..].fill(0.0);
        });
        Ok(())
    }

    fn real_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: RealTables<'_>,
        gradient: RowGradient<'_>,
        dtables: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        check_real_backward(x, sites, tables, &gradient, dtables, dx.as_deref())?;
        let tables = tables.entries(self)?;
        let dy = &*gradient.of_values(self)?;
        let rows = Rows::new(x, sites, real_ones)?;
        let (isa, fan_in, share) = (self.isa(), sites.fan_in(), sites.share());
        let (dy_rows, stride) = (dy.rows::<f32>()?, dy.stride());
        let count = x.frames().div_ceil(BLOCK);
        let mut blocks: Vec<Option<Vec<&mut [f32]>>> = match dx {
            Some(dx) => frame_blocks(dx, BLOCK)?.into_iter().map(Some).collect(),
            None => (0..count).map(|_| None).collect(),
        };
        let parts = blocks.par_iter_mut().enumerate().map(|(number, parts)| {
            let first = number * BLOCK;
            let length = BLOCK.min(x.frames() - first);
            let mut sums = vec![0f32; dtables.len()];
            for place in 0..sites.places() {
                let at = (place / share) << fan_in;
                let block = Block {
                    rows: &rows,
                    sources: sites.node(place),
                    table: &tables[at..][..1 << fan_in],
                    first,
                    dy: &dy_rows[place * stride + first..][..length],
                    dtable: &mut sums[at..][..1 << fan_in],
                    dx: parts.as_deref_mut(),
                };
                by_fan_in!(fan_in, backward(isa, block));
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
