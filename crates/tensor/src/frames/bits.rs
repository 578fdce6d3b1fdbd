//! Packed bits: transposition between frame-major truth values and rows, and copies of bit ranges.

use super::WORD;

/// Writes truth values, frame after frame, into rows of `stride` words that are zero.
///
/// 64 frames of 64 nodes at a time: eight truth values become a byte by one multiplication, the
/// 64 × 64 bits are transposed in registers.
pub(super) fn pack(values: &[bool], nodes: usize, rows: &mut [u64], stride: usize) {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    for (word, frames) in bytes.chunks(WORD * nodes).enumerate() {
        for node in (0..nodes).step_by(WORD) {
            let columns = WORD.min(nodes - node);
            let mut tile = [0; WORD];
            for (bits, frame) in tile.iter_mut().zip(frames.chunks(nodes)) {
                *bits = pack_word(&frame[node..node + columns]);
            }
            transpose64(&mut tile);
            for (bits, row) in tile.iter().zip(rows[node * stride..].chunks_mut(stride)) {
                if *bits != 0 {
                    row[word] = *bits;
                }
            }
        }
    }
}

/// The inverse of [`pack`]; `values` has room for whole frames of `nodes`.
pub(super) fn unpack(rows: &[u64], stride: usize, nodes: usize, values: &mut [bool]) {
    for (word, frames) in values.chunks_mut(WORD * nodes).enumerate() {
        for node in (0..nodes).step_by(WORD) {
            let columns = WORD.min(nodes - node);
            let mut tile = [0; WORD];
            for (bits, row) in tile[..columns].iter_mut().zip(rows[node * stride..].chunks(stride))
            {
                *bits = row[word];
            }
            transpose64(&mut tile);
            for (bits, frame) in tile.iter().zip(frames.chunks_mut(nodes)) {
                for (column, value) in frame[node..node + columns].iter_mut().enumerate() {
                    *value = bits >> column & 1 == 1;
                }
            }
        }
    }
}

/// Writes the bits of some rows frame after frame, each frame in whole words.
pub(super) fn columns(
    rows: &[u64],
    stride: usize,
    nodes: &[u32],
    frames: usize,
    columns: &mut [u64],
) {
    let words = nodes.len().div_ceil(WORD);
    for (column, nodes) in nodes.chunks(WORD).enumerate() {
        for word in 0..frames.div_ceil(WORD) {
            let mut tile = [0; WORD];
            for (bits, &node) in tile.iter_mut().zip(nodes) {
                *bits = rows[node as usize * stride + word];
            }
            transpose64(&mut tile);
            let first = word * WORD;
            for (bits, frame) in tile.iter().zip(first..frames.min(first + WORD)) {
                columns[frame * words + column] = *bits;
            }
        }
    }
}

/// Up to 64 bytes of 0 or 1 as the bits of a word.
fn pack_word(bytes: &[u8]) -> u64 {
    // Byte i times 2^(56 - 7i) is bit 56 + i; no two products share a bit, so none carries.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (eights, rest) = bytes.as_chunks::<8>();
    let packed = eights.iter().map(|&eight| u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56);
    let word = packed.enumerate().fold(0, |word, (i, byte)| word | byte << (8 * i));
    let rest = rest.iter().enumerate().map(|(i, &bit)| u64::from(bit) << (8 * eights.len() + i));
    rest.fold(word, |word, bit| word | bit)
}

/// Transposes a 64 × 64 bit matrix: bit `c` of word `r` and bit `r` of word `c` change places
/// (Warren, Hacker's Delight, section 7-3).
fn transpose64(tile: &mut [u64; WORD]) {
    swap::<32>(tile, 0x0000_0000_FFFF_FFFF);
    swap::<16>(tile, 0x0000_FFFF_0000_FFFF);
    swap::<8>(tile, 0x00FF_00FF_00FF_00FF);
    swap::<4>(tile, 0x0F0F_0F0F_0F0F_0F0F);
    swap::<2>(tile, 0x3333_3333_3333_3333);
    swap::<1>(tile, 0x5555_5555_5555_5555);
}

/// Swaps the two off-diagonal blocks of every block of `2 * WIDTH` rows and columns.
fn swap<const WIDTH: usize>(tile: &mut [u64; WORD], mask: u64) {
    for pair in tile.chunks_exact_mut(2 * WIDTH) {
        let (low, high) = pair.split_at_mut(WIDTH);
        for (low, high) in low.iter_mut().zip(high) {
            let swap = (*low >> WIDTH ^ *high) & mask;
            *low ^= swap << WIDTH;
            *high ^= swap;
        }
    }
}

/// Copies `len` bits of `from`, beginning at bit `from_bit`, to bit `to_bit` of `to`; the other
/// bits of `to` stay. A word of `to` at a time, whatever the two offsets are.
pub(super) fn copy(to: &mut [u64], to_bit: usize, from: &[u64], from_bit: usize, len: usize) {
    let mut done = 0;
    while done < len {
        let (word, shift) = ((to_bit + done) / WORD, (to_bit + done) % WORD);
        let take = (WORD - shift).min(len - done);
        let mask = u64::MAX >> (WORD - take) << shift;
        let bits = read(from, from_bit + done) << shift;
        to[word] = to[word] & !mask | bits & mask;
        done += take;
    }
}

/// The 64 bits from bit `at` on; zero past the end.
fn read(from: &[u64], at: usize) -> u64 {
    let (word, shift) = (at / WORD, at % WORD);
    let low = from[word] >> shift;
    match from.get(word + 1) {
        Some(next) if shift > 0 => low | next << (WORD - shift),
        _ => low,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng;

    fn bit(words: &[u64], at: usize) -> bool {
        words[at / WORD] >> (at % WORD) & 1 == 1
    }

    fn words(seed: u64, len: usize) -> Vec<u64> {
        let mut stream = rng::stream(seed, &[]);
        (0..len).map(|_| rng::word(&mut stream)).collect()
    }

    proptest! {
        #[test]
        fn copy_is_bit_by_bit(seed: u64, to_bit in 0usize..200, from_bit in 0usize..200, len in 0usize..120) {
            let (from, old) = (words(seed, 5), words(!seed, 5));
            let mut to = old.clone();
            copy(&mut to, to_bit, &from, from_bit, len);
            for at in 0..5 * WORD {
                let inside = (to_bit..to_bit + len).contains(&at);
                let expected = if inside { bit(&from, at - to_bit + from_bit) } else { bit(&old, at) };
                prop_assert_eq!(bit(&to, at), expected, "bit {}", at);
            }
        }

        #[test]
        fn pack_is_bit_by_bit(seed: u64, nodes in 1usize..200, frames in 1usize..200) {
            let random = words(seed, nodes * frames);
            let values: Vec<bool> = random.iter().map(|word| word & 1 == 1).collect();
            let stride = frames.div_ceil(WORD);
            let mut rows = vec![0; nodes * stride];
            pack(&values, nodes, &mut rows, stride);
            let mut naive = vec![0; nodes * stride];
            for (i, _) in values.iter().enumerate().filter(|(_, value)| **value) {
                let (frame, node) = (i / nodes, i % nodes);
                naive[node * stride + frame / WORD] |= 1 << (frame % WORD);
            }
            prop_assert_eq!(&rows, &naive);
            let mut back = vec![false; values.len()];
            unpack(&rows, stride, nodes, &mut back);
            prop_assert_eq!(back, values);
        }
    }

    #[test]
    fn transpose_swaps_rows_and_columns() {
        let old: [u64; WORD] = words(1, WORD).try_into().unwrap();
        let mut new = old;
        transpose64(&mut new);
        for (r, row) in new.iter().enumerate() {
            for (c, column) in old.iter().enumerate() {
                assert_eq!(row >> c & 1, column >> r & 1);
            }
        }
    }
}
