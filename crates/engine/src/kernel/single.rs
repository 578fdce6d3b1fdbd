//! One frame at a time: the path of least delay.
//!
//! A word program computes 512 frames in the time of one. For a single frame each bit is a byte
//! here, each table is looked up by an index that its inputs make, and each popcount is a sum:
//! neighbouring tables do not wait for each other, so a core works on several at once. With AVX-512
//! 512 tables that do not wait for each other are looked up together, where there are enough of them.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod plan;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod wide;

use lutweave_lut::{Netlist, Op};

#[cfg(all(target_arch = "x86_64", not(miri)))]
use self::wide::Plan;
use crate::lower::{Row, lower_bytes};
use crate::program::Broken;
#[cfg(all(target_arch = "x86_64", not(miri)))]
use crate::rows::Line;
use crate::wire::{Reader, Writer, fault};
use crate::{Isa, Result};

/// Words of one table of a program for one frame: target, six sources, table (low, high).
const SINGLE_WORDS: usize = 9;

/// Looks up tables for one frame, one byte a bit.
///
/// # Safety
///
/// The first seven words of every nine of `code` are below the length of `values`.
unsafe fn single_tables(code: &[u32], values: &mut [u8]) {
    let values = values.as_mut_ptr();
    for table in code.as_chunks::<SINGLE_WORDS>().0 {
        let &[target, a, b, c, d, e, f, low, high] = table;
        // SAFETY: the caller's promise.
        let bit = |place: u32, at: u32| unsafe { u32::from(*values.add(place as usize)) << at };
        let index = (bit(a, 0) | bit(b, 1)) | (bit(c, 2) | bit(d, 3)) | (bit(e, 4) | bit(f, 5));
        let entries = u64::from(low) | u64::from(high) << 32;
        // SAFETY: the caller's promise.
        unsafe { *values.add(target as usize) = (entries >> index & 1) as u8 };
    }
}

/// Kinds of operations, each followed by its words.
const TABLES: u32 = 0; // count, then count times: target, six sources, table (low, high)
const SUM: u32 = 1; // sources, target, width, then the sources
const LARGEST: u32 = 2; // sources, target, width, words, then the sources
const AT_LEAST: u32 = 3; // sources, target, threshold, then the sources

/// A checked program for one frame.
#[derive(Debug, Clone)]
pub(crate) struct Single {
    /// Input words, one byte each.
    words: usize,
    /// Comparisons of all words: masks and thresholds, level after level.
    masks: Vec<u8>,
    at_least: Vec<u8>,
    /// Bytes of the values: zero, one, the comparisons, then what operations write.
    values: usize,
    code: Vec<u32>,
    /// Where each output bit is.
    outputs: Vec<u32>,
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    plan: Option<Plan>,
}

/// Memory of runs, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    values: Vec<u8>,
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    lines: Vec<Line>,
}

impl Single {
    pub(crate) fn compile(netlist: &Netlist) -> Result<Self> {
        let words: usize = netlist.inputs().iter().map(|port| port.words).sum();
        // The rows that `lower_bytes` finds are the comparisons here.
        let (rows, _) = lower_bytes(netlist)?;
        let mut levels: Vec<usize> = vec![0; words];
        let mut masks = Vec::new();
        let mut at_least = Vec::new();
        let mut place_of = std::collections::BTreeMap::new();
        for &row in &rows {
            let Row { word, mask, at_least: threshold } = row;
            let level = &mut levels[word as usize];
            if masks.len() == *level * words {
                masks.resize(masks.len() + words, u8::MAX);
                at_least.resize(at_least.len() + words, u8::MAX);
            }
            let place = *level * words + word as usize;
            masks[place] = mask;
            at_least[place] = threshold;
            place_of.insert(row, 2 + place as u32);
            *level += 1;
        }
        let mut made = Self {
            words,
            masks,
            at_least,
            values: 0,
            code: Vec::new(),
            outputs: Vec::new(),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            plan: None,
        };
        made.values = 2 + made.masks.len();
        made.cells(netlist, &place_of)?;
        Self::check(made)
    }

    fn cells(
        &mut self,
        netlist: &Netlist,
        rows: &std::collections::BTreeMap<Row, u32>,
    ) -> Result<()> {
        let mut place = vec![0u32; netlist.net_count()];
        let mut word = 0u32;
        // The first net and the word number of each input word, to know comparisons of whole words.
        let mut word_of = std::collections::BTreeMap::new();
        for port in netlist.inputs() {
            for index in 0..port.words {
                let nets = port.word(index);
                for (bit, net) in nets.iter().enumerate().take(8) {
                    let row = Row { word, mask: 1 << bit, at_least: 1 << bit };
                    place[net.index()] = rows.get(&row).copied().unwrap_or(0);
                }
                word_of.insert(nets[0], (word, nets));
                word += 1;
            }
        }
        let mut tables: Option<usize> = None;
        for index in netlist.dataflow_order()? {
            let cell = &netlist.cells()[index];
            let first = cell.output().index();
            let sources: Vec<u32> = cell.operands.iter().map(|net| place[net.index()]).collect();
            match &cell.op {
                Op::Register { .. } => place[first] = sources[0],
                Op::Constant(value) => place[first] = u32::from(*value),
                Op::Lut(table) => {
                    let low = &sources[..sources.len().min(6)];
                    let mut parts: Vec<u32> = table.words()[..table.entries().div_ceil(64)]
                        .iter()
                        .map(|&entries| self.table(&mut tables, entries, low))
                        .collect();
                    for &select in &sources[low.len()..] {
                        let pairs = parts.chunks(2);
                        parts = pairs
                            .map(|pair| self.table(&mut tables, 0xca, &[pair[0], pair[1], select]))
                            .collect();
                    }
                    place[first] = parts[0];
                }
                Op::AtLeast(threshold) => {
                    let whole = word_of.get(&cell.operands[0]);
                    place[first] = if let Some(&(word, _)) =
                        whole.filter(|(_, nets)| *nets == cell.operands)
                    {
                        let row = Row { word, mask: u8::MAX, at_least: *threshold as u8 };
                        match threshold {
                            0 => 1,
                            1..=255 => rows.get(&row).copied().unwrap_or(0),
                            _ => 0,
                        }
                    } else if let Ok(threshold) = u32::try_from(*threshold) {
                        tables = None;
                        let target = self.take(1);
                        let count = sources.len() as u32;
                        self.code.extend([AT_LEAST, count, target, threshold]);
                        self.code.extend(&sources);
                        target
                    } else {
                        // Words have 32 bits at most: such a number is never reached.
                        0
                    };
                }
                Op::Popcount | Op::Argmax { .. } => {
                    tables = None;
                    let width = cell.width() as u32;
                    let target = self.take(width);
                    let count = sources.len() as u32;
                    match cell.op {
                        Op::Argmax { words } => {
                            self.code.extend([LARGEST, count, target, width, words as u32]);
                        }
                        _ => self.code.extend([SUM, count, target, width]),
                    }
                    self.code.extend(&sources);
                    for (net, target) in cell.outputs().zip(target..) {
                        place[net.index()] = target;
                    }
                }
            }
        }
        let outputs = netlist.outputs().iter().flat_map(|port| &port.nets);
        self.outputs = outputs.map(|net| place[net.index()]).collect();
        Ok(())
    }

    fn take(&mut self, bytes: u32) -> u32 {
        let first = self.values as u32;
        self.values += bytes as usize;
        first
    }

    /// Adds a table to the run that is being written, which begins at `run`, or to a new one.
    fn table(&mut self, run: &mut Option<usize>, entries: u64, sources: &[u32]) -> u32 {
        let start = *run.get_or_insert_with(|| {
            self.code.extend([TABLES, 0]);
            self.code.len() - 2
        });
        self.code[start + 1] += 1;
        let target = self.take(1);
        let mut six = [0u32; 6];
        six[..sources.len()].copy_from_slice(sources);
        self.code.push(target);
        self.code.extend(six);
        self.code.extend([entries as u32, (entries >> 32) as u32]);
        target
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.list([self.values as u32]);
        let tests = self.masks.iter().zip(&self.at_least);
        writer.list(tests.map(|(&mask, &at_least)| u32::from(mask) | u32::from(at_least) << 8));
        writer.list(self.code.iter().copied());
        writer.list(self.outputs.iter().copied());
    }

    pub(crate) fn read(reader: &mut Reader<'_>, words: usize, outputs: usize) -> Result<Self> {
        let list = reader.list()?;
        let &[values] = &list[..] else { return Err(fault("a program has no values")) };
        let tests = reader.list()?;
        let read = Self {
            words,
            masks: tests.iter().map(|test| *test as u8).collect(),
            at_least: tests.iter().map(|test| (test >> 8) as u8).collect(),
            values: values as usize,
            code: reader.list()?,
            outputs: reader.list()?,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            plan: None,
        };
        // No operation makes more than a word of 32 bits.
        if read.outputs.len() != outputs
            || read.values > 2 + read.masks.len() + 32 * read.code.len()
        {
            return Err(fault("its program for one frame is of another size"));
        }
        Self::check(read)
    }

    /// Every place named exists, so that running cannot fail.
    fn check(self) -> Result<Self> {
        let damaged = || fault("its program for one frame is damaged");
        let values = self.values;
        let exist = |places: &[u32]| places.iter().all(|&place| (place as usize) < values);
        let range = |first: u32, width: u32| first as usize + width as usize <= values;
        let rows = self.masks.len();
        let mut fine = self.at_least.len() == rows && rows + 2 <= values && exist(&self.outputs);
        fine &= if self.words == 0 { rows == 0 } else { rows.is_multiple_of(self.words) };
        let mut rest = &self.code[..];
        while let Some(operation) = split(&mut rest) {
            fine &= match operation.map_err(|Broken| damaged())? {
                Operation::Tables(code) => {
                    code.chunks_exact(SINGLE_WORDS).all(|table| exist(&table[..7]))
                }
                Operation::Sum { target, width, sources } => {
                    range(target, width) && width <= 32 && exist(sources)
                }
                Operation::Largest { target, width, words, sources } => {
                    let bits = sources.len().checked_div(words as usize).unwrap_or(0);
                    range(target, width)
                        && width <= 32
                        && (1..=32).contains(&bits)
                        && bits * words as usize == sources.len()
                        && exist(sources)
                }
                Operation::AtLeast { target, sources, .. } => {
                    exist(&[target]) && sources.len() <= 32 && exist(sources)
                }
            };
        }
        if !fine {
            return Err(damaged());
        }
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        let plan = if Isa::Avx512.is_available() { self.plan() } else { None };
        Ok(Self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            plan,
            ..self
        })
    }

    /// One byte per input word in, one word per output bit out.
    pub(crate) fn run(
        &self,
        isa: Isa,
        x: &[u8],
        memory: &mut Memory,
        mut output: impl FnMut(usize, u8),
    ) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if isa == Isa::Avx512
            && let Some(plan) = &self.plan
        {
            let lines = wide::run(plan, x, &mut memory.lines);
            for (index, &place) in plan.outputs.iter().enumerate() {
                output(index, wide::bit(lines, place));
            }
            return;
        }
        let _ = isa;
        let values = &mut memory.values;
        values.resize(self.values, 0);
        values[1] = 1;
        if self.words > 0 {
            let levels = values[2..][..self.masks.len()].chunks_exact_mut(self.words);
            let tests = self.masks.chunks(self.words).zip(self.at_least.chunks(self.words));
            for (values, (masks, at_least)) in levels.zip(tests) {
                let tests = masks.iter().zip(at_least);
                for ((value, &x), (&mask, &at_least)) in values.iter_mut().zip(x).zip(tests) {
                    *value = u8::from(x & mask >= at_least);
                }
            }
        }
        let mut rest = &self.code[..];
        let number = |values: &[u8], sources: &[u32]| -> u32 {
            let bits = sources.iter().enumerate();
            bits.fold(0, |sum, (bit, &s)| sum | u32::from(values[s as usize]) << bit)
        };
        let spread = |values: &mut [u8], target: u32, width: u32, value: u32| {
            for bit in 0..width {
                values[(target + bit) as usize] = (value >> bit & 1) as u8;
            }
        };
        while let Some(Ok(operation)) = split(&mut rest) {
            match operation {
                Operation::Tables(code) => {
                    // SAFETY: `check` has seen that all places are below `self.values`.
                    unsafe { single_tables(code, values) };
                }
                Operation::Sum { target, width, sources } => {
                    let sum = sources.iter().map(|&s| u32::from(values[s as usize])).sum();
                    spread(values, target, width, sum);
                }
                Operation::Largest { target, width, words, sources } => {
                    let mut best = (0, 0);
                    for (index, word) in sources.chunks(sources.len() / words as usize).enumerate()
                    {
                        let value = number(values, word);
                        if index == 0 || value > best.1 {
                            best = (index as u32, value);
                        }
                    }
                    spread(values, target, width, best.0);
                }
                Operation::AtLeast { target, threshold, sources } => {
                    values[target as usize] = u8::from(number(values, sources) >= threshold);
                }
            }
        }
        for (index, &place) in self.outputs.iter().enumerate() {
            output(index, values[place as usize]);
        }
    }
}

#[derive(Clone, Copy)]
enum Operation<'a> {
    Tables(&'a [u32]),
    Sum { target: u32, width: u32, sources: &'a [u32] },
    Largest { target: u32, width: u32, words: u32, sources: &'a [u32] },
    AtLeast { target: u32, threshold: u32, sources: &'a [u32] },
}

/// Takes the next operation off `code`.
fn split<'a>(code: &mut &'a [u32]) -> Option<std::result::Result<Operation<'a>, Broken>> {
    let (&kind, rest) = code.split_first()?;
    Some(read(kind, rest).ok_or(Broken).map(|(operation, rest)| {
        *code = rest;
        operation
    }))
}

fn read(kind: u32, code: &[u32]) -> Option<(Operation<'_>, &[u32])> {
    let (&count, code) = code.split_first()?;
    let count = count as usize;
    match (kind, code) {
        (TABLES, code) => {
            let (code, rest) = code.split_at_checked(count.checked_mul(SINGLE_WORDS)?)?;
            Some((Operation::Tables(code), rest))
        }
        (SUM, &[target, width, ref code @ ..]) => {
            let (sources, rest) = code.split_at_checked(count)?;
            Some((Operation::Sum { target, width, sources }, rest))
        }
        (LARGEST, &[target, width, words, ref code @ ..]) => {
            let (sources, rest) = code.split_at_checked(count)?;
            Some((Operation::Largest { target, width, words, sources }, rest))
        }
        (AT_LEAST, &[target, threshold, ref code @ ..]) => {
            let (sources, rest) = code.split_at_checked(count)?;
            Some((Operation::AtLeast { target, threshold, sources }, rest))
        }
        _ => None,
    }
}
