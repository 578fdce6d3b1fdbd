//! Pieces that layers are made of: functions of a word, sums, registers that feed back.

use std::collections::BTreeMap;

use lutweave_lut::{MAX_FAN_IN, Net, NetlistBuilder, TruthTable, bits_for};

use crate::Result;

/// Sums whose factors are at most this on average are counted: an operand for each unit.
const MAX_COUNTED: u64 = 3;

/// Inputs of the tables that adders are made of.
const ADDER_INPUTS: usize = 6;

/// Adds cells to the current group of a netlist, each function once.
#[derive(Debug)]
pub(crate) struct Cells<'b> {
    build: &'b mut NetlistBuilder,
    name: String,
    count: usize,
    constants: [Option<Net>; 2],
    made: BTreeMap<(Vec<Net>, Vec<u64>), Net>,
}

impl<'b> Cells<'b> {
    /// Cells whose names begin with `name`, which nothing else's do.
    pub(crate) fn new(name: &str, build: &'b mut NetlistBuilder) -> Self {
        let (count, constants, made) = (0, [None; 2], BTreeMap::new());
        Self { build, name: name.to_owned(), count, constants, made }
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}_{}", self.name, self.count - 1)
    }

    /// A fixed bit.
    pub(crate) fn constant(&mut self, value: bool) -> Result<Net> {
        if let Some(net) = self.constants[usize::from(value)] {
            return Ok(net);
        }
        let name = format!("{}_{}", self.name, if value { "high" } else { "low" });
        Ok(*self.constants[usize::from(value)].insert(self.build.constant(name, value)?))
    }

    /// The other bit.
    pub(crate) fn not(&mut self, net: Net) -> Result<Net> {
        self.lut(&[net], |k| k == 0)
    }

    /// A table of at most [`MAX_FAN_IN`] nets.
    pub(crate) fn lut(&mut self, nets: &[Net], table: impl Fn(usize) -> bool) -> Result<Net> {
        let table: Vec<bool> = (0..1 << nets.len()).map(table).collect();
        self.cached(nets, &table, |cells, table| {
            let name = cells.fresh();
            let table = TruthTable::from_fn(nets.len(), |k| table[k])?;
            Ok(cells.build.lut(name, nets, table)?)
        })
    }

    /// What was made of the same before, or is made now.
    fn cached(
        &mut self,
        word: &[Net],
        table: &[bool],
        make: impl FnOnce(&mut Self, &[bool]) -> Result<Net>,
    ) -> Result<Net> {
        let pack = |bits: &[bool]| {
            bits.iter().enumerate().fold(0u64, |all, (i, &bit)| all | u64::from(bit) << i)
        };
        let mut packed = vec![table.len() as u64];
        packed.extend(table.chunks(64).map(pack));
        let key = (word.to_vec(), packed);
        if let Some(&net) = self.made.get(&key) {
            return Ok(net);
        }
        let net = make(self, table)?;
        self.made.insert(key, net);
        Ok(net)
    }

    /// The bit `table[word]`; words past the end of the table do not occur. A constant, a wire, a
    /// comparator or a look-up table where one will do, else tables chosen between by the high bits.
    pub(crate) fn function(&mut self, word: &[Net], table: &[bool]) -> Result<Net> {
        let ones = table.iter().filter(|&&bit| bit).count();
        if ones == 0 || ones == table.len() {
            return self.constant(ones > 0);
        }
        // Higher bits are always zero.
        let word = &word[..word.len().min(bits_for(table.len() - 1))];
        let wire = |bit: usize| table.iter().enumerate().all(|(k, &y)| y == (k >> bit & 1 == 1));
        if let Some(bit) = (0..word.len()).find(|&bit| wire(bit)) {
            return Ok(word[bit]);
        }
        self.cached(word, table, |cells, table| cells.make(word, table, ones))
    }

    fn make(&mut self, word: &[Net], table: &[bool], ones: usize) -> Result<Net> {
        let zeros = table.len() - ones;
        if table[zeros..].iter().all(|&bit| bit) {
            let name = self.fresh();
            return Ok(self.build.at_least(name, word, zeros as u64)?);
        }
        if word.len() <= MAX_FAN_IN {
            let table: Vec<bool> =
                (0..1 << word.len()).map(|k| table.get(k) == Some(&true)).collect();
            return self.lut(word, |k| table[k]);
        }
        if table[..ones].iter().all(|&bit| bit) {
            let name = self.fresh();
            let above = self.build.at_least(name, word, ones as u64)?;
            return self.not(above);
        }
        let (top, word) = (word[word.len() - 1], &word[..word.len() - 1]);
        let (low, high) = table.split_at(1 << word.len());
        let (low, high) = (self.function(word, low)?, self.function(word, high)?);
        self.lut(&[low, high, top], |k| if k & 4 == 0 { k & 1 == 1 } else { k & 2 == 2 })
    }

    /// The word `numbers[word]`, as wide as the largest of them.
    pub(crate) fn recode(&mut self, word: &[Net], numbers: &[u64]) -> Result<Vec<Net>> {
        let most = numbers.iter().copied().max().unwrap_or(0);
        let digit = |bit: usize| numbers.iter().map(|n| n >> bit & 1 == 1).collect::<Vec<_>>();
        (0..bits_for(most as usize)).map(|bit| self.function(word, &digit(bit))).collect()
    }

    /// Whether a word is larger than another.
    pub(crate) fn greater(&mut self, word: &[Net], than: &[Net]) -> Result<Net> {
        let words = self.equal_widths(vec![than.to_vec(), word.to_vec()])?;
        let name = self.fresh();
        Ok(self.build.argmax(name, &words)?[0])
    }

    /// Words with zeros on top, all as wide as the widest.
    pub(crate) fn equal_widths(&mut self, mut words: Vec<Vec<Net>>) -> Result<Vec<Vec<Net>>> {
        let width = words.iter().map(Vec::len).max().unwrap_or(0);
        for word in &mut words {
            if word.len() < width {
                let zero = self.constant(false)?;
                word.resize(width, zero);
            }
        }
        Ok(words)
    }

    /// `Σ factor · net`, as wide as its largest value.
    pub(crate) fn sum(&mut self, terms: &[(Net, u64)]) -> Result<Vec<Net>> {
        let most: u64 = terms.iter().map(|term| term.1).sum();
        if most <= MAX_COUNTED.saturating_mul(terms.len() as u64) {
            let each = terms.iter().flat_map(|&(net, n)| std::iter::repeat_n(net, n as usize));
            return self.popcount(&each.collect::<Vec<_>>());
        }
        // The digits of the factors one by one, lowest first.
        let mut sum: Vec<Net> = Vec::new();
        for digit in 0..64 - most.leading_zeros() as usize {
            let nets = terms.iter().filter(|term| term.1 >> digit & 1 == 1).map(|term| term.0);
            let nets: Vec<Net> = nets.collect();
            if nets.is_empty() {
                continue;
            }
            let count = self.popcount(&nets)?;
            while sum.len() < digit {
                sum.push(self.constant(false)?);
            }
            let high = self.add(&sum[digit..], &count)?;
            sum.truncate(digit);
            sum.extend(high);
        }
        sum.truncate(bits_for(most as usize));
        Ok(sum)
    }

    /// `Σ factor · net`, where of a factor below zero the net's other bit counts that often, as wide
    /// as its largest value: digit by digit, carries rippling, in tables of [`ADDER_INPUTS`] nets.
    pub(crate) fn ripple(&mut self, terms: &[(Net, i64)]) -> Result<Vec<Net>> {
        let most: u64 = terms.iter().map(|term| term.1.unsigned_abs()).sum();
        let digits = if most == 0 { 1 } else { bits_for(most as usize) };
        // Of each digit the nets to be counted, and whether it is their other bit.
        let mut columns: Vec<Vec<(Net, bool)>> = vec![Vec::new(); digits];
        for &(net, factor) in terms {
            for (digit, column) in columns.iter_mut().enumerate() {
                if factor.unsigned_abs() >> digit & 1 == 1 {
                    column.push((net, factor < 0));
                }
            }
        }
        let mut digit = 0;
        while digit < digits {
            let nets = columns[digit].len();
            if nets == 0 {
                columns[digit].push((self.constant(false)?, false));
            } else if nets > 1 {
                // As many whole columns as fit into the tables; of one that does not, a part.
                let mut taken: Vec<(Net, bool, usize)> = Vec::new();
                let mut next = digit;
                while next < digits && taken.len() + columns[next].len() <= ADDER_INPUTS {
                    let column = columns[next].drain(..);
                    taken.extend(column.map(|(net, other)| (net, other, next - digit)));
                    next += 1;
                }
                if taken.is_empty() {
                    let column = columns[digit].drain(..ADDER_INPUTS);
                    taken.extend(column.map(|(net, other)| (net, other, 0)));
                }
                self.count(&taken, &mut columns[digit..])?;
                if columns[digit].len() > 1 {
                    continue;
                }
            }
            digit += 1;
        }
        // What is left are single nets.
        let bits = columns.iter().filter_map(|column| column.first());
        let bits: Vec<(Net, bool)> = bits.copied().collect();
        bits.into_iter().map(|(net, other)| if other { self.not(net) } else { Ok(net) }).collect()
    }

    /// Adds the digits of `Σ 2^shift · net` to columns, the lowest last in its own.
    fn count(
        &mut self,
        terms: &[(Net, bool, usize)],
        columns: &mut [Vec<(Net, bool)>],
    ) -> Result<()> {
        let most: usize = terms.iter().map(|term| 1 << term.2).sum();
        for (digit, column) in columns.iter_mut().enumerate().take(bits_for(most)) {
            // A digit does not depend on those above it.
            let below: Vec<_> = terms.iter().filter(|term| term.2 <= digit).collect();
            let nets: Vec<Net> = below.iter().map(|term| term.0).collect();
            let net = self.lut(&nets, |k| {
                let one = |(i, term): (usize, &&(Net, bool, usize))| {
                    usize::from((k >> i & 1 == 1) != term.1) << term.2
                };
                below.iter().enumerate().map(one).sum::<usize>() >> digit & 1 == 1
            })?;
            column.push((net, false));
        }
        Ok(())
    }

    /// The number of nets that are one.
    fn popcount(&mut self, nets: &[Net]) -> Result<Vec<Net>> {
        match nets {
            [] => Ok(vec![self.constant(false)?]),
            [net] => Ok(vec![*net]),
            nets => {
                let name = self.fresh();
                Ok(self.build.popcount(name, nets)?)
            }
        }
    }

    /// The sum of two words, one bit wider than the wider.
    pub(crate) fn add(&mut self, a: &[Net], b: &[Net]) -> Result<Vec<Net>> {
        let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
        if short.is_empty() {
            return Ok(long.to_vec());
        }
        let mut sum = Vec::with_capacity(long.len() + 1);
        let mut carry: Option<Net> = None;
        for (bit, &net) in long.iter().enumerate() {
            let nets: Vec<Net> =
                [Some(net), short.get(bit).copied(), carry].into_iter().flatten().collect();
            if let [net] = nets[..] {
                sum.push(net);
                continue;
            }
            sum.push(self.lut(&nets, |k| k.count_ones() % 2 == 1)?);
            carry = Some(self.lut(&nets, |k| k.count_ones() >= 2)?);
        }
        sum.extend(carry);
        Ok(sum)
    }

    /// A word and a number, together at most `most`.
    pub(crate) fn add_number(&mut self, word: &[Net], number: u64, most: u64) -> Result<Vec<Net>> {
        if number == 0 {
            return Ok(word.to_vec());
        }
        let digits = 0..bits_for(number as usize);
        let digits = digits.map(|bit| self.constant(number >> bit & 1 == 1));
        let digits = digits.collect::<Result<Vec<Net>>>()?;
        let mut sum = self.add(word, &digits)?;
        sum.truncate(bits_for(most as usize));
        Ok(sum)
    }

    /// One of two words of the same width: `b` where `choose` is one.
    pub(crate) fn choose(&mut self, choose: Net, a: &[Net], b: &[Net]) -> Result<Vec<Net>> {
        let pairs = a.iter().zip(b);
        let one = |k: usize| if k & 4 == 0 { k & 1 == 1 } else { k & 2 == 2 };
        pairs.map(|(&a, &b)| self.lut(&[a, b, choose], one)).collect()
    }

    /// The nets that are one only where `gate` is.
    pub(crate) fn gated(&mut self, gate: Net, word: &[Net]) -> Result<Vec<Net>> {
        word.iter().map(|&net| self.lut(&[net, gate], |k| k == 3)).collect()
    }
}

/// `count` registers, zero at first, whose next values `next` makes of their present ones, and
/// whatever else it gives.
///
/// Registers stand before the cells that drive them. A trial shows which nets those will be.
pub(crate) fn registers<T>(
    name: &str,
    count: usize,
    build: &mut NetlistBuilder,
    mut next: impl FnMut(&[Net], &mut NetlistBuilder) -> Result<(Vec<Net>, T)>,
) -> Result<T> {
    let place = |driven: &[Net], build: &mut NetlistBuilder| {
        let each = driven.iter().enumerate();
        let each = each.map(|(bit, &net)| build.register(format!("{name}_{bit}"), net, false));
        each.collect::<lutweave_lut::Result<Vec<Net>>>()
    };
    let mut trial = build.clone();
    let unknown = vec![trial.next_net(); count];
    let nets = place(&unknown, &mut trial)?;
    let (driven, _) = next(&nets, &mut trial)?;
    let nets = place(&driven, build)?;
    Ok(next(&nets, build)?.1)
}

/// A counter of the clocks `0..period` from reset, over and over. It needs a group to be begun.
pub(crate) fn counter(name: &str, period: usize, build: &mut NetlistBuilder) -> Result<Vec<Net>> {
    let next: Vec<u64> = (0..period as u64).map(|k| (k + 1) % period as u64).collect();
    let width = bits_for(period - 1);
    registers(name, width, build, |now, build| {
        let after = Cells::new(&format!("{name}_next"), build).recode(now, &next)?;
        Ok((after, now.to_vec()))
    })
}
