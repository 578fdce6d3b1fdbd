//! What is verified: a network or a netlist, its samples, and the answers that are expected.

use std::path::Path;

use lutweave::backend::Cpu;
use lutweave::nn::{Answer, Hardware, Head};
use lutweave::prelude::*;
use lutweave::tensor::{FrameBuffer, Values};

use crate::error::{Error, Result};
use crate::eval::SampleArguments;
use crate::open;
use crate::report::{count, grouped};

/// Frames that the network evaluates at a time.
const BLOCK: usize = 1024;

/// What is verified.
#[derive(Debug)]
pub(super) struct Subject {
    /// The trained network, where there is one, and how to read its answers.
    network: Option<(Network, Vec<Head>)>,
    pub(super) netlist: Netlist,
    /// Clocks of one answer: more than one for networks that keep a state.
    pub(super) clocks: usize,
    pub(super) data: Dataset,
    /// Words of all samples for the input port, clock after clock, sample after sample.
    pub(super) inputs: Vec<u64>,
    /// Clocks for which each of them stays: all of a sample's, or one.
    pub(super) hold: usize,
    /// What the netlist says to them, in the last clock of each sample.
    pub(super) expected: Vec<u64>,
}

impl Subject {
    /// Reads the files.
    pub(super) fn open(path: &Path, samples: &SampleArguments) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let (_, data) = samples.open(path)?;
        if data.is_empty() {
            return Err(Error::Unexpected("the data set has no test samples"));
        }
        if !bytes.starts_with(b"LUTWEAVE") {
            let netlist = open::netlist(path, &bytes)?;
            let inputs = match data.values() {
                Values::U8(values) => values.iter().map(|&value| value.into()).collect(),
                _ => return Err(Error::Unexpected("the samples are no numbers from 0 to 255")),
            };
            return Self::of(None, netlist, [1, 1], data, inputs);
        }
        let network = store::from_bytes(&bytes)?;
        let Hardware { netlist, heads, clocks } = network.to_hardware("model", Answer::Auto)?;
        let inputs = network.port_words(&data)?;
        let port = netlist.inputs().iter().map(|port| port.words).sum::<usize>();
        // A port is as wide as a sample, which it holds for all clocks, or as one step of it.
        let hold = if inputs.len() == port * data.len() { clocks } else { 1 };
        Self::of(Some((network, heads)), netlist, [clocks, hold], data, inputs)
    }

    fn of(
        network: Option<(Network, Vec<Head>)>,
        netlist: Netlist,
        [clocks, hold]: [usize; 2],
        data: Dataset,
        inputs: Vec<u64>,
    ) -> Result<Self> {
        let port = netlist.inputs().iter().map(|port| port.words).sum::<usize>();
        if inputs.len() * hold != port * clocks * data.len() {
            return Err(Error::Unexpected("the samples are not what the netlist's ports take"));
        }
        let expected = if clocks == 1 {
            Evaluator::new(&netlist)?.frames(&inputs)?
        } else {
            last_clocks(&netlist, [clocks, hold], &inputs)?
        };
        Ok(Self { network, netlist, clocks, data, inputs, hold, expected })
    }

    /// A line that says what it is.
    pub(super) fn title(&self) -> String {
        format!("{} and {} of {}", count(self.luts(), "LUT"), self.amount(), self.data.name())
    }

    /// LUTs of the netlist.
    pub(super) fn luts(&self) -> usize {
        Role::ALL.iter().map(|&role| self.netlist.lut_count(role)).sum()
    }

    /// How many samples.
    pub(super) fn amount(&self) -> String {
        format!("{} samples", grouped(self.data.len()))
    }

    /// Words of a sample's answer.
    pub(super) fn answer_words(&self) -> usize {
        self.expected.len() / self.data.len()
    }

    /// The first sample for which the answers are others, in words.
    pub(super) fn difference(&self, answers: &[u64]) -> Option<String> {
        let words = self.answer_words();
        let pairs = self.expected.chunks(words).zip(answers.chunks(words));
        let (sample, (netlist, other)) = pairs.enumerate().find(|(_, (a, b))| a != b)?;
        let word = netlist.iter().zip(other).position(|(a, b)| a != b)?;
        let (netlist, other) = (netlist[word], other[word]);
        Some(format!("sample {sample}, word {word}: netlist {netlist}, other {other}"))
    }

    /// The trained network, where there is one.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref().map(|(network, _)| network)
    }

    /// Whether there is a network, not a netlist alone.
    pub(super) fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// The first answer of the network that is not that of the netlist, in words.
    pub(super) fn against_network(&self) -> Result<Option<String>> {
        let Some((network, heads)) = &self.network else { return Ok(None) };
        let words = self.answer_words();
        let order: Vec<usize> = (0..self.data.len()).collect();
        for block in order.chunks(BLOCK) {
            let x = std::sync::Arc::new(network.batch(&self.data, block)?);
            let answers = network.evaluate_all(&[x], &Cpu::new())?;
            let expected = &self.expected[block[0] * words..][..block.len() * words];
            if let Some((sample, what)) = compare(&answers, heads, expected, words)? {
                return Ok(Some(format!("sample {}, {what}", block[0] + sample)));
            }
        }
        Ok(None)
    }
}

/// The words that a netlist with a state gives in the last clock of each sample, which begins from
/// the registers' first state; its inputs stay for so many clocks each.
fn last_clocks(netlist: &Netlist, [clocks, hold]: [usize; 2], inputs: &[u64]) -> Result<Vec<u64>> {
    let widths: Vec<usize> =
        netlist.inputs().iter().flat_map(|port| vec![port.width; port.words]).collect();
    let words = widths.len();
    let mut answers = Vec::new();
    let lines = clocks / hold;
    for block in inputs.chunks(64 * lines * words) {
        let samples = block.len() / (lines * words);
        let mut evaluator = Evaluator::clocked(netlist);
        for clock in 0..clocks {
            let mut bits = Vec::with_capacity(netlist.input_bits());
            for (word, width) in widths.iter().enumerate() {
                for bit in 0..*width {
                    let lane = |sample: usize| {
                        let line = sample * lines + clock / hold;
                        (block[line * words + word] >> bit & 1) << sample
                    };
                    bits.push((0..samples).map(lane).sum());
                }
            }
            if clock + 1 == clocks { evaluator.settle(&bits) } else { evaluator.step(&bits) }?;
        }
        for sample in 0..samples {
            for port in netlist.outputs() {
                for word in port.nets.chunks(port.width) {
                    let bit = |(at, net): (usize, &_)| (evaluator.net(*net) >> sample & 1) << at;
                    answers.push(word.iter().enumerate().map(bit).sum());
                }
            }
        }
    }
    Ok(answers)
}

/// The first difference of a batch: its sample, and what it is.
fn compare(
    answers: &[std::sync::Arc<FrameBuffer>],
    heads: &[Head],
    expected: &[u64],
    words: usize,
) -> Result<Option<(usize, String)>> {
    let mut first = 0;
    for (answer, head) in answers.iter().zip(heads) {
        let given = meaning(answer, head)?;
        let own = given.len() / answer.frames();
        for (sample, given) in given.chunks(own).enumerate() {
            let words = &expected[sample * words + first..][..own];
            for (word, (&netlist, &network)) in words.iter().zip(given).enumerate() {
                let netlist = head.values.get(word).map_or(netlist as f32, |v| v[netlist as usize]);
                if netlist.to_bits() != network.to_bits() {
                    let port = &head.port;
                    let what = format!("{port} word {word}: network {network}, netlist {netlist}");
                    return Ok(Some((sample, what)));
                }
            }
        }
        first += own;
    }
    Ok(None)
}

/// What a network's answer means as numbers for each word of the port, frame-major.
pub(super) fn meaning(answer: &FrameBuffer, head: &Head) -> Result<Vec<f32>> {
    if head.is_class {
        return Ok(classes(&answer.to_frames::<f32>()?, answer.shape()));
    }
    if answer.dtype() == lutweave::tensor::DType::Bit {
        let bits = answer.to_frame_bits()?;
        return Ok(bits.iter().map(|&bit| f32::from(u8::from(bit))).collect());
    }
    Ok(answer.to_frames::<f32>()?)
}

/// The arg-max along axis 0 at every point of the other axes, ties to the lowest.
fn classes(scores: &[f32], shape: &[usize]) -> Vec<f32> {
    let nodes: usize = shape.iter().product();
    let points = nodes / shape[0];
    let mut classes = Vec::with_capacity(scores.len() / shape[0]);
    for frame in scores.chunks(nodes) {
        for point in 0..points {
            let score = |class: usize| frame[class * points + point];
            let best =
                (1..shape[0]).fold(0, |b, class| if score(class) > score(b) { class } else { b });
            classes.push(best as f32);
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_along_the_first_axis() {
        // Two frames of three classes at two points.
        let scores = [1.0, 5.0, 2.0, 5.0, 2.0, 4.0, 0.0, 0.0, -1.0, 1.0, 0.0, 2.0];
        assert_eq!(classes(&scores, &[3, 2]), [1.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn a_state_begins_anew_with_each_sample() {
        // The exclusive or of the bits so far, which the last clock shows.
        let text = "lutweave-netlist 1\nnetlist n\ninput x 1 x 1\ngroup g core\n\
                    lut s 0x6 x q\nregister q s 0\noutput y 1 x 1 s\nend\n";
        let netlist = Netlist::from_text(text).unwrap();
        let inputs = [1, 0, 1, 1, 0, 0, 0, 1, 0];
        assert_eq!(last_clocks(&netlist, [3, 1], &inputs).unwrap(), [0, 1, 1]);
        assert_eq!(last_clocks(&netlist, [3, 3], &[1, 0]).unwrap(), [1, 0]);
        assert_eq!(last_clocks(&netlist, [2, 2], &[1, 0]).unwrap(), [0, 0]);
    }
}
