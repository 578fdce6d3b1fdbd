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
    let mut first = 0;
    for (place, width) in shape.output_widths().enumerate() {
        let outputs = &program.outputs()[first..first + width];
        first += width;
        for (index, y) in y.chunks_mut(64 * results).enumerate() {
            if outputs.len() <= 8 {
                let mut words = [0u64; 8];
                for (to, &output) in words.iter_mut().zip(outputs) {
                    *to = word(rows, output, index);
                }
                for (eight, y) in y.chunks_mut(8 * results).enumerate() {
                    let words = words[..outputs.len()].iter().enumerate();
                    let values = words.fold(0, |values, (bit, word)| {
                        values | spread((word >> (8 * eight)) as u8) << bit
                    });
                    for (y, value) in y.chunks_mut(results).zip(values.to_le_bytes()) {
                        y[place] = value.into();
                    }
                }
                continue;
            }
            let mut values = [0u32; 64];
            for (bit, &output) in outputs.iter().enumerate() {
                let word = word(rows, output, index);
                for (f, value) in values.iter_mut().enumerate() {
                    *value |= ((word >> f & 1) as u32) << bit;
                }
            }
            for (y, value) in y.chunks_mut(results).zip(values) {
                y[place] = value;
            }
        }
    }
}

/// Bit `i` of a byte as byte `i` of a word.
fn spread(bits: u8) -> u64 {
    let each = u64::from(bits).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    // The top bit of a byte is set where the byte is not zero.
    (each + 0x7f7f_7f7f_7f7f_7f7f) >> 7 & 0x0101_0101_0101_0101
}

const _: () = assert!(size_of::<Line>() == 64);
