//! Random netlists and inputs.
#![allow(dead_code, clippy::unwrap_used)] // each test uses some; helpers of tests count as tests

use lutweave_lut::{Net, Netlist, NetlistBuilder, Op, Role, TruthTable};

/// A small generator; its quality does not matter here.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
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

/// A netlist of up to `cells` cells of every kind, registers that only delay among them.
pub(crate) fn netlist(seed: u64, cells: usize) -> Netlist {
    let mut numbers = Numbers::new(seed);
    let mut build = NetlistBuilder::new("sample").unwrap();
    let mut nets: Vec<Net> = Vec::new();
    let mut whole: Vec<Vec<Net>> = Vec::new();
    for port in 0..=numbers.below(3) {
        let (words, width) = (1 + numbers.below(80), 1 + numbers.below(10));
        let bits = build.input(format!("in{port}"), words, width).unwrap();
        whole.extend(bits.chunks(width).map(<[Net]>::to_vec));
        nets.extend(bits);
    }
    build.group("g", Role::Core).unwrap();
    for cell in 0..numbers.below(cells + 1) {
        // Sources near the end make deep netlists.
        let from = if numbers.below(3) == 0 { nets.len() - nets.len().min(20) } else { 0 };
        let name = format!("c{cell}");
        let word: Vec<Net> = if numbers.below(2) == 0 {
            whole[numbers.below(whole.len())].clone()
        } else {
            (0..=numbers.below(8)).map(|_| numbers.pick(&nets)).collect()
        };
        let made = match numbers.below(12) {
            0 => build.cell(name, Op::Constant(numbers.below(2) == 0), &[]),
            1 => build.cell(name, Op::AtLeast(numbers.word() >> (62 - word.len())), &word),
            2 => build.cell(name, Op::Popcount, &word),
            3 => {
                let width = 1 + numbers.below(4);
                let words = 1 + numbers.below(6);
                let operands: Vec<Net> = (0..words * width).map(|_| numbers.pick(&nets)).collect();
                build.cell(name, Op::Argmax { words }, &operands)
            }
            4 => {
                let operand = numbers.pick(&nets);
                build.cell(name, Op::Register { initial: numbers.below(2) == 0 }, &[operand])
            }
            _ => {
                let fan_in = 1 + numbers.below(8);
                let operands: Vec<Net> = (0..fan_in).map(|_| numbers.pick(&nets[from..])).collect();
                let rare = numbers.below(3) == 0;
                let table =
                    TruthTable::from_fn(fan_in, |_| numbers.below(if rare { 9 } else { 2 }) == 0);
                build.cell(name, Op::Lut(table.unwrap()), &operands)
            }
        };
        let made = made.unwrap();
        nets.extend(&made);
        whole.push(made);
    }
    for port in 0..=numbers.below(2) {
        let width = 1 + numbers.below(12);
        let bits: Vec<Net> =
            (0..width * (1 + numbers.below(3))).map(|_| numbers.pick(&nets)).collect();
        build.output(format!("c{port}"), width, &bits).unwrap();
    }
    let word = whole[whole.len() - 1].clone();
    build.output("last", word.len(), &word).unwrap();
    build.finish().unwrap()
}

/// The width of each input word.
pub(crate) fn widths(netlist: &Netlist) -> Vec<usize> {
    netlist.inputs().iter().flat_map(|port| vec![port.width; port.words]).collect()
}

/// `frames` frames of numbers that fit the input words and a byte.
pub(crate) fn bytes(netlist: &Netlist, frames: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let widths = widths(netlist);
    (0..frames)
        .flat_map(|_| widths.clone())
        .map(|width| (numbers.word() & ((1 << width.min(8)) - 1)) as u8)
        .collect()
}
