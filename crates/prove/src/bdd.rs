//! Binary decision diagrams, reduced and ordered: equal functions are the same node (R. E. Bryant,
//! "Graph-based algorithms for Boolean function manipulation", IEEE Transactions on Computers, 1986).

use std::collections::HashMap;

use lutweave_lut::TruthTable;

/// A function: the index of its node. The first two are the constants.
pub(crate) type Function = u32;

pub(crate) const ZERO: Function = 0;
pub(crate) const ONE: Function = 1;

/// A choice by the variable at a level: what it is where that is zero, and where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    level: u32,
    low: Function,
    high: Function,
}

/// Functions of ordered variables, as many nodes as it was allowed at most: what needs more is none.
#[derive(Debug)]
pub(crate) struct Diagrams {
    nodes: Vec<Node>,
    known: HashMap<Node, Function>,
    chosen: HashMap<[Function; 3], Function>,
    most: usize,
}

impl Diagrams {
    /// Only the constants; it may grow to `most` nodes.
    pub(crate) fn new(most: usize) -> Self {
        let constant = |value| Node { level: u32::MAX, low: value, high: value };
        let nodes = vec![constant(ZERO), constant(ONE)];
        Self { nodes, known: HashMap::new(), chosen: HashMap::new(), most }
    }

    /// The variable at a level.
    pub(crate) fn variable(&mut self, level: usize) -> Option<Function> {
        self.node(level as u32, ZERO, ONE)
    }

    /// The complement.
    pub(crate) fn not(&mut self, of: Function) -> Option<Function> {
        self.choose(of, ZERO, ONE)
    }

    /// A table of other functions. Costs `2^inputs` choices.
    pub(crate) fn table(&mut self, table: &TruthTable, operands: &[Function]) -> Option<Function> {
        let mut entries: Vec<Function> =
            (0..1usize << operands.len()).map(|k| Function::from(table.get(k))).collect();
        for &operand in operands {
            let halves = entries.chunks(2).map(|half| self.choose(operand, half[1], half[0]));
            entries = halves.collect::<Option<_>>()?;
        }
        entries.first().copied()
    }

    /// `g` where `f` is one, `h` where it is zero. Recursive, as deep as there are variables.
    pub(crate) fn choose(&mut self, f: Function, g: Function, h: Function) -> Option<Function> {
        match (f, g, h) {
            (ONE, g, _) => return Some(g),
            (ZERO, _, h) => return Some(h),
            (f, ONE, ZERO) => return Some(f),
            (_, g, h) if g == h => return Some(g),
            _ => {}
        }
        if let Some(&known) = self.chosen.get(&[f, g, h]) {
            return Some(known);
        }
        let level = [f, g, h].iter().map(|&of| self.nodes[of as usize].level).min().unwrap_or(0);
        let [low, high] = [false, true].map(|value| {
            [f, g, h].map(|of| match self.nodes[of as usize] {
                node if node.level != level => of,
                node if value => node.high,
                node => node.low,
            })
        });
        let low = self.choose(low[0], low[1], low[2])?;
        let high = self.choose(high[0], high[1], high[2])?;
        let node = self.node(level, low, high)?;
        self.chosen.insert([f, g, h], node);
        Some(node)
    }

    /// The levels of variables that are one on some way to a one of a function that is not zero; the
    /// others may be zero.
    pub(crate) fn ones(&self, of: Function) -> Vec<usize> {
        let mut ones = Vec::new();
        let mut at = of;
        while at > ONE {
            let node = self.nodes[at as usize];
            at = if node.low == ZERO {
                ones.push(node.level as usize);
                node.high
            } else {
                node.low
            };
        }
        ones
    }

    fn node(&mut self, level: u32, low: Function, high: Function) -> Option<Function> {
        if low == high {
            return Some(low);
        }
        let node = Node { level, low, high };
        if let Some(&known) = self.known.get(&node) {
            return Some(known);
        }
        // Choices that were looked up are remembered, too; both bound time and memory.
        if self.nodes.len() >= self.most || self.chosen.len() >= 4 * self.most {
            return None;
        }
        let next = self.nodes.len() as Function;
        self.nodes.push(node);
        self.known.insert(node, next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_functions_are_one_node() {
        let mut of = Diagrams::new(1000);
        let x: Vec<Function> = (0..4).map(|level| of.variable(level).unwrap()).collect();
        let parity = TruthTable::from_fn(4, |k| k.count_ones() % 2 == 1).unwrap();
        let whole = of.table(&parity, &x).unwrap();
        let mut chain = ZERO;
        for &x in x.iter().rev() {
            let other = of.not(x).unwrap();
            chain = of.choose(chain, other, x).unwrap();
        }
        assert_eq!(chain, whole);
        assert_eq!(of.ones(whole).len() % 2, 1);
        let majority = TruthTable::from_fn(4, |k| k.count_ones() > 2).unwrap();
        let other = of.table(&majority, &x).unwrap();
        assert_ne!(other, whole);
        assert_eq!(of.ones(other), [1, 2, 3]);
        assert_eq!(of.ones(ZERO), []);
        assert_eq!(of.not(ONE), Some(ZERO));
    }

    #[test]
    fn what_is_too_large_is_none() {
        let mut of = Diagrams::new(8);
        let x: Vec<Function> = (0..4).map(|level| of.variable(level).unwrap()).collect();
        let parity = TruthTable::from_fn(4, |k| k.count_ones() % 2 == 1).unwrap();
        assert_eq!(of.table(&parity, &x), None);
    }
}
