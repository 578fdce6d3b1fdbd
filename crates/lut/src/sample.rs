//! Random netlists and inputs for the property tests of this crate.

use crate::{Net, Netlist, NetlistBuilder, Op, Role, TruthTable};

/// A small generator; its quality does not matter here.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// One word of 64 frames for each of `bits` inputs.
pub(crate) fn words(bits: usize, seed: u64) -> Vec<u64> {
    let mut numbers = Numbers::new(seed);
    (0..bits).map(|_| numbers.word()).collect()
}

/// A netlist of any shape: several ports, groups in any order, every kind of cell. Registers, if
/// asked for, may read any net: they may feed back.
pub(crate) fn netlist(seed: u64, registers: bool) -> Netlist {
    let mut numbers = Numbers::new(seed);
    let mut build = NetlistBuilder::new("sample").unwrap();
    let mut nets: Vec<Net> = Vec::new();
    let mut whole: Vec<Vec<Net>> = Vec::new();
    for port in 0..=numbers.below(3) {
        let (words, width) = (1 + numbers.below(3), 1 + numbers.below(6));
        let bits = build.input(format!("in{port}"), words, width).unwrap();
        whole.extend(bits.chunks(width).map(<[Net]>::to_vec));
        nets.extend(bits);
    }
    let groups = 1 + numbers.below(4);
    for group in 0..groups {
        build.group(format!("g{group}"), Role::ALL[group % 3]).unwrap();
    }
    let cells = numbers.below(30);
    for cell in 0..cells {
        // Mostly forward through the groups, so that many can be pipelined in their order.
        let group =
            if numbers.below(20) == 0 { numbers.below(groups) } else { cell * groups / cells };
        build.resume(group);
        let name = format!("c{cell}");
        let word: Vec<Net> = if numbers.below(2) == 0 {
            whole[numbers.below(whole.len())].clone()
        } else {
            (0..=numbers.below(8)).map(|_| numbers.pick(&nets)).collect()
        };
        let made = match numbers.below(if registers { 7 } else { 6 }) {
            0 => build.cell(name, Op::Constant(numbers.below(2) == 0), &[]),
            1 => build.cell(name, Op::AtLeast(numbers.word() >> (63 - word.len())), &word),
            2 => build.cell(name, Op::Popcount, &word),
            3 => {
                let width = 1 + numbers.below(4);
                let words = 1 + numbers.below(6);
                let operands: Vec<Net> = (0..words * width).map(|_| numbers.pick(&nets)).collect();
                build.cell(name, Op::Argmax { words }, &operands)
            }
            6 => {
                let ahead = build.next_net().index() + numbers.below(2);
                let ahead = if cell + 1 == cells { 0 } else { ahead };
                let operand =
                    if numbers.below(2) == 0 { Net(ahead as u32) } else { numbers.pick(&nets) };
                build.cell(name, Op::Register { initial: numbers.below(2) == 0 }, &[operand])
            }
            _ => {
                let fan_in = 1 + numbers.below(8);
                let operands: Vec<Net> = (0..fan_in).map(|_| numbers.pick(&nets)).collect();
                let table = TruthTable::from_fn(fan_in, |_| numbers.below(2) == 0).unwrap();
                build.cell(name, Op::Lut(table), &operands)
            }
        };
        let made = made.unwrap();
        nets.extend(&made);
        whole.push(made);
    }
    for port in 0..=numbers.below(2) {
        let width = 1 + numbers.below(4);
        let bits: Vec<Net> =
            (0..width * (1 + numbers.below(3))).map(|_| numbers.pick(&nets)).collect();
        build.output(format!("c{port}"), width, &bits).unwrap();
    }
    let word = whole[whole.len() - 1].clone();
    build.output("last", word.len(), &word).unwrap();
    build.finish().unwrap()
}
