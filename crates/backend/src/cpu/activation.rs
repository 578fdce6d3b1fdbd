//! Activations: one pass over rows, in loops that the compiler vectorises. Memory is the bound,
//! but for the exponentials.

use lutweave_tensor::{DType, FrameBuffer, WORD};
use rayon::prelude::*;

use super::{Cpu, Dispatch, Isa, Kernel};
use crate::Result;
use crate::activation::{
    ActivationKernels, FixedPoint, TwoLevels, Window, check_clamp, check_dropout, check_levels,
    check_same,
};
use crate::real::frame_blocks;

/// Frames of one unit of work of softmax.
const BLOCK: usize = 256;

/// `e^x` for `x ≤ 0`, within 2 units in the last place; zero below −87, where f32 has no normal
/// numbers left.
///
/// `x = n · ln 2 + r` with a whole `n` and `|r| ≤ ln 2 / 2`; `e^r` by its Taylor series, whose
/// first term left out is 5e-9; `2^n` by its exponent bits.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4; // exact in 10 bits, so that n times it is exact
    const LN_2_LOW: f32 = -0.000_212_194_44;
    let whole = x * std::f32::consts::LOG2_E + ROUND;
    let n = whole - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let series = 1.0 / 720.0 + r * (1.0 / 5040.0);
    let series = 1.0 / 24.0 + r * (1.0 / 120.0 + r * series);
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * series)));
    let exponent = whole.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let power = series * f32::from_bits(exponent << 23);
    if x < -87.0 { 0.0 } else { power }
}

/// Writes `f` of each element of a row.
struct Map<'a, F> {
    x: &'a [f32],
    y: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32) -> f32> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let f = self.f;
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = f(x);
        }
    }
}

/// Writes `f` of each pair of elements of two rows.
struct Zip<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32, f32) -> f32> Kernel for Zip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let f = self.f;
        for (y, (&a, &b)) in self.y.iter_mut().zip(self.a.iter().zip(self.b)) {
            *y = f(a, b);
        }
    }
}

fn map(
    isa: Isa,
    x: &FrameBuffer,
    y: &mut FrameBuffer,
    f: impl Fn(f32) -> f32 + Copy + Sync,
) -> Result<()> {
    let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
    let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(stride);
    y_rows.zip(rows.par_chunks(stride)).for_each(|(y, x)| {
        isa.run(Map { x: &x[..frames], y: &mut y[..frames], f });
    });
    Ok(())
}

fn zip(
    isa: Isa,
    a: &FrameBuffer,
    b: &FrameBuffer,
    y: &mut FrameBuffer,
    f: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> Result<()> {
    let (stride, frames) = (y.stride(), y.frames());
    let from = a.rows::<f32>()?.par_chunks(stride).zip(b.rows::<f32>()?.par_chunks(stride));
    y.rows_mut::<f32>()?.par_chunks_mut(stride).zip(from).for_each(|(y, (a, b))| {
        isa.run(Zip { a: &a[..frames], b: &b[..frames], y: &mut y[..frames], f });
    });
    Ok(())
}

/// Compares a row with a threshold, 64 numbers to a word.
struct Compare<'a> {
    x: &'a [f32],
    threshold: f32,
    y: &'a mut [u64],
}

impl Kernel for Compare<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // Byte i times 2^(56 − 7i) is bit 56 + i of the product; no two products share a bit.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        for (y, x) in self.y.iter_mut().zip(self.x.chunks_exact(WORD)) {
            let mut above = [0u8; WORD];
            for (above, x) in above.iter_mut().zip(x) {
                *above = u8::from(*x > self.threshold);
            }
            let (eights, _) = above.as_chunks::<8>();
            let bytes = eights.iter().map(|&eight| u64::from_le_bytes(eight).wrapping_mul(GATHER));
            *y = bytes.enumerate().fold(0, |word, (i, byte)| word | byte >> 56 << (8 * i));
        }
    }
}

/// The two halves of a word of bits.
#[inline(always)]
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// Writes a number for each bit of a row, padding too: eight at a time, out of a table of the 256
/// bytes. The compiler makes branches of a choice by single bits.
struct Unpack<'a> {
    bits: &'a [u64],
    table: &'a [[f32; 8]],
    y: &'a mut [f32],
}

impl Unpack<'_> {
    fn table(low: f32, high: f32) -> Vec<[f32; 8]> {
        let eight =
            |byte: usize| std::array::from_fn(|bit| if byte >> bit & 1 == 1 { high } else { low });
        (0..256).map(eight).collect()
    }
}

impl Kernel for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (eights, _) = self.y.as_chunks_mut::<8>();
        let (words, _) = eights.as_chunks_mut::<8>();
        for (y, word) in words.iter_mut().zip(self.bits) {
            for (y, byte) in y.iter_mut().zip(word.to_le_bytes()) {
                *y = self.table[usize::from(byte)];
            }
        }
    }
}

/// Writes zero where a bit is 1, else `scale · x`.
struct Drop<'a> {
    x: &'a [f32],
    dropped: &'a [u64],
    scale: f32,
    y: &'a mut [f32],
}

impl Kernel for Drop<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let blocks = self.y.chunks_exact_mut(WORD).zip(self.x.chunks_exact(WORD));
        for ((y, x), &word) in blocks.zip(self.dropped) {
            let parts = y.chunks_exact_mut(WORD / 2).zip(x.chunks_exact(WORD / 2));
            for ((y, x), half) in parts.zip(halves(word)) {
                for (f, (y, x)) in y.iter_mut().zip(x).enumerate() {
                    *y = if half >> f & 1 == 1 { 0.0 } else { self.scale * x };
                }
            }
        }
    }
}

/// The channels of one point, in a block of frames.
struct Column<'a, 'b> {
    /// Every row of the operands.
    a: &'a [f32],
    b: &'a [f32],
    stride: usize,
    /// The row of the first channel, and how far apart channels are.
    point: usize,
    points: usize,
    first: usize,
    y: Vec<&'b mut [f32]>,
}

impl Column<'_, '_> {
    /// The part of a row that channel `c` has in this block.
    #[inline(always)]
    fn part<'a>(&self, rows: &'a [f32], c: usize) -> &'a [f32] {
        let row = (self.point + c * self.points) * self.stride;
        &rows[row + self.first..][..self.y[0].len()]
    }
}

/// Softmax of `a`.
struct Softmax<'a, 'b>(Column<'a, 'b>);

impl Kernel for Softmax<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut column = self.0;
        let length = column.y[0].len();
        let mut largest = [f32::NEG_INFINITY; BLOCK];
        for c in 0..column.y.len() {
            for (largest, &x) in largest.iter_mut().zip(column.part(column.a, c)) {
                *largest = largest.max(x);
            }
        }
        let mut sums = [0f32; BLOCK];
        for c in 0..column.y.len() {
            let x = column.part(column.a, c);
            let lanes = sums.iter_mut().zip(&largest).zip(x);
            for (y, ((sum, largest), x)) in column.y[c].iter_mut().zip(lanes) {
                *y = exp(x - largest);
                *sum += *y;
            }
        }
        for sum in &mut sums[..length] {
            *sum = 1.0 / *sum;
        }
        for y in column.y {
            for (y, factor) in y.iter_mut().zip(&sums) {
                *y *= factor;
            }
        }
    }
}

/// The gradient of softmax: its answer is `a`, `dy` is `b`.
struct SoftmaxBackward<'a, 'b>(Column<'a, 'b>);

impl Kernel for SoftmaxBackward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut column = self.0;
        let mut sums = [0f32; BLOCK];
        for c in 0..column.y.len() {
            let pairs = column.part(column.a, c).iter().zip(column.part(column.b, c));
            for (sum, (y, dy)) in sums.iter_mut().zip(pairs) {
                *sum += y * dy;
            }
        }
        for c in 0..column.y.len() {
            let pairs = column.part(column.a, c).iter().zip(column.part(column.b, c));
            for (dx, ((y, dy), sum)) in column.y[c].iter_mut().zip(pairs.zip(&sums)) {
                *dx = (dy - sum) * y;
            }
        }
    }
}

/// Runs a kernel on every point and block of frames.
fn columns<'a, 'b, K: Kernel<Output = ()>>(
    isa: Isa,
    a: &'a FrameBuffer,
    b: &'a FrameBuffer,
    y: &'b mut FrameBuffer,
    kernel: impl Fn(Column<'a, 'b>) -> K + Sync,
) -> Result<()> {
    let (rows_a, rows_b, stride) = (a.rows::<f32>()?, b.rows::<f32>()?, a.stride());
    let points = a.nodes() / a.shape()[0];
    let mut units = Vec::new();
    for (block, parts) in frame_blocks(y, BLOCK)?.into_iter().enumerate() {
        let mut by_point: Vec<Vec<&mut [f32]>> = Vec::new();
        by_point.resize_with(points, || Vec::with_capacity(a.shape()[0]));
        for (node, part) in parts.into_iter().enumerate() {
            by_point[node % points].push(part);
        }
        let own = by_point.into_iter().enumerate();
        units.extend(own.map(|(point, y)| (point, block * BLOCK, y)));
    }
    units.into_par_iter().for_each(|(point, first, y)| {
        let column = Column { a: rows_a, b: rows_b, stride, point, points, first, y };
        isa.run(kernel(column));
    });
    Ok(())
}

impl ActivationKernels for Cpu {
    fn binarize(&self, x: &FrameBuffer, threshold: f32, y: &mut FrameBuffer) -> Result<()> {
        check_same("binarize", ("x", x), &[("y", y, DType::Bit)])?;
        let (rows, x_stride, y_stride) = (x.rows::<f32>()?, x.stride(), y.stride());
        let words = x.frames().div_ceil(WORD);
        let last = x.frame_mask(words - 1);
        let y_rows = y.rows_mut::<u64>()?.par_chunks_mut(y_stride);
        y_rows.zip(rows.par_chunks(x_stride)).for_each(|(y, x)| {
            let y = &mut y[..words];
            self.isa().run(Compare { x, threshold, y });
            y[words - 1] &= last;
        });
        Ok(())
    }

    fn levels(&self, x: &FrameBuffer, levels: TwoLevels, y: &mut FrameBuffer) -> Result<()> {
        check_levels(x, y)?;
        let TwoLevels { threshold, low, high } = levels;
        if x.dtype() == DType::F32 {
            return map(self.isa(), x, y, move |x| if x > threshold { high } else { low });
        }
        let (rows, x_stride, y_stride) = (x.rows::<u64>()?, x.stride(), y.stride());
        let (frames, table) = (x.frames(), Unpack::table(low, high));
        let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(y_stride);
        y_rows.zip(rows.par_chunks(x_stride)).for_each(|(y, bits)| {
            self.isa().run(Unpack { bits, table: &table, y: &mut *y });
            y[frames..].fill(0.0);
        });
        Ok(())
    }

    fn clamp(&self, x: &FrameBuffer, low: f32, high: f32, y: &mut FrameBuffer) -> Result<()> {
        check_clamp(x, low, high, y)?;
        map(self.isa(), x, y, move |x| {
            let x = if x < low { low } else { x };
            if x > high { high } else { x }
        })
    }

    fn window_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        window: Window,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("window backward", ("x", x), &others)?;
        let Window { low, high, slope } = window;
        #[allow(clippy::needless_bitwise_bool)] // a branch would not be vectorised
        zip(
            self.isa(),
            x,
            dy,
            dx,
            move |x, dy| if (x > low) & (x < high) { slope * dy } else { 0.0 },
        )
    }

    fn sigmoid(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("sigmoid", ("x", x), &[("y", y, DType::F32)])?;
        map(self.isa(), x, y, |x| {
            let power = exp(-x.abs());
            (if x < 0.0 { power } else { 1.0 }) / (1.0 + power)
        })
    }

    fn sigmoid_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("sigmoid backward", ("y", y), &others)?;
        zip(self.isa(), y, dy, dx, |y, dy| dy * (1.0 - y) * y)
    }

    fn softmax(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("softmax", ("x", x), &[("y", y, DType::F32)])?;
        columns(self.isa(), x, x, y, Softmax)
    }

    fn softmax_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("softmax backward", ("y", y), &others)?;
        columns(self.isa(), y, dy, dx, SoftmaxBackward)
    }

    fn quantise(&self, x: &FrameBuffer, to: FixedPoint, y: &mut FrameBuffer) -> Result<()> {
        check_same("quantise", ("x", x), &[("y", y, DType::F32)])?;
        map(self.isa(), x, y, move |x| to.round(x))
    }

    fn dropout(
        &self,
        x: &FrameBuffer,
        dropped: &FrameBuffer,
        scale: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let each_frame = check_dropout(x, dropped, y)?;
        let (rows, stride, frames) = (x.rows::<f32>()?, x.stride(), x.frames());
        let (bits, bit_stride) = (dropped.rows::<u64>()?, dropped.stride());
        let y_rows = y.rows_mut::<f32>()?.par_chunks_mut(stride);
        let from = rows.par_chunks(stride).zip(bits.par_chunks(bit_stride));
        y_rows.zip(from).for_each(|(y, (x, dropped))| {
            if each_frame {
                self.isa().run(Drop { x, dropped, scale, y: &mut *y });
                y[frames..].fill(0.0); // a negative scale would leave −0
            } else if dropped[0] & 1 == 1 {
                y[..frames].fill(0.0);
            } else {
                self.isa().run(Map { x: &x[..frames], y: &mut y[..frames], f: move |x| scale * x });
            }
        });
        Ok(())
    }
}
