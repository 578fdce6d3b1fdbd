//! One number from all real frames, and one value for all of them.
//!
//! Padding never takes part. Bits count as 0 and 1. Sums are taken in f64, row by row over fixed
//! blocks, so their bits do not depend on the number of threads.

use super::{FrameBuffer, THRESHOLD};
use crate::Element;
use crate::numeric::{self, with_type};

impl FrameBuffer {
    /// The sum, taken in f64 over fixed blocks.
    pub fn sum(&self) -> f64 {
        self.sum_of(|x| x)
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum() / self.nodes as f64 / self.frames as f64
    }

    /// The Euclidean norm `√Σ x²`.
    pub fn norm(&self) -> f64 {
        libm::sqrt(self.sum_of(|x| x * x))
    }

    /// The smallest value; NaN if any is NaN.
    pub fn min(&self) -> f64 {
        self.min_max().0
    }

    /// The largest value; NaN if any is NaN.
    pub fn max(&self) -> f64 {
        self.min_max().1
    }

    /// Whether no value is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        (0..self.nodes).all(|node| {
            with_type!(self.dtype, T => {
                numeric::is_finite(&self.raw_row::<T>(node)[..self.frames])
            }, bit => true)
        })
    }

    /// Sets every value to the one of the buffer's type nearest to `value`; of bits, to
    /// `value >` [`THRESHOLD`].
    pub fn fill(&mut self, value: f64) {
        let frames = self.frames;
        for node in 0..self.nodes {
            with_type!(self.dtype, T => {
                self.raw_row_mut::<T>(node)[..frames].fill(<T as Element>::from_f64(value));
            }, bit => {
                for word in 0..frames.div_ceil(super::WORD) {
                    let mask = if value > THRESHOLD { self.frame_mask(word) } else { 0 };
                    self.raw_row_mut::<u64>(node)[word] = mask;
                }
            });
        }
    }

    /// The sum over all values of `f`, for which f(0) = 0 and f(1) = 1.
    fn sum_of(&self, f: impl Fn(f64) -> f64) -> f64 {
        let row = |node| {
            with_type!(self.dtype, T => numeric::sum(&self.raw_row::<T>(node)[..self.frames], &f),
                bit => self.ones(node) as f64)
        };
        (0..self.nodes).map(row).fold(0.0, |sum, row| sum + row)
    }

    fn min_max(&self) -> (f64, f64) {
        let row = |node| {
            with_type!(self.dtype, T => numeric::min_max(&self.raw_row::<T>(node)[..self.frames]),
            bit => {
                let ones = self.ones(node);
                (f64::from(u8::from(ones == self.frames)), f64::from(u8::from(ones > 0)))
            })
        };
        let rows: (Vec<f64>, Vec<f64>) = (0..self.nodes).map(row).unzip();
        (numeric::min_max(&rows.0).0, numeric::min_max(&rows.1).1)
    }

    /// How many bits of a row are set.
    fn ones(&self, node: usize) -> usize {
        let words = self.raw_row::<u64>(node).iter().take(self.frames.div_ceil(super::WORD));
        let masked = words.enumerate().map(|(word, bits)| bits & self.frame_mask(word));
        masked.map(|bits| bits.count_ones() as usize).sum()
    }
}
