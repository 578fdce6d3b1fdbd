//! Pooling: passes over rows that stay in the first-level cache.
//!
//! Forward, threads take blocks of outputs. Backward they take rows of `dx` where a row needs
//! nothing but its outputs, and otherwise runs of outputs that share no row with other runs. The sum of
//! one element is in the order of the outputs either way.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer, WORD};
use rayon::prelude::*;

use super::rows::{BLOCK_BYTES, Readers, for_row_blocks};
use super::{Cpu, Kernel};
use crate::Result;
use crate::check::check_dtype;
use crate::pool::{Divisor, PoolKernels, check_pool, check_pool_backward};

/// Most frames of a pass.
const SPAN: usize = 2048;

impl PoolKernels for Cpu {
    fn max_pool(&self, x: &FrameBuffer, windows: &[u32], y: &mut FrameBuffer) -> Result<()> {
        let taps = check_pool("max pool", x, windows, y, x.dtype())?;
        if x.dtype() == DType::Bit {
            return self.or_rows(x, windows, taps, y);
        }
        self.fold_rows(x, windows, taps, Fold::Max, y)
    }

    fn max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool_backward("max pool backward", x, windows, dy, dx)?;
        if x.dtype() == DType::Bit {
            return self.share_bits(x, windows, taps, Share::First, dy, dx);
        }
        let (x, stride, dy) = (x.rows::<f32>()?, x.stride(), dy.rows::<f32>()?);
        each_run(windows, taps, dx, |run| {
            self.isa().run(MaxBackward { x, dy, stride, taps, run });
        })
    }

    fn average_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        divisor: Divisor,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("average pool", x, windows, y, DType::F32)?;
        if x.dtype() != DType::Bit {
            return self.fold_rows(x, windows, taps, Fold::Average(divisor), y);
        }
        let (x, from, to) = (x.rows::<u64>()?, x.stride(), y.stride());
        for_row_blocks(y.rows_mut::<f32>()?, to, |first, y| {
            self.isa().run(Count { x, from, to, windows, taps, divisor, first, y });
        });
        Ok(())
    }

    fn average_pool_backward(
        &self,
        windows: &[u32],
        divisor: Divisor,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "average pool backward";
        check_dtype(op, "dx", dx, DType::F32)?;
        let taps = check_pool(op, dx, windows, dy, DType::F32)?;
        let scales: Vec<f32> = windows.chunks(taps).map(|window| divisor.scale(window)).collect();
        let readers = Readers::new(dx.nodes(), windows.iter().copied());
        let (dy, stride) = (dy.rows::<f32>()?, dx.stride());
        for_row_blocks(dx.rows_mut::<f32>()?, stride, |first, dx| {
            let (readers, scales) = (&readers, &scales[..]);
            self.isa().run(AverageBackward { dy, stride, taps, readers, scales, first, dx });
        });
        Ok(())
    }

    fn stochastic_max_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("stochastic max pool", x, windows, y, x.dtype())?;
        if x.dtype() == DType::Bit {
            return self.or_rows(x, windows, taps, y);
        }
        self.fold_rows(x, windows, taps, Fold::Any, y)
    }

    fn stochastic_max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "stochastic max pool backward";
        let taps = check_pool_backward(op, x, windows, dy, dx)?;
        if x.dtype() == DType::Bit {
            return self.share_bits(x, windows, taps, Share::NoOther, dy, dx);
        }
        let (x, stride, dy) = (x.rows::<f32>()?, x.stride(), dy.rows::<f32>()?);
        each_run(windows, taps, dx, |run| {
            let mut after = vec![[0.0; WORD]; taps];
            self.isa().run(AnyBackward { x, dy, stride, taps, after: &mut after, run });
        })
    }
}

impl Cpu {
    /// The OR of the rows of each window.
    fn or_rows(
        self,
        x: &FrameBuffer,
        windows: &[u32],
        taps: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (x, stride) = (x.rows::<u64>()?, y.stride());
        for_row_blocks(y.rows_mut::<u64>()?, stride, |first, y| {
            self.isa().run(Or { x, stride, windows: &windows[first * taps..], taps, y });
        });
        Ok(())
    }

    /// The rows of each window folded into one.
    fn fold_rows(
        self,
        x: &FrameBuffer,
        windows: &[u32],
        taps: usize,
        fold: Fold,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (x, stride) = (x.rows::<f32>()?, y.stride());
        for_row_blocks(y.rows_mut::<f32>()?, stride, |first, y| {
            self.isa().run(FoldRows {
                x,
                stride,
                windows: &windows[first * taps..],
                taps,
                fold,
                y,
            });
        });
        Ok(())
    }

    /// Gradients to rows whose bits choose them.
    fn share_bits(
        self,
        x: &FrameBuffer,
        windows: &[u32],
        taps: usize,
        share: Share,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let (x, from, dy, stride) = (x.rows::<u64>()?, x.stride(), dy.rows::<f32>()?, dx.stride());
        each_run(windows, taps, dx, |run| {
            self.isa().run(BitsBackward { x, from, dy, stride, taps, share, run });
        })
    }
}

/// Calls `work`, on all threads, for runs of outputs that share no row of `dx` with other runs. The
/// windows of an image fall apart into runs of whole channels at least; windows in no order at all
/// are one run.
fn each_run(
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
struct Run<'a> {
    /// The number of the first window.
    output: usize,
    windows: &'a [u32],
    /// The number of the first row.
    row: usize,
    dx: &'a mut [f32],
}

/// The row of a tap that is there.
#[inline(always)]
fn tap<T>(x: &[T], stride: usize, row: u32) -> Option<&[T]> {
    if row == NO_SOURCE { None } else { Some(&x[row as usize * stride..][..stride]) }
}

struct Or<'a> {
    x: &'a [u64],
    stride: usize,
    windows: &'a [u32],
    taps: usize,
    y: &'a mut [u64],
}

impl Kernel for Or<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let windows = self.windows.chunks_exact(self.taps);
        for (y, window) in self.y.chunks_exact_mut(self.stride).zip(windows) {
            let mut rows = window.iter().filter_map(|&row| tap(self.x, self.stride, row));
            y.copy_from_slice(rows.next().unwrap_or_default());
            for x in rows {
                for (y, x) in y.iter_mut().zip(x) {
                    *y |= x;
                }
            }
        }
    }
}

/// How the rows of a window become one.
#[derive(Debug, Clone, Copy)]
enum Fold {
    Max,
    Average(Divisor),
    Any,
}

struct FoldRows<'a> {
    x: &'a [f32],
    stride: usize,
    windows: &'a [u32],
    taps: usize,
    fold: Fold,
    y: &'a mut [f32],
}

impl Kernel for FoldRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (x, stride, windows, y) = (self.x, self.stride, self.windows, self.y);
        for (y, window) in y.chunks_exact_mut(stride).zip(windows.chunks_exact(self.taps)) {
            match self.fold {
                Fold::Max => {
                    fold(x, stride, window, y, |x| x, |y, x| if x > y { x } else { y }, |y| y);
                }
                Fold::Average(divisor) => {
                    let scale = divisor.scale(window);
                    fold(x, stride, window, y, |x| x, |y, x| y + x, |y| y * scale);
                }
                Fold::Any => {
                    fold(x, stride, window, y, |x| 1.0 - x, |y, x| y * (1.0 - x), |y| 1.0 - y);
                }
            }
        }
    }
}

/// Folds the rows of a window into `y`, a span of frames at a time. Padding is zero and stays so:
/// each of the folds makes zero of zeros.
#[inline(always)]
fn fold(
    x: &[f32],
    stride: usize,
    window: &[u32],
    y: &mut [f32],
    begin: impl Fn(f32) -> f32,
    step: impl Fn(f32, f32) -> f32,
    end: impl Fn(f32) -> f32,
) {
    for (span, y) in y.chunks_mut(SPAN).enumerate() {
        let mut rows = window.iter().filter_map(|&row| tap(x, stride, row));
        let first = rows.next().unwrap_or_default();
        for (y, x) in y.iter_mut().zip(&first[span * SPAN..]) {
            *y = begin(*x);
        }
        for x in rows {
            for (y, x) in y.iter_mut().zip(&x[span * SPAN..]) {
                *y = step(*y, *x);
            }
        }
        for y in y {
            *y = end(*y);
        }
    }
}

/// The average of bits.
struct Count<'a> {
    x: &'a [u64],
    from: usize,
    to: usize,
    windows: &'a [u32],
    taps: usize,
    divisor: Divisor,
    first: usize,
    y: &'a mut [f32],
}

impl Kernel for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let windows = self.windows[self.first * self.taps..].chunks_exact(self.taps);
        for (y, window) in self.y.chunks_exact_mut(self.to).zip(windows) {
            let scale = self.divisor.scale(window);
            for (word, y) in y.chunks_exact_mut(WORD).enumerate().take(self.from) {
                let mut counts = [0u32; WORD];
                for x in window.iter().filter_map(|&row| tap(self.x, self.from, row)) {
                    for (half, counts) in counts.chunks_exact_mut(32).enumerate() {
                        let bits = (x[word] >> (32 * half)) as u32;
                        for (f, count) in counts.iter_mut().enumerate() {
                            *count += bits >> f & 1;
                        }
                    }
                }
                for (y, count) in y.iter_mut().zip(counts) {
                    *y = count as f32 * scale;
                }
            }
        }
    }
}

struct MaxBackward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    stride: usize,
    taps: usize,
    run: Run<'a>,
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

struct AverageBackward<'a> {
    dy: &'a [f32],
    stride: usize,
    taps: usize,
    readers: &'a Readers,
    scales: &'a [f32],
    first: usize,
    dx: &'a mut [f32],
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

struct AnyBackward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    stride: usize,
    taps: usize,
    /// For each tap, the product over the taps behind it.
    after: &'a mut [[f32; WORD]],
    run: Run<'a>,
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
enum Share {
    /// The first that is 1.
    First,
    /// Those beside which no other is 1.
    NoOther,
}

struct BitsBackward<'a> {
    x: &'a [u64],
    from: usize,
    dy: &'a [f32],
    stride: usize,
    taps: usize,
    share: Share,
    run: Run<'a>,
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
