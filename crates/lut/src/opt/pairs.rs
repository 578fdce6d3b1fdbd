//! Which pairs of LUTs fit one LUT with two outputs.

use std::collections::BTreeMap;

use crate::{Cell, Net, Netlist, Op, TruthTable};

/// Inputs that both tables of a `LUT6_2` share.
const SHARED: usize = 5;
/// Readers of a net looked through for a partner.
const TRIES: usize = 16;

/// A LUT that may have a partner.
struct Small {
    cell: usize,
    /// Its nets, each once, in order.
    operands: Vec<Net>,
    /// LUTs and blocks on the longest way to it from a register or an input.
    level: u32,
}

/// Pairs of LUT cells that read at most five nets together, so that each pair fits one six-input LUT
/// with two outputs (`LUT6_2` of Xilinx devices): the numbers of both cells, the lower one first, in the
/// order of the higher ones.
///
/// Both cells of a pair are as deep in the logic as each other, so that no pair reads what depends on
/// itself through another one. Cells that are only a wire or a constant are in none.
///
/// Found greedily: a LUT takes the free partner with which it shares the most operands, among the
/// first 16 readers of each; those that are left go together by their number of operands. An
/// estimate from below of what a placer may find. Costs time linear in the netlist.
#[must_use]
pub fn pairs(netlist: &Netlist) -> Vec<[usize; 2]> {
    let small = small(netlist);
    let mut readers: Vec<Vec<u32>> = vec![Vec::new(); netlist.net_count()];
    for (lut, one) in small.iter().enumerate() {
        for net in &one.operands {
            readers[net.index()].push(lut as u32);
        }
    }
    let mut free = vec![true; small.len()];
    let mut pairs = Vec::new();
    // Those with many operands first: they have the fewest partners.
    let mut order: Vec<usize> = (0..small.len()).collect();
    order.sort_by_key(|&lut| std::cmp::Reverse(small[lut].operands.len()));
    for &lut in &order {
        if !free[lut] {
            continue;
        }
        let own = &small[lut];
        let mut best: Option<(usize, usize)> = None;
        for net in &own.operands {
            let readers = &mut readers[net.index()];
            readers.retain(|&other| free[other as usize]);
            for &other in readers.iter().take(TRIES).filter(|&&other| other as usize != lut) {
                let (index, other) = (other as usize, &small[other as usize]);
                let common = other.operands.iter().filter(|net| own.operands.contains(net)).count();
                let fits = other.level == own.level
                    && own.operands.len() + other.operands.len() - common <= SHARED;
                if fits && best.is_none_or(|(most, _)| common > most) {
                    best = Some((common, index));
                }
            }
        }
        if let Some((_, other)) = best {
            (free[lut], free[other]) = (false, false);
            pairs.push([small[lut].cell, small[other].cell]);
        }
    }
    // What is left shares nothing with anyone: by level, then by number of operands.
    let mut left: BTreeMap<u32, [Vec<usize>; SHARED + 1]> = BTreeMap::new();
    for one in (0..small.len()).filter(|&lut| free[lut]).map(|lut| &small[lut]).rev() {
        left.entry(one.level).or_default()[one.operands.len()].push(one.cell);
    }
    for mut left in left.into_values() {
        for (many, few) in [(4, 1), (3, 2), (3, 1), (2, 2), (2, 1), (1, 1)] {
            let made = match (left[many].len(), left[few].len()) {
                (all, _) if many == few => all / 2,
                (a, b) => a.min(b),
            };
            for _ in 0..made {
                pairs.extend(left[many].pop().zip(left[few].pop()).map(|(a, b)| [a, b]));
            }
        }
    }
    for pair in &mut pairs {
        pair.sort_unstable();
    }
    pairs.sort_unstable_by_key(|&[a, b]| (b, a));
    pairs
}

fn small(netlist: &Netlist) -> Vec<Small> {
    let mut levels = vec![0u32; netlist.net_count()];
    let mut small = Vec::new();
    for (cell, of) in netlist.cells().iter().enumerate() {
        if matches!(of.op, Op::Register { .. } | Op::Constant(_)) {
            continue;
        }
        let below = of.operands.iter().map(|net| levels[net.index()]).max().unwrap_or(0);
        for net in of.outputs() {
            levels[net.index()] = below + 1;
        }
        let Op::Lut(table) = &of.op else { continue };
        if table.fan_in() == 1 && !inverts(table) {
            continue;
        }
        let operands = distinct(of);
        if operands.len() <= SHARED {
            small.push(Small { cell, operands, level: below + 1 });
        }
    }
    small
}

fn inverts(table: &TruthTable) -> bool {
    table.get(0) && !table.get(1)
}

fn distinct(cell: &Cell) -> Vec<Net> {
    let mut operands = cell.operands.clone();
    operands.sort_unstable();
    operands.dedup();
    operands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_share_five_inputs() {
        let count = |cells: &str| {
            let text =
                format!("lutweave-netlist 1\nnetlist n\ninput x 9 x 1\ngroup g core\n{cells}");
            let names = cells.lines().filter_map(|line| line.split(' ').nth(1));
            let names: Vec<&str> = names.collect();
            let text = format!("{text}output y {} x 1 {}\nend\n", names.len(), names.join(" "));
            let found = pairs(&Netlist::from_text(&text).unwrap());
            assert!(found.iter().all(|[a, b]| a < b));
            found.len()
        };
        let three = |name: &str, a, b, c| format!("lut {name} 0x96 x[{a}] x[{b}] x[{c}]\n");
        let two = |name: &str, a, b| format!("lut {name} 0x6 x[{a}] x[{b}]\n");
        // Six inputs together, then five.
        assert_eq!(count(&(three("a", 0, 1, 2) + &three("b", 3, 4, 5))), 0);
        assert_eq!(count(&(three("a", 0, 1, 2) + &three("b", 2, 4, 5))), 1);
        // Three and two share nothing.
        assert_eq!(count(&(three("a", 0, 1, 2) + &two("b", 4, 5))), 1);
        // Three LUTs make one pair; the partner with more in common leaves the other to c.
        assert_eq!(count(&(two("a", 0, 1) + &two("b", 1, 2) + &two("c", 2, 3))), 1);
        let four = three("a", 0, 1, 2) + &three("b", 0, 1, 3) + &three("c", 2, 7, 8);
        assert_eq!(count(&(four + &three("d", 3, 5, 6))), 1);
        // No more than once, and not what reads the other, or is deeper.
        assert_eq!(count(&(two("a", 0, 1) + "lut b 0x6 a x[1]\nlut c 0x6 a x[2]\n")), 1);
        assert_eq!(count("lut a 0x2 x[0]\nlut b 0x1 x[1]\nlut c 0x1 x[2]\n"), 1);
        let six = "lut a 0x8000000000000000 x[0] x[1] x[2] x[3] x[4] x[5]\n";
        assert_eq!(count(&(six.to_owned() + &two("b", 0, 1))), 0);
    }
}
