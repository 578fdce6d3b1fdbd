//! Blocks (thresholds, popcounts, arg-max) as LUTs of at most six inputs.
//!
//! - A threshold of up to six bits is one LUT; a wider one a chain: the last LUT takes the five highest
//!   bits and the verdict of the bits below, and so on down to six bits at most. Low bits under the
//!   lowest one bit of the threshold do not matter and are left out. Thresholds of the same word share
//!   verdicts, of which there are few: an eight-bit word has seven of three bits, so that `n`
//!   thresholds of it take at most `n + 7` LUTs.
//! - A popcount is a tree of generalised parallel counters: columns of equal weight are brought
//!   down to one bit from the lowest up, mostly by 6:3 counters, which take three bits away with
//!   three LUTs; see [`counter`] for the rest. `n` bits take about `n` LUTs.
//! - An arg-max is a tournament of neighbours, where the lower index wins ties. A comparison takes
//!   the three lowest bits of both words in its first LUT and two more in each further one; the
//!   values and the index bits of the winner are two-way multiplexers.

use std::collections::{BTreeMap, VecDeque};

use crate::rebuild::Rebuild;
use crate::{Cell, Net, Netlist, Op, Result, TruthTable};

/// Inputs of the LUTs that blocks become.
const FAN_IN: usize = 6;

impl Netlist {
    /// The same function with every [`AtLeast`](Op::AtLeast), [`Popcount`](Op::Popcount) and
    /// [`Argmax`](Op::Argmax) made of LUTs of at most six inputs.
    ///
    /// Ports, groups and all other cells keep their names and order. The last LUT of a threshold
    /// keeps the name of the block; the others are named `block_c1`, `block_c2` and so on. A block
    /// that is only a wire, such as a popcount of one bit, leaves no cell. Costs time linear in the
    /// size of the result, which alone may have more than [`MAX_NETS`](crate::MAX_NETS) nets.
    #[must_use]
    pub fn expand(&self) -> Self {
        self.expand_mapped().0
    }

    /// As [`expand`](Self::expand), and for each net of this netlist the one that stands for it in the
    /// result.
    #[must_use]
    pub fn expand_mapped(&self) -> (Self, Vec<Net>) {
        let expanded = Rebuild::new(self, u32::MAX as usize).and_then(|mut copy| {
            let mut verdicts = Verdicts::new();
            for cell in self.cells() {
                expand_cell(&mut copy, &mut verdicts, cell)?;
            }
            let all: Vec<Net> = (0..self.net_count()).map(|net| Net(net as u32)).collect();
            let nets = copy.nets(&all);
            Ok((copy.finish(|copy, net| copy.nets(&[net])[0])?, nets))
        });
        expanded.unwrap_or_else(|error| unreachable!("expanding a checked netlist: {error}"))
    }
}

/// Whether the word of these nets is at least this number, where a LUT says so already.
type Verdicts = BTreeMap<(Vec<Net>, u64), Net>;

fn expand_cell(copy: &mut Rebuild<'_>, verdicts: &mut Verdicts, cell: &Cell) -> Result<()> {
    if matches!(cell.op, Op::Constant(_) | Op::Lut(_) | Op::Register { .. }) {
        return copy.copy_plain(cell);
    }
    let operands = copy.nets(&cell.operands);
    copy.build.resume(cell.group);
    let mut block = Block { copy, verdicts, base: &cell.name };
    let nets = match cell.op {
        Op::AtLeast(threshold) => vec![at_least(&mut block, &operands, threshold)?],
        Op::Popcount => popcount(&mut block, &operands)?,
        Op::Argmax { words } => argmax(&mut block, &operands, words)?,
        Op::Constant(_) | Op::Lut(_) | Op::Register { .. } => unreachable!("copied above"),
    };
    copy.map(cell, &nets);
    Ok(())
}

/// Adds the LUTs of one block.
struct Block<'a, 'b> {
    copy: &'a mut Rebuild<'b>,
    verdicts: &'a mut Verdicts,
    base: &'a str,
}

impl Block<'_, '_> {
    /// A LUT of `operands`, without those it does not depend on; no cell if it is a wire.
    fn lut(&mut self, operands: &[Net], entry: impl Fn(usize) -> bool) -> Result<Net> {
        self.named(None, operands, entry)
    }

    fn named(
        &mut self,
        name: Option<&str>,
        operands: &[Net],
        entry: impl Fn(usize) -> bool,
    ) -> Result<Net> {
        let full = TruthTable::from_fn(operands.len(), entry)?;
        let used: Vec<usize> = (0..operands.len()).filter(|&i| full.depends_on(i)).collect();
        let table = TruthTable::from_fn(used.len(), |k| {
            full.get(used.iter().enumerate().map(|(to, from)| (k >> to & 1) << from).sum())
        })?;
        let operands: Vec<Net> = used.iter().map(|&i| operands[i]).collect();
        if used.len() == 1 && table.get(1) {
            return Ok(operands[0]);
        }
        let name = name.map_or_else(|| self.copy.fresh(self.base, 'c'), str::to_owned);
        if used.is_empty() {
            self.copy.build.constant(name, table.get(0))
        } else {
            self.copy.build.lut(name, &operands, table)
        }
    }
}

fn at_least(block: &mut Block<'_, '_>, word: &[Net], threshold: u64) -> Result<Net> {
    let name = Some(block.base);
    if threshold == 0 || threshold >> word.len() != 0 {
        return block.named(name, &[], |_| threshold == 0);
    }
    // The bits below do not matter: what is above decides, and if it is equal they are enough.
    let mut low = threshold.trailing_zeros() as usize;
    // Where the parts end, from the highest: the places are the same for all thresholds of a word, so
    // that these can share the verdicts of their low bits.
    let mut ends = vec![word.len()];
    while ends[ends.len() - 1] - low > FAN_IN {
        ends.push(ends[ends.len() - 1] - (FAN_IN - 1));
    }
    let mut carry: Option<Net> = None;
    for &end in ends.iter().rev() {
        let bits = end - low;
        let mut operands = word[low..end].to_vec();
        operands.extend(carry);
        let part = (threshold >> low) as usize & ((1 << bits) - 1);
        low = end;
        // The carry says whether the bits below are at least theirs; without it, there are none.
        let entry = |k: usize| (k & ((1 << bits) - 1)) + (k >> bits) > part;
        let entry = |k: usize| if carry.is_some() { entry(k) } else { k >= part };
        if end == word.len() {
            return block.named(name, &operands, entry);
        }
        let key = (word[..end].to_vec(), threshold & ((1 << end) - 1));
        let net = match block.verdicts.get(&key) {
            Some(&net) => net,
            None => block.lut(&operands, entry)?,
        };
        block.verdicts.insert(key, net);
        carry = Some(net);
    }
    unreachable!("the last part ends with the word")
}

/// The counter to apply next to a column of `height` bits when the next column has `next`: bits
/// taken from the column and from the next one. It replaces them by their sum in binary, of which
/// one bit stays in the column.
///
/// Chosen to take away many bits per LUT: 6:3 and (1,5):3 take away three with three LUTs, (1,4):3
/// and (2,3):3 two; where a column ends with few bits, a counter that spares the next column work.
fn counter(height: usize, next: usize) -> (usize, usize) {
    match (height, next) {
        // A full adder (two LUTs) leaves five bits and a carry: a (1,5):3.
        (7, _) => (3, 0),
        (9, 1..) => (5, 1),
        (6.., _) => (FAN_IN, 0),
        (4 | 5, _) => (height, next.min(1)),
        (2 | 3, _) => (height, next.min(2)),
        _ => unreachable!("a column of one bit is done"),
    }
}

/// A bit within a popcount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountBit {
    /// One of the bits that are counted, by its number.
    Operand(usize),
    /// A digit of an earlier counter.
    Digit {
        /// The counter, by its number.
        counter: usize,
        /// Which digit, the lowest being 0.
        digit: usize,
    },
}

/// A counter of the tree that a popcount becomes: it adds up a few bits of one weight and of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Bits that count once.
    pub ones: Vec<CountBit>,
    /// Bits that count twice.
    pub twos: Vec<CountBit>,
    /// Digits of its sum; there are no more in the sum of all.
    pub digits: usize,
}

/// The tree of counters by which [`Netlist::expand`] counts so many bits, each reading operands and
/// earlier counters, and the digits of the sum, lowest first. Each counter has six inputs at most, so that
/// a digit of it is one LUT; who adds in this order has the same nets in between. Costs time linear in
/// the number of bits.
#[must_use]
pub fn counters(bits: usize) -> (Vec<Counter>, Vec<CountBit>) {
    let width = crate::bits_for(bits);
    let mut columns = vec![VecDeque::new(); width.max(1)];
    columns[0] = (0..bits).map(CountBit::Operand).collect();
    let mut counters = Vec::new();
    for low in 0..width {
        while columns[low].len() > 1 {
            let next = columns.get(low + 1).map_or(0, VecDeque::len);
            let (here, above) = counter(columns[low].len(), next);
            let ones: Vec<CountBit> = columns[low].drain(..here).collect();
            let mut twos = Vec::new();
            if above > 0 {
                twos.extend(columns[low + 1].drain(..above));
            }
            // Digits past the width are zero: the whole sum fits.
            let digits = crate::bits_for(here + 2 * above).min(width - low);
            for (digit, column) in columns[low..].iter_mut().enumerate().take(digits) {
                column.push_back(CountBit::Digit { counter: counters.len(), digit });
            }
            counters.push(Counter { ones, twos, digits });
        }
    }
    (counters, columns.into_iter().flatten().collect())
}

fn popcount(block: &mut Block<'_, '_>, bits: &[Net]) -> Result<Vec<Net>> {
    let (counters, sum) = counters(bits.len());
    let mut counted: Vec<Vec<Net>> = Vec::with_capacity(counters.len());
    for Counter { ones, twos, digits } in &counters {
        let net = |bit: &CountBit| net_of(*bit, bits, &counted);
        let operands: Vec<Net> = ones.iter().chain(twos).map(net).collect();
        let here = ones.len();
        let sum = |k: usize| {
            ((k & ((1 << here) - 1)).count_ones() + 2 * (k >> here).count_ones()) as usize
        };
        let digit = |digit: usize| block.lut(&operands, |k| sum(k) >> digit & 1 == 1);
        counted.push((0..*digits).map(digit).collect::<Result<_>>()?);
    }
    Ok(sum.into_iter().map(|bit| net_of(bit, bits, &counted)).collect())
}

fn net_of(bit: CountBit, bits: &[Net], counted: &[Vec<Net>]) -> Net {
    match bit {
        CountBit::Operand(operand) => bits[operand],
        CountBit::Digit { counter, digit } => counted[counter][digit],
    }
}

/// The winner of a part of the words.
struct Winner {
    value: Vec<Net>,
    /// Bits of its index within the part; none where it is zero for sure.
    index: Vec<Option<Net>>,
}

fn argmax(block: &mut Block<'_, '_>, operands: &[Net], words: usize) -> Result<Vec<Net>> {
    let values = operands.chunks(operands.len() / words);
    let mut round: Vec<Winner> =
        values.map(|value| Winner { value: value.to_vec(), index: Vec::new() }).collect();
    while round.len() > 1 {
        let last = round.len() == 2;
        let mut winners = Vec::with_capacity(round.len().div_ceil(2));
        let mut players = round.into_iter();
        while let Some(low) = players.next() {
            winners.push(match players.next() {
                Some(high) => play(block, &low, &high, last)?,
                None => Winner {
                    value: low.value,
                    index: low.index.into_iter().chain([None]).collect(),
                },
            });
        }
        round = winners;
    }
    let index = round.pop().map_or(Vec::new(), |winner| winner.index);
    if index.is_empty() {
        return Ok(vec![block.lut(&[], |_| false)?]);
    }
    index.into_iter().map(|bit| bit.map_or_else(|| block.lut(&[], |_| false), Ok)).collect()
}

/// The larger of two winners, `low` on ties; its value is left out of the last match.
fn play(block: &mut Block<'_, '_>, low: &Winner, high: &Winner, last: bool) -> Result<Winner> {
    let greater = greater(block, &high.value, &low.value)?;
    let mut value = Vec::new();
    if !last {
        for (&a, &b) in low.value.iter().zip(&high.value) {
            value.push(block.lut(&[a, b, greater], |k| k >> (k >> 2) & 1 == 1)?);
        }
    }
    let mut index = Vec::new();
    for pair in low.index.iter().zip(&high.index) {
        index.push(match pair {
            (Some(a), Some(b)) => Some(block.lut(&[*a, *b, greater], |k| k >> (k >> 2) & 1 == 1)?),
            (Some(a), None) => Some(block.lut(&[*a, greater], |k| k == 0b01)?),
            (None, Some(b)) => Some(block.lut(&[*b, greater], |k| k == 0b11)?),
            (None, None) => None,
        });
    }
    index.push(Some(greater));
    Ok(Winner { value, index })
}

/// Whether `a > b`.
fn greater(block: &mut Block<'_, '_>, a: &[Net], b: &[Net]) -> Result<Net> {
    let mut low = 0;
    let mut carry: Option<Net> = None;
    loop {
        let bits = (a.len() - low).min(if carry.is_some() { 2 } else { 3 });
        let mut operands = a[low..low + bits].to_vec();
        operands.extend(&b[low..low + bits]);
        operands.extend(carry);
        low += bits;
        let mask = (1 << bits) - 1;
        carry = Some(block.lut(&operands, |k| {
            // The carry is the verdict of the bits below, which decides when these are equal.
            (k & mask) + (k >> (2 * bits)) > (k >> bits & mask)
        })?);
        if low == a.len() {
            return carry.map_or_else(|| unreachable!("a word has a bit"), Ok);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Evaluator, NetlistBuilder, Role};

    /// A netlist of one block on a port of `bits` bits.
    fn block(op: Op, bits: usize) -> Netlist {
        let mut build = NetlistBuilder::new("block").unwrap();
        let x = build.input("x", bits, 1).unwrap();
        build.group("g", Role::Head).unwrap();
        let y = build.cell("y", op, &x).unwrap();
        build.output("out", 1, &y).unwrap();
        build.finish().unwrap()
    }

    /// Checks the expansion of a netlist on words of inputs; gives its number of LUTs.
    fn check(netlist: &Netlist, frames: &[Vec<u64>]) -> usize {
        let expanded = netlist.expand();
        for cell in expanded.cells() {
            assert!(matches!(cell.op, Op::Lut(_) | Op::Constant(_)), "{}", cell.name);
            assert!(cell.operands.len() <= FAN_IN);
        }
        let mut before = Evaluator::new(netlist).unwrap();
        let mut after = Evaluator::new(&expanded).unwrap();
        for x in frames {
            before.settle(x).unwrap();
            after.settle(x).unwrap();
            assert!(before.output(0).eq(after.output(0)), "{}", netlist.to_text());
        }
        expanded.lut_count(Role::Head)
    }

    /// Words whose 64 frames are all patterns of `bits` bits, in as many words as that takes.
    fn every(bits: usize) -> Vec<Vec<u64>> {
        let pattern = |first: usize, bit: usize| {
            (0..64).map(|f| (((first + f) >> bit & 1) as u64) << f).sum::<u64>()
        };
        let first = (0..1usize << bits).step_by(64);
        first.map(|first| (0..bits).map(|bit| pattern(first, bit)).collect()).collect()
    }

    /// Words from a small generator, with sparse and dense ones among them.
    fn noise(bits: usize, words: usize, seed: u64) -> Vec<Vec<u64>> {
        let mut state = seed;
        let mut next = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 31
        };
        (0..words)
            .map(|word| {
                let mut one = || match word % 3 {
                    0 => next(),
                    1 => next() | next() | next(),
                    _ => next() & next(),
                };
                (0..bits).map(|_| one()).collect()
            })
            .collect()
    }

    #[test]
    fn counters_count() {
        for bits in (1..=40).chain([90, 164, 700]) {
            let (counters, sum) = counters(bits);
            assert_eq!(sum.len(), crate::bits_for(bits));
            for x in noise(bits, 6, bits as u64) {
                let mut values: Vec<u64> = Vec::new();
                let bit = |values: &[u64], bit: &CountBit| match *bit {
                    CountBit::Operand(operand) => x[operand] & 1,
                    CountBit::Digit { counter, digit } => values[counter] >> digit & 1,
                };
                for Counter { ones, twos, digits } in &counters {
                    assert!(ones.len() + twos.len() <= FAN_IN);
                    let add = |of: &[CountBit]| of.iter().map(|b| bit(&values, b)).sum::<u64>();
                    let value = add(ones) + 2 * add(twos);
                    assert_eq!(value >> digits, 0);
                    values.push(value);
                }
                let digits = sum.iter().enumerate();
                let sum: u64 = digits.map(|(at, digit)| bit(&values, digit) << at).sum();
                assert_eq!(sum, x.iter().map(|word| word & 1).sum::<u64>());
            }
        }
    }

    #[test]
    fn every_threshold_of_every_width_to_nine() {
        for width in 1..=9 {
            let frames = every(width);
            for threshold in 0..=(1 << width) + 1 {
                let luts = check(&block(Op::AtLeast(threshold), width), &frames);
                assert!(luts <= if width <= 6 { 1 } else { 2 }, "{width} bits, {threshold}");
            }
        }
    }

    #[test]
    fn thresholds_of_a_word_share_the_verdicts_of_low_bits() {
        for (width, more) in [(8, 7), (9, 15), (10, 31)] {
            let mut build = NetlistBuilder::new("thresholds").unwrap();
            let x = build.input("x", 1, width).unwrap();
            build.group("g", Role::Head).unwrap();
            let thresholds = (1..1u64 << width).step_by(1 + (1 << width) / 200);
            let bits: Vec<Net> =
                thresholds.map(|t| build.at_least(format!("t{t}"), &x, t).unwrap()).collect();
            build.output("y", 1, &bits).unwrap();
            let luts = check(&build.finish().unwrap(), &every(width));
            assert!(luts <= bits.len() + more, "{width} bits: {luts} LUTs");
        }
    }

    #[test]
    fn popcounts_of_one_to_seventy_bits_take_about_one_lut_a_bit() {
        let mut counts = Vec::new();
        for bits in 1..=70 {
            let mut frames = noise(bits, 40, bits as u64);
            frames.push(vec![u64::MAX; bits]);
            frames.push((0..bits).map(|i| if i < 64 { u64::MAX << i } else { 0 }).collect());
            let luts = check(&block(Op::Popcount, bits), &frames);
            assert!(luts <= bits, "{bits} bits take {luts} LUTs");
            counts.push(luts);
        }
        assert_eq!(counts[..8], [0, 2, 2, 3, 3, 3, 5, 8]);
        assert_eq!(counts[29], 26);
    }

    #[test]
    fn small_popcounts_are_right_for_every_pattern() {
        for bits in 1..=14 {
            check(&block(Op::Popcount, bits), &every(bits));
        }
    }

    #[test]
    fn arg_max_of_one_to_twelve_words_of_one_to_eight_bits() {
        for words in 1..=12 {
            for width in 1..=8 {
                let bits = words * width;
                let frames = if bits <= 12 { every(bits) } else { noise(bits, 60, bits as u64) };
                let netlist = block(Op::Argmax { words }, bits);
                let luts = check(&netlist, &frames);
                assert!(luts <= words * (width + 4 + width / 2), "{words} of {width}: {luts}");
            }
        }
        // Two words of three bits: one comparison, no multiplexer.
        assert_eq!(check(&block(Op::Argmax { words: 2 }, 6), &every(6)), 1);
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        // Equal words in pairs: few patterns, many ties.
        for words in 2..=12 {
            let frames: Vec<Vec<u64>> = noise(2, 30, words as u64)
                .into_iter()
                .map(|x| (0..words).flat_map(|w| [x[0] >> (w / 2), x[1] >> (w / 3)]).collect())
                .collect();
            check(&block(Op::Argmax { words }, words * 2), &frames);
        }
    }

    #[test]
    fn other_cells_keep_name_group_and_order() {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 1, 3).unwrap();
        build.group("a", Role::Encoder).unwrap();
        build.group("b", Role::Core).unwrap();
        let r = build.register("r", Net(x[2].0 + 4), true).unwrap();
        build.group("a", Role::Encoder).unwrap();
        let sum = build.popcount("sum", &[x[0], x[1], x[2]]).unwrap();
        let t = build.at_least("sum_c1", &x, 3).unwrap();
        build.group("b", Role::Core).unwrap();
        let and = TruthTable::from_fn(3, |k| k == 7).unwrap();
        let y = build.lut("y", &[sum[1], t, r], and).unwrap();
        build.output("y", 2, &[y, t]).unwrap();
        let netlist = build.finish().unwrap();
        let expanded = netlist.expand();
        let names: Vec<&str> = expanded.cells().iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["r", "sum_c2", "sum_c3", "sum_c1", "y"]);
        assert_eq!(expanded.groups(), netlist.groups());
        assert_eq!(expanded.expand(), expanded);
        let register = &expanded.cells()[0];
        assert_eq!(register.operands, [expanded.cells()[3].output()]);
    }

    proptest! {
        #[test]
        fn wide_thresholds(width in 10usize..=32, threshold: u32, near: u32, seed: u64) {
            let threshold = u64::from(threshold) & ((1 << width) - 1);
            // Values about the threshold are the interesting ones.
            let values: Vec<u64> = (0..64)
                .map(|f| match f % 4 {
                    0 => threshold,
                    1 => threshold.wrapping_sub(1),
                    2 => threshold ^ 1 << ((near as usize + f) % width),
                    _ => seed.rotate_left(f as u32),
                })
                .collect();
            let x = (0..width)
                .map(|bit| values.iter().enumerate().map(|(f, v)| (v >> bit & 1) << f).sum())
                .collect();
            let luts = check(&block(Op::AtLeast(threshold), width), &[x]);
            prop_assert!(luts <= width.div_ceil(5));
        }

        #[test]
        fn popcounts_of_any_nets(nets in prop::collection::vec(0usize..20, 1..300), seed: u64) {
            let mut build = NetlistBuilder::new("block").unwrap();
            let x = build.input("x", 20, 1).unwrap();
            build.group("g", Role::Head).unwrap();
            let operands: Vec<Net> = nets.iter().map(|&net| x[net]).collect();
            let y = build.popcount("y", &operands).unwrap();
            build.output("out", 1, &y).unwrap();
            let luts = check(&build.finish().unwrap(), &noise(20, 5, seed));
            prop_assert!(luts <= operands.len());
        }
    }
}
