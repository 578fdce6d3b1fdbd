//! From bytes to rows of bits: comparisons, then a transposition of 64 × 64 bits.
//!
//! Numbers come frame after frame, rows are one bit a frame. For 64 frames and 64 words at a time,
//! each frame's 64 bytes are compared with 64 thresholds, which gives one word of bits; the words of
//! 512 frames are transposed, and each row of the result goes to its slot. Thresholds of one word that
//! has several are on levels of their own.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
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
            // SAFETY: these bytes need no instruction set.
            _ => unsafe { self.body::<[u8; SIDE]>(x, rows) },
        }
    }

    /// # Safety
    ///
    /// The machine has AVX-512.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
    unsafe fn avx512(&self, x: &[u8], rows: &mut Rows) -> u8 {
        // SAFETY: the caller's promise.
        unsafe { self.body::<avx512::Bytes>(x, rows) }
    }

    /// # Safety
    ///
    /// The machine has AVX2.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "avx2")]
    unsafe fn avx2(&self, x: &[u8], rows: &mut Rows) -> u8 {
        // SAFETY: the caller's promise.
        unsafe { self.body::<avx2::Bytes>(x, rows) }
    }

    /// Line by line of 512 frames, in eight passes of 64.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set of `B`.
    #[inline(always)]
    unsafe fn body<B: Bytes>(&self, x: &[u8], rows: &mut Rows) -> u8 {
        let stride = self.words.max(SIDE);
        let frames = x.len() / self.words;
        let levels = self.chunks.iter().map(|chunk| chunk.levels.len()).max().unwrap_or(0);
        let mut bits = vec![[[0u64; SIDE]; 8]; levels];
        let mut padded = Vec::new();
        let mut seen = 0;
        for line in 0..rows.width {
            let from = (line * FRAMES).min(frames);
            let count = (frames - from).min(FRAMES);
            let mut x = &x[from * self.words..][..count * self.words];
            // Chunks are columns of the frames: reading all in order first lets the memory be
            // fetched ahead.
            seen |= x.iter().fold(0, |seen, byte| seen | byte);
            if self.words < SIDE {
                padded.resize(count * SIDE, 0);
                let frames = padded.chunks_exact_mut(SIDE).zip(x.chunks_exact(self.words));
                frames.for_each(|(to, from)| to[..self.words].copy_from_slice(from));
                x = &padded[..count * SIDE];
            }
            for chunk in &self.chunks {
                if count < FRAMES {
                    bits.as_flattened_mut().as_flattened_mut().fill(0);
                }
                for pass in 0..count.div_ceil(SIDE) {
                    let x = &x[pass * SIDE * stride + chunk.first..];
                    // SAFETY: the caller's promise.
                    unsafe { compare_all::<B>(x, stride, &chunk.levels, &mut bits, pass) };
                }
                for (level, bits) in chunk.levels.iter().zip(&mut bits) {
                    let store = |word: usize, bits: &Line| {
                        if level.slots[word] != NONE {
                            rows.lines[level.slots[word] as usize * rows.width + line] = *bits;
                        }
                    };
                    // SAFETY: the caller's promise.
                    unsafe { B::transpose(bits, store) };
                }
            }
        }
        seen
    }
}

/// 64 bytes of a frame.
///
/// # Safety
///
/// All methods need the instruction set of the type, and must be inlined into a function that enables
/// it.
unsafe trait Bytes: Copy {
    /// # Safety
    ///
    /// The machine has the instruction set.
    unsafe fn load(from: &[u8; SIDE]) -> Self;

    /// # Safety
    ///
    /// The machine has the instruction set.
    unsafe fn and(self, mask: Self) -> Self;

    /// One bit a byte: whether it is at least its threshold.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set.
    unsafe fn at_least(self, threshold: Self) -> u64;

    /// Turns the bits of 512 frames, a word of 64 bits each, into 64 rows, which `store` gets with
    /// their numbers. What is left in `bits` means nothing.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set.
    #[inline(always)]
    unsafe fn transpose(bits: &mut [[u64; SIDE]; 8], mut store: impl FnMut(usize, &Line)) {
        bits.iter_mut().for_each(transpose);
        for row in 0..SIDE {
            let mut line = Line::default();
            for (word, bits) in line.0.iter_mut().zip(&*bits) {
                *word = bits[row];
            }
            store(row, &line);
        }
    }
}

// SAFETY: it needs no instruction set.
unsafe impl Bytes for [u8; SIDE] {
    #[inline(always)]
    unsafe fn load(from: &[u8; SIDE]) -> Self {
        *from
    }

    #[inline(always)]
    unsafe fn and(mut self, mask: Self) -> Self {
        self.iter_mut().zip(&mask).for_each(|(x, mask)| *x &= mask);
        self
    }

    #[inline(always)]
    unsafe fn at_least(self, threshold: Self) -> u64 {
        let mut is = [0u8; SIDE];
        for (is, (x, threshold)) in is.iter_mut().zip(self.iter().zip(&threshold)) {
            *is = u8::from(x >= threshold);
        }
        // The product brings the low bits of eight bytes together in the highest byte.
        let eights = is.as_chunks::<8>().0.iter().enumerate();
        eights.fold(0, |all, (place, eight)| {
            let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            all | bits << (8 * place)
        })
    }
}

/// Levels that are compared while the bytes are in a register.
const TOGETHER: usize = 4;

/// The comparisons of 64 frames and several levels. `x` begins at the bytes of the first frame,
/// frames are `stride` bytes apart.
///
/// # Safety
///
/// The machine has the instruction set of `B`.
#[inline(always)]
unsafe fn compare<B: Bytes, const LEVELS: usize, const MASKED: bool>(
    x: &[u8],
    stride: usize,
    levels: &[Level],
    bits: &mut [[[u64; SIDE]; 8]],
    pass: usize,
) {
    let (Some(levels), Some(bits)) =
        (levels.first_chunk::<LEVELS>(), bits.first_chunk_mut::<LEVELS>())
    else {
        return;
    };
    // SAFETY: the caller's promise.
    let load = |bytes: &[u8; SIDE]| unsafe { B::load(bytes) };
    let (mut masks, mut at_least) = ([load(&[0; SIDE]); LEVELS], [load(&[0; SIDE]); LEVELS]);
    for (level, (mask, threshold)) in levels.iter().zip(masks.iter_mut().zip(&mut at_least)) {
        *mask = load(&level.masks);
        *threshold = load(&level.at_least);
    }
    for (frame, bytes) in x.chunks(stride).take(SIDE).enumerate() {
        let Some(bytes) = bytes.first_chunk() else { return };
        let x = load(bytes);
        for (level, bits) in bits.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            bits[pass][frame] = unsafe {
                let x = if MASKED { x.and(masks[level]) } else { x };
                x.at_least(at_least[level])
            };
        }
    }
}

/// [`compare`] for any number of levels.
///
/// # Safety
///
/// As [`compare`].
#[inline(always)]
unsafe fn compare_all<B: Bytes>(
    x: &[u8],
    stride: usize,
    levels: &[Level],
    bits: &mut [[[u64; SIDE]; 8]],
    pass: usize,
) {
    for (levels, bits) in levels.chunks(TOGETHER).zip(bits.chunks_mut(TOGETHER)) {
        let masked = levels.iter().any(|level| level.masks != [u8::MAX; SIDE]);
        // SAFETY: the caller's promise.
        unsafe {
            match (levels.len(), masked) {
                (1, false) => compare::<B, 1, false>(x, stride, levels, bits, pass),
                (2, false) => compare::<B, 2, false>(x, stride, levels, bits, pass),
                (3, false) => compare::<B, 3, false>(x, stride, levels, bits, pass),
                (_, false) => compare::<B, 4, false>(x, stride, levels, bits, pass),
                (1, true) => compare::<B, 1, true>(x, stride, levels, bits, pass),
                (2, true) => compare::<B, 2, true>(x, stride, levels, bits, pass),
                (3, true) => compare::<B, 3, true>(x, stride, levels, bits, pass),
                (_, true) => compare::<B, 4, true>(x, stride, levels, bits, pass),
            }
        }
    }
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
