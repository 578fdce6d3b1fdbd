//! Cutting squares out.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, below};

use super::{Augment, Image, Pixel, Pixels};

/// Blanks a square at a random place in all channels.
///
/// The centre is uniform over the image, and the square is cut at its borders. Source: T. DeVries
/// and G. Taylor, *Improved Regularization of Convolutional Neural Networks with Cutout*,
/// <https://arxiv.org/abs/1708.04552>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CutOut {
    side: usize,
    value: f32,
}

impl CutOut {
    /// Squares of `side` pixels, filled with zero.
    pub fn new(side: usize) -> Self {
        Self { side, value: 0.0 }
    }

    /// Fills with `value` instead; for bytes the nearest.
    #[must_use]
    pub fn filled(mut self, value: f32) -> Self {
        self.value = value;
        self
    }
}

impl Augment for CutOut {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        let [_, height, width] = image.shape();
        let (y, x) = (below(rng, height), below(rng, width));
        let span = |centre: usize, size: usize| {
            let start = centre.saturating_sub(self.side / 2);
            let end = (centre.saturating_add(self.side - self.side / 2)).min(size);
            start..end
        };
        let (rows, columns) = (span(y, height), span(x, width));
        match image.pixels() {
            Pixels::U8(pixels) => fill(pixels, height, width, rows, columns, self.value),
            Pixels::F32(pixels) => fill(pixels, height, width, rows, columns, self.value),
        }
    }
}

fn fill<T: Pixel>(
    pixels: &mut [T],
    height: usize,
    width: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    value: f32,
) {
    let value = T::from_f32(value);
    for plane in pixels.chunks_exact_mut(height * width) {
        for row in plane.chunks_exact_mut(width).take(rows.end).skip(rows.start) {
            row[columns.clone()].fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Augmentation;
    use super::*;

    fn cut(side: usize, sample: u64) -> Vec<u8> {
        let mut pixels = vec![1u8; 2 * 36];
        let steps = Augmentation::new(1).with(CutOut::new(side).filled(7.4));
        steps.apply(&[2, 6, 6], Pixels::U8(&mut pixels), 0, sample).unwrap();
        assert_eq!(pixels[..36], pixels[36..], "the same place in every channel");
        pixels.truncate(36);
        pixels
    }

    #[test]
    fn squares_are_cut_at_the_border() {
        let mut sizes: Vec<usize> = (0..200)
            .map(|sample| cut(3, sample).iter().map(|&pixel| usize::from(pixel == 7)).sum())
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert_eq!(sizes, [4, 6, 9], "in a corner, at an edge, inside");
        assert_eq!(cut(0, 0), [1; 36]);
        assert_eq!(cut(usize::MAX, 0), [7; 36]);
    }
}
