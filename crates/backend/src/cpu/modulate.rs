//! Modulation on packed words, threads over rows.
//!
//! Modulated bits are made for 64 numbers at a time, 32 frames of each as one word, and appended to
//! the row whole. Integration adds rows of words into bit planes first, so that counting the ones
//! of a segment costs one population count a plane, not one a row.

use lutweave_tensor::{DType, Element, FrameBuffer, WORD, rng};
use rayon::prelude::*;

use super::Cpu;
use super::grain::grain;
use crate::Result;
use crate::check::check_dtype;
use crate::modulate::{
    ErrorEffect, Levels, ModulateKernels, Modulation, byte_code, check_bit_encode, check_errors,
    check_integrate, check_modulate, rate_limit, real_code, unit,
};

/// Modulated frames made at a time; words of this width let the compiler use whole registers.
const PIECE: usize = 32;

impl ModulateKernels for Cpu {
    fn modulate(
        &self,
        x: &FrameBuffer,
        modulation: &Modulation,
        levels: Levels<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_modulate(x, modulation, levels, y)?;
        match (x.dtype(), y.dtype()) {
            (DType::U8, DType::Bit) => modulate_bits::<u8>(x, modulation, levels, points, y),
            (_, DType::Bit) => modulate_bits::<f32>(x, modulation, levels, points, y),
            (DType::U8, _) => modulate_reals::<u8>(x, modulation, points, y),
            _ => modulate_reals::<f32>(x, modulation, points, y),
        }
    }

    fn integrate(&self, x: &FrameBuffer, frames: usize, y: &mut FrameBuffer) -> Result<()> {
        if x.dtype() == DType::Bit {
            return integrate_bits(x, frames, y);
        }
        check_dtype("integrate", "x", x, DType::F32)?;
        let group = check_integrate("integrate", x, frames, y)?;
        let (rows, x_stride, y_stride) = (x.rows::<f32>()?, x.stride(), y.stride());
        let (outputs, live) = (y.nodes(), y.frames());
        let size = (group * frames) as f32;
        y.rows_mut::<f32>()?
            .par_chunks_mut(y_stride)
            .with_min_len(grain(y_stride))
            .enumerate()
            .for_each(|(output, y)| {
                y.fill(0.0);
                for node in (output..outputs * group).step_by(outputs) {
                    let x = rows[node * x_stride..][..live * frames].chunks_exact(frames);
                    for (y, x) in y.iter_mut().zip(x) {
                        *y += x.iter().sum::<f32>();
                    }
                }
                for y in y {
                    *y /= size;
                }
            });
        Ok(())
    }

    fn integrate_backward(
        &self,
        dy: &FrameBuffer,
        frames: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "integrate backward";
        let group = check_integrate(op, dx, frames, dy)?;
        check_dtype(op, "dx", dx, DType::F32)?;
        let (rows, y_stride, x_stride) = (dy.rows::<f32>()?, dy.stride(), dx.stride());
        let (outputs, live) = (dy.nodes(), dy.frames());
        let size = (group * frames) as f32;
        dx.rows_mut::<f32>()?
            .par_chunks_mut(x_stride)
            .with_min_len(grain(x_stride))
            .enumerate()
            .for_each(|(node, dx)| {
                let dy = &rows[node % outputs * y_stride..][..live];
                for (dx, dy) in dx.chunks_exact_mut(frames).zip(dy) {
                    dx.fill(dy / size);
                }
            });
        Ok(())
    }

    fn bit_encode(&self, x: &FrameBuffer, bits: usize, y: &mut FrameBuffer) -> Result<()> {
        check_bit_encode(x, bits, y)?;
        if x.dtype() == DType::U8 {
            encode_rows::<u8>(x, |value| byte_code(value, bits), y)
        } else {
            encode_rows::<f32>(x, |value| real_code(value, bits), y)
        }
    }

    fn bit_errors(&self, seed: u64, rate: f64, errors: &mut FrameBuffer) -> Result<()> {
        check_dtype("bit errors", "errors", errors, DType::Bit)?;
        let (stride, frames, limit) = (errors.stride(), errors.frames(), rate_limit(rate));
        let last = errors.frame_mask((frames - 1) / WORD);
        errors
            .rows_mut::<u64>()?
            .par_chunks_mut(stride)
            .with_min_len(grain(stride))
            .enumerate()
            .for_each(|(node, row)| {
                let row = &mut row[..frames.div_ceil(WORD)];
                for (index, word) in row.iter_mut().enumerate() {
                    *word = draw_errors(seed, &[node as u64, index as u64], limit);
                }
                if let Some(word) = row.last_mut() {
                    *word &= last;
                }
            });
        Ok(())
    }

    fn apply_errors(
        &self,
        x: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_errors("apply errors", DType::Bit, x, errors, y)?;
        let stride = y.stride();
        let from =
            x.rows::<u64>()?.par_chunks(stride).zip(errors.rows::<u64>()?.par_chunks(stride));
        y.rows_mut::<u64>()?.par_chunks_mut(stride).with_min_len(grain(stride)).zip(from).for_each(
            |(y, (x, errors))| {
                for ((y, x), error) in y.iter_mut().zip(x).zip(errors) {
                    *y = match effect {
                        ErrorEffect::Flip => x ^ error,
                        ErrorEffect::Clear => x & !error,
                    };
                }
            },
        );
        Ok(())
    }

    fn apply_errors_backward(
        &self,
        dy: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        check_errors("apply errors backward", DType::F32, dy, errors, dx)?;
        let (stride, bits) = (dx.stride(), errors.stride());
        let from = dy.rows::<f32>()?.par_chunks(stride).zip(errors.rows::<u64>()?.par_chunks(bits));
        dx.rows_mut::<f32>()?
            .par_chunks_mut(stride)
            .with_min_len(grain(stride))
            .zip(from)
            .for_each(|(dx, (dy, errors))| {
                let blocks = dx.chunks_exact_mut(WORD).zip(dy.chunks_exact(WORD)).zip(errors);
                for ((dx, dy), &errors) in blocks {
                    for (f, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
                        let error = (errors >> f & 1) as u32;
                        *dx = f32::from_bits(match effect {
                            ErrorEffect::Flip => dy.to_bits() ^ error << 31, // the sign
                            ErrorEffect::Clear => dy.to_bits() & error.wrapping_sub(1),
                        });
                    }
                }
            });
        Ok(())
    }
}

fn modulate_bits<T: Element + Into<f32>>(
    x: &FrameBuffer,
    modulation: &Modulation,
    levels: Levels<'_>,
    points: usize,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (rows, x_stride, y_stride) = (x.rows::<T>()?, x.stride(), y.stride());
    let (frames, depth, live) = (modulation.frames, modulation.depth, x.frames());
    y.rows_mut::<u64>()?
        .par_chunks_mut(y_stride)
        .with_min_len(grain(y_stride))
        .enumerate()
        .for_each(|(row, y)| {
            y.fill(0);
            let (channel, d) = (row / points / depth, row / points % depth);
            let node = channel * points + row % points;
            let values = &rows[node * x_stride..][..x_stride];
            for (block, values) in values.chunks_exact(WORD).take(live.div_ceil(WORD)).enumerate() {
                let first = block * WORD;
                let mut block = Block { x, node, first, parts: [0.0; WORD], errors: [0.0; WORD] };
                for (part, &value) in block.parts.iter_mut().zip(values) {
                    *part = modulation.part(value.into(), d);
                }
                let inside = WORD.min(live - first);
                for k in (0..frames).step_by(PIECE) {
                    let pieces = block.pieces(modulation, levels, k, PIECE.min(frames - k), inside);
                    for (f, &piece) in pieces[..inside].iter().enumerate() {
                        append(y, (first + f) * frames + k, piece);
                    }
                }
            }
        });
    Ok(())
}

/// Up to 64 numbers of one node on their way to bits.
struct Block<'a> {
    x: &'a FrameBuffer,
    node: usize,
    /// The frame of the first number.
    first: usize,
    parts: [f32; WORD],
    /// What diffusion carries.
    errors: [f32; WORD],
}

impl Block<'_> {
    /// Frames `first_k .. first_k + count` of every number, frame `first_k` in bit 0.
    #[inline(always)]
    fn pieces(
        &mut self,
        modulation: &Modulation,
        levels: Levels<'_>,
        first_k: usize,
        count: usize,
        inside: usize,
    ) -> [u32; WORD] {
        let frames = modulation.frames;
        let mut pieces = [0u32; WORD];
        if let Levels::Given(given) = levels
            && given.per_frame
        {
            let lanes = pieces[..inside].iter_mut().zip(&self.parts).enumerate();
            for (f, (piece, &part)) in lanes {
                let thresholds = given.frame(self.x, frames, self.node, self.first + f);
                for (bit, &threshold) in thresholds[first_k..][..count].iter().enumerate() {
                    *piece |= u32::from(part > threshold) << bit;
                }
            }
            return pieces;
        }
        for bit in 0..count {
            let k = first_k + bit;
            let lanes = pieces.iter_mut().zip(&self.parts);
            match levels {
                Levels::Ramp => {
                    for (piece, &part) in lanes {
                        *piece |= u32::from(modulation.rise(part, k) > 0.5) << bit;
                    }
                }
                Levels::Given(given) => {
                    let threshold = given.frame(self.x, frames, self.node, 0)[k];
                    for (piece, &part) in lanes {
                        *piece |= u32::from(part > threshold) << bit;
                    }
                }
                Levels::Diffusion => {
                    for ((piece, &part), error) in lanes.zip(&mut self.errors) {
                        let sum = unit(part) + *error;
                        let one = sum > 0.5;
                        *error = if one { sum - 1.0 } else { sum };
                        *piece |= u32::from(one) << bit;
                    }
                }
            }
        }
        pieces
    }
}

/// Sets the bits of `piece` from bit `at` of a row on, where the row is zero.
#[inline(always)]
fn append(row: &mut [u64], at: usize, piece: u32) {
    let (word, shift) = (at / WORD, at % WORD);
    row[word] |= u64::from(piece) << shift;
    if shift > WORD - PIECE {
        let rest = u64::from(piece) >> (WORD - shift);
        if rest != 0 {
            row[word + 1] |= rest;
        }
    }
}

fn modulate_reals<T: Element + Into<f32>>(
    x: &FrameBuffer,
    modulation: &Modulation,
    points: usize,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (rows, x_stride, y_stride) = (x.rows::<T>()?, x.stride(), y.stride());
    let (frames, depth, live) = (modulation.frames, modulation.depth, x.frames());
    y.rows_mut::<f32>()?
        .par_chunks_mut(y_stride)
        .with_min_len(grain(y_stride))
        .enumerate()
        .for_each(|(row, y)| {
            let (channel, d) = (row / points / depth, row / points % depth);
            let node = channel * points + row % points;
            let values = &rows[node * x_stride..][..live];
            for (y, &value) in y.chunks_exact_mut(frames).zip(values) {
                let part = modulation.part(value.into(), d);
                for (k, y) in y.iter_mut().enumerate() {
                    *y = modulation.ramp(part, k);
                }
            }
        });
    Ok(())
}

/// One word of several rows added up: bit `f` of plane `i` is digit `i` of the sum of frame `f`.
#[derive(Default)]
struct Planes {
    planes: [u64; 32],
    used: usize,
}

impl Planes {
    fn add(&mut self, mut word: u64) {
        for plane in &mut self.planes[..self.used] {
            (*plane, word) = (*plane ^ word, *plane & word);
        }
        if word != 0 && self.used < self.planes.len() {
            self.planes[self.used] = word;
            self.used += 1;
        }
    }

    /// The sum over the frames in `mask`.
    fn total(&self, mask: u64) -> u64 {
        let planes = self.planes[..self.used].iter().enumerate();
        planes.map(|(i, plane)| u64::from((plane & mask).count_ones()) << i).sum()
    }

    /// The sum of each frame.
    fn each(&self) -> [u32; WORD] {
        let mut sums = [0u32; WORD];
        for (i, plane) in self.planes[..self.used].iter().enumerate() {
            for (f, sum) in sums.iter_mut().enumerate() {
                *sum |= ((plane >> f & 1) as u32) << i;
            }
        }
        sums
    }
}

fn integrate_bits(x: &FrameBuffer, frames: usize, y: &mut FrameBuffer) -> Result<()> {
    let group = check_integrate("integrate", x, frames, y)?;
    let (rows, x_stride, y_stride) = (x.rows::<u64>()?, x.stride(), y.stride());
    let (outputs, x_frames, size) = (y.nodes(), x.frames(), (group * frames) as f64);
    y.rows_mut::<f32>()?
        .par_chunks_mut(y_stride)
        .with_min_len(grain(y_stride))
        .enumerate()
        .for_each(|(output, y)| {
            let mut sum = 0; // of the segment that the last word ended in
            for word in 0..x_frames.div_ceil(WORD) {
                let mut planes = Planes::default();
                for node in (output..outputs * group).step_by(outputs) {
                    planes.add(rows[node * x_stride + word]);
                }
                let first = word * WORD;
                if frames == 1 {
                    for (y, sum) in y[first..].iter_mut().zip(planes.each()) {
                        *y = (f64::from(sum) / size) as f32; // padding sums to zero
                    }
                    continue;
                }
                let (mut at, end) = (first, x_frames.min(first + WORD));
                while at < end {
                    let segment = at / frames;
                    let stop = end.min((segment + 1) * frames);
                    let mask = u64::MAX >> (WORD - (stop - at)) << (at - first);
                    sum += planes.total(mask);
                    if stop == (segment + 1) * frames {
                        y[segment] = (sum as f64 / size) as f32;
                        sum = 0;
                    }
                    at = stop;
                }
            }
        });
    Ok(())
}

fn encode_rows<T: Element>(
    x: &FrameBuffer,
    code: impl Fn(T) -> u32 + Sync,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (rows, x_stride, y_stride) = (x.rows::<T>()?, x.stride(), y.stride());
    let (nodes, words) = (x.nodes(), x.frames().div_ceil(WORD));
    y.rows_mut::<u64>()?
        .par_chunks_mut(y_stride)
        .with_min_len(grain(y_stride))
        .enumerate()
        .for_each(|(row, y)| {
            let (bit, node) = (row / nodes, row % nodes);
            let values = rows[node * x_stride..][..x_stride].chunks_exact(WORD);
            for (y, values) in y[..words].iter_mut().zip(values) {
                // The code of the padding's zeros is zero.
                let digit = |(f, &value): (usize, &T)| u64::from(code(value) >> bit & 1) << f;
                *y = values.iter().enumerate().map(digit).fold(0, |bits, bit| bits | bit);
            }
        });
    Ok(())
}

/// 64 draws at once: a frame is decided at the highest digit in which its number and the limit
/// differ, so a few words decide all of them.
fn draw_errors(seed: u64, path: &[u64], limit: u64) -> u64 {
    if limit >> 32 != 0 {
        return u64::MAX;
    }
    let (mut below, mut open) = (0, u64::MAX);
    let mut stream = rng::stream(seed, path);
    for digit in (0..32).rev() {
        // Once the limit has no more digits, an equal number stays equal or rises above it.
        if open == 0 || limit & ((2 << digit) - 1) == 0 {
            break;
        }
        let draw = rng::word(&mut stream);
        if limit >> digit & 1 == 1 {
            below |= open & !draw;
            open &= draw;
        } else {
            open &= !draw;
        }
    }
    below
}
