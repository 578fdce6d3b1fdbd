//! Don't-cares from data: what a LUT never sees need not be right.
//!
//! This changes the function. On the frames given the result answers as before; on others it may not,
//! so the accuracy has to be measured anew, on other frames.

use super::function;
use crate::{Error, Evaluator, Netlist, Op, Result, TruthTable};

/// What [`Netlist::assume_observed`] found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Frames evaluated.
    pub frames: usize,
    /// Entries of all LUTs' tables.
    pub entries: usize,
    /// Entries that no frame reached.
    pub unseen: usize,
    /// LUTs whose tables now have fewer inputs.
    pub narrowed: usize,
    /// Inputs that those lost.
    pub dropped: usize,
}

impl Netlist {
    /// A netlist that gives the same outputs for the frames given, and may give others elsewhere:
    /// the patterns that a LUT never saw are free, and serve to drop its inputs. It is **not
    /// equivalent**, and [`optimise`](Self::optimise) never does this.
    ///
    /// `inputs` is frame-major, one value per word of every input port in order, as for
    /// [`Evaluator::frames`]. The inputs of a table are tried from the last to the first; one is
    /// dropped where no two patterns that were seen differ in it alone and in the answer. Costs an
    /// evaluation of the frames, and `2^fan_in` word operations a LUT for every 64 frames.
    ///
    /// # Errors
    ///
    /// As [`Evaluator::new`] and [`Evaluator::frames`]; [`Error::Netlist`] when there is no frame.
    pub fn assume_observed(&self, inputs: &[u64]) -> Result<(Self, Observed)> {
        let (frames, seen) = self.observe(inputs)?;
        let mut report = Observed { frames, entries: 0, unseen: 0, narrowed: 0, dropped: 0 };
        let mut tables: Vec<Option<TruthTable>> = Vec::with_capacity(self.cells().len());
        for (cell, seen) in self.cells().iter().zip(&seen) {
            let Op::Lut(table) = &cell.op else {
                tables.push(None);
                continue;
            };
            let count = seen.iter().map(|word| word.count_ones() as usize).sum::<usize>();
            report.entries += table.entries();
            report.unseen += table.entries() - count;
            let before = function::support(table).count_ones() as usize;
            let table = narrow(table, *seen);
            let after = function::support(&table).count_ones() as usize;
            report.dropped += before.saturating_sub(after);
            report.narrowed += usize::from(after < before);
            tables.push(Some(table));
        }
        Ok((self.with_tables(&tables)?, report))
    }

    /// The number of frames, and for each cell the patterns of its operands that occurred; zero for
    /// cells that are no LUTs.
    fn observe(&self, inputs: &[u64]) -> Result<(usize, Vec<[u64; 4]>)> {
        let widths: Vec<usize> =
            self.inputs().iter().flat_map(|port| vec![port.width; port.words]).collect();
        let op = "observe netlist";
        if !inputs.len().is_multiple_of(widths.len()) {
            let expected = inputs.len().next_multiple_of(widths.len());
            return Err(Error::Length { op, expected, got: inputs.len() });
        }
        if inputs.is_empty() {
            return Err(self.error("observe: expected at least one frame, got none"));
        }
        let mut evaluator = Evaluator::new(self)?;
        let mut seen = vec![[0u64; 4]; self.cells().len()];
        let mut bits = vec![0u64; self.input_bits()];
        for (block, values) in inputs.chunks(64 * widths.len()).enumerate() {
            let frames = values.len() / widths.len();
            let mut net = 0;
            for (word, &width) in widths.iter().enumerate() {
                bits[net..net + width].fill(0);
                for f in 0..64 {
                    // Past the last frame, it again: nothing new is seen.
                    let index = f.min(frames - 1) * widths.len() + word;
                    let value = values[index];
                    if value >> width != 0 {
                        let position = block * 64 * widths.len() + index;
                        return Err(Error::Value { op, value, position, width });
                    }
                    for bit in 0..width {
                        bits[net + bit] |= (value >> bit & 1) << f;
                    }
                }
                net += width;
            }
            evaluator.settle(&bits)?;
            for (cell, seen) in self.cells().iter().zip(&mut seen) {
                if matches!(cell.op, Op::Lut(_)) {
                    let words = cell.operands.iter().map(|&net| evaluator.net(net));
                    mark(seen, &words.collect::<Vec<_>>());
                }
            }
        }
        Ok((inputs.len() / widths.len(), seen))
    }

    /// The same netlist with other tables for its LUTs, inputs that these ignore left out.
    fn with_tables(&self, tables: &[Option<TruthTable>]) -> Result<Self> {
        let mut copy = crate::rebuild::Rebuild::new(self, self.net_count())?;
        for (cell, table) in self.cells().iter().zip(tables) {
            let Some(table) = table else {
                copy.copy_plain(cell)?;
                continue;
            };
            let keep = function::support(table);
            let small = function::project(table, keep);
            let operands = cell.operands.iter().enumerate();
            let operands: Vec<_> =
                operands.filter(|(i, _)| keep >> i & 1 == 1).map(|(_, &net)| net).collect();
            let operands = copy.nets(&operands);
            let op = match small.fan_in() {
                0 => Op::Constant(small.get(0)),
                _ => Op::Lut(small),
            };
            copy.build.resume(cell.group);
            let nets = copy.build.cell(cell.name.clone(), op, &operands)?;
            copy.map(cell, &nets);
        }
        copy.finish(|copy, net| copy.nets(&[net])[0])
    }
}

/// Marks the patterns that occur in 64 frames of the operands.
fn mark(seen: &mut [u64; 4], operands: &[u64]) {
    // For each pattern of the operands so far, the frames that have it.
    let mut frames = [0u64; 256];
    frames[0] = u64::MAX;
    for (i, &operand) in operands.iter().enumerate() {
        for k in 0..1usize << i {
            (frames[k], frames[k | 1 << i]) = (frames[k] & !operand, frames[k] & operand);
        }
    }
    for (k, &frames) in frames.iter().enumerate().take(1 << operands.len()) {
        seen[k / 64] |= u64::from(frames != 0) << (k % 64);
    }
}

/// A table that agrees with `table` on the patterns seen and ignores as many inputs as are found.
fn narrow(table: &TruthTable, seen: [u64; 4]) -> TruthTable {
    let n = table.fan_in();
    let seen = |k: usize| seen[k / 64] >> (k % 64) & 1 == 1;
    // For each pattern: whether a seen one gave zero, and whether one gave one. An input is dropped
    // by putting what was seen at both of its values together.
    let mut zero = vec![false; table.entries()];
    let mut one = vec![false; table.entries()];
    for k in (0..table.entries()).filter(|&k| seen(k)) {
        *(if table.get(k) { &mut one[k] } else { &mut zero[k] }) = true;
    }
    for input in (0..n).rev() {
        let pair = |k: usize| (k, k ^ 1 << input);
        let clash = (0..table.entries()).map(pair).any(|(a, b)| zero[a] && one[b]);
        if !clash {
            for (a, b) in (0..table.entries()).map(pair).filter(|(a, b)| a < b) {
                zero[a] |= zero[b];
                one[a] |= one[b];
                (zero[b], one[b]) = (zero[a], one[a]);
            }
        }
    }
    let kept = function::table(n, |k| one[k]);
    // Where patterns are left that nothing was seen of, zero may need an input that the table as it
    // was does without.
    let fits = (0..table.entries()).all(|k| !seen(k) || kept.get(k) == table.get(k));
    let fewer = function::support(&kept).count_ones() < function::support(table).count_ones();
    if fits && fewer { kept } else { *table }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Numbers, netlist};

    #[test]
    fn unseen_patterns_free_inputs() {
        let text = "lutweave-netlist 1\nnetlist n\ninput x 1 x 2\ngroup g core\n\
                    lut y 0x8 x[0] x[1]\nlut z 0x6 x[0] x[1]\noutput y 1 x 2 (y z)\nend\n";
        let netlist = Netlist::from_text(text).unwrap();
        // Both bits are always equal: the AND is either, the XOR is zero.
        let (narrow, report) = netlist.assume_observed(&[0, 3, 3]).unwrap();
        assert_eq!((report.frames, report.entries, report.unseen), (3, 8, 4));
        assert_eq!((report.narrowed, report.dropped), (2, 3));
        let frames = |netlist: &Netlist| Evaluator::new(netlist).unwrap().frames(&[0, 3]).unwrap();
        assert_eq!(frames(&narrow), frames(&netlist));
        assert!(
            narrow.to_text().contains("lut y 0x2 x[0]\nconstant z 0\n"),
            "{}",
            narrow.to_text()
        );
    }

    #[test]
    fn says_what_does_not_fit() {
        let text = "lutweave-netlist 1\nnetlist n\ninput x 2 x 2\noutput y 2 x 2 x[0] x[1]\nend\n";
        let netlist = Netlist::from_text(text).unwrap();
        for (inputs, says) in [
            (&[][..], "netlist `n`: observe: expected at least one frame, got none"),
            (&[1][..], "observe netlist: expected 2 values, got 1"),
            (&[1, 4][..], "observe netlist: value 4 at position 1 does not fit in 2 bits"),
        ] {
            assert_eq!(netlist.assume_observed(inputs).unwrap_err().to_string(), says);
        }
    }

    proptest! {
        #[test]
        fn answers_to_what_was_seen_stay(seed: u64, frames in 1usize..150) {
            let netlist = netlist(seed, false);
            let mut numbers = Numbers::new(seed);
            let ports = netlist.inputs().iter();
            let widths: Vec<usize> = ports.flat_map(|p| vec![p.width; p.words]).collect();
            let inputs: Vec<u64> = (0..frames)
                .flat_map(|_| widths.iter().map(|width| numbers.word() >> (64 - width)).collect::<Vec<_>>())
                .collect();
            let (narrow, report) = netlist.assume_observed(&inputs).unwrap();
            prop_assert_eq!(report.frames, frames);
            let run = |netlist: &Netlist| Evaluator::new(netlist).unwrap().frames(&inputs).unwrap();
            prop_assert_eq!(run(&narrow), run(&netlist));
            let operands = |n: &Netlist| n.cells().iter().map(|c| c.operands.len()).sum::<usize>();
            prop_assert!(operands(&narrow) <= operands(&netlist));
        }
    }
}
