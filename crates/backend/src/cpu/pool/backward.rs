//! Gradients of pooling.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{FrameBuffer, WORD};
use rayon::prelude::*;

use super::super::Kernel;
use super::super::rows::{BLOCK_BYTES, Readers};
use super::{SPAN, tap};
use crate::Result;

/// Calls `work`, on all threads, for runs of outputs that share no row of `dx` with other runs. The
/// windows of an image fall apart into runs of whole channels at least; windows in no order at all
/// are one run.
pub(super) fn each_run(
    windows: &[u32],
    taps: usize,
    dx: &mut FrameBuffer,
    work: impl Fn(Run<'_>) + Sync,
) -> Result<()> {
    let (nodes, stride) = (dx.nodes(), dx.stride());
    // The first row that the outputs from here on need.
    let mut needed = vec![NO_SOURCE; windows.len() / taps + 1];
    for (output, window) in windows.chunks_exact(taps).enumerate().rev() {
        needed[output] = present(window).fold(needed[output + 1], u32::min);
    }
    let enough = (BLOCK_BYTES / (stride * size_of::<f32>())).max(1);
    let (mut runs, mut rest) = (Vec::new(), dx.rows_mut::<f32>()?);
    let (mut output, mut row, mut end) = (0, 0, 0);
    for (last, window) in windows.chunks_exact(taps).enumerate() {
        end = present(window).fold(end, |end, row| end.max(row as usize + 1));
        let next = needed[last + 1] as usize;
        if end <= next && (end >= row + enough || next == NO_SOURCE as usize) {
            let (dx, others) = rest.split_at_mut((end - row) * stride);
            runs.push(Run { output, windows: &windows[output * taps..(last + 1) * taps], row, dx });
            (output, row, rest) = (last + 1, end, others);
        }
    }
    debug_assert!(row <= nodes && output * taps == windows.len());
    match runs.len() {
        1 => runs.into_iter().for_each(work),
        _ => runs.into_par_iter().for_each(&work),
    }
    Ok(())
}

/// The rows of a window that are there.
fn present(window: &[u32]) -> impl Iterator<Item = u32> {
    window.iter().copied().filter(|&row| row != NO_SOURCE)
}

/// Some windows, and the rows of `dx` from the first to the last that they read.
pub(super) struct Run<'a> {
    /// The number of the first window.
    pub(super) output: usize,
    pub(super) windows: &'a [u32],
    /// The number of the first row.
    pub(super) row: usize,
    pub(super) dx: &'a mut [f32],
}

pub(super) struct MaxBackward<'a> {
    pub(super) x: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) stride: usize,
    pub(super) taps: usize,
    pub(super) run: Run<'a>,
}

impl Kernel for MaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (stride, Run { output, windows, row: first, dx }) = (self.stride, self.run);
        let (mut best, mut winner) = ([0f32; SPAN], [NO_SOURCE; SPAN]);
        let dy = self.dy[output * stride..].chunks_exact(stride);
        for (window, dy) in windows.chunks_exact(self.taps).zip(dy) {
            for (span, dy) in dy.chunks(SPAN).enumerate() {
                let (best, winner) = (&mut best[..dy.len()], &mut winner[..dy.len()]);
                let mut fresh = true;
                for &row in window {
                    let Some(x) = tap(self.x, stride, row) else { continue };
                    let x = &x[span * SPAN..][..dy.len()];
                    if std::mem::take(&mut fresh) {
                        best.copy_from_slice(x);
                        winner.fill(row);
                        continue;
                    }
                    for ((best, winner), &x) in best.iter_mut().zip(winner.iter_mut()).zip(x) {
                        let larger = x > *best;
                        *best = if larger { x } else { *best };
                        *winner = if larger { row } else { *winner };
                    }
                }
                for (k, &row) in window.iter().enumerate() {
                    // A row that is in the window twice has its gradient at the first place.
                    if row == NO_SOURCE || window[..k].contains(&row) {
                        continue;
                    }
                    let dx = &mut dx[(row as usize - first) * stride + span * SPAN..][..dy.len()];
                    for ((dx, &dy), &winner) in dx.iter_mut().zip(dy).zip(winner.iter()) {
                        *dx += if winner == row { dy } else { 0.0 };
                    }
                }
            }
        }
    }
}

pub(super) struct AverageBackward<'a> {
    pub(super) dy: &'a [f32],
    pub(super) stride: usize,
    pub(super) taps: usize,
    pub(super) readers: &'a Readers,
    pub(super) scales: &'a [f32],
    pub(super) first: usize,
    pub(super) dx: &'a mut [f32],
}

impl Kernel for AverageBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, dx) in self.dx.chunks_exact_mut(self.stride).enumerate() {
            for &entry in self.readers.of(self.first + row) {
                let output = entry as usize / self.taps;
                let scale = self.scales[output];
                let dy = &self.dy[output * self.stride..][..self.stride];
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx += dy * scale;
                }
            }
        }
    }
}

pub(super) struct AnyBackward<'a> {
    pub(super) x: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) stride: usize,
    pub(super) taps: usize,
    /// For each tap, the product over the taps behind it.
    pub(super) after: &'a mut [[f32; WORD]],
    pub(super) run: Run<'a>,
}

impl Kernel for AnyBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (stride, Run { output, windows, row: first, dx }) = (self.stride, self.run);
        let dy = self.dy[output * stride..].chunks_exact(stride);
        for (window, dy) in windows.chunks_exact(self.taps).zip(dy) {
            for (at, dy) in (0..).step_by(WORD).zip(dy.as_chunks::<WORD>().0) {
                let mut product = [1f32; WORD];
                for (&row, after) in window.iter().zip(&mut *self.after).rev() {
                    *after = product;
                    let Some(x) = tap(self.x, stride, row) else { continue };
                    for (product, x) in product.iter_mut().zip(&x[at..][..WORD]) {
                        *product *= 1.0 - x;
                    }
                }
                let mut before = *dy;
                for (&row, after) in window.iter().zip(&*self.after) {
                    let Some(x) = tap(self.x, stride, row) else { continue };
                    let dx = &mut dx[(row as usize - first) * stride + at..][..WORD];
                    for ((dx, before), after) in dx.iter_mut().zip(&before).zip(after) {
                        *dx += before * after;
                    }
                    for (before, x) in before.iter_mut().zip(&x[at..][..WORD]) {
                        *before *= 1.0 - x;
                    }
                }
            }
        }
    }
}

/// Which taps a gradient goes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    /// The first that is 1.
    First,
    /// Those beside which no other is 1.
    NoOther,
}

pub(super) struct BitsBackward<'a> {
    pub(super) x: &'a [u64],
    pub(super) from: usize,
    pub(super) dy: &'a [f32],
    pub(super) stride: usize,
    pub(super) taps: usize,
    pub(super) share: Share,
    pub(super) run: Run<'a>,
}

impl Kernel for BitsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (stride, Run { output, windows, row: first, dx }) = (self.stride, self.run);
        let dy = self.dy[output * stride..].chunks_exact(stride);
        for (window, dy) in windows.chunks_exact(self.taps).zip(dy) {
            for (word, dy) in dy.as_chunks::<WORD>().0.iter().enumerate().take(self.from) {
                let (mut one, mut more) = (0u64, 0u64);
                for x in window.iter().filter_map(|&row| tap(self.x, self.from, row)) {
                    more |= one & x[word];
                    one |= x[word];
                }
                let mut left = u64::MAX;
                for &row in window {
                    let Some(x) = tap(self.x, self.from, row) else { continue };
                    let mask = match self.share {
                        Share::First => x[word] & left,
                        Share::NoOther => !one | x[word] & !more,
                    };
                    left &= !x[word];
                    let dx = &mut dx[(row as usize - first) * stride + word * WORD..][..WORD];
                    for (half, (dx, dy)) in dx.chunks_mut(32).zip(dy.chunks(32)).enumerate() {
                        let mask = (mask >> (32 * half)) as u32;
                        for (f, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
                            let all = (mask >> f & 1).wrapping_neg();
                            *dx += f32::from_bits(dy.to_bits() & all);
                        }
                    }
                }
            }
        }
    }
}
