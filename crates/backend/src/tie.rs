//! Nodes that are held at constants, or are one of the inputs of the layer that made them.

use lutweave_tensor::{DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::{Error, Result};

/// What a node is tied to, as a number: 0 where it is free, 1 at zero, 2 at one, and `3 + 2s` or `4 + 2s`
/// where it is input `s` or its complement.
///
/// Rows of bits; the methods here compute on the host. Costs a pass over the rows of tied nodes.
pub trait TieKernels {
    /// Writes the rows of tied nodes of `y`, from rows of `x` where they are inputs.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] unless `y` is of bits, and `x` where it is read; [`Error::Size`] where sizes do
    /// not agree; [`Error::Tensor`] for an input that is no row of `x`.
    fn tie(&self, x: &FrameBuffer, ties: &[u32], y: &mut FrameBuffer) -> Result<()> {
        check_tie(x, ties, y)?;
        let stride = y.stride();
        let masks: Vec<u64> = (0..stride).map(|word| y.frame_mask(word)).collect();
        let rows = y.rows_mut::<u64>()?.chunks_exact_mut(stride).zip(ties);
        for (row, &tied) in rows.filter(|(_, tied)| **tied != 0) {
            row.fill(0);
            if let Some((source, _)) = input_of(tied) {
                row.copy_from_slice(&x.rows::<u64>()?[source * stride..][..stride]);
            }
            row.iter_mut().zip(&masks).for_each(|(bits, mask)| *bits = (*bits ^ flip(tied)) & mask);
        }
        Ok(())
    }

    /// The gradient of what was tied: `down = dy` for free nodes, zero for others.
    ///
    /// # Errors
    ///
    /// As [`tie`](Self::tie), for `dy` and `down` of f32.
    fn untie(&self, dy: &FrameBuffer, ties: &[u32], down: &mut FrameBuffer) -> Result<()> {
        check_untie(dy, ties, down)?;
        let stride = dy.stride();
        let rows = down.rows_mut::<f32>()?.chunks_exact_mut(stride);
        for ((down, dy), &tied) in rows.zip(dy.rows::<f32>()?.chunks_exact(stride)).zip(ties) {
            if tied == 0 { down.copy_from_slice(dy) } else { down.fill(0.0) }
        }
        Ok(())
    }

    /// Adds the gradient of nodes that are inputs to `dx`: `dy`, or `−dy` of complements, in the order of
    /// the nodes.
    ///
    /// # Errors
    ///
    /// As [`tie`](Self::tie), for `dy` and `dx` of f32.
    fn tied_inputs(&self, dy: &FrameBuffer, ties: &[u32], dx: &mut FrameBuffer) -> Result<()> {
        check_tied_inputs(dy, ties, dx)?;
        for (node, &tied) in ties.iter().enumerate() {
            let Some((source, sign)) = input_of(tied) else { continue };
            for (dx, dy) in dx.row_mut::<f32>(source)?.iter_mut().zip(dy.row::<f32>(node)?) {
                *dx += sign * dy;
            }
        }
        Ok(())
    }
}

/// The input that a node is, and the sign of its gradient.
pub(crate) fn input_of(tied: u32) -> Option<(usize, f32)> {
    let source = tied.checked_sub(3)? as usize / 2;
    Some((source, if tied.is_multiple_of(2) { -1.0 } else { 1.0 }))
}

/// What a row is combined with: ones for a one and a complement.
fn flip(tied: u32) -> u64 {
    if tied.is_multiple_of(2) { u64::MAX } else { 0 }
}

/// Checks the operands; `x` only has to be of bits where it is read.
pub(crate) fn check_tie(x: &FrameBuffer, ties: &[u32], y: &FrameBuffer) -> Result<()> {
    let op = "tie";
    check_size(op, "ties", "nodes", y.nodes(), ties.len())?;
    check_rows(op, "y", y, DType::Bit, y.nodes(), x)?;
    if check_inputs(op, ties, x.nodes())? { check_dtype(op, "x", x, DType::Bit) } else { Ok(()) }
}

pub(crate) fn check_untie(dy: &FrameBuffer, ties: &[u32], down: &FrameBuffer) -> Result<()> {
    let op = "untie";
    check_rows(op, "dy", dy, DType::F32, ties.len(), dy)?;
    check_rows(op, "down", down, DType::F32, ties.len(), dy)
}

pub(crate) fn check_tied_inputs(dy: &FrameBuffer, ties: &[u32], dx: &FrameBuffer) -> Result<()> {
    let op = "tied inputs";
    check_rows(op, "dy", dy, DType::F32, ties.len(), dy)?;
    check_rows(op, "dx", dx, DType::F32, dx.nodes(), dy)?;
    check_inputs(op, ties, dx.nodes()).map(drop)
}

/// Whether there are inputs among the ties, all of which have to be rows.
fn check_inputs(op: &'static str, ties: &[u32], len: usize) -> Result<bool> {
    match ties.iter().filter_map(|&tied| input_of(tied)).map(|(source, _)| source).max() {
        Some(index) if index >= len => {
            Err(Error::Tensor(lutweave_tensor::Error::Index { op, index, len }))
        }
        most => Ok(most.is_some()),
    }
}
