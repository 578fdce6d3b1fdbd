//! The table kernels of one node, in portable loops. Compiled once per instruction set: every
//! function is inlined into its caller in `dispatch`.

use super::node::{Inputs, Node, Spread};
use lutweave_tensor::WORD;

/// Byte `b` of entry `v` is bit `b` of `v`.
const SPREAD: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut v = 0;
    while v < 256 {
        let mut b = 0;
        while b < 8 {
            table[v] |= (v as u64 >> b & 1) << (8 * b);
            b += 1;
        }
        v += 1;
    }
    table
};

/// The patterns of the 64 frames of one packed word, one byte a frame.
#[inline(always)]
pub(super) fn patterns(inputs: &Inputs<'_>, word: usize) -> [u8; WORD] {
    let mut patterns = [0u64; 8];
    for (i, row) in inputs.rows().iter().enumerate() {
        for (byte, pattern) in row[word].to_le_bytes().into_iter().zip(&mut patterns) {
            *pattern |= SPREAD[usize::from(byte)] << i;
        }
    }
    let mut bytes = [0u8; WORD];
    for (bytes, pattern) in bytes.chunks_exact_mut(8).zip(patterns) {
        bytes.copy_from_slice(&pattern.to_le_bytes());
    }
    bytes
}

/// Pattern counts from subset counts.
///
/// The number of frames in which all inputs of a set are one takes one AND and one popcount a
/// set, half of what exact patterns take; one pass of differences per input then gives the exact
/// patterns (Möbius inversion over subsets). Padding is zero and falls into no set but the empty
/// one, whose count is the number of frames.
#[inline(always)]
pub(super) fn counts(node: Node<'_>, frames: usize, counts: &mut [u32]) {
    counts.fill(0);
    let mut sets = [u64::MAX; 256];
    for place in 0..node.places() {
        let inputs = node.place(place);
        for word in 0..frames.div_ceil(WORD) {
            for (i, row) in inputs.rows().iter().enumerate() {
                let bits = row[word];
                let (known, new) = sets.split_at_mut(1 << i);
                for (new, known) in new.iter_mut().zip(known) {
                    *new = *known & bits;
                }
            }
            for (count, set) in counts.iter_mut().zip(&sets) {
                // That of the empty set may overflow; it is known without counting.
                *count = count.wrapping_add(set.count_ones());
            }
        }
    }
    subsets_to_patterns(node.places() * frames, counts);
}

/// Turns the number of frames with at least these inputs set into that with exactly these.
#[inline(always)]
pub(super) fn subsets_to_patterns(frames: usize, counts: &mut [u32]) {
    counts[0] = frames as u32;
    let mut step = 1;
    while step < counts.len() {
        for pair in counts.chunks_exact_mut(2 * step) {
            let (without, with) = pair.split_at_mut(step);
            for (without, with) in without.iter_mut().zip(with) {
                *without -= *with;
            }
        }
        step *= 2;
    }
}

/// Output bits, `words` of each place's row in `y`.
#[inline(always)]
pub(super) fn look_up(node: Node<'_>, table: &[u64], y: &mut [u64], words: usize) {
    for place in 0..node.places() {
        look_up_row(&node.place(place), table, &mut y[place * node.stride()..][..words]);
    }
}

/// Output bits by a tree of multiplexers on whole words, four at a time.
#[inline(always)]
fn look_up_row(node: &Inputs<'_>, table: &[u64], y: &mut [u64]) {
    const LANES: usize = 4;
    let fan_in = node.rows().len();
    let leaves = 1usize << (fan_in - 1);
    for (block, y) in y.chunks_mut(LANES).enumerate() {
        let input =
            |i: usize| -> [u64; LANES] {
                std::array::from_fn(|lane| {
                    if lane < y.len() { node.word(i, block * LANES + lane) } else { 0 }
                })
            };
        let mut level = [[0u64; LANES]; 128];
        let x = input(0);
        for (k, leaf) in level.iter_mut().enumerate().take(leaves) {
            let entry = |k: usize| (table[k / 64] >> (k % 64) & 1).wrapping_neg();
            let (zero, one) = (entry(2 * k), entry(2 * k + 1));
            for (leaf, x) in leaf.iter_mut().zip(x) {
                *leaf = (zero & !x) | (one & x);
            }
        }
        let mut length = leaves;
        for i in 1..fan_in {
            let x = input(i);
            length /= 2;
            for k in 0..length {
                let (zero, one) = (level[2 * k], level[2 * k + 1]);
                for (lane, x) in x.into_iter().enumerate() {
                    level[k][lane] = zero[lane] ^ ((zero[lane] ^ one[lane]) & x);
                }
            }
        }
        y.copy_from_slice(&level[0][..y.len()]);
    }
}

/// Output numbers from a table of them; rows of `y` are of `stride` numbers.
#[inline(always)]
pub(super) fn values(node: Node<'_>, values: &[f32], y: &mut [f32], stride: usize, frames: usize) {
    for place in 0..node.places() {
        let inputs = node.place(place);
        let y = &mut y[place * stride..];
        for (word, y) in y[..frames].chunks_mut(WORD).enumerate() {
            for (y, k) in y.iter_mut().zip(patterns(&inputs, word)) {
                *y = values[usize::from(k)];
            }
        }
    }
}

/// Frames of which sums are taken before they are added to those of other places: long sums of f32
/// would lose digits. Part of the numeric contract.
const RUN: usize = 4096;

/// Places whose sums are taken together; see [`RUN`].
#[inline(always)]
pub(super) fn run(frames: usize) -> usize {
    RUN.div_ceil(frames)
}

/// Sums of `dy` by pattern, in four partial sums by frame modulo four so that additions to the
/// same entry do not wait for each other; they are added in order at the end.
#[inline(always)]
pub(super) fn sums(node: Node<'_>, dy: &[f32], stride: usize, frames: usize, sums: &mut [f32]) {
    const PARTS: usize = 4;
    let padded = frames.next_multiple_of(WORD);
    let run = run(frames);
    sums.fill(0.0);
    for first in (0..node.places()).step_by(run) {
        let mut parts = [[0f32; 256]; PARTS];
        for place in first..node.places().min(first + run) {
            let inputs = node.place(place);
            let dy = &dy[place * stride..];
            for (word, dy) in dy[..padded].chunks_exact(WORD).enumerate() {
                let patterns = patterns(&inputs, word);
                for (patterns, dy) in patterns.chunks_exact(PARTS).zip(dy.chunks_exact(PARTS)) {
                    for (part, (&k, dy)) in parts.iter_mut().zip(patterns.iter().zip(dy)) {
                        part[usize::from(k)] += dy;
                    }
                }
            }
        }
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum += (parts[0][k] + parts[1][k]) + (parts[2][k] + parts[3][k]);
        }
    }
}

/// Spreads the gradient of one table over a block of frames of its inputs' rows.
#[inline(always)]
pub(super) fn spread(node: Node<'_>, spread: &Spread<'_>, rows: &mut [&mut [f32]]) {
    for place in spread.places.clone() {
        spread_place(node, place, spread, 0, rows);
    }
}

/// The same at one place, from frame `start` of the frames of `spread` on, a multiple of [`WORD`].
#[inline(always)]
pub(super) fn spread_place(
    node: Node<'_>,
    place: usize,
    spread: &Spread<'_>,
    start: usize,
    rows: &mut [&mut [f32]],
) {
    let entries = 1usize << node.fan_in();
    let (scale, offset) = (&spread.scale[..entries], &spread.offset[..entries]);
    let inputs = node.place(place);
    for (word, dy) in spread.dy(place)[start..].chunks(WORD).enumerate() {
        let start = start + word * WORD;
        let patterns = patterns(&inputs, (spread.first + start) / WORD);
        let mut e = [0f32; WORD];
        for ((e, dy), &k) in e.iter_mut().zip(dy).zip(&patterns) {
            *e = scale[usize::from(k)] * dy + offset[usize::from(k)];
        }
        let slopes = spread.slopes.chunks_exact(entries);
        for (i, (&source, slopes)) in node.sources(place).iter().zip(slopes).enumerate() {
            let dx = &mut rows[spread.target(i, source)][start..];
            for ((dx, &k), e) in dx[..dy.len()].iter_mut().zip(&patterns).zip(e) {
                *dx += slopes[usize::from(k)] * e;
            }
        }
    }
}

/// `t[k] ← own·t[k] + other·t[k ^ 1 << i]` for every input `i` in turn, each product rounded.
#[inline(always)]
pub(super) fn mix(values: &mut [f32], own: f32, other: f32) {
    let mut step = 1;
    while step < values.len() {
        for pair in values.chunks_exact_mut(2 * step) {
            let (low, high) = pair.split_at_mut(step);
            for (low, high) in low.iter_mut().zip(high) {
                (*low, *high) = (own * *low + other * *high, own * *high + other * *low);
            }
        }
        step *= 2;
    }
}
