//! The program for one frame as a plan that looks up 512 tables at a time.

use super::wide::{Gather, Plan, Segment, Step, Test};
use super::{Operation, SINGLE_WORDS, Single, split};
use crate::kernel::pack::transpose;
use crate::rows::Line;
use crate::tables;

/// Bits of a line, and tables of a block.
const LINE: usize = 512;
/// Cycles that things take, about: a table that is looked up alone, a gather, each segment of it,
/// and a block beside its entries.
const TABLE_CYCLES: usize = 6;
const GATHER_CYCLES: usize = 4;
const SEGMENT_CYCLES: usize = 3;
const BLOCK_CYCLES: usize = 20;

/// The operations of one depth.
#[derive(Default)]
struct Depth<'a> {
    /// Tables with the number of their inputs, rising.
    tables: Vec<(usize, &'a [u32; SINGLE_WORDS])>,
    rest: Vec<Operation<'a>>,
}

/// The inputs that a block of tables is looked up with.
fn inputs(block: &[(usize, &[u32; SINGLE_WORDS])]) -> usize {
    block.last().map_or(0, |table| table.0).max(3)
}

impl Single {
    /// The plan, where it promises to be faster than the program.
    pub(super) fn plan(&self) -> Option<Plan> {
        let (depths, alone) = self.depths()?;
        let blocks = depths.iter().flat_map(|depth| depth.tables.chunks(LINE));
        let cycles: usize = blocks
            .map(|block| {
                let gathers = inputs(block) * block.len().div_ceil(64);
                (1 << inputs(block)) + BLOCK_CYCLES + gathers * GATHER_CYCLES
            })
            .sum();
        // This bounds the memory of the entries, too.
        if cycles > alone {
            return None;
        }
        let plan = Build::new(self).all(&depths, &self.outputs);
        (cycles + plan.segments.len() * SEGMENT_CYCLES <= alone).then_some(plan)
    }

    /// The operations by depth, and the cycles that the program takes for its tables. None where it
    /// reads what was not written, or writes anything twice: no compiled program does.
    fn depths(&self) -> Option<(Vec<Depth<'_>>, usize)> {
        const NEVER: u32 = u32::MAX;
        let mut depth_of = vec![NEVER; self.values];
        depth_of[..2 + self.masks.len()].fill(0);
        let mut depths: Vec<Depth<'_>> = Vec::new();
        let mut alone = 0;
        // The depth of an operation, which its targets are behind.
        let mut place = |depths: &mut Vec<Depth<'_>>, from: &[u32], target: u32, width: u32| {
            let depth = from.iter().map(|&s| depth_of[s as usize]).max().unwrap_or(0);
            let targets = &mut depth_of[target as usize..(target + width) as usize];
            if depth == NEVER || targets.iter().any(|&depth| depth != NEVER) {
                return None;
            }
            targets.fill(depth + 1);
            if depths.len() <= depth as usize {
                depths.resize_with(depth as usize + 1, Depth::default);
            }
            Some(depth as usize)
        };
        let mut rest = &self.code[..];
        while let Some(Ok(operation)) = split(&mut rest) {
            let (sources, target, width) = match operation {
                Operation::Tables(code) => {
                    for table in code.as_chunks::<SINGLE_WORDS>().0 {
                        let depth = place(&mut depths, &table[1..7], table[0], 1)?;
                        let inputs = table[1..7].iter().rposition(|&source| source != 0);
                        depths[depth].tables.push((inputs.map_or(0, |last| last + 1), table));
                        alone += TABLE_CYCLES;
                    }
                    continue;
                }
                Operation::Sum { target, width, sources }
                | Operation::Largest { target, width, sources, .. } => (sources, target, width),
                Operation::AtLeast { target, sources, .. } => (sources, target, 1),
            };
            let depth = place(&mut depths, sources, target, width)?;
            depths[depth].rest.push(operation);
        }
        for depth in &mut depths {
            depth.tables.sort_by_key(|table| table.0);
        }
        Some((depths, alone))
    }
}

/// A plan in the making.
struct Build {
    plan: Plan,
    /// The bit that each place of the program has become.
    bit: Vec<u32>,
    /// The next free bit.
    next: usize,
}

impl Build {
    fn new(single: &Single) -> Self {
        let mut plan = Plan { words: single.words, ..Plan::default() };
        // Bits 0 and 1 are constants; comparisons begin with the next word.
        let mut bit = vec![0; single.values];
        bit[1] = 1;
        let mut next = 64;
        if single.words > 0 {
            let levels =
                single.masks.chunks(single.words).zip(single.at_least.chunks(single.words));
            for (level, (masks, at_least)) in levels.enumerate() {
                for (chunk, (m, t)) in masks.chunks(64).zip(at_least.chunks(64)).enumerate() {
                    let mut test = Test { masks: [u8::MAX; 64], at_least: [u8::MAX; 64] };
                    test.masks[..m.len()].copy_from_slice(m);
                    test.at_least[..t.len()].copy_from_slice(t);
                    plan.tests.push(test);
                    let first = 2 + level * single.words + chunk * 64;
                    for (bit, at) in bit[first..first + m.len()].iter_mut().zip(next as u32..) {
                        *bit = at;
                    }
                    next += 64;
                }
            }
        }
        Self { plan, bit, next }
    }

    /// Room for `bits` bits, at most a word's, in one word.
    fn room(&mut self, bits: u32) -> u32 {
        if self.next % 64 + bits as usize > 64 {
            self.next = self.next.next_multiple_of(64);
        }
        let at = self.next;
        self.next += bits as usize;
        at as u32
    }

    /// Gathers the bits of 64 places at most; the rest is zero.
    fn gather(&mut self, places: impl Iterator<Item = u32>) {
        let mut gather =
            Gather { byte: [0; 64], bit: [0; 64], start: self.plan.segments.len() as u32, end: 0 };
        let bits: Vec<u32> = places.map(|place| self.bit[place as usize]).collect();
        let mut left: u64 = 0;
        for (place, &bit) in bits.iter().enumerate().filter(|&(_, &bit)| bit != 0) {
            gather.bit[place] = 1 << (bit % 8);
            left |= 1 << place;
        }
        let line = |place: usize| bits[place] / LINE as u32;
        let places = |set: u64| (0..64).filter(move |place| set >> place & 1 == 1);
        while let Some(first) = places(left).map(line).min() {
            let here = places(left).filter(|&place| line(place) <= first + 1);
            let here = here.fold(0, |here, place| here | 1 << place);
            for place in places(here) {
                gather.byte[place] = (bits[place] / 8 - first * 64) as u8;
            }
            self.plan.segments.push(Segment { line: first, bits: here });
            left &= !here;
        }
        gather.end = self.plan.segments.len() as u32;
        self.plan.gathers.push(gather);
    }

    fn all(mut self, depths: &[Depth<'_>], outputs: &[u32]) -> Plan {
        for depth in depths {
            for block in depth.tables.chunks(LINE) {
                self.block(block);
            }
            depth.rest.iter().for_each(|operation| self.operation(*operation));
        }
        self.plan.outputs = outputs.iter().map(|&place| self.bit[place as usize]).collect();
        self.plan.lines = self.next.div_ceil(LINE) + 1;
        self.plan
    }

    fn block(&mut self, block: &[(usize, &[u32; SINGLE_WORDS])]) {
        self.next = self.next.next_multiple_of(LINE);
        let (inputs, words) = (inputs(block), block.len().div_ceil(64));
        let gathers = self.plan.gathers.len() as u32;
        for input in 0..inputs {
            for some in block.chunks(64) {
                self.gather(some.iter().map(|(_, table)| table[1 + input]));
            }
        }
        let first = self.plan.entries.len();
        self.plan.entries.resize(first + (1 << inputs), Line::default());
        for (word, some) in block.chunks(64).enumerate() {
            let mut entries = [0u64; 64];
            for (entries, &(fan_in, table)) in entries.iter_mut().zip(some) {
                let low = u64::from(table[7]) | u64::from(table[8]) << 32;
                *entries = tables::repeat(low, fan_in);
            }
            transpose(&mut entries);
            for (line, entry) in self.plan.entries[first..].iter_mut().zip(entries) {
                line.0[word] = entry;
            }
        }
        self.plan.steps.push(Step::Tables {
            inputs: inputs as u32,
            words: words as u32,
            gathers,
            entries: first as u32,
            line: (self.next / LINE) as u32,
        });
        for (at, (_, table)) in (self.next..).zip(block) {
            self.bit[table[0] as usize] = at as u32;
        }
        self.next += LINE;
    }

    fn operation(&mut self, operation: Operation<'_>) {
        let (target, width) = match operation {
            Operation::Tables(_) => return,
            Operation::Sum { target, width, .. } | Operation::Largest { target, width, .. } => {
                (target, width)
            }
            Operation::AtLeast { target, .. } => (target, 1),
        };
        let to = self.room(width);
        for (place, at) in (target..target + width).zip(to..) {
            self.bit[place as usize] = at;
        }
        let first = self.plan.sources.len() as u32;
        let step = match operation {
            Operation::Tables(_) => return,
            Operation::Sum { sources, .. } => {
                let gathers = self.plan.gathers.len() as u32;
                for sources in sources.chunks(64) {
                    self.gather(sources.iter().copied());
                }
                let count = self.plan.gathers.len() as u32 - gathers;
                Step::Sum { gathers, count, target: to, width }
            }
            Operation::Largest { words, sources, .. } => {
                self.plan.sources.extend(sources.iter().map(|&s| self.bit[s as usize]));
                let (count, bits) = (sources.len() as u32, sources.len() as u32 / words);
                Step::Largest { sources: first, count, bits, target: to, width }
            }
            Operation::AtLeast { threshold, sources, .. } => {
                self.plan.sources.extend(sources.iter().map(|&s| self.bit[s as usize]));
                Step::AtLeast { sources: first, count: sources.len() as u32, threshold, target: to }
            }
        };
        self.plan.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::single::{Memory, wide};
    use crate::{Isa, common};

    proptest! {
        #[test]
        fn every_netlist_has_a_plan_that_computes_the_same(seed: u64, cells in 0usize..1500) {
            if !Isa::Avx512.is_available() {
                return Ok(());
            }
            let netlist = common::netlist(seed, cells);
            let mut single = Single::compile(&netlist).unwrap();
            single.plan = None;
            let (depths, _) = single.depths().unwrap();
            let plan = Build::new(&single).all(&depths, &single.outputs);
            // The memory of another plan does not matter.
            let mut lines = vec![Line([u64::MAX; 8]); plan.lines];
            for seed in 0..4 {
                let x = common::bytes(&netlist, 1, seed);
                let (mut alone, mut together) = (Vec::new(), Vec::new());
                single.run(Isa::Avx512, &x, &mut Memory::default(), |_, bit| alone.push(bit));
                let lines = wide::run(&plan, &x, &mut lines);
                together.extend(plan.outputs.iter().map(|&place| wide::bit(lines, place)));
                prop_assert_eq!(&alone, &together);
            }
        }
    }
}
