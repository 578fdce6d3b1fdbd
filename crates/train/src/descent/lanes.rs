//! The loops over frames of a visit, compiled for each instruction set.
//!
//! None of them adds up over frames, so the bits are the same for each.

use lutweave_backend::Kernel;
use lutweave_lut::TruthTable;
use lutweave_tensor::WORD;

use super::block::ENTRIES;

/// What a one instead of a zero is worth for a node that its class counts.
///
/// With `e` the share of its class before the softmax is normalised, `n` the sum of all of them and
/// `p = e/n` when the node gives zero:
///
/// ```text
/// value = [label = class]/τ − ln(1 + p·m)     m = e^(1/τ) − 1
/// ```
///
/// The logarithm is `2 artanh(s)` with `s = e·m / (2n + e·m)`, a series in `s²` that is exact to
/// 10⁻⁶ of it for `m ≤ 1`, which is `τ ≥ 1.45`; below, it is evaluated one by one.
pub(super) struct Worth<'a> {
    /// The bits of the node as it is.
    pub(super) row: &'a [u64],
    pub(super) shares: &'a [f32],
    pub(super) norm: &'a [f32],
    pub(super) labels: &'a [u32],
    pub(super) class: u32,
    /// 1 / τ.
    pub(super) inverse: f32,
    /// `e^(1/τ)` and `e^(−1/τ)`.
    pub(super) steps: [f32; 2],
    pub(super) values: &'a mut [f32],
}

impl Kernel for Worth<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { row, class, inverse, steps: [up, down], .. } = self;
        let more = up - 1.0;
        let small = more <= 1.0;
        let parts = self.values.chunks_mut(WORD / 2).zip(self.shares.chunks(WORD / 2));
        let parts = parts.zip(self.norm.chunks(WORD / 2)).zip(self.labels.chunks(WORD / 2));
        for (half, (((values, shares), norm), labels)) in parts.enumerate() {
            let bits = (row[half / 2] >> (32 * (half % 2))) as u32;
            let frames = values.iter_mut().zip(shares).zip(norm).zip(labels);
            for (place, (((value, &share), &norm), &label)) in frames.enumerate() {
                let zero = if bits & 1 << place == 0 { share } else { share * down };
                let norm = (norm - share + zero).max(zero);
                let gain = if label == class { inverse } else { 0.0 };
                let above = zero * more;
                // Where everything has vanished, so has what the node is worth.
                let s = above / (norm + norm + above).max(f32::MIN_POSITIVE);
                *value = gain - if small { series(s) } else { libm::log1pf(above / norm) };
            }
        }
    }
}

/// `2 artanh(s)` for `0 ≤ s ≤ 1/3`.
#[inline(always)]
fn series(s: f32) -> f32 {
    let q = s * s;
    let sum = 1.0 / 9.0 + q * (1.0 / 11.0);
    2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * sum))))
}

/// The bits of a node from those of its sources, 64 frames a word.
pub(super) struct Answers<'a> {
    pub(super) table: &'a TruthTable,
    /// The words of each input.
    pub(super) inputs: &'a [&'a [u64]],
    pub(super) answers: &'a mut [u64],
}

impl Kernel for Answers<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let entries = self.table.entries();
        let mut masks = [0u64; ENTRIES];
        for (k, mask) in masks[..entries].iter_mut().enumerate() {
            *mask = u64::from(self.table.get(k)).wrapping_neg();
        }
        for (word, answer) in self.answers.iter_mut().enumerate() {
            // The highest input first: the two halves of the table are then next to one another.
            let mut level = [0u64; ENTRIES / 2];
            let mut half = entries / 2;
            for (at, input) in self.inputs.iter().enumerate().rev() {
                let x = input[word];
                if at + 1 == self.inputs.len() {
                    let (low, high) = masks[..entries].split_at(half);
                    for ((to, low), high) in level.iter_mut().zip(low).zip(high) {
                        *to = low ^ ((low ^ high) & x);
                    }
                } else {
                    let (low, high) = level[..2 * half].split_at_mut(half);
                    for (low, high) in low.iter_mut().zip(high) {
                        *low ^= (*low ^ *high) & x;
                    }
                }
                half /= 2;
            }
            *answer = level[0];
        }
    }
}

/// Byte `i` of entry `b` is bit `i` of `b`.
const SPREAD: [u64; 256] = {
    let mut spread = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            spread[byte] |= ((byte as u64 >> bit) & 1) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    spread
};

/// The pattern that each frame shows: input `i` is bit `i`. Up to eight inputs.
pub(super) fn patterns(inputs: &[&[u64]], patterns: &mut [u8]) {
    for (word, patterns) in patterns.chunks_mut(WORD).enumerate() {
        let mut eights = [0u64; WORD / 8];
        for (at, input) in inputs.iter().enumerate() {
            for (eight, byte) in eights.iter_mut().zip(input[word].to_le_bytes()) {
                *eight |= SPREAD[usize::from(byte)] << at;
            }
        }
        for (patterns, eight) in patterns.chunks_mut(8).zip(eights) {
            patterns.copy_from_slice(&eight.to_le_bytes()[..patterns.len()]);
        }
    }
}

/// Sums values by pattern, and counts frames.
///
/// Every fourth frame goes into the same sum, so that an addition seldom waits for the one before.
pub(super) fn totals(patterns: &[u8], values: &[f32]) -> ([f64; ENTRIES], [u32; ENTRIES]) {
    let mut sums = [[0f64; ENTRIES]; 4];
    let mut seen = [[0u32; ENTRIES]; 4];
    for (patterns, values) in patterns.chunks(4).zip(values.chunks(4)) {
        for (lane, (&pattern, &value)) in patterns.iter().zip(values).enumerate() {
            sums[lane][usize::from(pattern)] += f64::from(value);
            seen[lane][usize::from(pattern)] += 1;
        }
    }
    let total = |k: usize| (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]);
    let count = |k: usize| seen[0][k] + seen[1][k] + seen[2][k] + seen[3][k];
    (std::array::from_fn(total), std::array::from_fn(count))
}
