//! How many pairs of LUTs fit one LUT with two outputs.

use crate::{Net, Netlist, Op};

/// Inputs that both tables of a `LUT6_2` share.
const SHARED: usize = 5;
/// Readers of a net looked through for a partner.
const TRIES: usize = 16;

/// Pairs of LUT cells that read at most five nets together, so that each pair fits one six-input LUT
/// with two outputs (`LUT6_2` of Xilinx devices).
///
/// Found greedily: a LUT takes the free partner with which it shares the most operands, among the
/// first 16 readers of each; those that are left go together by their number of operands. An
/// estimate from below of what a placer may find. Costs time linear in the netlist.
pub(super) fn pairs(netlist: &Netlist) -> usize {
    let small: Vec<Vec<Net>> = netlist
        .cells()
        .iter()
        .filter(|cell| matches!(cell.op, Op::Lut(_)))
        .map(|cell| {
            let mut operands = cell.operands.clone();
            operands.sort_unstable();
            operands.dedup();
            operands
        })
        .filter(|operands: &Vec<Net>| operands.len() <= SHARED)
        .collect();
    let mut readers: Vec<Vec<u32>> = vec![Vec::new(); netlist.net_count()];
    for (lut, operands) in small.iter().enumerate() {
        for net in operands {
            readers[net.index()].push(lut as u32);
        }
    }
    let mut free = vec![true; small.len()];
    let mut pairs = 0;
    // Those with many operands first: they have the fewest partners.
    let mut order: Vec<usize> = (0..small.len()).collect();
    order.sort_by_key(|&lut| std::cmp::Reverse(small[lut].len()));
    for &lut in &order {
        if !free[lut] {
            continue;
        }
        let mut best: Option<(usize, usize)> = None;
        for net in &small[lut] {
            let readers = &mut readers[net.index()];
            readers.retain(|&other| free[other as usize]);
            for &other in readers.iter().take(TRIES).filter(|&&other| other as usize != lut) {
                let other = other as usize;
                let common = small[other].iter().filter(|net| small[lut].contains(net)).count();
                let fits = small[lut].len() + small[other].len() - common <= SHARED;
                if fits && best.is_none_or(|(most, _)| common > most) {
                    best = Some((common, other));
                }
            }
        }
        if let Some((_, other)) = best {
            (free[lut], free[other]) = (false, false);
            pairs += 1;
        }
    }
    let mut left = [0usize; SHARED + 1];
    for lut in (0..small.len()).filter(|&lut| free[lut]) {
        left[small[lut].len()] += 1;
    }
    for (many, few) in [(4, 1), (3, 2), (3, 1), (2, 2), (2, 1), (1, 1)] {
        let made = if many == few { left[many] / 2 } else { left[many].min(left[few]) };
        left[many] -= made;
        left[few] -= made;
        pairs += made;
    }
    pairs
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
            pairs(&Netlist::from_text(&text).unwrap())
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
        let six = "lut a 0x8000000000000000 x[0] x[1] x[2] x[3] x[4] x[5]\n";
        assert_eq!(count(&(six.to_owned() + &two("b", 0, 1))), 0);
    }
}
