//! What passes do to truth tables: restrict, rename, negate, compose.

use crate::{MAX_FAN_IN, TruthTable};

/// The table of input `i` among eight, packed as in [`TruthTable::words`].
const INPUTS: [[u64; 4]; MAX_FAN_IN] = {
    let low = [
        0xaaaa_aaaa_aaaa_aaaa,
        0xcccc_cccc_cccc_cccc,
        0xf0f0_f0f0_f0f0_f0f0,
        0xff00_ff00_ff00_ff00,
        0xffff_0000_ffff_0000,
        0xffff_ffff_0000_0000,
    ];
    let mut tables = [[0; 4]; MAX_FAN_IN];
    let mut i = 0;
    while i < 6 {
        tables[i] = [low[i]; 4];
        i += 1;
    }
    tables[6] = [0, u64::MAX, 0, u64::MAX];
    tables[7] = [0, 0, u64::MAX, u64::MAX];
    tables
};

/// A table whose entry `k` is `entry(k)`, for a fan-in that was checked before.
pub(super) fn table(fan_in: usize, entry: impl FnMut(usize) -> bool) -> TruthTable {
    TruthTable::from_fn(fan_in, entry).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The words of a table that is `words` below its number of entries.
fn cut(fan_in: usize, words: [u64; 4]) -> TruthTable {
    let entries = 1usize << fan_in;
    let words = std::array::from_fn(|w| match entries.saturating_sub(64 * w) {
        0 => 0,
        n if n >= 64 => words[w],
        n => words[w] & ((1 << n) - 1),
    });
    TruthTable::new(fan_in, words).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The complement.
pub(super) fn negate(of: &TruthTable) -> TruthTable {
    cut(of.fan_in(), of.words().map(|word| !word))
}

/// Whether the table changes with an input. As [`TruthTable::depends_on`], on whole words.
pub(super) fn depends(of: &TruthTable, input: usize) -> bool {
    let words = of.words();
    match input {
        0..6 => {
            let (mask, shift) = (!INPUTS[input][0], 1 << input);
            words.iter().any(|word| (word ^ word >> shift) & mask != 0)
        }
        6 => words[0] != words[1] || words[2] != words[3],
        _ => words[0] != words[2] || words[1] != words[3],
    }
}

/// The inputs that a table depends on, as bits.
pub(super) fn support(of: &TruthTable) -> u32 {
    (0..of.fan_in()).filter(|&input| depends(of, input)).map(|input| 1 << input).sum()
}

/// The table over the inputs in `keep` only, in their order; the others are taken as zero.
pub(super) fn project(of: &TruthTable, keep: u32) -> TruthTable {
    if keep.count_ones() as usize == of.fan_in() {
        return *of;
    }
    let places: [usize; MAX_FAN_IN] = places(keep);
    let count = keep.count_ones() as usize;
    table(count, |k| of.get(spread(k, &places[..count])))
}

/// The numbers of the bits set in `keep`, lowest first.
fn places(keep: u32) -> [usize; MAX_FAN_IN] {
    let mut places = [0; MAX_FAN_IN];
    let bits = (0..MAX_FAN_IN).filter(|&bit| keep >> bit & 1 == 1);
    for (place, bit) in places.iter_mut().zip(bits) {
        *place = bit;
    }
    places
}

/// Bit `i` of `k` at place `places[i]`.
fn spread(k: usize, places: &[usize]) -> usize {
    places.iter().enumerate().map(|(bit, &place)| (k >> bit & 1) << place).sum()
}

/// What an input of a table is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A fixed bit.
    Constant(bool),
    /// An input of the new table, perhaps complemented.
    Input(usize, bool),
}

/// The table of `fan_in` inputs that comes of replacing each input of `of`.
pub(super) fn substitute(of: &TruthTable, sources: &[Source], fan_in: usize) -> TruthTable {
    let inputs = sources.iter().map(|source| match *source {
        Source::Constant(value) => [if value { u64::MAX } else { 0 }; 4],
        Source::Input(input, complement) => {
            INPUTS[input].map(|word| if complement { !word } else { word })
        }
    });
    let mut words = [[0; 4]; MAX_FAN_IN];
    for (place, input) in words.iter_mut().zip(inputs) {
        *place = input;
    }
    cut(fan_in, compose(of, &words[..sources.len()], fan_in))
}

/// The words of `of` on inputs that are tables of `fan_in` inputs themselves. Only the words that
/// such a table has are computed.
fn compose(of: &TruthTable, inputs: &[[u64; 4]], fan_in: usize) -> [u64; 4] {
    let mut result = [0; 4];
    let mut operands = [0; MAX_FAN_IN];
    for (w, result) in result.iter_mut().enumerate().take((1usize << fan_in).div_ceil(64)) {
        for (operand, input) in operands.iter_mut().zip(inputs) {
            *operand = input[w];
        }
        *result = of.evaluate(&operands[..inputs.len()]);
    }
    result
}

/// `of` on inputs that are themselves tables, each over the new inputs that `places` says.
pub(super) fn nest(
    of: &TruthTable,
    inputs: &[(TruthTable, [u8; MAX_FAN_IN])],
    fan_in: usize,
) -> TruthTable {
    let mut words = [[0; 4]; MAX_FAN_IN];
    for (place, (input, places)) in words.iter_mut().zip(inputs) {
        let sources: [[u64; 4]; MAX_FAN_IN] =
            std::array::from_fn(|i| INPUTS[usize::from(places[i]) % MAX_FAN_IN]);
        *place = compose(input, &sources[..input.fan_in()], fan_in);
    }
    cut(fan_in, compose(of, &words[..inputs.len()], fan_in))
}

/// The cofactors for input `input` at zero and at one, over the other inputs.
pub(super) fn cofactors(of: &TruthTable, input: usize) -> [TruthTable; 2] {
    [false, true].map(|value| {
        let sources: Vec<Source> = (0..of.fan_in())
            .map(|i| match i.cmp(&input) {
                std::cmp::Ordering::Less => Source::Input(i, false),
                std::cmp::Ordering::Equal => Source::Constant(value),
                std::cmp::Ordering::Greater => Source::Input(i - 1, false),
            })
            .collect();
        substitute(of, &sources, of.fan_in() - 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tables() -> impl Strategy<Value = TruthTable> {
        (1usize..=8, any::<[u64; 4]>()).prop_map(|(fan_in, words)| cut(fan_in, words))
    }

    proptest! {
        #[test]
        fn words_agree_with_entries(of in tables(), seed: u64) {
            let n = of.fan_in();
            prop_assert!((0..of.entries()).all(|k| negate(&of).get(k) != of.get(k)));
            for input in 0..n {
                prop_assert_eq!(depends(&of, input), of.depends_on(input));
                let [zero, one] = cofactors(&of, input);
                let back = table(n, |k| {
                    let rest = k & ((1 << input) - 1) | k >> (input + 1) << input;
                    if k >> input & 1 == 1 { one.get(rest) } else { zero.get(rest) }
                });
                prop_assert_eq!(back, of);
            }
            let sources: Vec<Source> = (0..n)
                .map(|i| match seed >> (4 * i) & 15 {
                    0 => Source::Constant(false),
                    1 => Source::Constant(true),
                    other => Source::Input(other as usize % 5, other > 8),
                })
                .collect();
            let new = substitute(&of, &sources, 5);
            for k in 0..32 {
                let index = sources.iter().enumerate().map(|(i, source)| {
                    let bit = match *source {
                        Source::Constant(value) => value,
                        Source::Input(input, complement) => (k >> input & 1 == 1) != complement,
                    };
                    usize::from(bit) << i
                });
                prop_assert_eq!(new.get(k), of.get(index.sum()));
            }
        }

        #[test]
        fn a_projection_to_the_support_loses_nothing(of in tables(), mask in 0u32..256) {
            // A table that ignores the inputs of the mask.
            let of = table(of.fan_in(), |k| of.get(k & !(mask as usize)));
            let keep = support(&of);
            prop_assert_eq!(keep & mask, 0);
            let small = project(&of, keep);
            let places = places(keep);
            let count = keep.count_ones() as usize;
            for k in 0..small.entries() {
                prop_assert_eq!(small.get(k), of.get(spread(k, &places[..count])));
            }
        }

        #[test]
        fn nesting_is_evaluation_in_two_steps(
            of in tables(), parts in proptest::collection::vec(tables(), 8), places: [u8; 8]
        ) {
            let places = places.map(|place| place % 7);
            let inputs: Vec<_> = parts[..of.fan_in()].iter().map(|part| (*part, places)).collect();
            let all = nest(&of, &inputs, 7);
            for k in 0..128usize {
                let inner = |part: &TruthTable| {
                    part.get((0..part.fan_in()).map(|i| (k >> places[i] & 1) << i).sum())
                };
                let index = inputs.iter().enumerate().map(|(i, (p, _))| usize::from(inner(p)) << i);
                prop_assert_eq!(all.get(k), of.get(index.sum()));
            }
        }
    }
}
