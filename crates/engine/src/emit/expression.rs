//! A gate of three operands as an expression of and, or, exclusive or and not.

use crate::graph::Gate;

/// The text of the gate over the operands' names, and its number of operations. GCC and LLVM make
/// one ternary-logic instruction of it where there is one.
pub(super) fn expression(gate: &Gate, names: &[String], not: char) -> (String, usize) {
    let table = gate.table as u32 & 0xff;
    if let [a, b] = names {
        return two(table & 15, a, b, not);
    }
    let [a, b, c] = names else { return (names.concat(), 0) };
    // The shortest of the three ways to take one operand apart.
    let orders = [([a, b], c, [0, 1, 2]), ([a, c], b, [0, 2, 1]), ([b, c], a, [1, 2, 0])];
    let tried = orders.map(|([a, b], c, order)| {
        let half = |value: u32| {
            (0..4u32).fold(0, |half, k| {
                let at = (k & 1) << order[0] | (k >> 1) << order[1] | value << order[2];
                half | (table >> at & 1) << k
            })
        };
        split(half(0), half(1), a, b, c, not)
    });
    let mut best = 0;
    for (index, (_, operations)) in tried.iter().enumerate() {
        if *operations < tried[best].1 {
            best = index;
        }
    }
    let [first, second, third] = tried;
    [first, second, third].into_iter().nth(best).unwrap_or_default()
}

/// `if c { high(a, b) } else { low(a, b) }`.
fn split(low: u32, high: u32, a: &str, b: &str, c: &str, not: char) -> (String, usize) {
    let (l, low_cost) = two(low, a, b, not);
    let (h, high_cost) = two(high, a, b, not);
    if low == high {
        (l, low_cost)
    } else if low == high ^ 15 {
        (format!("({l} ^ {c})"), low_cost + 1)
    } else if low == 0 {
        (format!("({h} & {c})"), high_cost + 1)
    } else if high == 0 {
        (format!("({l} & {not}{c})"), low_cost + 2)
    } else if high == 15 {
        (format!("({l} | {c})"), low_cost + 1)
    } else if low == 15 {
        (format!("({h} | {not}{c})"), high_cost + 2)
    } else if low & high == low {
        (format!("({l} | ({h} & {c}))"), low_cost + high_cost + 2)
    } else if low & high == high {
        (format!("({h} | ({l} & {not}{c}))"), low_cost + high_cost + 3)
    } else {
        (format!("({l} ^ ({c} & ({l} ^ {h})))"), 2 * low_cost + high_cost + 3)
    }
}

fn two(table: u32, a: &str, b: &str, not: char) -> (String, usize) {
    match table {
        0x0 => ("ZERO".to_owned(), 0),
        0x1 => (format!("{not}({a} | {b})"), 2),
        0x2 => (format!("({a} & {not}{b})"), 2),
        0x3 => (format!("{not}{b}"), 1),
        0x4 => (format!("({b} & {not}{a})"), 2),
        0x5 => (format!("{not}{a}"), 1),
        0x6 => (format!("({a} ^ {b})"), 1),
        0x7 => (format!("{not}({a} & {b})"), 2),
        0x8 => (format!("({a} & {b})"), 1),
        0x9 => (format!("{not}({a} ^ {b})"), 2),
        0xa => (a.to_owned(), 0),
        0xb => (format!("({a} | {not}{b})"), 2),
        0xc => (b.to_owned(), 0),
        0xd => (format!("({b} | {not}{a})"), 2),
        0xe => (format!("({a} | {b})"), 1),
        _ => (format!("{not}ZERO"), 0),
    }
}
