//! A truth table as few products: what goes to the solver as clauses.
//!
//! The recursion of S. Minato and E. Morreale for irredundant sums of products (Minato, "Fast
//! generation of irredundant sum-of-products forms from binary decision diagrams", SASIMI 1992),
//! on whole tables.

/// A table of eight inputs; smaller ones are repeated to fill it.
type Bits = [u64; 4];

/// A product of inputs: bit `i` of `care` says that input `i` must have the value of bit `i` of
/// `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cube {
    pub(crate) care: u8,
    pub(crate) value: u8,
}

/// Products whose sum is `table`, none of which can be left out. `table` has `inputs` inputs.
pub(crate) fn products(table: &[u64; 4], inputs: usize) -> Vec<Cube> {
    let full = repeat(table, inputs);
    let mut cubes = Vec::new();
    cover(&full, &full, inputs, Cube { care: 0, value: 0 }, &mut cubes);
    cubes
}

/// The complement of a table of `inputs` inputs.
pub(crate) fn complement(table: &[u64; 4], inputs: usize) -> [u64; 4] {
    repeat(table, inputs).map(|word| !word)
}

fn repeat(table: &[u64; 4], inputs: usize) -> Bits {
    let mut full = *table;
    if inputs < 6 {
        let mut word = table[0] & ((1u64 << (1 << inputs)) - 1);
        for level in inputs..6 {
            word |= word << (1 << level);
        }
        full = [word; 4];
    } else if inputs == 6 {
        full = [table[0]; 4];
    } else if inputs == 7 {
        full = [table[0], table[1], table[0], table[1]];
    }
    full
}

/// Both cofactors for an input, each repeated over its value.
fn cofactors(of: &Bits, input: usize) -> (Bits, Bits) {
    const LOW: [u64; 6] = [
        0x5555_5555_5555_5555,
        0x3333_3333_3333_3333,
        0x0f0f_0f0f_0f0f_0f0f,
        0x00ff_00ff_00ff_00ff,
        0x0000_ffff_0000_ffff,
        0x0000_0000_ffff_ffff,
    ];
    match input {
        0..6 => {
            let (mask, shift) = (LOW[input], 1 << input);
            let low = of.map(|word| (word & mask) | (word & mask) << shift);
            let high = of.map(|word| (word & !mask) | (word & !mask) >> shift);
            (low, high)
        }
        6 => ([of[0], of[0], of[2], of[2]], [of[1], of[1], of[3], of[3]]),
        _ => ([of[0], of[1], of[0], of[1]], [of[2], of[3], of[2], of[3]]),
    }
}

fn zip(a: &Bits, b: &Bits, f: impl Fn(u64, u64) -> u64) -> Bits {
    std::array::from_fn(|w| f(a[w], b[w]))
}

/// Adds products, all within `within`, whose sum contains `lower` and is contained in `upper`; gives
/// that sum. Only inputs below `inputs` matter to either.
fn cover(lower: &Bits, upper: &Bits, inputs: usize, within: Cube, cubes: &mut Vec<Cube>) -> Bits {
    if lower.iter().all(|&word| word == 0) {
        return [0; 4];
    }
    if upper.iter().all(|&word| word == u64::MAX) {
        cubes.push(within);
        return [u64::MAX; 4];
    }
    // One of them depends on an input, or the two cases above would hold.
    let depends = |&input: &usize| {
        [lower, upper].into_iter().any(|bits| {
            let (low, high) = cofactors(bits, input);
            low != high
        })
    };
    let Some(input) = (0..inputs).rev().find(depends) else { return [0; 4] };
    let (lower0, lower1) = cofactors(lower, input);
    let (upper0, upper1) = cofactors(upper, input);
    let with =
        |value: u8| Cube { care: within.care | 1 << input, value: within.value | value << input };
    let only0 = zip(&lower0, &upper1, |l, u| l & !u);
    let sum0 = cover(&only0, &upper0, input, with(0), cubes);
    let only1 = zip(&lower1, &upper0, |l, u| l & !u);
    let sum1 = cover(&only1, &upper1, input, with(1), cubes);
    let rest0 = zip(&lower0, &sum0, |l, s| l & !s);
    let rest1 = zip(&lower1, &sum1, |l, s| l & !s);
    let rest = zip(&rest0, &rest1, |a, b| a | b);
    let both = zip(&upper0, &upper1, |a, b| a & b);
    let sum = cover(&rest, &both, input, within, cubes);
    let high = select(input);
    let zero = zip(&sum0, &high, |s, x| s & !x);
    let one = zip(&sum1, &high, |s, x| s & x);
    zip(&zip(&zero, &one, |a, b| a | b), &sum, |a, b| a | b)
}

/// The table of an input.
fn select(input: usize) -> Bits {
    const HIGH: [u64; 6] = [
        0xaaaa_aaaa_aaaa_aaaa,
        0xcccc_cccc_cccc_cccc,
        0xf0f0_f0f0_f0f0_f0f0,
        0xff00_ff00_ff00_ff00,
        0xffff_0000_ffff_0000,
        0xffff_ffff_0000_0000,
    ];
    match input {
        0..6 => [HIGH[input]; 4],
        6 => [0, u64::MAX, 0, u64::MAX],
        _ => [0, 0, u64::MAX, u64::MAX],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(cubes: &[Cube], k: usize) -> bool {
        cubes.iter().any(|cube| (k as u8 ^ cube.value) & cube.care == 0)
    }

    proptest! {
        #[test]
        fn products_sum_to_the_table(words: [u64; 4], inputs in 0usize..=8, sparse: bool) {
            let words = if sparse { words.map(|w| w & w >> 7 & w >> 13) } else { words };
            let entry = |k: usize| words[k / 64] >> (k % 64) & 1 == 1;
            let cubes = products(&words, inputs);
            let others = products(&complement(&words, inputs), inputs);
            for k in 0..1usize << inputs {
                prop_assert_eq!(sum(&cubes, k), entry(k));
                prop_assert_eq!(sum(&others, k), !entry(k));
            }
            // None can be left out.
            for left in 0..cubes.len() {
                let mut fewer = cubes.clone();
                fewer.remove(left);
                prop_assert!((0..1usize << inputs).any(|k| sum(&fewer, k) != entry(k)));
            }
        }
    }

    #[test]
    fn an_and_of_six_is_one_product() {
        let and = [1 << 63, 0, 0, 0];
        assert_eq!(products(&and, 6), [Cube { care: 63, value: 63 }]);
        assert_eq!(products(&complement(&and, 6), 6).len(), 6);
    }
}
