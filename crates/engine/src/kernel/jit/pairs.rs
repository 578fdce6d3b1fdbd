//! Gates of two operands, and AVX2's instructions for them.

use iced_x86::{Code, Instruction};

use super::{Compiler, NEVER};
use crate::Result;
use crate::graph::{Gate, Graph, Literal};

/// Whether a table of two operands is neither constant nor one of them or its inverse.
fn is_gate(table: u64) -> bool {
    !matches!(table & 15, 0x0 | 0x3 | 0x5 | 0xa | 0xc | 0xf)
}

/// The entries of a table of three operands where operand `v` is `value`, as a table of the others.
fn half(table: u64, v: usize, value: u64) -> u64 {
    (0..4).fold(0, |half, k| {
        let low = k & ((1 << v) - 1);
        let at = (k - low) << 1 | value << v | low;
        half | (table >> at & 1) << k
    })
}

/// How the halves of a table are joined, and how many gates that takes with theirs.
fn cost(low: u64, high: u64) -> u32 {
    let of = |table: u64| u32::from(is_gate(table));
    match (low, high) {
        _ if low == high => of(low),
        _ if low == high ^ 15 => of(low) + 1,
        (0 | 15, half) | (half, 0 | 15) => of(half) + 1,
        _ if low & high == low || low & high == high => of(low) + of(high) + 2,
        _ => of(low).min(of(high)) + of(low ^ high) + 2,
    }
}

/// The same graph with gates of two operands only.
pub(super) fn graph(graph: &Graph) -> Graph {
    graph.rebuild(|copy, gate, operands| {
        let &[a, b, c] = operands else { return copy.table(gate.table, operands) };
        let table = gate.table & 0xff;
        let halves = [([b, c], a), ([a, c], b), ([a, b], c)];
        let split = |v: usize| (half(table, v, 0), half(table, v, 1));
        let cheapest = (0..3).min_by_key(|&v| cost(split(v).0, split(v).1)).unwrap_or(0);
        let (pair, select) = halves[cheapest];
        let (low, high) = split(cheapest);
        join(copy, low, high, pair, select)
    })
}

fn join(graph: &mut Graph, low: u64, high: u64, pair: [Literal; 2], select: Literal) -> Literal {
    if low == high {
        return graph.table(low, &pair);
    }
    if low == high ^ 15 {
        let low = graph.table(low, &pair);
        return graph.xor(low, select);
    }
    // Where one half is one wherever the other is.
    if low & high == low {
        let (l, h) = (graph.table(low, &pair), graph.table(high, &pair));
        let h = graph.and(h, select);
        return graph.or(l, h);
    }
    if low & high == high {
        let (l, h) = (graph.table(low, &pair), graph.table(high, &pair));
        let l = graph.and(l, !select);
        return graph.or(l, h);
    }
    let differ = graph.table(low ^ high, &pair);
    if is_gate(low) && !is_gate(high) {
        let high = graph.table(high, &pair);
        let moved = graph.and(differ, !select);
        return graph.xor(high, moved);
    }
    let low = graph.table(low, &pair);
    let moved = graph.and(differ, select);
    graph.xor(low, moved)
}

impl Compiler<'_> {
    /// One instruction of two sources, of which the second may be in memory.
    pub(super) fn pair(&mut self, index: u32, gate: &Gate) -> Result<()> {
        let &[a, b] = gate.operands() else {
            return Err(super::unavailable("a gate has not two operands".to_owned()));
        };
        let missing = |compiler: &Self, node: u32| compiler.register[node as usize] == NEVER;
        let (code, mut first, mut second) = match gate.table & 15 {
            // `vpandn` inverts its first source.
            0x2 => (Code::VEX_Vpandn_ymm_ymm_ymmm256, b, a),
            0x4 => (Code::VEX_Vpandn_ymm_ymm_ymmm256, a, b),
            0x6 => (Code::VEX_Vpxor_ymm_ymm_ymmm256, a, b),
            0x8 => (Code::VEX_Vpand_ymm_ymm_ymmm256, a, b),
            _ => (Code::VEX_Vpor_ymm_ymm_ymmm256, a, b),
        };
        let turns = code != Code::VEX_Vpandn_ymm_ymm_ymmm256;
        // In memory stays what is needed later, or not at all.
        let later = |compiler: &Self, node: u32| compiler.next_use(node, index);
        if turns
            && missing(self, first)
            && (!missing(self, second) || later(self, first) > later(self, second))
        {
            std::mem::swap(&mut first, &mut second);
        }
        for node in [first, second] {
            let soon = later(self, node) != NEVER;
            if missing(self, node) && (node == first || soon) {
                let register = self.take(index, &[first, second])?;
                self.load(node, register)?;
                self.hold(register, node);
            }
        }
        let dying = |&node: &u32| !missing(self, node) && later(self, node) == NEVER;
        let sources = [first, second].map(|node| self.register[node as usize]);
        let target = match [first, second].iter().copied().find(dying) {
            // Where an output needs it, it is in memory since it was made.
            Some(node) => std::mem::replace(&mut self.register[node as usize], NEVER),
            None => self.take(index, &[first, second])?,
        };
        let (to, from) = (self.vector(target), self.vector(sources[0]));
        let made = if sources[1] == NEVER {
            Instruction::with3(code, to, from, self.memory(second))
        } else {
            Instruction::with3(code, to, from, self.vector(sources[1]))
        };
        self.emit(made)?;
        self.made(index, gate, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::evaluate;
    use crate::tables::{VARIABLE, repeat};

    #[test]
    fn every_function_of_three_is_made_of_two() {
        for table in 0..256u64 {
            let mut three = Graph::new(3);
            let operands = [0, 1, 2].map(|i| three.input(i));
            three.outputs = vec![three.table(table, &operands)];
            let two = graph(&three);
            assert!(two.gates().iter().all(|gate| gate.fan_in() == 2));
            assert!(two.gates().len() <= 4, "{table:#x}");
            assert_eq!(evaluate(&two, &VARIABLE[..3]), [repeat(table, 3)], "{table:#x}");
        }
    }
}
