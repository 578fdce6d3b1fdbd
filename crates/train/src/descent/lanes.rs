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
                let gain = if label == class { inverse } else { 0.0 };
                *value = worth([share, zero, norm], (gain, more, small));
            }
        }
    }
}

/// What a one more is worth where the share of the class is `share` and would be `zero` without the
/// node, and `norm` is the sum of all shares.
#[inline(always)]
fn worth([share, zero, norm]: [f32; 3], (gain, more, small): (f32, f32, bool)) -> f32 {
    let norm = (norm - share + zero).max(zero);
    let above = zero * more;
    // Where everything has vanished, so has what the node is worth.
    let s = above / (norm + norm + above).max(f32::MIN_POSITIVE);
    gain - if small { series(s) } else { libm::log1pf(above / norm) }
}

/// [`Worth`] of a node at several positions: what its first one is worth where it gives none at all.
pub(super) struct WorthOfFirst<'a> {
    /// In how many positions the node gives a one.
    pub(super) ones: &'a [u8],
    /// `e^(−k/τ)` for `k` ones.
    pub(super) downs: &'a [f32; ENTRIES],
    pub(super) shares: &'a [f32],
    pub(super) norm: &'a [f32],
    pub(super) labels: &'a [u32],
    pub(super) class: u32,
    /// 1 / τ.
    pub(super) inverse: f32,
    /// `e^(1/τ)`.
    pub(super) up: f32,
    pub(super) values: &'a mut [f32],
}

impl Kernel for WorthOfFirst<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let more = self.up - 1.0;
        let frames = self.values.iter_mut().zip(self.shares).zip(self.norm);
        let frames = frames.zip(self.labels).zip(self.ones);
        for ((((value, &share), &norm), &label), &ones) in frames {
            let zero = share * self.downs[usize::from(ones)];
            let gain = if label == self.class { self.inverse } else { 0.0 };
            *value = worth([share, zero, norm], (gain, more, more <= 1.0));
        }
    }
}

/// Adds a row of bits at several positions, a position after the other, to counts for each frame.
pub(super) struct Ones<'a> {
    pub(super) row: &'a [u64],
    pub(super) positions: usize,
    /// One for each frame.
    pub(super) counts: &'a mut [u8],
}

impl Kernel for Ones<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { row, positions, counts } = self;
        let frames = counts.len();
        for position in 0..positions {
            for (word, counts) in counts.chunks_mut(WORD).enumerate() {
                let first = position * frames + word * WORD;
                let (at, shift) = (first / WORD, first % WORD);
                let mut bits = row[at] >> shift;
                if shift > 0 && at + 1 < row.len() {
                    bits |= row[at + 1] << (WORD - shift);
                }
                for (place, count) in counts.iter_mut().enumerate() {
                    *count += (bits >> place & 1) as u8;
                }
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
    pub(super) to: &'a mut [u64],
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
        for (word, answer) in self.to.iter_mut().enumerate() {
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

/// Adds what a pair of entries is worth when a candidate divides its frames anew.
pub(super) struct Divided<'a> {
    /// Of the frames of both patterns.
    pub(super) total: f32,
    /// For each candidate that of the frames of one pattern in which it is one, then the other.
    pub(super) parts: [&'a [f32]; 2],
    /// For each candidate.
    pub(super) worth: &'a mut [f32],
}

impl Kernel for Divided<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [low, high] = self.parts;
        // What `f32::max` says of numbers that are none takes longer than all the rest.
        for ((worth, low), high) in self.worth.iter_mut().zip(low).zip(high) {
            let ones = low + high;
            let zeros = self.total - ones;
            let above = |sum: f32| if sum > 0.0 { sum } else { 0.0 };
            *worth += above(ones) + above(zeros);
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

#[cfg(test)]
mod tests {
    use lutweave_backend::Dispatch;
    use lutweave_lut::Isa;
    use lutweave_tensor::rng;

    use super::*;

    /// Of the largest difference of two losses.
    const CLOSE: f64 = 3e-6;

    #[test]
    fn a_one_is_worth_the_difference_of_two_losses() {
        let mut stream = rng::stream(2, &[]);
        let mut random = |most: usize| rng::below(&mut stream, most + 1) as f64;
        for tau in [0.3f32, 1.5, 4.0, 30.0] {
            let frames = 100;
            let row: Vec<u64> = vec![0x0123_4567_89ab_cdef, 0xf0f0_0f0f_3333_5555];
            let (mut shares, mut norm, mut labels) = (Vec::new(), Vec::new(), Vec::new());
            let mut exact = Vec::new();
            for frame in 0..frames {
                let bit = (row[frame / WORD] >> (frame % WORD) & 1) as f64;
                let counts = [1.0 + random(20), random(20), random(20)];
                let top = counts.iter().fold(0f64, |top, &count| top.max(count));
                let e = |count: f64| ((count - top) / f64::from(tau)).exp();
                let rest = e(counts[1]) + e(counts[2]);
                shares.push(e(counts[0]) as f32);
                norm.push((e(counts[0]) + rest) as f32);
                labels.push(random(1) as u32);
                let (zero, one) = (e(counts[0] - bit), e(counts[0] - bit + 1.0));
                let gain = f64::from(u8::from(labels[frame] == 0)) / f64::from(tau);
                exact.push(gain - ((one + rest) / (zero + rest)).ln());
            }
            for isa in Isa::available() {
                let mut values = vec![0.0; frames];
                isa.run(Worth {
                    row: &row,
                    shares: &shares,
                    norm: &norm,
                    labels: &labels,
                    class: 0,
                    inverse: 1.0 / tau,
                    steps: [libm::expf(1.0 / tau), libm::expf(-1.0 / tau)],
                    values: &mut values,
                });
                for (&value, exact) in values.iter().zip(&exact) {
                    let away = (f64::from(value) - exact).abs() * f64::from(tau);
                    assert!(away < CLOSE, "{tau}, {isa}: {value}, {exact}");
                }
            }
        }
    }

    #[test]
    fn answers_and_patterns_are_those_of_the_table() {
        let mut stream = rng::stream(4, &[]);
        let mut random = || u64::from(rng::below(&mut stream, 1 << 32) as u32) << 31 ^ 0x9e37_79b9;
        for fan_in in 1..=8 {
            let words: Vec<[u64; 3]> =
                (0..fan_in).map(|_| [random(), random(), random()]).collect();
            let inputs: Vec<&[u64]> = words.iter().map(|words| &words[..]).collect();
            let entries = [random(), random(), random(), random()];
            let entry = |k: usize| entries[k / WORD] >> (k % WORD) & 1 == 1;
            let table = TruthTable::from_fn(fan_in, entry).unwrap();
            let plain = [0, 1, 2]
                .map(|at| table.evaluate(&words.iter().map(|words| words[at]).collect::<Vec<_>>()));
            for isa in Isa::available() {
                let mut answers = [0; 3];
                isa.run(Answers { table: &table, inputs: &inputs, to: &mut answers });
                assert_eq!(answers, plain, "{fan_in}, {isa}");
            }
            let mut seen = [0; 150];
            patterns(&inputs, &mut seen);
            for (frame, &pattern) in seen.iter().enumerate() {
                let bit = plain[frame / WORD] >> (frame % WORD) & 1 == 1;
                assert_eq!(table.get(usize::from(pattern)), bit, "{fan_in}");
            }
        }
    }
}
