//! Tables of four to six variables out of gates of at most three operands.
//!
//! A table is split by one or two of its variables (Shannon expansion) into tables of four
//! variables, and the best realisation of each of the 65,536 of those is looked up: one gate of
//! three operands is one ternary-logic instruction. All choices of the splitting variables are
//! tried. A random table of six variables takes about twelve gates this way, where a plain tree of
//! multiplexers over three-operand leaves takes fifteen.

use std::sync::OnceLock;

use crate::graph::{Graph, Literal};
use crate::tables::{self, VARIABLE};

/// Two gates that make a table of four variables: `second(first(the three but w), w, extra)`.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: u8,
    second: u8,
    /// The variable that the first gate does not read.
    w: u8,
    /// A variable that both read.
    extra: u8,
}

struct Fours {
    /// Gates that each table takes, 0 to 3.
    cost: Vec<u8>,
    pair: Vec<Pair>,
}

/// The variables of four but `w`.
fn others(w: usize) -> [usize; 3] {
    let mut others = [0; 3];
    for (slot, v) in others.iter_mut().zip((0..4).filter(|&v| v != w)) {
        *slot = v;
    }
    others
}

/// The value of every function of three operands, by its table.
fn all_functions(operands: [u16; 3]) -> [u16; 256] {
    let [a, b, c] = operands;
    let mut values = [0u16; 256];
    for table in 1..256usize {
        let k = table.trailing_zeros();
        let pick = |bit: u32, x: u16| if k >> bit & 1 == 1 { x } else { !x };
        values[table] = values[table & (table - 1)] | (pick(0, a) & pick(1, b) & pick(2, c));
    }
    values
}

fn fours() -> &'static Fours {
    static FOURS: OnceLock<Fours> = OnceLock::new();
    FOURS.get_or_init(|| {
        let variable = |v: usize| VARIABLE[v] as u16;
        let none = Pair { first: 0, second: 0, w: 0, extra: 0 };
        let mut fours = Fours { cost: vec![3; 1 << 16], pair: vec![none; 1 << 16] };
        for w in 0..4 {
            let firsts = all_functions(others(w).map(variable));
            for (first, &value) in firsts.iter().enumerate() {
                for extra in others(w) {
                    let seconds = all_functions([value, variable(w), variable(extra)]);
                    for (second, &table) in seconds.iter().enumerate() {
                        fours.cost[usize::from(table)] = 2;
                        fours.pair[usize::from(table)] = Pair {
                            first: first as u8,
                            second: second as u8,
                            w: w as u8,
                            extra: extra as u8,
                        };
                    }
                }
            }
        }
        for w in 0..4 {
            for table in all_functions(others(w).map(variable)) {
                fours.cost[usize::from(table)] = 1;
            }
        }
        for v in 0..4 {
            fours.cost[usize::from(variable(v))] = 0;
            fours.cost[usize::from(!variable(v))] = 0;
        }
        fours.cost[0] = 0;
        fours.cost[0xffff] = 0;
        fours
    })
}

/// How a table is made.
#[derive(Debug, Clone, Copy)]
enum Split {
    /// It depends on at most four variables, which these are.
    Four([usize; 4]),
    /// By this variable.
    One(usize),
    /// By the second variable, then by the first.
    Two(usize, usize),
}

/// Gates of a multiplexer of two tables, beside what the tables take.
fn join(low: u16, high: u16) -> u32 {
    u32::from(low != high)
}

/// Gates that make several tables, equal and inverse ones made once.
fn parts(tables: &[u16]) -> u32 {
    let fours = fours();
    let distinct = tables
        .iter()
        .enumerate()
        .filter(|&(i, &t)| tables[..i].iter().all(|&earlier| earlier != t && earlier != !t));
    distinct.map(|(_, &t)| u32::from(fours.cost[usize::from(t)])).sum()
}

/// The cheapest way found to make `table`, and its number of gates.
fn plan(table: u64) -> (Split, u32) {
    let support: Vec<usize> = (0..6).filter(|&v| tables::depends(table, v)).collect();
    if support.len() <= 4 {
        let mut four = [usize::MAX; 4];
        four[..support.len()].copy_from_slice(&support);
        let mut free = (0..6).filter(|v| !support.contains(v));
        for slot in &mut four[support.len()..] {
            *slot = free.next().unwrap_or(0);
        }
        let cost = fours().cost[usize::from(low_four(table, four))];
        return (Split::Four(four), cost.into());
    }
    let mut best = (Split::One(support[0]), u32::MAX);
    if support.len() == 5 {
        let Some(free) = (0..6).find(|v| !support.contains(v)) else { return best };
        for &v in &support {
            let top = tables::swap(tables::swap(table, free, 5), if v == 5 { free } else { v }, 4);
            let (low, high) = (top as u16, (top >> 16) as u16);
            let cost = parts(&[low, high]) + join(low, high);
            if cost < best.1 {
                best = (Split::One(v), cost);
            }
        }
        return best;
    }
    for v in 1..6 {
        for u in 0..v {
            let top = tables::swap(tables::swap(table, v, 5), u, 4);
            let q = [0, 16, 32, 48].map(|shift| (top >> shift) as u16);
            let made = parts(&q);
            for (u, v, q) in [(u, v, q), (v, u, [q[0], q[2], q[1], q[3]])] {
                // Where both halves join in the same way, they are one.
                let same = q[0] == q[2] && q[1] == q[3];
                let cost = made + join(q[0], q[1]) + if same { 0 } else { join(q[2], q[3]) + 1 };
                if cost < best.1 {
                    best = (Split::Two(u, v), cost);
                }
            }
        }
    }
    best
}

/// The entries of a table that depends on the variables `four` only, as a table of these.
fn low_four(table: u64, four: [usize; 4]) -> u16 {
    let mut place = [0, 1, 2, 3, 4, 5];
    let mut table = table;
    for (to, &v) in four.iter().enumerate() {
        let from = place.iter().position(|&p| p == v).unwrap_or(to);
        table = tables::swap(table, to, from);
        place.swap(to, from);
    }
    table as u16
}

/// Gates of at most three operands that a table of up to six variables takes.
pub(crate) fn cost(table: u64) -> u32 {
    plan(table).1
}

/// Makes `table` of `operands` out of gates of at most three operands.
pub(crate) fn expand(graph: &mut Graph, table: u64, operands: &[Literal]) -> Literal {
    let table = tables::repeat(table, operands.len());
    let mut all = [Literal::FALSE; 6];
    all[..operands.len()].copy_from_slice(operands);
    make(graph, table, &all)
}

fn make(graph: &mut Graph, table: u64, all: &[Literal; 6]) -> Literal {
    let split = |graph: &mut Graph, table: u64, v: usize, inner: Option<usize>| {
        let mut side = |value: bool| {
            let half = tables::cofactor(table, v, value);
            match inner {
                Some(u) => {
                    let low = make(graph, tables::cofactor(half, u, false), all);
                    let high = make(graph, tables::cofactor(half, u, true), all);
                    graph.select(all[u], high, low)
                }
                None => make(graph, half, all),
            }
        };
        let (low, high) = (side(false), side(true));
        graph.select(all[v], high, low)
    };
    match plan(table).0 {
        Split::One(v) => split(graph, table, v, None),
        Split::Two(u, v) => split(graph, table, v, Some(u)),
        Split::Four(four) => {
            let small = low_four(table, four);
            let operands = four.map(|v| all[v]);
            make_four(graph, small, operands)
        }
    }
}

fn make_four(graph: &mut Graph, table: u16, x: [Literal; 4]) -> Literal {
    let fours = fours();
    match fours.cost[usize::from(table)] {
        0 | 1 => graph.table(u64::from(table), &x),
        2 => {
            let Pair { first, second, w, extra } = fours.pair[usize::from(table)];
            let first = graph.table(first.into(), &others(w.into()).map(|v| x[v]));
            graph.table(second.into(), &[first, x[usize::from(w)], x[usize::from(extra)]])
        }
        _ => {
            let low = graph.table(u64::from(table & 0xff), &x[..3]);
            let high = graph.table(u64::from(table >> 8), &x[..3]);
            graph.select(x[3], high, low)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::tests::evaluate;

    fn check(table: u64, count: usize) -> usize {
        let mut graph = Graph::new(6);
        let operands: Vec<Literal> = (0..count as u32).map(|i| graph.input(i)).collect();
        let made = expand(&mut graph, table, &operands);
        graph.outputs = vec![made];
        assert!(graph.gates().iter().all(|gate| gate.fan_in() <= 3));
        let graph = graph.merge();
        assert_eq!(evaluate(&graph, &VARIABLE), [tables::repeat(table, count)]);
        graph.gates().len()
    }

    #[test]
    fn known_functions_take_few_gates() {
        assert_eq!(check(0x6996_9669_9669_6996, 6), 3); // parity
        assert_eq!(check(0x8000_0000_0000_0000, 6), 3); // conjunction
        assert_eq!(check(0x6996, 4), 2);
        assert_eq!(check(0xca, 3), 1);
        assert_eq!(check(VARIABLE[5], 6), 0);
    }

    proptest! {
        #[test]
        fn every_table_is_made(table: u64, count in 0usize..=6) {
            let gates = check(table, count) as u32;
            prop_assert!(gates <= cost(tables::repeat(table, count)));
            prop_assert!(gates <= 15);
        }
    }
}
