//! Lowering: rows of frames copied to any offset. Bits are shifted a word at a time; what is added
//! back is collected for each row of the image, so that threads write to rows of their own.

use std::ops::Range;

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer, THRESHOLD, WORD};

use super::rows::{Readers, for_row_blocks};
use super::{Cpu, Dispatch, Kernel};
use crate::Result;
use crate::window::{WindowKernels, check_gradient, check_lower, check_raise};

impl WindowKernels for Cpu {
    fn lower(
        &self,
        x: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        border: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let all = check_lower("lower", x, sources, &positions, y)?;
        let (frames, from, to) = (x.frames(), x.stride(), y.stride());
        let sources = |element: usize| &sources[element * all..][..all][positions.clone()];
        if x.dtype() == DType::Bit {
            let one = f64::from(border) > THRESHOLD;
            let ones = |word| if one { x.frame_mask(word) } else { 0 };
            let constant: Vec<u64> = (0..frames.div_ceil(WORD)).map(ones).collect();
            let x = x.rows::<u64>()?;
            for_row_blocks(y.rows_mut::<u64>()?, to, |first, y| {
                for (element, y) in (first..).zip(y.chunks_exact_mut(to)) {
                    let (sources, constant) = (sources(element), &constant[..]);
                    self.isa().run(Append { x, stride: from, sources, constant, frames, y });
                }
            });
            return Ok(());
        }
        let x = x.rows::<f32>()?;
        for_row_blocks(y.rows_mut::<f32>()?, to, |first, y| {
            for (element, y) in (first..).zip(y.chunks_exact_mut(to)) {
                for (&source, y) in sources(element).iter().zip(y.chunks_exact_mut(frames)) {
                    match source {
                        NO_SOURCE => y.fill(border),
                        source => y.copy_from_slice(&x[source as usize * from..][..frames]),
                    }
                }
            }
        });
        Ok(())
    }

    fn lower_backward(
        &self,
        dy: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "lower backward";
        check_gradient(op, dx)?;
        let all = check_lower(op, dx, sources, &positions, dy)?;
        let (count, frames) = (positions.len(), dx.frames());
        let used = sources.chunks_exact(all).flat_map(|row| &row[positions.clone()]).copied();
        let readers = Readers::new(dx.nodes(), used);
        let (dy, from, stride) = (dy.rows::<f32>()?, dy.stride(), dx.stride());
        for_row_blocks(dx.rows_mut::<f32>()?, stride, |first, dx| {
            let readers = &readers;
            self.isa().run(Collect { dy, from, count, frames, readers, first, stride, dx });
        });
        Ok(())
    }

    fn raise(&self, x: &FrameBuffer, positions: Range<usize>, y: &mut FrameBuffer) -> Result<()> {
        let all = check_raise("raise", x, &positions, y)?;
        let (frames, from, to) = (y.frames(), x.stride(), y.stride());
        if x.dtype() == DType::Bit {
            let last = y.frame_mask((frames - 1) / WORD);
            let x = x.rows::<u64>()?;
            for_row_blocks(y.rows_mut::<u64>()?, all * to, |first, y| {
                for (node, y) in (first..).zip(y.chunks_exact_mut(all * to)) {
                    let y = &mut y[positions.start * to..positions.end * to];
                    let x = &x[node * from..][..from];
                    self.isa().run(Extract { x, frames, last, stride: to, y });
                }
            });
            return Ok(());
        }
        let x = x.rows::<f32>()?;
        for_row_blocks(y.rows_mut::<f32>()?, all * to, |first, y| {
            for (node, y) in (first..).zip(y.chunks_exact_mut(all * to)) {
                let y = y[positions.start * to..positions.end * to].chunks_exact_mut(to);
                for (x, y) in x[node * from..][..from].chunks_exact(frames).zip(y) {
                    y[..frames].copy_from_slice(x);
                }
            }
        });
        Ok(())
    }

    fn raise_backward(
        &self,
        dy: &FrameBuffer,
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "raise backward";
        check_gradient(op, dy)?;
        let all = check_raise(op, dx, &positions, dy)?;
        let (frames, from, to) = (dy.frames(), dy.stride(), dx.stride());
        let dy = dy.rows::<f32>()?;
        for_row_blocks(dx.rows_mut::<f32>()?, to, |first, dx| {
            for (node, dx) in (first..).zip(dx.chunks_exact_mut(to)) {
                let rows = dy[node * all * from..][..all * from].chunks_exact(from);
                let rows = rows.skip(positions.start).take(positions.len());
                for (dy, dx) in rows.zip(dx.chunks_exact_mut(frames)) {
                    dx.copy_from_slice(&dy[..frames]);
                }
            }
        });
        Ok(())
    }
}

/// Writes rows of bits one after the other into one row.
struct Append<'a> {
    x: &'a [u64],
    stride: usize,
    sources: &'a [u32],
    /// What stands for a row that there is not.
    constant: &'a [u64],
    frames: usize,
    y: &'a mut [u64],
}

impl Kernel for Append<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let words = self.constant.len();
        for (place, &source) in self.sources.iter().enumerate() {
            let from = match source {
                NO_SOURCE => self.constant,
                source => &self.x[source as usize * self.stride..][..words],
            };
            append(self.y, place * self.frames, from, self.frames);
        }
    }
}

/// Writes `len` bits, all there are in `from` and zeros after them, to bit `at` of `to`; what is
/// in the words of `to` from there on is overwritten.
#[inline(always)]
fn append(to: &mut [u64], at: usize, from: &[u64], len: usize) {
    let shift = at % WORD;
    let end = (at + len).div_ceil(WORD);
    let to = &mut to[at / WORD..end];
    if shift == 0 {
        to.copy_from_slice(&from[..to.len()]);
        return;
    }
    to[0] = to[0] & (u64::MAX >> (WORD - shift)) | from[0] << shift;
    for ((to, low), high) in to[1..].iter_mut().zip(from).zip(&from[1..]) {
        *to = low >> (WORD - shift) | high << shift;
    }
    if to.len() > from.len() {
        to[from.len()] = from[from.len() - 1] >> (WORD - shift);
    }
}

/// Cuts one row of bits into rows.
struct Extract<'a> {
    x: &'a [u64],
    frames: usize,
    /// The mask of the last word of a row.
    last: u64,
    stride: usize,
    y: &'a mut [u64],
}

impl Kernel for Extract<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let words = self.frames.div_ceil(WORD);
        for (place, y) in self.y.chunks_exact_mut(self.stride).enumerate() {
            let (first, shift) = (place * self.frames / WORD, place * self.frames % WORD);
            let (x, y) = (&self.x[first..], &mut y[..words]);
            if shift == 0 {
                y.copy_from_slice(&x[..words]);
            } else {
                for ((y, low), high) in y.iter_mut().zip(x).zip(&x[1..]) {
                    *y = low >> shift | high << (WORD - shift);
                }
                if x.len() == words {
                    y[words - 1] = x[words - 1] >> shift;
                }
            }
            y[words - 1] &= self.last;
        }
    }
}

/// Adds the lowered gradients that belong to a block of rows of the image.
struct Collect<'a> {
    dy: &'a [f32],
    from: usize,
    /// Positions lowered.
    count: usize,
    frames: usize,
    readers: &'a Readers,
    first: usize,
    stride: usize,
    dx: &'a mut [f32],
}

impl Kernel for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, dx) in self.dx.chunks_exact_mut(self.stride).enumerate() {
            for &entry in self.readers.of(self.first + row) {
                let (element, place) = (entry as usize / self.count, entry as usize % self.count);
                let dy = &self.dy[element * self.from + place * self.frames..][..self.frames];
                for (dx, dy) in dx[..self.frames].iter_mut().zip(dy) {
                    *dx += dy;
                }
            }
        }
    }
}
