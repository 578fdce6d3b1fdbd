//! Switch sums: frames in the order of their patterns, so that the sums of a pattern stay in the
//! nearest cache while its frames go by.

use lutweave_tensor::WORD;

use super::{Cpu, Kernel};
use crate::Result;
use crate::switch::{PATTERNS, SwitchKernels, check_switch};

/// Frames that are put in order at a time: their bits stay in the second cache. Part of the numeric
/// contract.
const BLOCK: usize = 8192;
/// Words of inputs whose sums are made at a time.
const WORDS: usize = 4;
/// Frames added at a time. Part of the numeric contract.
const LANES: usize = 4;

impl SwitchKernels for Cpu {
    fn switch_sums(
        &self,
        x: &[u64],
        inputs: usize,
        patterns: &[u8],
        values: &[f32],
        sums: &mut [f32],
    ) -> Result<()> {
        check_switch(x, inputs, patterns, values, sums)?;
        sums.fill(0.0);
        if inputs == 0 {
            return Ok(());
        }
        let words = inputs.div_ceil(WORD);
        let blocks = patterns.chunks(BLOCK).zip(values.chunks(BLOCK)).zip(x.chunks(BLOCK * words));
        for ((patterns, values), x) in blocks {
            self.isa().run(Block { x, words, inputs, patterns, values, sums: &mut *sums });
        }
        Ok(())
    }
}

/// Up to [`BLOCK`] frames.
struct Block<'a> {
    x: &'a [u64],
    words: usize,
    inputs: usize,
    patterns: &'a [u8],
    values: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (order, ends) = in_order(self.patterns);
        let mut first = 0;
        for (pattern, &end) in ends[..self.sums.len() / self.inputs].iter().enumerate() {
            let frames = &order[first..usize::from(end)];
            first = usize::from(end);
            let sums = &mut self.sums[pattern * self.inputs..][..self.inputs];
            for (block, sums) in sums.chunks_mut(WORDS * WORD).enumerate() {
                let at = block * WORDS;
                match self.words - at {
                    1 => add::<1>(self.x, self.words, at, frames, self.values, sums),
                    2 => add::<2>(self.x, self.words, at, frames, self.values, sums),
                    3 => add::<3>(self.x, self.words, at, frames, self.values, sums),
                    _ => add::<WORDS>(self.x, self.words, at, frames, self.values, sums),
                }
            }
        }
    }
}

/// The frames in the order of their patterns, and where in it each pattern ends.
#[inline(always)]
fn in_order(patterns: &[u8]) -> ([u16; BLOCK], [u16; PATTERNS]) {
    let mut ends = [0u16; PATTERNS];
    for &pattern in patterns {
        ends[usize::from(pattern)] += 1;
    }
    let mut total = 0;
    for end in &mut ends {
        // Where the pattern begins, until its frames are put there.
        total += std::mem::replace(end, total);
    }
    let mut order = [0u16; BLOCK];
    for (frame, &pattern) in patterns.iter().enumerate() {
        let end = &mut ends[usize::from(pattern)];
        order[usize::from(*end)] = frame as u16;
        *end += 1;
    }
    (order, ends)
}

/// Adds the values of some frames to the sums of the inputs of `W` words that are one in them.
#[inline(always)]
fn add<const W: usize>(
    x: &[u64],
    words: usize,
    at: usize,
    frames: &[u16],
    values: &[f32],
    sums: &mut [f32],
) {
    let mut parts = [[0f32; WORD]; W];
    let row = |frame: u16| &x[usize::from(frame) * words + at..][..W];
    // Loops instead of `array::map`, which is not inlined and so not compiled for the instruction set.
    let (fours, rest) = frames.as_chunks::<LANES>();
    for four in fours {
        let (mut rows, mut value) = ([[0u64; W]; LANES], [0f32; LANES]);
        for ((to, value), &frame) in rows.iter_mut().zip(&mut value).zip(four) {
            to.copy_from_slice(row(frame));
            *value = values[usize::from(frame)];
        }
        for (word, parts) in parts.iter_mut().enumerate() {
            for (half, parts) in parts.as_chunks_mut::<{ WORD / 2 }>().0.iter_mut().enumerate() {
                let mut bits = [0u32; LANES];
                for (bits, row) in bits.iter_mut().zip(&rows) {
                    *bits = (row[word] >> (32 * half)) as u32;
                }
                for (place, part) in parts.iter_mut().enumerate() {
                    *part += (masked(value[0], bits[0], place) + masked(value[1], bits[1], place))
                        + (masked(value[2], bits[2], place) + masked(value[3], bits[3], place));
                }
            }
        }
    }
    for &frame in rest {
        let value = values[usize::from(frame)];
        for (&bits, parts) in row(frame).iter().zip(&mut parts) {
            for (half, parts) in parts.as_chunks_mut::<{ WORD / 2 }>().0.iter_mut().enumerate() {
                let bits = (bits >> (32 * half)) as u32;
                for (place, part) in parts.iter_mut().enumerate() {
                    *part += masked(value, bits, place);
                }
            }
        }
    }
    for (sum, part) in sums.iter_mut().zip(parts.as_flattened()) {
        *sum += part;
    }
}

/// The value where the bit is one, 0 where it is not.
#[inline(always)]
fn masked(value: f32, bits: u32, place: usize) -> f32 {
    let mask = u32::from(bits & 1 << place != 0).wrapping_neg();
    f32::from_bits(value.to_bits() & mask)
}
