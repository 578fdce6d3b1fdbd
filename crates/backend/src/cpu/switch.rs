//! Switch sums: frames in the order of their patterns, so that the sums of a pattern stay in the
//! nearest cache while its frames go by.

use lutweave_tensor::WORD;

use super::{Cpu, Dispatch, Kernel};
use crate::Result;
use crate::switch::{PATTERNS, SwitchKernels, check_switch};

/// Frames that are put in order at a time: a copy of their bits stays in the second cache. Part of the
/// numeric contract.
const BLOCK: usize = 2048;
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
        let mut ordered = vec![0; x.len().min(BLOCK * words)];
        for ((patterns, values), x) in blocks {
            let ordered = &mut ordered[..x.len()];
            self.isa().run(Block { x, words, inputs, patterns, values, ordered, sums: &mut *sums });
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
    /// Room for `x`.
    ordered: &'a mut [u64],
    sums: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let words = self.words;
        let mut ends = [0usize; PATTERNS];
        for &pattern in self.patterns {
            ends[usize::from(pattern)] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            // Where the pattern begins, until its frames are put there.
            total += std::mem::replace(end, total);
        }
        let mut values = [0f32; BLOCK];
        for ((row, &pattern), &value) in
            self.x.chunks_exact(words).zip(self.patterns).zip(self.values)
        {
            let end = &mut ends[usize::from(pattern)];
            self.ordered[*end * words..][..words].copy_from_slice(row);
            values[*end] = value;
            *end += 1;
        }
        let mut first = 0;
        for (sums, &end) in self.sums.chunks_exact_mut(self.inputs).zip(&ends) {
            let (rows, values) = (&self.ordered[first * words..end * words], &values[first..end]);
            first = end;
            if values.is_empty() {
                continue;
            }
            for (block, sums) in sums.chunks_mut(WORDS * WORD).enumerate() {
                let at = block * WORDS;
                match words - at {
                    1 => add::<1>(rows, words, at, values, sums),
                    2 => add::<2>(rows, words, at, values, sums),
                    3 => add::<3>(rows, words, at, values, sums),
                    _ => add::<WORDS>(rows, words, at, values, sums),
                }
            }
        }
    }
}

/// Adds the values of some frames to the sums of the inputs of `W` words that are one in them.
#[inline(always)]
fn add<const W: usize>(rows: &[u64], words: usize, at: usize, values: &[f32], sums: &mut [f32]) {
    let mut parts = [[0f32; WORD]; W];
    // Loops instead of `array::map`, which is not inlined and so not compiled for the instruction set.
    let (fours, rest) = values.as_chunks::<LANES>();
    for (values, rows) in fours.iter().zip(rows.chunks_exact(LANES * words)) {
        for (word, parts) in parts.iter_mut().enumerate() {
            let mut column = [0u64; LANES];
            for (bits, row) in column.iter_mut().zip(rows.chunks_exact(words)) {
                *bits = row[at + word];
            }
            for (half, parts) in parts.as_chunks_mut::<{ WORD / 2 }>().0.iter_mut().enumerate() {
                let mut bits = [0u32; LANES];
                for (bits, column) in bits.iter_mut().zip(&column) {
                    *bits = (column >> (32 * half)) as u32;
                }
                for (place, part) in parts.iter_mut().enumerate() {
                    *part += (masked(values[0], bits[0], place)
                        + masked(values[1], bits[1], place))
                        + (masked(values[2], bits[2], place) + masked(values[3], bits[3], place));
                }
            }
        }
    }
    let rows = rows[fours.len() * LANES * words..].chunks_exact(words);
    for (&value, row) in rest.iter().zip(rows) {
        for (&bits, parts) in row[at..].iter().zip(&mut parts) {
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
