//! The yardstick of the table kernels: a straight multiplexer tree, frame by frame.
//!
//! `y = Σ_k W[k] Π_i (k_i ? x_i : 1 − x_i)` by `2^n − 1` linear interpolations on real numbers, and
//! the same tree backwards: what a LUT layer costs that does not use that its inputs are bits. One
//! thread takes a block of frames, eight or sixteen of which go through the tree side by side; there
//! is no batch norm. It is written for this comparison and used nowhere else.

use lutweave::backend::{Dispatch, Isa, Kernel};
use lutweave::lut::Wiring;
use rayon::prelude::*;

/// Frames side by side: two registers of AVX2.
const LANES: usize = 16;
/// Frames of one unit of work.
const BLOCK: usize = 512;

type Lanes = [f32; LANES];

/// A layer of multilinear nodes, and its gradients.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) wiring: &'a Wiring,
    /// `[nodes][2^fan_in]`.
    pub(super) tables: &'a [f32],
    /// `[blocks][sources][BLOCK]`, a block of frames after the other.
    pub(super) x: &'a [f32],
    /// `[blocks][nodes][BLOCK]`.
    pub(super) dy: &'a [f32],
}

/// What one pass writes; laid out as the operands.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) y: Vec<f32>,
    pub(super) dx: Vec<f32>,
    /// `[blocks][nodes][2^fan_in]`.
    pub(super) dtables: Vec<f32>,
}

/// Frames rounded up to whole blocks.
pub(super) fn padded(frames: usize) -> usize {
    frames.next_multiple_of(BLOCK)
}

macro_rules! by_fan_in {
    ($fan_in:expr, $kernel:ident, $($arg:expr),*) => {
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

impl Tree<'_> {
    /// The values of all nodes and frames.
    pub(super) fn forward(&self, isa: Isa, outputs: &mut Outputs) {
        outputs.y.resize(self.dy.len(), 0.0);
        let (inputs, nodes) = (self.wiring.sources() * BLOCK, self.wiring.nodes() * BLOCK);
        let blocks = outputs.y.par_chunks_mut(nodes).zip(self.x.par_chunks(inputs));
        blocks.for_each(|(y, x)| by_fan_in!(self.wiring.fan_in(), forward, isa, self, x, y));
    }

    /// The gradient of the tables, and where `to_inputs` that of the inputs.
    pub(super) fn backward(&self, isa: Isa, outputs: &mut Outputs, to_inputs: bool) {
        let (inputs, nodes) = (self.wiring.sources() * BLOCK, self.wiring.nodes() * BLOCK);
        outputs.dx.resize(self.x.len(), 0.0);
        outputs.dtables.resize(self.x.len() / inputs * self.tables.len(), 0.0);
        let blocks = outputs.dtables.par_chunks_mut(self.tables.len());
        let blocks = blocks.zip(outputs.dx.par_chunks_mut(inputs));
        let blocks = blocks.zip(self.x.par_chunks(inputs)).zip(self.dy.par_chunks(nodes));
        blocks.for_each(|(((dtables, dx), x), dy)| {
            dx.fill(0.0);
            let dx = to_inputs.then_some(dx);
            by_fan_in!(self.wiring.fan_in(), backward, isa, self, x, dy, dtables, dx);
        });
    }
}

fn forward<const N: usize, const E: usize, const T: usize>(
    isa: Isa,
    tree: &Tree<'_>,
    x: &[f32],
    y: &mut [f32],
) {
    for (node, (y, table)) in y.chunks_mut(BLOCK).zip(tree.tables.chunks(E)).enumerate() {
        let sources = tree.wiring.node(node);
        isa.run(Pass::<N, E, T> { sources, table, x, forward: Some(y), backward: None });
    }
}

fn backward<const N: usize, const E: usize, const T: usize>(
    isa: Isa,
    tree: &Tree<'_>,
    x: &[f32],
    dy: &[f32],
    dtables: &mut [f32],
    mut dx: Option<&mut [f32]>,
) {
    let nodes = dy.chunks(BLOCK).zip(tree.tables.chunks(E)).zip(dtables.chunks_mut(E));
    for (node, ((dy, table), dtable)) in nodes.enumerate() {
        let back = Back { dy, dtable, dx: dx.as_deref_mut() };
        let sources = tree.wiring.node(node);
        isa.run(Pass::<N, E, T> { sources, table, x, forward: None, backward: Some(back) });
    }
}

/// One node over one block of frames.
struct Pass<'a, const N: usize, const E: usize, const T: usize> {
    sources: &'a [u32],
    table: &'a [f32],
    x: &'a [f32],
    forward: Option<&'a mut [f32]>,
    backward: Option<Back<'a>>,
}

struct Back<'a> {
    dy: &'a [f32],
    dtable: &'a mut [f32],
    dx: Option<&'a mut [f32]>,
}

impl<const N: usize, const E: usize, const T: usize> Kernel for Pass<'_, N, E, T> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::large_stack_arrays)] // the tree of one node, its gradients and their sums
    fn run(mut self) {
        let mut tree = [[0f32; LANES]; T];
        for (leaf, &w) in tree.iter_mut().zip(self.table) {
            *leaf = [w; LANES];
        }
        let (mut gradient, mut total) = ([[0f32; LANES]; E], [[0f32; LANES]; E]);
        for frame in (0..BLOCK).step_by(LANES) {
            let mut x: [Lanes; N] = [[0.0; LANES]; N];
            let mut start = 0;
            for (i, x) in x.iter_mut().enumerate() {
                let at = self.sources[i] as usize * BLOCK + frame;
                x.copy_from_slice(&self.x[at..at + LANES]);
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
            if let Some(y) = &mut self.forward {
                y[frame..frame + LANES].copy_from_slice(&tree[start]);
            }
            let Some(back) = &mut self.backward else { continue };
            gradient[0].copy_from_slice(&back.dy[frame..frame + LANES]);
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
                if let Some(dx) = &mut back.dx {
                    let at = self.sources[i] as usize * BLOCK + frame;
                    for (dx, slope) in dx[at..at + LANES].iter_mut().zip(slope) {
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
        if let Some(back) = &mut self.backward {
            for (dtable, total) in back.dtable.iter_mut().zip(&total) {
                *dtable = total.iter().sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A two-input node: `W0 (1−a)(1−b) + W1 a (1−b) + W2 (1−a) b + W3 a b`.
    #[test]
    fn the_tree_is_the_formula_and_its_gradient() {
        let wiring = Wiring::explicit(2, 2, vec![0, 1]).unwrap();
        let (tables, a, b) = ([0.1, 0.5, 0.9, 0.2], 0.25f32, 0.75f32);
        let x = [[a; BLOCK], [b; BLOCK]].concat();
        let tree = Tree { wiring: &wiring, tables: &tables, x: &x, dy: &[1.0; BLOCK] };
        let mut outputs = Outputs::default();
        tree.forward(Isa::best(), &mut outputs);
        tree.backward(Isa::best(), &mut outputs, true);
        let close = |got: f32, want: f32| assert!((got - want).abs() < 1e-4, "{got} {want}");
        let weights = [0.75 * 0.25, 0.25 * 0.25, 0.75 * 0.75, 0.25 * 0.75];
        close(outputs.y[7], tables.iter().zip(weights).map(|(w, p)| w * p).sum());
        close(outputs.dx[7], 0.25 * (0.5 - 0.1) + 0.75 * (0.2 - 0.9));
        close(outputs.dx[BLOCK + 7], 0.75 * (0.9 - 0.1) + 0.25 * (0.2 - 0.5));
        for (got, want) in outputs.dtables.iter().zip(weights) {
            close(*got / BLOCK as f32, want);
        }
    }
}
