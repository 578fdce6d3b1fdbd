//! From bytes to rows of bits: comparisons, then a transposition of 64 × 64 bits.
//!
//! Numbers come frame after frame, rows are one bit a frame. For 64 frames and 64 words at a time,
//! each frame's 64 bytes are compared with 64 thresholds, which gives one word of bits; the 64
//! words are transposed, and each row of the result goes to its slot. Thresholds of one word that
//! has several are on levels of their own.

#![allow(unsafe_code)]

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;

use crate::Isa;
use crate::lower::Row;
use crate::rows::{FRAMES, Line, Rows};

/// Words of a chunk, and frames of a pass.
const SIDE: usize = 64;
const NONE: u32 = u32::MAX;

/// One comparison for each of 64 words.
#[derive(Debug, Clone)]
struct Level {
    masks: [u8; SIDE],
    at_least: [u8; SIDE],
    /// Where the row of each word goes.
    slots: [u32; SIDE],
}

#[derive(Debug, Clone)]
struct Chunk {
    /// First word; the last chunk begins so that it ends with the frame.
    first: usize,
    levels: Vec<Level>,
}

/// How bytes become the input rows of a program.
#[derive(Debug, Clone)]
pub(crate) struct Packer {
    /// Words of a frame.
    words: usize,
    chunks: Vec<Chunk>,
}

impl Packer {
    /// `inputs` are the rows a program reads and their slots.
    pub(crate) fn new(words: usize, rows: &[Row], inputs: &[(u32, u32)]) -> Self {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut inputs = inputs.iter().peekable();
        for start in (0..words).step_by(SIDE) {
            let end = (start + SIDE).min(words);
            let first = end.saturating_sub(SIDE).min(start);
            let mut chunk = Chunk { first, levels: Vec::new() };
            let mut used = [0usize; SIDE];
            while let Some(&(row, slot)) =
                inputs.next_if(|&&(row, _)| (rows[row as usize].word as usize) < end)
            {
                let Row { word, mask, at_least } = rows[row as usize];
                let place = word as usize - first;
                let level = used[place];
                used[place] += 1;
                if level == chunk.levels.len() {
                    chunk.levels.push(Level {
                        masks: [u8::MAX; SIDE],
                        at_least: [u8::MAX; SIDE],
                        slots: [NONE; SIDE],
                    });
                }
                let level = &mut chunk.levels[level];
                level.masks[place] = mask;
                level.at_least[place] = at_least;
                level.slots[place] = slot;
            }
            if !chunk.levels.is_empty() {
                chunks.push(chunk);
            }
        }
        Self { words, chunks }
    }

    /// Packs up to `512 * width` frames; rows past the last frame are those of zeros. Returns all
    /// bits that are set anywhere in `x`.
    pub(crate) fn pack(&self, isa: Isa, x: &[u8], rows: &mut Rows) -> u8 {
        match isa {
            // SAFETY: an engine runs with an instruction set that the machine has.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx512 => unsafe { self.avx512(x, rows) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx2 => unsafe { self.avx2(x, rows) },
            _ => self.body(x, rows, compare, transpose, gather),
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
    fn avx512(&self, x: &[u8], rows: &mut Rows) -> u8 {
        let frames = x.len() / self.words;
        if self.words < SIDE {
            return self.body(x, rows, compare, transpose, gather);
        }
        let levels = self.chunks.iter().map(|chunk| chunk.levels.len()).max().unwrap_or(0);
        let mut bits = vec![[[0u64; SIDE]; 8]; levels];
        let mut seen = 0;
        for line in 0..rows.width {
            // As in `body`.
            let from = (line * FRAMES).min(frames);
            let count = (frames - from).min(FRAMES);
            let x = &x[from * self.words..][..count * self.words];
            seen |= x.iter().fold(0, |seen, byte| seen | byte);
            if count < FRAMES {
                bits.as_flattened_mut().as_flattened_mut().fill(0);
            }
            for chunk in &self.chunks {
                for pass in 0..count.div_ceil(SIDE) {
                    let x = &x[pass * SIDE * self.words + chunk.first..];
                    avx512::compare_all(x, self.words, &chunk.levels, &mut bits, pass);
                }
                for (level, bits) in chunk.levels.iter().zip(&bits) {
                    avx512::transpose(bits, |word, bits| {
                        let slot = level.slots[word];
                        if slot != NONE {
                            rows.lines[slot as usize * rows.width + line] = *bits;
                        }
                    });
                }
            }
        }
        seen
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "avx2")]
    fn avx2(&self, x: &[u8], rows: &mut Rows) -> u8 {
        let compare = |bytes: &[u8; SIDE], level: &Level| {
            use std::arch::x86_64::{
                _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8,
                _mm256_movemask_epi8,
            };
            let half = |at: usize| {
                // SAFETY: all three are 64 bytes; the machine has the instruction set.
                let mask = unsafe {
                    let x = _mm256_loadu_si256(bytes.as_ptr().add(at).cast());
                    let masks = _mm256_loadu_si256(level.masks.as_ptr().add(at).cast());
                    let at_least = _mm256_loadu_si256(level.at_least.as_ptr().add(at).cast());
                    let x = _mm256_and_si256(x, masks);
                    _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(x, at_least), x))
                };
                u64::from(mask as u32)
            };
            half(0) | half(32) << 32
        };
        self.body(x, rows, compare, transpose, gather)
    }

    /// Line by line of 512 frames, in eight passes of 64.
    #[inline(always)]
    fn body(
        &self,
        x: &[u8],
        rows: &mut Rows,
        compare: impl Fn(&[u8; SIDE], &Level) -> u64,
        transpose: impl Fn(&mut [u64; SIDE]),
        gather: impl Fn(&[[u64; SIDE]; 8], &mut [Line; SIDE]),
    ) -> u8 {
        let frames = x.len() / self.words;
        let mut short = [0u8; SIDE];
        let levels = self.chunks.iter().map(|chunk| chunk.levels.len()).max().unwrap_or(0);
        let mut passes = vec![[[0u64; SIDE]; 8]; levels];
        let mut lines = [Line::default(); SIDE];
        let mut seen = 0;
        for line in 0..rows.width {
            // Chunks are columns of the frames: reading all in order first lets the memory be
            // fetched ahead.
            let from = (line * FRAMES).min(frames) * self.words;
            let to = ((line + 1) * FRAMES).min(frames) * self.words;
            seen |= x[from..to].iter().fold(0, |seen, byte| seen | byte);
            for chunk in &self.chunks {
                for pass in 0..8 {
                    let from = (line * FRAMES + pass * SIDE).min(frames);
                    let to = (from + SIDE).min(frames);
                    // All levels of these bytes while they are near.
                    for (level, passes) in chunk.levels.iter().zip(&mut passes) {
                        let bits = &mut passes[pass];
                        if to - from < SIDE {
                            bits.fill(0);
                        }
                        for (bits, frame) in bits.iter_mut().zip(from..to) {
                            let bytes = &x[frame * self.words + chunk.first..];
                            *bits = if let Some(bytes) = bytes.first_chunk::<SIDE>()
                                && self.words >= SIDE
                            {
                                compare(bytes, level)
                            } else {
                                short[..self.words].copy_from_slice(&bytes[..self.words]);
                                compare(&short, level)
                            };
                        }
                        transpose(bits);
                    }
                }
                for (level, passes) in chunk.levels.iter().zip(&passes) {
                    gather(passes, &mut lines);
                    for (&slot, bits) in level.slots.iter().zip(&lines) {
                        if slot != NONE {
                            rows.lines[slot as usize * rows.width + line] = *bits;
                        }
                    }
                }
            }
        }
        seen
    }
}

/// The words of each row next to each other.
#[inline(always)]
fn gather(passes: &[[u64; SIDE]; 8], lines: &mut [Line; SIDE]) {
    for (pass, bits) in passes.iter().enumerate() {
        for (line, &bits) in lines.iter_mut().zip(bits) {
            line.0[pass] = bits;
        }
    }
}

/// One bit a byte: whether it is at least its threshold.
#[inline(always)]
fn compare(bytes: &[u8; SIDE], level: &Level) -> u64 {
    let each = bytes.iter().zip(level.masks.iter().zip(&level.at_least)).enumerate();
    each.map(|(i, (&x, (&mask, &at_least)))| u64::from(x & mask >= at_least) << i)
        .fold(0, |all, bit| all | bit)
}

/// Exchanges bit `j` of word `i` with bit `i` of word `j`, by halves of halves.
#[inline(always)]
pub(crate) fn transpose(words: &mut [u64; SIDE]) {
    #[inline(always)]
    fn exchange<const STEP: usize>(words: &mut [u64; SIDE], mask: u64) {
        for block in words.chunks_exact_mut(2 * STEP) {
            let (low, high) = block.split_at_mut(STEP);
            for (a, b) in low.iter_mut().zip(high) {
                let moved = (*a >> STEP ^ *b) & mask;
                *a ^= moved << STEP;
                *b ^= moved;
            }
        }
    }
    exchange::<32>(words, 0x0000_0000_ffff_ffff);
    exchange::<16>(words, 0x0000_ffff_0000_ffff);
    exchange::<8>(words, 0x00ff_00ff_00ff_00ff);
    exchange::<4>(words, 0x0f0f_0f0f_0f0f_0f0f);
    exchange::<2>(words, 0x3333_3333_3333_3333);
    exchange::<1>(words, 0x5555_5555_5555_5555);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn transposes(words in prop::collection::vec(any::<u64>(), SIDE)) {
            let mut turned: [u64; SIDE] = words.clone().try_into().unwrap();
            transpose(&mut turned);
            for (i, turned) in turned.iter().enumerate() {
                for (j, word) in words.iter().enumerate() {
                    prop_assert_eq!(turned >> j & 1, word >> i & 1);
                }
            }
        }

        #[test]
        fn every_instruction_set_packs_what_the_comparisons_say(
            words in 1usize..150, frames in 0usize..700, width in 0u32..2, seed: u64
        ) {
            let width = 1usize << width;
            let frames = frames.min(512 * width);
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
            let x: Vec<u8> = (0..words * frames).map(|_| next() as u8).collect();
            let mut rows: Vec<Row> = (0..2 * words)
                .map(|_| Row { word: (next() % words as u64) as u32, mask: next() as u8, at_least: 1 | next() as u8 })
                .collect();
            rows.sort_unstable();
            let inputs: Vec<(u32, u32)> = (0..rows.len() as u32).filter(|i| i % 5 != 0).map(|i| (i, i)).collect();
            let packer = Packer::new(words, &rows, &inputs);
            for &isa in Isa::available() {
                let mut lines = Rows::new(rows.len(), width);
                packer.pack(isa, &x, &mut lines);
                for &(row, slot) in &inputs {
                    let Row { word, mask, at_least } = rows[row as usize];
                    for f in 0..512 * width {
                        let byte = x.get(f * words + word as usize);
                        let expected = byte.is_some_and(|byte| byte & mask >= at_least);
                        let got = lines.row(slot as usize)[f / 512].0[f % 512 / 64] >> (f % 64) & 1;
                        prop_assert_eq!(got == 1, expected, "{} word {} frame {}", isa, word, f);
                    }
                }
            }
        }
    }
}
