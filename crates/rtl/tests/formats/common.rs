//! Random netlists, and whether two netlists do the same.

use lutweave_lut::{Evaluator, Net, Netlist, NetlistBuilder, Op, Role, TruthTable};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// What cells a random netlist has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Tables and constants.
    Tables,
    /// Comparisons, popcounts, argmax, and registers that may feed back, as well.
    Clocked,
}

pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    fn pick(&mut self, from: &[Net], count: usize) -> Vec<Net> {
        (0..count).map(|_| from[self.below(from.len())]).collect()
    }
}

/// A netlist of any shape, the same for the same seed.
pub(crate) fn netlist(seed: u64, cells: Cells) -> Netlist {
    let mut random = Random::new(seed);
    let mut build = NetlistBuilder::new("sample").unwrap();
    let mut nets = Vec::new();
    for port in 0..=random.below(3) {
        let (words, width) = (1 + random.below(3), 1 + random.below(6));
        nets.extend(build.input(format!("in{port}"), words, width).unwrap());
    }
    let (mut registers, mut outputs) = (Vec::new(), Vec::new());
    for group in 0..=random.below(3) {
        build.group(format!("g{group}"), Role::ALL[group % 3]).unwrap();
        for cell in 0..random.below(12) {
            let name = format!("c{group}_{cell}");
            let kinds = [4, 9][cells as usize];
            let (op, operands) = match random.below(kinds) {
                0 => (Op::Constant(random.below(2) == 0), Vec::new()),
                1..4 => {
                    let fan_in = 1 + random.below(8);
                    let bits = [0; 4].map(|_| random.word());
                    let table =
                        TruthTable::from_fn(fan_in, |k| bits[k / 64] >> (k % 64) & 1 == 1).unwrap();
                    (Op::Lut(table), random.pick(&nets, fan_in))
                }
                4 => {
                    let word = 1 + random.below(7);
                    let operands = random.pick(&nets, word);
                    (Op::AtLeast(random.word() >> (63 - word)), operands)
                }
                5 => {
                    let bits = 1 + random.below(9);
                    (Op::Popcount, random.pick(&nets, bits))
                }
                6 => {
                    let (words, width) = (1 + random.below(5), 1 + random.below(3));
                    (Op::Argmax { words }, random.pick(&nets, words * width))
                }
                _ => (Op::Register { initial: random.below(2) == 0 }, vec![build.next_net()]),
            };
            let made = build.cell(name, op.clone(), &operands).unwrap();
            if matches!(op, Op::Register { .. }) {
                registers.extend(&made);
            }
            nets.extend(made);
        }
    }
    for register in registers {
        build.connect(register, random.pick(&nets, 1)[0]).unwrap();
    }
    for port in 0..=random.below(3) {
        let width = 1 + random.below(4);
        let words = 1 + random.below(3);
        let bits = random.pick(&nets, width * words);
        // Some are called as cells are.
        let stem = if cells == Cells::Clocked { "c0_" } else { "out" };
        outputs.push((format!("{stem}{port}"), width, bits));
    }
    for (name, width, bits) in outputs {
        build.output(name, width, &bits).unwrap();
    }
    build.finish().unwrap()
}

/// Fails unless both have the same ports and answer alike, clock cycle by clock cycle.
pub(crate) fn assert_equal(a: &Netlist, b: &Netlist, seed: u64) {
    assert_eq!(ports(a), ports(b));
    let mut random = Random::new(seed);
    let (mut first, mut second) = (Evaluator::clocked(a), Evaluator::clocked(b));
    for cycle in 0..5 {
        let inputs: Vec<u64> = (0..a.input_bits()).map(|_| random.word()).collect();
        first.settle(&inputs).unwrap();
        second.settle(&inputs).unwrap();
        for port in 0..a.outputs().len() {
            assert!(first.output(port).eq(second.output(port)), "cycle {cycle}, port {port}");
        }
        first.step(&inputs).unwrap();
        second.step(&inputs).unwrap();
    }
}

/// Name, words and width of every port.
pub(crate) fn ports(netlist: &Netlist) -> Vec<(String, usize, usize)> {
    let inputs = netlist.inputs().iter().map(|port| (port.name.clone(), port.words, port.width));
    let outputs = netlist.outputs().iter().map(|port| (port.name.clone(), port.words, port.width));
    inputs.chain(outputs).collect()
}

/// The text of a netlist with all cells in the group that other formats give them.
pub(crate) fn in_one_group(netlist: &Netlist) -> String {
    let text = netlist.to_text();
    let lines = text.lines().filter(|line| !line.starts_with("group "));
    let mut lines: Vec<&str> = lines.collect();
    let at = lines.iter().position(|line| !line.starts_with("input") && !line.contains("netlist"));
    lines.insert(at.unwrap(), "group logic core");
    lines.join("\n") + "\n"
}
