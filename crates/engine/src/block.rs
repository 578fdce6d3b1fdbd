//! A block of frames into the rows of a program, and its results out of them.

use crate::engine::Shape;
use crate::program::Program;
use crate::rows::{Line, Rows};

/// Copies packed input rows to their slots: `words` words of each, as far as the rows reach.
pub(crate) fn load(program: &Program, x: &[u64], stride: usize, words: usize, rows: &mut Rows) {
    for &(row, slot) in program.inputs() {
        let words = words.min(rows.width * 8);
        let from = &x[row as usize * stride..][..words];
        let mut lines = rows.row_mut(slot as usize).iter_mut();
        let (whole, tail) = from.as_chunks::<8>();
        // In this order, so that no line is lost when the words end.
        for (words, line) in whole.iter().zip(lines.by_ref()) {
            line.0 = *words;
        }
        if let Some(line) = lines.next() {
            line.0 = [0; 8];
            line.0[..tail.len()].copy_from_slice(tail);
            lines.for_each(|line| line.0 = [0; 8]);
        }
    }
}

/// The word of an output, inverted where that is needed.
fn word(rows: &Rows, output: u32, index: usize) -> u64 {
    let value = match (output / 2).checked_sub(1) {
        Some(slot) => rows.row(slot as usize)[index / 8].0[index % 8],
        None => 0,
    };
    if output & 1 == 1 { !value } else { value }
}

/// Copies output rows out, for `frames` frames at most.
pub(crate) fn store(program: &Program, rows: &Rows, frames: usize, y: &mut [u64], stride: usize) {
    let words = frames.div_ceil(64).min(rows.width * 8);
    for (index, &output) in program.outputs().iter().enumerate() {
        let to = &mut y[index * stride..][..words];
        let flip = if output & 1 == 1 { u64::MAX } else { 0 };
        match (output / 2).checked_sub(1) {
            None => to.fill(flip),
            Some(slot) => {
                for (to, line) in to.chunks_mut(8).zip(rows.row(slot as usize)) {
                    to.iter_mut().zip(&line.0).for_each(|(to, word)| *to = word ^ flip);
                }
            }
        }
        if let Some(rest) = (words * 64).checked_sub(frames).filter(|&rest| rest > 0) {
            to[words - 1] &= u64::MAX >> rest;
        }
    }
}

/// Puts the results of each frame together as numbers.
pub(crate) fn numbers(program: &Program, shape: &Shape, rows: &Rows, y: &mut [u32]) {
    let results = shape.output_words();
    if results == 0 {
        return;
    }
    let widths: Vec<usize> = shape.output_widths().collect();
    let mut bits = Vec::with_capacity(program.outputs().len());
    for (index, y) in y.chunks_mut(64 * results).enumerate() {
        bits.clear();
        bits.extend(program.outputs().iter().map(|&output| word(rows, output, index)));
        // Eight frames at a time: their results are written to eight places that each go on, which
        // caches can follow, however many results there are.
        for (eight, y) in y.chunks_mut(8 * results).enumerate() {
            let mut bits = &bits[..];
            for (place, &width) in widths.iter().enumerate() {
                let (words, rest) = bits.split_at(width);
                bits = rest;
                let values = eight_numbers(words, 8 * eight);
                if y.len() == 8 * results {
                    for (frame, value) in values.into_iter().enumerate() {
                        y[frame * results + place] = value;
                    }
                } else {
                    for (y, value) in y[place..].iter_mut().step_by(results).zip(values) {
                        *y = value;
                    }
                }
            }
        }
    }
}

/// The numbers of eight frames from `shift` on, whose bits are in `words`.
#[inline]
fn eight_numbers(words: &[u64], shift: usize) -> [u32; 8] {
    let mut values = [0u32; 8];
    for (part, words) in words.chunks(8).enumerate() {
        let bits = words
            .iter()
            .enumerate()
            .fold(0, |bits, (bit, word)| bits | spread((word >> shift) as u8) << bit);
        for (value, byte) in values.iter_mut().zip(bits.to_le_bytes()) {
            *value |= u32::from(byte) << (8 * part);
        }
    }
    values
}

/// Bit `i` of a byte as byte `i` of a word.
fn spread(bits: u8) -> u64 {
    let each = u64::from(bits).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    // The top bit of a byte is set where the byte is not zero.
    (each + 0x7f7f_7f7f_7f7f_7f7f) >> 7 & 0x0101_0101_0101_0101
}

const _: () = assert!(size_of::<Line>() == 64);
