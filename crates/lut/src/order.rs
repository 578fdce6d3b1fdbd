//! Evaluation order: a stable topological sort.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Netlist, Op, Result};

/// An order of the items `0..count` in which each comes after those that it reads. Of all such
/// orders it is the first one in lexicographic order (Kahn's algorithm that takes the lowest ready
/// item), so items that are in order already stay where they are.
///
/// Costs `reads + count * log(count)`; no recursion. On a cycle, the error holds its items, each
/// reading the next and the last reading the first.
pub(crate) fn stable_order<I: IntoIterator<Item = usize>>(
    count: usize,
    reads: impl Fn(usize) -> I,
) -> std::result::Result<Vec<usize>, Vec<usize>> {
    if (0..count).all(|item| reads(item).into_iter().all(|read| read < item)) {
        return Ok((0..count).collect());
    }
    // The readers of `item` are `readers[start[item]..start[item + 1]]`.
    let mut start = vec![0usize; count + 1];
    let mut missing = vec![0usize; count];
    for (item, missing) in missing.iter_mut().enumerate() {
        for read in reads(item) {
            start[read] += 1;
            *missing += 1;
        }
    }
    let mut total = 0;
    for entry in &mut start {
        total += *entry;
        *entry = total;
    }
    let mut readers = vec![0usize; total];
    for item in 0..count {
        for read in reads(item) {
            start[read] -= 1;
            readers[start[read]] = item;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..count).filter(|&item| missing[item] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(item)) = ready.pop() {
        order.push(item);
        for &reader in &readers[start[item]..start[item + 1]] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    // Every item left over reads another one left over, so walking along them ends in a cycle.
    let Some(mut item) = (0..count).find(|&item| missing[item] > 0) else {
        return Ok(order);
    };
    let mut place = vec![usize::MAX; count];
    let mut path = Vec::new();
    while place[item] == usize::MAX {
        place[item] = path.len();
        path.push(item);
        match reads(item).into_iter().find(|&read| missing[read] > 0) {
            Some(read) => item = read,
            None => unreachable!("an item that never became ready reads another such item"),
        }
    }
    Err(path.split_off(place[item]))
}

impl Netlist {
    /// The cells in an order in which registers, too, come after the cell that drives their
    /// operand. The stored order, unless a register reads ahead.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when a register feeds back.
    pub fn dataflow_order(&self) -> Result<Vec<usize>> {
        let cells = self.cells();
        if cells.iter().all(|cell| cell.operands.iter().all(|&net| net < cell.output())) {
            return Ok((0..cells.len()).collect());
        }
        let (owners, bits) = (self.owners(), self.input_bits());
        let reads = |cell: usize| {
            let operands = cells[cell].operands.iter();
            operands.filter_map(|net| net.index().checked_sub(bits)).map(|net| owners[net])
        };
        stable_order(cells.len(), reads).map_err(|cycle| {
            let register =
                cycle.iter().find(|&&cell| matches!(cells[cell].op, Op::Register { .. }));
            let name = register.map_or("", |&cell| cells[cell].name.as_str());
            self.error(format!("register `{name}` feeds back"))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(reads: &[Vec<usize>]) -> std::result::Result<Vec<usize>, Vec<usize>> {
        stable_order(reads.len(), |item| reads[item].iter().copied())
    }

    #[test]
    fn keeps_what_is_in_order_and_moves_what_is_not() {
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[vec![], vec![0, 0], vec![]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[vec![2], vec![], vec![1], vec![]]), Ok(vec![1, 2, 0, 3]));
    }

    #[test]
    fn names_the_items_of_a_cycle_only() {
        assert_eq!(order(&[vec![1], vec![2], vec![3], vec![1]]), Err(vec![1, 2, 3]));
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
    }

    proptest! {
        #[test]
        fn every_order_is_an_order(edges in prop::collection::vec((0usize..30, 0usize..30), 0..60)) {
            let mut reads = vec![Vec::new(); 30];
            for (item, read) in edges {
                reads[item].push(read);
            }
            match order(&reads) {
                Ok(order) => {
                    let mut place = [usize::MAX; 30];
                    for (at, &item) in order.iter().enumerate() {
                        place[item] = at;
                    }
                    for (item, reads) in reads.iter().enumerate() {
                        prop_assert!(reads.iter().all(|&read| place[read] < place[item]));
                    }
                }
                Err(cycle) => {
                    for (at, &item) in cycle.iter().enumerate() {
                        prop_assert!(reads[item].contains(&cycle[(at + 1) % cycle.len()]));
                    }
                }
            }
        }
    }
}
