//! Tables of more than `k` inputs as several of at most `k`.
//!
//! Tried for each table, the cheapest wins:
//!
//! - *Functional decomposition* (J. P. Roth, R. M. Karp, "Minimization over Boolean graphs", IBM Journal
//!   1962): let the inputs be split into a bound and a free set. If the table, as a function of the free
//!   inputs, is one of `m` functions, whatever the bound inputs are, then `log2 m` tables of the bound
//!   inputs say which, and one more table takes these and the free inputs. Every bound set is tried.
//! - *Shannon's expansion*: two cofactors and a multiplexer, or, from `k = 6` on, four and one of 4:1;
//!   for the inputs that leave the least. Equal and complementary cofactors are one.

use super::function;
use super::graph::{Graph, Kind, Lit};
use crate::{MAX_FAN_IN, TruthTable};

/// A graph where no LUT has more than `inputs` inputs, which are at least 3.
pub(super) fn decompose<'a>(graph: &Graph<'a>, inputs: usize) -> Graph<'a> {
    graph.rebuild(|new, index, lits| {
        let node = &graph.nodes[index];
        let Kind::Lut { table, operands } = &node.kind else { return None };
        let table = if node.flipped { function::negate(table) } else { *table };
        let read: Vec<Lit> =
            operands.as_slice().iter().map(|&operand| lits[operand as usize]).collect();
        Some(split(new, &table, &read, inputs, node.cell).not_if(node.flipped))
    })
}

/// A way of splitting a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Split {
    /// The bound inputs, as bits.
    Bound(usize),
    /// The inputs that select, as bits: one or two.
    Select(usize),
}

fn split(
    graph: &mut Graph<'_>,
    table: &TruthTable,
    operands: &[Lit],
    inputs: usize,
    cell: usize,
) -> Lit {
    let keep = function::support(table);
    if keep.count_ones() as usize <= inputs {
        let small = function::project(table, keep);
        return graph.lut(&small, &chosen(operands, keep as usize), cell);
    }
    let table = &function::project(table, keep);
    let operands = &chosen(operands, keep as usize)[..];
    let all = (1usize << operands.len()) - 1;
    match cheapest(table, inputs) {
        Split::Bound(bound) => {
            let (classes, columns) = classes(table, bound);
            let bits = bits(columns.len());
            let read = chosen(operands, bound);
            let mut upper: Vec<Lit> = Vec::with_capacity(MAX_FAN_IN);
            for bit in 0..bits {
                let code = function::table(read.len(), |k| classes[k] >> bit & 1 == 1);
                upper.push(split(graph, &code, &read, inputs, cell));
            }
            upper.extend(chosen(operands, all & !bound));
            let mask = (1 << bits) - 1;
            let top = function::table(upper.len(), |k| {
                columns.get(k & mask).is_some_and(|column| column >> (k >> bits) & 1 == 1)
            });
            split(graph, &top, &upper, inputs, cell)
        }
        Split::Select(select) => {
            let parts = cofactors(table, select);
            let rest = chosen(operands, all & !select);
            let mut read: Vec<Lit> =
                parts.iter().map(|part| split(graph, part, &rest, inputs, cell)).collect();
            read.extend(chosen(operands, select));
            let count = parts.len();
            let multiplexer = function::table(read.len(), |k| k >> (k >> count) & 1 == 1);
            graph.lut(&multiplexer, &read, cell)
        }
    }
}

/// The operands whose bit is set.
fn chosen(operands: &[Lit], mask: usize) -> Vec<Lit> {
    operands.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, &lit)| lit).collect()
}

/// Bits that tell `count` things apart; none for one.
fn bits(count: usize) -> usize {
    if count < 2 { 0 } else { crate::bits_for(count - 1) }
}

/// The split that is thought to take the fewest LUTs.
fn cheapest(table: &TruthTable, inputs: usize) -> Split {
    let n = table.fan_in();
    let mut best = (usize::MAX, Split::Select(1));
    for select in 1usize..1 << n {
        let count = select.count_ones();
        if count == 1 || count == 2 && inputs >= 6 {
            let mut parts: Vec<TruthTable> = cofactors(table, select)
                .iter()
                .map(|part| if part.get(0) { function::negate(part) } else { *part })
                .collect();
            parts.sort_unstable();
            parts.dedup();
            let cost = 1 + parts
                .iter()
                .map(|part| estimate(function::support(part).count_ones() as usize, inputs))
                .sum::<usize>();
            best = best.min((cost, Split::Select(select)));
        }
    }
    for bound in 1usize..(1 << n) - 1 {
        let count = bound.count_ones() as usize;
        let free = n - count;
        // The free inputs of a column are the bits of a word.
        if !(2..=inputs).contains(&count) || free > 6 {
            continue;
        }
        // More classes than that take as many codes as there are bound inputs.
        if let Some(classes) = class_count(table, bound, 1 << (count - 1)) {
            let codes = bits(classes);
            let cost = codes + estimate(free + codes, inputs);
            best = best.min((cost, Split::Bound(bound)));
        }
    }
    best.1
}

/// LUTs that a table of `n` inputs takes at worst.
fn estimate(n: usize, inputs: usize) -> usize {
    if n < 2 {
        0
    } else if n <= inputs {
        1
    } else if n > inputs + 1 && inputs >= 6 {
        4 * estimate(n - 2, inputs) + 1
    } else {
        2 * estimate(n - 1, inputs) + 1
    }
}

/// For each pattern of the bound inputs its class, and the column of each class: the table as a
/// function of the free inputs.
fn classes(table: &TruthTable, bound: usize) -> (Vec<usize>, Vec<u64>) {
    let mut columns: Vec<u64> = Vec::new();
    let classes = columns_of(table, bound).map(|column| {
        columns.iter().position(|&other| other == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        })
    });
    let classes = classes.collect();
    (classes, columns)
}

/// How many classes there are, if they are at most `most`, which is 128 at most.
fn class_count(table: &TruthTable, bound: usize, most: usize) -> Option<usize> {
    let mut columns = [0; 128];
    let mut count = 0;
    for column in columns_of(table, bound) {
        if !columns[..count].contains(&column) {
            if count == most {
                return None;
            }
            columns[count] = column;
            count += 1;
        }
    }
    Some(count)
}

/// The column of each pattern of the bound inputs. At most six inputs are free.
fn columns_of(table: &TruthTable, bound: usize) -> impl Iterator<Item = u64> {
    let free = !bound & (table.entries() - 1);
    let words = table.words();
    subsets(bound).map(move |base| {
        let bits = subsets(free).map(|rest| words[(base | rest) / 64] >> ((base | rest) % 64) & 1);
        bits.enumerate().fold(0, |column, (at, bit)| column | bit << at)
    })
}

/// All numbers whose bits are among those of `mask`, ascending.
fn subsets(mask: usize) -> impl Iterator<Item = usize> {
    let mut next = Some(0usize);
    std::iter::from_fn(move || {
        let now = next?;
        // The borrow of the subtraction runs over the places that are not in the mask.
        let above = now.wrapping_sub(mask) & mask;
        next = (above != 0).then_some(above);
        Some(now)
    })
}

/// The cofactors for all values of the inputs in `select`, over the other inputs.
fn cofactors(table: &TruthTable, select: usize) -> Vec<TruthTable> {
    let mut parts = vec![*table];
    // From the highest input down, so that the places of those below stay.
    for input in (0..table.fan_in()).rev().filter(|i| select >> i & 1 == 1) {
        let halves = parts.iter().map(|part| function::cofactors(part, input));
        let halves: Vec<[TruthTable; 2]> = halves.collect();
        // The input just taken is the lowest bit of the index of the parts.
        parts = halves.iter().flat_map(|half| half.iter().copied()).collect();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opt::{Options, decompose};
    use crate::sample::Numbers;
    use crate::{Evaluator, Netlist, NetlistBuilder, Op, Role};

    fn one(table: TruthTable) -> Netlist {
        let mut build = NetlistBuilder::new("one").unwrap();
        let x = build.input("x", 1, table.fan_in()).unwrap();
        build.group("g", Role::Core).unwrap();
        let y = build.lut("y", &x, table).unwrap();
        build.output("out", 1, &[y]).unwrap();
        build.finish().unwrap()
    }

    /// Decomposes a table, checks the result for every pattern, and gives its number of LUTs.
    fn check(table: TruthTable, inputs: usize) -> usize {
        let netlist = one(table);
        let split = decompose(&netlist, inputs).unwrap();
        for cell in split.cells() {
            assert!(cell.operands.len() <= inputs && matches!(cell.op, Op::Lut(_)));
        }
        let frames: Vec<u64> = (0..1 << table.fan_in()).collect();
        let run = |netlist| Evaluator::new(netlist).unwrap().frames(&frames).unwrap();
        assert_eq!(run(&netlist), run(&split));
        split.lut_count(Role::Core)
    }

    #[test]
    fn tables_of_structure_take_few_luts() {
        let parity = |n| function::table(n, |k: usize| k.count_ones() % 2 == 1);
        let and = |n| function::table(n, |k: usize| k + 1 == 1 << n);
        let majority = |n: usize| function::table(n, |k: usize| k.count_ones() as usize > n / 2);
        for (table, inputs, luts) in [
            (parity(8), 6, 2),
            (parity(8), 4, 3),
            (parity(8), 3, 4),
            (and(7), 6, 2),
            // Two bits (three for seven inputs) say how many of the bound inputs are one.
            (majority(7), 6, 3),
            (majority(8), 6, 3),
            // Which of two words of four bits is larger.
            (function::table(8, |k| k >> 4 > k & 15), 6, 3),
            // A multiplexer of six inputs.
            (function::table(6, |k| k >> (4 + (k & 3)) & 1 == 1 && k & 3 < 2), 4, 1),
        ] {
            let got = check(table, inputs);
            assert!(got <= luts, "{table} into {inputs}: {got} LUTs");
        }
    }

    #[test]
    fn random_tables_take_what_shannon_takes_at_most() {
        let mut numbers = Numbers::new(3);
        for round in 0..30 {
            for (n, inputs) in [(8, 6), (7, 6), (6, 4), (5, 4), (8, 4), (8, 7), (5, 3)] {
                let words: [u64; 4] = std::array::from_fn(|_| numbers.word() & numbers.word());
                let table = function::table(n, |k| words[k / 64] >> (k % 64) & 1 == 1);
                if round == 0 || n < 8 || inputs > 4 {
                    assert!(check(table, inputs) <= estimate(n, inputs), "{table}");
                }
            }
        }
    }

    #[test]
    fn fewer_than_three_inputs_are_refused() {
        let netlist = one(function::table(2, |k| k == 3));
        let error = netlist.optimise(&Options { inputs: 2, ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains("expected LUTs of 3 to 8 inputs, got 2"), "{error}");
    }
}
