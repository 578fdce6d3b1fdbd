//! Truth tables of up to six variables in one word.
//!
//! Entry `k` is bit `k`; variable `v` is bit `v` of `k`. A table of fewer than six variables is
//! repeated until the word is full, so that it simply does not depend on the others.

/// The table of each variable itself.
pub(crate) const VARIABLE: [u64; 6] = [
    0xaaaa_aaaa_aaaa_aaaa,
    0xcccc_cccc_cccc_cccc,
    0xf0f0_f0f0_f0f0_f0f0,
    0xff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000,
    0xffff_ffff_0000_0000,
];

/// A table of `variables` variables, its entries in the low bits, repeated over the word.
pub(crate) fn repeat(mut table: u64, variables: usize) -> u64 {
    for v in variables..6 {
        let low = 1u64 << (1 << v);
        table &= low - 1;
        table |= table << (1 << v);
    }
    table
}

/// The table where variable `v` is `value`.
pub(crate) fn cofactor(table: u64, v: usize, value: bool) -> u64 {
    let shift = 1 << v;
    if value {
        let high = table & VARIABLE[v];
        high | high >> shift
    } else {
        let low = table & !VARIABLE[v];
        low | low << shift
    }
}

/// Whether the table depends on variable `v`.
pub(crate) fn depends(table: u64, v: usize) -> bool {
    (table ^ table >> (1 << v)) & !VARIABLE[v] != 0
}

/// The table of the inverse of variable `v`.
pub(crate) fn flip(table: u64, v: usize) -> u64 {
    let shift = 1 << v;
    (table & VARIABLE[v]) >> shift | (table & !VARIABLE[v]) << shift
}

/// The table with variables `a` and `b` exchanged.
pub(crate) fn swap(table: u64, a: usize, b: usize) -> u64 {
    let (a, b) = (a.min(b), a.max(b));
    if a == b {
        return table;
    }
    let shift = (1 << b) - (1 << a);
    let moved = (table ^ table >> shift) & VARIABLE[a] & !VARIABLE[b];
    table ^ moved ^ moved << shift
}

/// The table where variable `b` is the same as variable `a`; it no longer depends on `b`.
pub(crate) fn identify(table: u64, a: usize, b: usize) -> u64 {
    (cofactor(table, b, true) & VARIABLE[a]) | (cofactor(table, b, false) & !VARIABLE[a])
}

/// The table of `f(.., g, ..)`: variable `v` of `table` is replaced by the table `g`.
pub(crate) fn compose(table: u64, v: usize, g: u64) -> u64 {
    (cofactor(table, v, true) & g) | (cofactor(table, v, false) & !g)
}

/// The table with variable `i` renamed to `to[i]`; variables that it depends on must get different
/// names.
pub(crate) fn rename(table: u64, to: &[usize]) -> u64 {
    let mut result = 0;
    for k in 0..64usize {
        let mut from = 0;
        for (i, &target) in to.iter().enumerate() {
            from |= (k >> target & 1) << i;
        }
        result |= (table >> from & 1) << k;
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(table: u64, x: &[bool]) -> bool {
        let k: usize = x.iter().enumerate().map(|(i, &x)| usize::from(x) << i).sum();
        table >> k & 1 == 1
    }

    proptest! {
        #[test]
        fn operations_are_those_of_functions(
            table: u64, g: u64, x: [bool; 6], a in 0usize..6, b in 0usize..6
        ) {
            let with = |v: usize, value: bool| { let mut y = x; y[v] = value; y };
            for value in [false, true] {
                prop_assert_eq!(at(cofactor(table, a, value), &x), at(table, &with(a, value)));
            }
            prop_assert_eq!(at(flip(table, a), &x), at(table, &with(a, !x[a])));
            prop_assert_eq!(at(compose(table, a, g), &x), at(table, &with(a, at(g, &x))));
            prop_assert_eq!(at(identify(table, a, b), &x), at(table, &with(b, x[a])));
            let mut y = x;
            y.swap(a, b);
            prop_assert_eq!(at(swap(table, a, b), &x), at(table, &y));
            let to = [1, 2, 3, 4, 5, 0];
            let y = to.map(|to| x[to]);
            prop_assert_eq!(at(rename(table, &to), &x), at(table, &y));
            prop_assert_eq!(depends(table, a), cofactor(table, a, false) != cofactor(table, a, true));
            prop_assert!(!depends(repeat(table, a), a) );
        }
    }
}
