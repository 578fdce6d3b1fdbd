//! Test vectors: inputs, and the outputs that are expected for them.

use lutweave_lut::{Evaluator, Netlist};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::verilog::feeds_back;
use crate::{Error, Result};

/// Samples for the ports of a netlist: inputs and expected outputs.
///
/// Values are frame-major: one value per word of every port, port after port, sample after sample.
/// For a netlist whose registers feed back, the samples are the clock cycles after power-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// Samples, each of which has outputs of its own.
    samples: usize,
    /// Width of each word of a sample.
    input_widths: Vec<usize>,
    output_widths: Vec<usize>,
    inputs: Vec<u64>,
    expected: Vec<u64>,
    /// Samples in a row that have the same inputs.
    hold: usize,
}

impl Vectors {
    /// Expects what the netlist itself says, by [`Evaluator::frames`].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is no sample; [`Error::Netlist`] when `inputs` is no whole
    /// number of samples or a value does not fit its port.
    pub fn from_inputs(netlist: &Netlist, inputs: &[u64]) -> Result<Self> {
        Self::from_held(netlist, inputs, 1)
    }

    /// Expects what the netlist itself says to inputs that each stay for `clocks` samples: a network that
    /// takes several clock cycles for an image has the same inputs in all of them. Memory and the file of
    /// inputs have each of them once, and the bench holds them. No clocks at all are taken for one.
    ///
    /// # Errors
    ///
    /// As [`from_inputs`](Self::from_inputs).
    pub fn from_held(netlist: &Netlist, inputs: &[u64], clocks: usize) -> Result<Self> {
        let clocks = clocks.max(1);
        let expected = if feeds_back(netlist) {
            clocked_outputs(netlist, inputs, clocks)?
        } else {
            let lines = Evaluator::new(netlist)?.frames(inputs)?;
            let words: usize = netlist.outputs().iter().map(|port| port.words).sum();
            lines.chunks(words.max(1)).flat_map(|line| line.repeat(clocks)).collect()
        };
        Self::new(netlist, inputs, &expected, clocks)
    }

    /// Expects given outputs, for instance the answers of the network that the netlist was made
    /// from.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is no sample, or the two lists are not the same whole number
    /// of samples; [`Error::Value`] when a value does not fit its port.
    pub fn with_expected(netlist: &Netlist, inputs: &[u64], expected: &[u64]) -> Result<Self> {
        Self::new(netlist, inputs, expected, 1)
    }

    fn new(netlist: &Netlist, inputs: &[u64], expected: &[u64], hold: usize) -> Result<Self> {
        let input_widths = widths(netlist.inputs().iter().map(|port| (port.words, port.width)));
        let output_widths = widths(netlist.outputs().iter().map(|port| (port.words, port.width)));
        let lines = inputs.len().div_ceil(input_widths.len()).max(1);
        let samples = lines * hold;
        check("test inputs", inputs, lines, &input_widths)?;
        check("expected outputs", expected, samples, &output_widths)?;
        let (inputs, expected) = (inputs.to_vec(), expected.to_vec());
        Ok(Self { samples, input_widths, output_widths, inputs, expected, hold })
    }

    /// Samples of random bits, the same for the same seed, with what the netlist says to them.
    ///
    /// # Errors
    ///
    /// As [`from_inputs`](Self::from_inputs).
    pub fn random(netlist: &Netlist, samples: usize, seed: u64) -> Result<Self> {
        let widths = widths(netlist.inputs().iter().map(|port| (port.words, port.width)));
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let inputs: Vec<u64> = (0..samples)
            .flat_map(|_| widths.iter())
            .map(|width| random.next_u64() & ((1 << width) - 1))
            .collect();
        Self::from_inputs(netlist, &inputs)
    }

    /// Samples for which a line of the inputs' file stands; see [`from_held`](Self::from_held).
    pub(crate) fn hold(&self) -> usize {
        self.hold
    }

    /// Number of samples, at least one.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Input values, frame-major; those that [stay](Self::from_held) once.
    pub fn inputs(&self) -> &[u64] {
        &self.inputs
    }

    /// Expected output values, frame-major.
    pub fn expected(&self) -> &[u64] {
        &self.expected
    }

    /// The inputs for `$readmemb`: one line of bits a sample. The last bit of a line is bit 0 of
    /// word 0 of the first port.
    pub fn inputs_text(&self) -> String {
        text(&self.inputs, &self.input_widths, self.hold)
    }

    /// The expected outputs, in the form of [`inputs_text`](Self::inputs_text).
    pub fn expected_text(&self) -> String {
        text(&self.expected, &self.output_widths, 1)
    }

    /// The lines of inputs that a bench for [`hold`](Self::hold) reads.
    pub(crate) fn held_text(&self) -> String {
        text(&self.inputs, &self.input_widths, 1)
    }

    /// Whether these vectors are for the ports of `netlist`.
    pub(crate) fn check_fit(&self, netlist: &Netlist) -> Result<()> {
        let inputs = widths(netlist.inputs().iter().map(|port| (port.words, port.width)));
        let outputs = widths(netlist.outputs().iter().map(|port| (port.words, port.width)));
        for (op, own, needed) in [
            ("input words of the test vectors", &self.input_widths, inputs),
            ("output words of the test vectors", &self.output_widths, outputs),
        ] {
            if own.len() != needed.len() {
                return Err(Error::Length { op, expected: needed.len(), got: own.len() });
            }
            if *own != needed {
                let what = format!("the {op} are not as wide as those of its ports");
                return Err(Error::Unsupported { netlist: netlist.name().to_owned(), what });
            }
        }
        Ok(())
    }
}

/// The width of every word of a sample.
fn widths(ports: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    ports.flat_map(|(words, width)| std::iter::repeat_n(width, words)).collect()
}

fn check(op: &'static str, values: &[u64], samples: usize, widths: &[usize]) -> Result<()> {
    if values.len() != samples * widths.len() {
        return Err(Error::Length { op, expected: samples * widths.len(), got: values.len() });
    }
    for (position, (&value, &width)) in values.iter().zip(widths.iter().cycle()).enumerate() {
        if value >> width != 0 {
            return Err(Error::Value { op, value, position, width });
        }
    }
    Ok(())
}

/// Each line so many times.
fn text(values: &[u64], widths: &[usize], times: usize) -> String {
    let bits: usize = widths.iter().sum();
    let mut text = String::with_capacity(values.len() / widths.len() * times * (bits + 1));
    for sample in values.chunks(widths.len()) {
        let start = text.len();
        for (value, width) in sample.iter().zip(widths).rev() {
            text.extend((0..*width).rev().map(|bit| if value >> bit & 1 == 1 { '1' } else { '0' }));
        }
        text.push('\n');
        let end = text.len();
        for _ in 1..times {
            text.extend_from_within(start..end);
        }
    }
    text
}

/// The outputs of each clock cycle from power-up on, read before the clock's edge; inputs stay for
/// `clocks` of them.
fn clocked_outputs(netlist: &Netlist, inputs: &[u64], clocks: usize) -> Result<Vec<u64>> {
    let widths = widths(netlist.inputs().iter().map(|port| (port.words, port.width)));
    if !inputs.len().is_multiple_of(widths.len()) {
        let expected = inputs.len().next_multiple_of(widths.len());
        return Err(Error::Length { op: "test inputs", expected, got: inputs.len() });
    }
    let mut evaluator = Evaluator::clocked(netlist);
    let mut expected = Vec::new();
    for sample in inputs.chunks(widths.len()) {
        let bits: Vec<u64> = sample
            .iter()
            .zip(&widths)
            .flat_map(|(value, width)| (0..*width).map(move |bit| value >> bit & 1))
            .collect();
        for _ in 0..clocks {
            evaluator.settle(&bits)?;
            for (index, port) in netlist.outputs().iter().enumerate() {
                let bits: Vec<u64> = evaluator.output(index).map(|word| word & 1).collect();
                let value = |word: &[u64]| word.iter().rev().fold(0, |sum, bit| sum << 1 | bit);
                expected.extend(bits.chunks(port.width).map(value));
            }
            evaluator.step(&bits)?;
        }
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use lutweave_lut::{NetlistBuilder, Role, TruthTable};

    use super::*;

    fn adder() -> Netlist {
        let mut build = NetlistBuilder::new("count").unwrap();
        let a = build.input("a", 2, 3).unwrap();
        let b = build.input("b", 1, 1).unwrap();
        build.group("head", Role::Head).unwrap();
        let sum = build.popcount("sum", &[a[0], a[3], b[0]]).unwrap();
        build.output("total", 2, &sum).unwrap();
        build.output("copy", 3, &a[..3]).unwrap();
        build.finish().unwrap()
    }

    #[test]
    fn the_first_port_is_last_in_a_line() {
        let vectors = Vectors::from_inputs(&adder(), &[1, 6, 1, 7, 3, 0]).unwrap();
        assert_eq!(vectors.samples(), 2);
        assert_eq!(vectors.inputs_text(), "1110001\n0011111\n");
        assert_eq!(vectors.expected(), [2, 1, 2, 7]);
        assert_eq!(vectors.expected_text(), "00110\n11110\n");
    }

    #[test]
    fn inputs_that_stay_are_one_line() {
        let (a, b) = ([1, 6, 1], [7, 3, 0]);
        let adder = adder();
        let held = Vectors::from_held(&adder, &[a, b].concat(), 2).unwrap();
        let each = Vectors::from_inputs(&adder, &[a, a, b, b].concat()).unwrap();
        assert_eq!((held.samples(), held.hold(), each.hold()), (4, 2, 1));
        assert_eq!(held.held_text(), "1110001\n0011111\n");
        assert_eq!(held.inputs_text(), each.inputs_text());
        assert_eq!(held.expected(), each.expected());
        assert_eq!(each.held_text(), each.inputs_text());
    }

    #[test]
    fn refuses_values_that_do_not_fit() {
        let netlist = adder();
        let error = |inputs: &[u64], expected: &[u64]| {
            Vectors::with_expected(&netlist, inputs, expected).unwrap_err().to_string()
        };
        assert_eq!(error(&[], &[]), "test inputs: expected 3 values, got 0");
        assert_eq!(error(&[0; 4], &[0; 4]), "test inputs: expected 6 values, got 4");
        assert_eq!(error(&[0; 3], &[0; 4]), "expected outputs: expected 2 values, got 4");
        assert_eq!(
            error(&[0; 3], &[0, 8]),
            "expected outputs: value 8 at position 1 does not fit in 3 bits"
        );
        assert!(Vectors::from_inputs(&netlist, &[0, 0, 2]).is_err());
        assert!(Vectors::from_inputs(&netlist, &[]).is_err());
    }

    #[test]
    fn random_samples_depend_on_the_seed_alone() {
        let random = |seed| Vectors::random(&adder(), 20, seed).unwrap();
        assert_eq!(random(1), random(1));
        assert_ne!(random(1), random(2));
    }

    #[test]
    fn feedback_is_followed_cycle_by_cycle() {
        let mut build = NetlistBuilder::new("toggle").unwrap();
        let enable = build.input("enable", 1, 1).unwrap()[0];
        build.group("state", Role::Core).unwrap();
        let xor = TruthTable::from_fn(2, |k| k == 1 || k == 2).unwrap();
        // The net of `d` is found by building it once on a copy.
        let mut copy = build.clone();
        let q = copy.register("q", copy.next_net(), true).unwrap();
        let d = copy.lut("d", &[q, enable], xor).unwrap();
        let q = build.register("q", d, true).unwrap();
        build.lut("d", &[q, enable], xor).unwrap();
        build.output("y", 1, &[q]).unwrap();
        let netlist = build.finish().unwrap();
        let vectors = Vectors::from_inputs(&netlist, &[0, 1, 1, 0, 1]).unwrap();
        assert_eq!(vectors.expected(), [1, 1, 0, 1, 1]);
        let held = Vectors::from_held(&netlist, &[1, 0], 2).unwrap();
        assert_eq!(held.expected(), [1, 0, 1, 1]);
    }
}
