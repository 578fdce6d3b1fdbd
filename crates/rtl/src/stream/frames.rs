//! Images for a test bench, and the answers to them.

use std::fmt::Write;

use lutweave_lut::{Pixel, Stages};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::{Error, Result};

/// Most words of all images of a test bench.
const MAX_WORDS: usize = 1 << 25;

/// Images and expected answers, as text for `$readmemh`: a pixel a line, channel 0 in the lowest
/// bits, row by row, frame after frame.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) count: usize,
    pub(super) inputs: String,
    /// The answers; with probes, those of every stage, stage after stage.
    pub(super) expected: String,
    /// Whether every stage has its part of the answers.
    pub(super) probes: bool,
}

impl Frames {
    /// Given images.
    pub(super) fn new(
        stages: &Stages,
        image: [usize; 2],
        values: &[u64],
        probes: bool,
    ) -> Result<Self> {
        let words = stages.input().channels * image[0] * image[1];
        let op = "frames of the test bench";
        if words.max(values.len()) > MAX_WORDS {
            let what = format!(
                "images of {words} words, {} in all, are too large for a test bench; expected at \
                 most {MAX_WORDS}: write the module alone, or for a smaller image",
                values.len()
            );
            return Err(Error::Unsupported { netlist: stages.name().to_owned(), what });
        }
        let count = values.len().div_ceil(words).max(1);
        if values.len() != count * words {
            return Err(Error::Length { op, expected: count * words, got: values.len() });
        }
        let images = stages.images(image)?;
        let pixels = |at: usize| images[at][0] * images[at][1];
        let mut inputs = String::new();
        let parts = if probes { stages.stages().len() } else { 1 };
        let mut answers = vec![String::new(); parts];
        for frame in values.chunks(words) {
            lines(frame, [pixels(0), 1], stages.input(), &mut inputs);
            let given = stages.probe(image, frame)?;
            let first = stages.stages().len() - parts;
            for (part, answer) in answers.iter_mut().enumerate() {
                let at = first + part;
                let sizes = [pixels(at + 1), stages.frames(at + 1)];
                lines(&given[at], sizes, stages.pixel(at + 1), answer);
            }
        }
        Ok(Self { count, inputs, expected: answers.concat(), probes })
    }

    /// So many random images, always the same; of large ones, fewer.
    pub(super) fn random(
        stages: &Stages,
        image: [usize; 2],
        count: usize,
        probes: bool,
    ) -> Result<Self> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let one = stages.input().channels * image[0] * image[1];
        let words = count.min(MAX_WORDS / one) * one;
        let mask = (1 << stages.input().width) - 1;
        let values: Vec<u64> = (0..words).map(|_| random.next_u64() & mask).collect();
        Self::new(stages, image, &values, probes)
    }
}

/// The pixels of `values`, `[frames, channels, pixels]`, each as a line of hexadecimal digits; the
/// frames of a pixel follow one another.
fn lines(values: &[u64], [pixels, frames]: [usize; 2], pixel: Pixel, text: &mut String) {
    let mut digits = vec![0u8; pixel.bits().div_ceil(4)];
    let frames: Vec<&[u64]> = values.chunks(values.len() / frames).collect();
    for (at, frame) in (0..pixels).flat_map(|at| frames.iter().map(move |frame| (at, frame))) {
        digits.fill(0);
        for (channel, values) in frame.chunks(pixels).enumerate() {
            for bit in (0..pixel.width).filter(|bit| values[at] >> bit & 1 == 1) {
                let place = channel * pixel.width + bit;
                digits[place / 4] |= 1 << (place % 4);
            }
        }
        for digit in digits.iter().rev() {
            // Writing to a string does not fail.
            let _ = write!(text, "{digit:x}");
        }
        text.push('\n');
    }
}

/// Puts images of one channel side by side: a test image for a classifier of every place.
///
/// `samples` are images of `size` = `[height, width]` pixels one after the other; they fill a grid
/// of `grid` = `[rows, columns]` row by row, and begin again when there are too few. What comes back
/// is `[rows * height, columns * width]`.
///
/// # Errors
///
/// [`Error::Length`] when there is not a whole number of samples, at least one;
/// [`Error::Netlist`] when the image would have more than [`MAX_NETS`](lutweave_lut::MAX_NETS)
/// pixels or none.
pub fn tile(samples: &[u64], size: [usize; 2], grid: [usize; 2]) -> Result<Vec<u64>> {
    let ([height, width], [rows, columns]) = (size, grid);
    let sizes = [height, width, rows, columns];
    let all = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
    if !all.is_some_and(|all| (1..=lutweave_lut::MAX_NETS).contains(&all)) {
        let what = format!(
            "tiles of {height} x {width} pixels in a grid of {rows} x {columns}: expected 1 to {} \
             pixels in all",
            lutweave_lut::MAX_NETS
        );
        return Err(lutweave_lut::Error::Window { what }.into());
    }
    let one = height * width;
    let count = samples.len() / one;
    if count == 0 || samples.len() != count * one {
        let expected = samples.len().next_multiple_of(one).max(one);
        return Err(Error::Length { op: "tiles of an image", expected, got: samples.len() });
    }
    let mut image = Vec::with_capacity(one * rows * columns);
    for row in 0..rows {
        for line in 0..height {
            for column in 0..columns {
                let start = (row * columns + column) % count * one + line * width;
                image.extend_from_slice(&samples[start..start + width]);
            }
        }
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_packed_from_the_lowest_bit_on() {
        let mut text = String::new();
        // Two channels of three bits, three pixels.
        lines(&[1, 0, 7, 5, 1, 0], [3, 1], Pixel { channels: 2, width: 3 }, &mut text);
        assert_eq!(text, "29\n08\n07\n");
        text.clear();
        // Three frames of one channel of two pixels.
        lines(&[1, 0, 7, 5, 2, 6], [2, 3], Pixel { channels: 1, width: 3 }, &mut text);
        assert_eq!(text, "1\n7\n2\n0\n5\n6\n");
    }

    #[test]
    fn tiles_lie_side_by_side_and_begin_again() {
        let image = tile(&[1, 2, 3, 4, 5, 6, 7, 8], [2, 2], [1, 3]).unwrap();
        assert_eq!(image, [1, 2, 5, 6, 1, 2, 3, 4, 7, 8, 3, 4]);
        for (samples, size, grid) in [
            (&[][..], [2, 2], [1, 1]),
            (&[1, 2, 3], [2, 1], [1, 1]),
            (&[1], [1, 1], [usize::MAX, 2]),
        ] {
            assert!(tile(samples, size, grid).is_err());
        }
    }
}
