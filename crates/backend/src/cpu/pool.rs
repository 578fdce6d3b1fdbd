//! Pooling: passes over rows that stay in the first-level cache.
//!
//! Forward, threads take blocks of outputs. Backward they take rows of `dx` where a row needs
//! nothing but its outputs, and otherwise runs of outputs that share no row with other runs. The
//! sum of one element is in the order of the outputs either way.

mod backward;

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer, WORD};

use self::backward::{AnyBackward, AverageBackward, BitsBackward, MaxBackward, Share, each_run};
use super::rows::{Readers, for_row_blocks};
use super::{Cpu, Dispatch, Kernel};
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
