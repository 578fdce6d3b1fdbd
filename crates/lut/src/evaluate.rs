//! Evaluation of a netlist, 64 frames a word.

use crate::{Error, Net, Netlist, Op, Result};

/// Evaluates a netlist on 64 frames at a time.
///
/// Net values are words: bit `f` belongs to frame `f`. This is the plain evaluator that defines
/// what a netlist means; everything faster is compared with it.
#[derive(Debug, Clone)]
pub struct Evaluator<'a> {
    netlist: &'a Netlist,
    /// The cells in the order in which they are computed.
    order: Vec<usize>,
    values: Vec<u64>,
    /// Whether registers pass their operand on at once.
    transparent: bool,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of the function of a feed-forward netlist: registers only delay, so they are
    /// taken as wires.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`] when a register feeds back: its netlist has no such function; use
    /// [`clocked`](Self::clocked).
    pub fn new(netlist: &'a Netlist) -> Result<Self> {
        let order = netlist.dataflow_order()?;
        Ok(Self { netlist, order, values: vec![0; netlist.net_count()], transparent: true })
    }

    /// An evaluator that keeps the registers' state, one clock cycle per call of
    /// [`step`](Self::step).
    pub fn clocked(netlist: &'a Netlist) -> Self {
        let mut values = vec![0; netlist.net_count()];
        for cell in netlist.cells() {
            if let Op::Register { initial: true } = cell.op {
                values[cell.output().index()] = u64::MAX;
            }
        }
        let order = (0..netlist.cells().len()).collect();
        Self { netlist, order, values, transparent: false }
    }

    /// Computes every net from `inputs`, one word per input bit in net order. With
    /// [`clocked`](Self::clocked), registers show the state they have before this cycle's edge.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is not one word per input bit.
    pub fn settle(&mut self, inputs: &[u64]) -> Result<()> {
        let bits = self.netlist.input_bits();
        if inputs.len() != bits {
            return Err(Error::Length {
                op: "evaluate netlist",
                expected: bits,
                got: inputs.len(),
            });
        }
        self.values[..bits].copy_from_slice(inputs);
        let mut operands = Vec::new();
        for &index in &self.order {
            let cell = &self.netlist.cells()[index];
            operands.clear();
            operands.extend(cell.operands.iter().map(|net| self.values[net.index()]));
            let first = cell.output().index();
            match &cell.op {
                Op::Register { .. } if !self.transparent => {}
                Op::Register { .. } => self.values[first] = operands[0],
                Op::Constant(value) => self.values[first] = if *value { u64::MAX } else { 0 },
                Op::Lut(table) => self.values[first] = table.evaluate(&operands),
                Op::AtLeast(threshold) => self.values[first] = at_least(&operands, *threshold),
                Op::Popcount => popcount(&operands, &mut self.values[first..first + cell.width()]),
                Op::Argmax { words } => {
                    argmax(&operands, *words, &mut self.values[first..first + cell.width()]);
                }
            }
        }
        Ok(())
    }

    /// One clock cycle: [`settle`](Self::settle), then every register takes its operand's value.
    /// The nets read afterwards, registers excepted, are those before the edge.
    ///
    /// # Errors
    ///
    /// As [`settle`](Self::settle).
    pub fn step(&mut self, inputs: &[u64]) -> Result<()> {
        self.settle(inputs)?;
        if !self.transparent {
            let registers =
                || self.netlist.cells().iter().filter(|c| matches!(c.op, Op::Register { .. }));
            let next: Vec<u64> =
                registers().map(|cell| self.values[cell.operands[0].index()]).collect();
            for (cell, value) in registers().zip(next) {
                self.values[cell.output().index()] = value;
            }
        }
        Ok(())
    }

    /// The words of output port `output`, one per bit, in the order of its nets.
    ///
    /// # Panics
    ///
    /// If there is no such output port.
    pub fn output(&self, output: usize) -> impl Iterator<Item = u64> {
        self.netlist.outputs()[output].nets.iter().map(|net| self.values[net.index()])
    }

    /// The word of one net.
    ///
    /// # Panics
    ///
    /// If the net is not of this netlist.
    pub fn net(&self, net: Net) -> u64 {
        self.values[net.index()]
    }

    /// Evaluates whole frames of numbers: `inputs` is frame-major, one value per word of every
    /// input port in order; so is the result, over the words of every output port.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when `inputs` is no whole number of frames; [`Error::Value`] when a value
    /// does not fit its port.
    pub fn frames(&mut self, inputs: &[u64]) -> Result<Vec<u64>> {
        let widths: Vec<usize> =
            self.netlist.inputs().iter().flat_map(|p| vec![p.width; p.words]).collect();
        let op = "evaluate frames";
        if !inputs.len().is_multiple_of(widths.len()) {
            let expected = inputs.len().next_multiple_of(widths.len());
            return Err(Error::Length { op, expected, got: inputs.len() });
        }
        for (position, &value) in inputs.iter().enumerate() {
            let width = widths[position % widths.len()];
            if value >> width != 0 {
                return Err(Error::Value { op, value, position, width });
            }
        }
        let mut results = Vec::new();
        let mut bits = vec![0u64; self.netlist.input_bits()];
        for block in inputs.chunks(64 * widths.len()) {
            bits.fill(0);
            for (f, frame) in block.chunks(widths.len()).enumerate() {
                let mut net = 0;
                for (value, width) in frame.iter().zip(&widths) {
                    for bit in 0..*width {
                        bits[net] |= (value >> bit & 1) << f;
                        net += 1;
                    }
                }
            }
            self.settle(&bits)?;
            for f in 0..block.len() / widths.len() {
                for port in self.netlist.outputs() {
                    for word in port.nets.chunks(port.width) {
                        let value = word
                            .iter()
                            .enumerate()
                            .map(|(bit, net)| (self.values[net.index()] >> f & 1) << bit);
                        results.push(value.sum());
                    }
                }
            }
        }
        Ok(results)
    }
}

fn at_least(word: &[u64], threshold: u64) -> u64 {
    if threshold >> word.len() != 0 {
        return 0;
    }
    // From the low bit up: greater-or-equal so far, replaced wherever this bit differs.
    word.iter().enumerate().fold(
        u64::MAX,
        |ge, (bit, &x)| {
            if threshold >> bit & 1 == 1 { x & ge } else { x | ge }
        },
    )
}

fn popcount(bits: &[u64], sum: &mut [u64]) {
    sum.fill(0);
    for &bit in bits {
        let mut carry = bit;
        for digit in sum.iter_mut() {
            (*digit, carry) = (*digit ^ carry, *digit & carry);
        }
    }
}

fn argmax(operands: &[u64], words: usize, index: &mut [u64]) {
    let width = operands.len() / words;
    let mut best = operands[..width].to_vec();
    index.fill(0);
    for (number, word) in operands.chunks(width).enumerate().skip(1) {
        let greater = best.iter().zip(word).fold(0, |gt, (&b, &w)| (w & !b) | (gt & !(w ^ b)));
        for (b, &w) in best.iter_mut().zip(word) {
            *b = (*b & !greater) | (w & greater);
        }
        for (bit, digit) in index.iter_mut().enumerate() {
            let set = if number >> bit & 1 == 1 { greater } else { 0 };
            *digit = (*digit & !greater) | set;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Numbers, netlist, words};

    /// The naive model: one frame, one number per word. `state` holds the registers' outputs.
    fn model(netlist: &Netlist, inputs: &[bool], state: Option<&[bool]>) -> Vec<bool> {
        let mut nets = inputs.to_vec();
        nets.resize(netlist.net_count(), false);
        let number = |bits: &[bool]| -> u64 {
            bits.iter().enumerate().map(|(bit, &x)| u64::from(x) << bit).sum()
        };
        for cell in netlist.cells() {
            let x: Vec<bool> = cell.operands.iter().map(|net| nets[net.index()]).collect();
            let y = match &cell.op {
                Op::Constant(value) => u64::from(*value),
                Op::Lut(table) => u64::from(table.get(number(&x) as usize)),
                Op::Register { .. } => {
                    u64::from(state.map_or_else(|| x[0], |state| state[cell.output().index()]))
                }
                Op::AtLeast(threshold) => u64::from(number(&x) >= *threshold),
                Op::Popcount => x.iter().filter(|&&x| x).count() as u64,
                Op::Argmax { words } => {
                    let values: Vec<u64> = x.chunks(x.len() / words).map(number).collect();
                    let most = values.iter().max().unwrap();
                    values.iter().position(|value| value == most).unwrap() as u64
                }
            };
            for (bit, net) in cell.outputs().enumerate() {
                nets[net.index()] = y >> bit & 1 == 1;
            }
        }
        nets
    }

    fn frame(words: &[u64], f: usize) -> Vec<bool> {
        words.iter().map(|word| word >> f & 1 == 1).collect()
    }

    fn read(cells: &str) -> Netlist {
        let text = format!("lutweave-netlist 1\nnetlist n\ninput x 2 x 3\n{cells}end\n");
        Netlist::from_text(&text).unwrap()
    }

    #[test]
    fn refuses_values_that_do_not_fit() {
        let netlist = read("output y 2 x 3 x[1] x[0]\n");
        let mut evaluator = Evaluator::new(&netlist).unwrap();
        let op = "evaluate frames";
        assert_eq!(evaluator.frames(&[1, 2, 3]), Err(Error::Length { op, expected: 4, got: 3 }));
        assert_eq!(
            evaluator.frames(&[1, 2, 3, 8]),
            Err(Error::Value { op, value: 8, position: 3, width: 3 })
        );
        assert_eq!(
            evaluator.settle(&[0; 5]),
            Err(Error::Length { op: "evaluate netlist", expected: 6, got: 5 })
        );
        assert_eq!(evaluator.frames(&[]), Ok(vec![]));
        assert_eq!(evaluator.frames(&[1, 2, 7, 0]), Ok(vec![2, 1, 0, 7]));
    }

    #[test]
    fn a_register_that_feeds_back_needs_a_clock() {
        let netlist = read("group g core\nlut n 0x1 q\nregister q n 1\noutput y 1 x 1 q\n");
        assert_eq!(
            Evaluator::new(&netlist).unwrap_err().to_string(),
            "netlist `n`: register `q` feeds back"
        );
        let mut clocked = Evaluator::clocked(&netlist);
        for cycle in 0..4 {
            clocked.settle(&[0; 6]).unwrap();
            let expected = if cycle % 2 == 0 { u64::MAX } else { 0 };
            assert_eq!(clocked.output(0).collect::<Vec<_>>(), [expected]);
            clocked.step(&[0; 6]).unwrap();
        }
    }

    #[test]
    fn a_register_may_stand_before_what_it_reads() {
        let netlist = read("group g core\nregister q n 1\nlut n 0x1 x[0][0]\noutput y 1 x 1 q\n");
        assert_eq!(Evaluator::new(&netlist).unwrap().frames(&[0, 0, 1, 0]), Ok(vec![1, 0]));
    }

    #[test]
    fn shift_registers_take_turns() {
        let netlist = read(
            "group g core\nregister a x[0][0] 0\nregister b a 0\nregister c b 1\noutput y 3 x 1 a b c\n",
        );
        let mut clocked = Evaluator::clocked(&netlist);
        let mut seen = Vec::new();
        for input in [u64::MAX, 0, 0, 0] {
            let mut inputs = [0; 6];
            inputs[0] = input;
            clocked.settle(&inputs).unwrap();
            seen.push(clocked.output(0).map(|word| word & 1).collect::<Vec<_>>());
            clocked.step(&inputs).unwrap();
        }
        assert_eq!(seen, [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_model(seed: u64) {
            let netlist = netlist(seed, false);
            let inputs = words(netlist.input_bits(), seed);
            let mut evaluator = Evaluator::new(&netlist).unwrap();
            evaluator.settle(&inputs).unwrap();
            for f in 0..64 {
                prop_assert_eq!(frame(&evaluator.values, f), model(&netlist, &frame(&inputs, f), None));
            }
        }

        #[test]
        fn agrees_with_the_naive_model_clock_by_clock(seed: u64) {
            let netlist = netlist(seed, true);
            let mut clocked = Evaluator::clocked(&netlist);
            let mut state = vec![false; netlist.net_count()];
            for cell in netlist.cells() {
                state[cell.output().index()] = cell.op == Op::Register { initial: true };
            }
            for cycle in 0..8 {
                let inputs = words(netlist.input_bits(), seed ^ cycle);
                clocked.settle(&inputs).unwrap();
                let nets = model(&netlist, &frame(&inputs, 7), Some(&state));
                prop_assert_eq!(&frame(&clocked.values, 7), &nets);
                clocked.step(&inputs).unwrap();
                for cell in netlist.cells() {
                    if matches!(cell.op, Op::Register { .. }) {
                        state[cell.output().index()] = nets[cell.operands[0].index()];
                    }
                }
            }
        }

        #[test]
        fn frames_of_numbers(seed: u64, count in 0usize..130) {
            let netlist = netlist(seed, false);
            let mut numbers = Numbers::new(seed);
            let widths: Vec<usize> =
                netlist.inputs().iter().flat_map(|port| vec![port.width; port.words]).collect();
            let values: Vec<u64> =
                (0..count).flat_map(|_| widths.clone()).map(|w| numbers.below(1 << w) as u64).collect();
            let got = Evaluator::new(&netlist).unwrap().frames(&values).unwrap();
            let mut expected = Vec::new();
            for frame in values.chunks(widths.len()) {
                let bits = frame.iter().zip(&widths);
                let bits: Vec<bool> =
                    bits.flat_map(|(&x, &width)| (0..width).map(move |bit| x >> bit & 1 == 1)).collect();
                let nets = model(&netlist, &bits, None);
                for port in netlist.outputs() {
                    for word in port.nets.chunks(port.width) {
                        let bits = word.iter().enumerate();
                        expected.push(bits.map(|(i, net)| u64::from(nets[net.index()]) << i).sum());
                    }
                }
            }
            prop_assert_eq!(got, expected);
        }
    }
}
