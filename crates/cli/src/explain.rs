//! `lutweave explain`: which input values decided an answer.
//!
//! Each value of the sample is moved to every other place between the thresholds that the netlist
//! compares it with, one value at a time, and the whole network is evaluated anew: this is the
//! Boolean influence of its bits on the answer, exact, through all tables. The *margin* is the
//! score of the answer minus the best other score; the weight of a value is what the margin loses
//! at most, or gains where it never loses, when only this value changes. Of an answer with a class for
//! each position, one position is explained; of one that is numbers, one number, which takes the place
//! of the margin.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use lutweave::backend::Cpu;
use lutweave::lut::{Driver, Op};
use lutweave::prelude::*;
use lutweave::tensor::{Targets, UNLABELLED, Values};

use crate::error::{Error, Result};
use crate::eval::SampleArguments;
use crate::report::grouped;

/// Most pixels of the heat map along an edge.
const EDGE: usize = 560;
/// Values named in the text.
const NAMED: usize = 8;
/// Frames evaluated at a time.
const BLOCK: usize = 1024;

/// Options of `lutweave explain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave explain out/digits/model.lutweave --sample 3
  lutweave explain out/mnist/model.lutweave --sample 7 --png seven.png --data-dir data
  lutweave explain out/digits-auto-encoder/model.lutweave --sample 3 --at 27

Red values speak for the answer, blue ones against it; the others, in grey, do not matter. Of a number,
red values hold it up and blue ones hold it down.")]
pub(crate) struct ExplainArguments {
    /// A model file or checkpoint.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// The number of a test sample, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) sample: usize,

    /// Which position of an answer that has a class for each, or which number of one that is numbers,
    /// from 0; needed where there are several.
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<usize>,

    /// The heat map [default: explain-N.png beside the model].
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) samples: SampleArguments,
}

/// Explains.
pub(crate) fn run(arguments: &ExplainArguments) -> Result<ExitCode> {
    let net = store::load(&arguments.model)?;
    let (_, test) = arguments.samples.open(&arguments.model)?;
    let sample = test.select(&[arguments.sample])?;
    let Values::U8(values) = sample.values() else {
        return Err(Error::Unexpected("the samples are no whole numbers from 0 to 255"));
    };
    let asked = Asked::of(&net, &test, arguments.at)?;
    let found = Influence::of(&net, values, &asked.nodes)?;
    say!("{}", found.in_words(&asked.name(arguments.sample), asked.wanted(&sample)));
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| found.weights[i] != 0.0).collect();
    order.sort_by(|&a, &b| {
        found.weights[b].abs().total_cmp(&found.weights[a].abs()).then(a.cmp(&b))
    });
    let deciding = order.iter().filter(|&&value| found.weights[value] > found.margin).count();
    say!(
        "{} of {} values have an influence{}",
        grouped(order.len()),
        grouped(values.len()),
        found.runner_up.map_or(String::new(), |_| {
            format!("; {} could alone change the answer", grouped(deciding))
        })
    );
    for &value in order.iter().take(NAMED) {
        let place = place(test.shape(), value);
        say!("  value {place} = {}: {:+.2}", values[value], found.weights[value]);
    }
    let png = arguments.png.clone().unwrap_or_else(|| {
        arguments.model.with_file_name(format!("explain-{}.png", arguments.sample))
    });
    let (_, rows, columns) = extents(test.shape());
    heat_map(&png, values, &found.weights, test.shape())?;
    say!("heat map of {rows} x {columns} values: {}", png.display());
    Ok(ExitCode::SUCCESS)
}

/// Channels, rows and columns of a sample.
fn extents(shape: &[usize]) -> (usize, usize, usize) {
    match shape {
        [channels, rows, columns] => (*channels, *rows, *columns),
        other => (1, 1, other.iter().product()),
    }
}

fn place(shape: &[usize], value: usize) -> String {
    let (channels, rows, columns) = extents(shape);
    let (channel, row, column) =
        (value / (rows * columns), value / columns % rows, value % columns);
    match (channels, rows) {
        (1, 1) => format!("{column}"),
        (1, _) => format!("({row}, {column})"),
        _ => format!("({channel}, {row}, {column})"),
    }
}

/// The part of an answer that is explained.
#[derive(Debug)]
struct Asked {
    /// The scores of the classes, or one number.
    nodes: Vec<usize>,
    /// Which position or number it is, where it is one of several.
    at: Option<(&'static str, usize)>,
}

impl Asked {
    /// What the targets of these samples make of an answer.
    fn of(net: &Network, data: &Dataset, at: Option<usize>) -> Result<Self> {
        lutweave::train::check_targets(data, net)?;
        let (many, what) = match data.targets().own() {
            Targets::Pixels { shape, .. } => (shape.iter().product(), "position"),
            Targets::Real { shape, .. } => (shape.iter().product(), "number"),
            _ if at.is_some() => {
                let what = "--at is for answers of several positions or numbers; this is one class";
                return Err(Error::Options(what.to_owned()));
            }
            _ => return Ok(Self { nodes: (0..net.output().nodes()).collect(), at: None }),
        };
        let Some(at) = at.or((many == 1).then_some(0)).filter(|&at| at < many) else {
            let got = at.map_or("nothing".to_owned(), |at| at.to_string());
            return Err(Error::Options(format!(
                "an answer has {many} {what}s: expected the one to explain, --at 0 to {}, got {got}",
                many.saturating_sub(1)
            )));
        };
        let nodes = match data.targets().own() {
            Targets::Pixels { .. } => (at..net.output().nodes()).step_by(many).collect(),
            _ => vec![at],
        };
        Ok(Self { nodes, at: Some((what, at)) })
    }

    /// What is explained, in words.
    fn name(&self, sample: usize) -> String {
        let at = self.at.map_or(String::new(), |(what, at)| format!(", {what} {at}"));
        format!("sample {sample}{at}")
    }

    /// The right answer to the one sample of a data set, where there is one.
    fn wanted(&self, sample: &Dataset) -> Option<String> {
        let at = self.at.map_or(0, |(_, at)| at);
        match sample.targets().own() {
            Targets::Classes { labels, .. } | Targets::Pixels { labels, .. } => {
                let labelled = labels.get(at).filter(|&&label| label != UNLABELLED);
                labelled.map(u32::to_string)
            }
            Targets::Real { values, .. } => values.get(at).map(|value| format!("{value:.2}")),
            _ => None,
        }
    }
}

/// What decided an answer.
#[derive(Debug)]
struct Influence {
    /// The class, or 0 of a number.
    answer: usize,
    /// The next class; none of a number.
    runner_up: Option<usize>,
    /// How far the answer is above the next; the number itself.
    margin: f32,
    /// For each value of the sample.
    weights: Vec<f32>,
}

impl Influence {
    /// The answer in a line; `wanted` is the right one.
    fn in_words(&self, name: &str, wanted: Option<String>) -> String {
        let is = wanted.map_or(String::new(), |wanted| format!(" (it is {wanted})"));
        match self.runner_up {
            Some(next) => {
                format!(
                    "{name}: answer {}{is}, {:.2} above the next, {next}",
                    self.answer, self.margin
                )
            }
            None => format!("{name}: answer {:.2}{is}", self.margin),
        }
    }

    /// Of these nodes of the answer: scores of classes, or a number where there is one.
    fn of(net: &Network, values: &[u8], nodes: &[usize]) -> Result<Self> {
        let levels = levels(net);
        // The sample itself, then each value at each of its other places.
        let mut changes: Vec<(usize, u8)> = Vec::new();
        for (index, &value) in values.iter().enumerate() {
            let own = |level: u8| levels.get(&index).map_or(0, |l| l.range(..=level).count());
            let places: Vec<u8> = match (&levels.is_empty(), levels.get(&index)) {
                (true, _) => vec![0, 255],
                (false, None) => Vec::new(),
                (false, Some(levels)) => [0].into_iter().chain(levels.iter().copied()).collect(),
            };
            let other = places
                .into_iter()
                .filter(|&at| if levels.is_empty() { at != value } else { own(at) != own(value) });
            changes.extend(other.map(|at| (index, at)));
        }
        let own = scores(net, values, nodes, &[])?.remove(0);
        let answer = best(&own, usize::MAX);
        let runner_up = (nodes.len() > 1).then(|| best(&own, answer));
        let margin = |scores: &[f32]| match runner_up {
            Some(_) => scores[answer] - scores[best(scores, answer)],
            None => scores[answer],
        };
        let before = margin(&own);
        let mut weights = vec![0f32; values.len()];
        for block in changes.chunks(BLOCK) {
            for (&(index, _), scores) in block.iter().zip(scores(net, values, nodes, block)?) {
                let lost = before - margin(&scores);
                let weight = &mut weights[index];
                // A loss counts before a gain, and more before less.
                if (lost > 0.0 && lost > *weight) || (lost < *weight && *weight <= 0.0) {
                    *weight = lost;
                }
            }
        }
        Ok(Self { answer, runner_up, margin: before, weights })
    }
}

/// The class with the largest score but for one, the first of equals.
fn best(scores: &[f32], but: usize) -> usize {
    let mut best = usize::from(but == 0).min(scores.len() - 1);
    for (class, &score) in scores.iter().enumerate() {
        if class != but && score > scores[best] {
            best = class;
        }
    }
    best
}

/// For each value of the input the least values that pass its comparisons; empty where the network
/// has no netlist.
fn levels(net: &Network) -> BTreeMap<usize, std::collections::BTreeSet<u8>> {
    let mut levels: BTreeMap<usize, std::collections::BTreeSet<u8>> = BTreeMap::new();
    let Ok(netlist) = net.to_netlist("network") else { return levels };
    for cell in netlist.cells() {
        let Op::AtLeast(constant) = cell.op else { continue };
        let Some(&first) = cell.operands.first() else { continue };
        if let (Driver::Input { word, .. }, Ok(level)) =
            (netlist.driver(first), u8::try_from(constant))
        {
            levels.entry(word).or_default().insert(level);
        }
    }
    levels
}

/// These nodes of the answer to a sample, or to copies of it each with one value changed.
fn scores(
    net: &Network,
    values: &[u8],
    nodes: &[usize],
    changes: &[(usize, u8)],
) -> Result<Vec<Vec<f32>>> {
    let copies = changes.len().max(1);
    let mut all = values.repeat(copies);
    for (copy, &(index, value)) in changes.iter().enumerate() {
        all[copy * values.len() + index] = value;
    }
    let x = FrameBuffer::from_frames(&net.input().shape, &all)?;
    let y = net.evaluate(&x, &Cpu::new())?;
    if y.frames() != copies || nodes.is_empty() || nodes.iter().any(|&node| node >= y.nodes()) {
        return Err(Error::Unexpected("the network does not give one answer for each sample"));
    }
    let scores = y.to_frames_as::<f32>()?;
    let of_nodes = |scores: &[f32]| nodes.iter().map(|&node| scores[node]).collect();
    Ok(scores.chunks(y.nodes()).map(of_nodes).collect())
}

/// Writes the values in grey, and over them in red and blue what they did.
fn heat_map(path: &Path, values: &[u8], weights: &[f32], shape: &[usize]) -> Result<()> {
    let (channels, rows, columns) = extents(shape);
    let brightest = f32::from(values.iter().copied().max().unwrap_or(0).max(1));
    let most =
        weights.iter().fold(0f32, |most, weight| most.max(weight.abs())).max(f32::MIN_POSITIVE);
    let zoom = (EDGE / rows.max(columns).max(1)).max(1);
    let points = rows * columns;
    let mut pixels = Vec::with_capacity(points * 3);
    for point in 0..points {
        let of = |channel: usize| channel * points + point;
        let value = (0..channels).map(|c| f32::from(values[of(c)])).sum::<f32>();
        let grey = 90.0 * value / channels.max(1) as f32 / brightest;
        let weight = (0..channels)
            .map(|c| weights[of(c)])
            .fold(0f32, |most, weight| if weight.abs() > most.abs() { weight } else { most });
        let strength = (weight.abs() / most).sqrt();
        let mix = |colour: f32| (grey + (colour - grey) * strength).round() as u8;
        let colour = if weight > 0.0 { [255.0, 64.0, 32.0] } else { [48.0, 128.0, 255.0] };
        pixels.extend(colour.map(mix));
    }
    let mut image = Vec::with_capacity(pixels.len() * zoom * zoom);
    for row in 0..rows {
        let mut line = Vec::with_capacity(columns * zoom * 3);
        for column in 0..columns {
            let at = 3 * (row * columns + column);
            line.extend(pixels[at..at + 3].repeat(zoom));
        }
        image.extend(line.repeat(zoom));
    }
    let file = File::create(path).map_err(Error::io("write", path))?;
    let mut encoder =
        png::Encoder::new(BufWriter::new(file), (columns * zoom) as u32, (rows * zoom) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let failed = |error: png::EncodingError| Error::io("write", path)(std::io::Error::other(error));
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&image).map_err(failed)?;
    writer.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two values, two classes: each class counts one value's bit.
    #[test]
    fn values_that_decide_have_weight() {
        let labels = Targets::Classes { count: 2, labels: vec![0, 1] };
        let data = Dataset::new("t", &[1, 1, 2], Values::U8(vec![0, 200, 200, 0]), labels).unwrap();
        let net = Sequential::new(&[1, 1, 2])
            .then(Thermometer::uniform(&data, 1).unwrap())
            .then(GroupSum::new(2).temperature(1.0))
            .build(1)
            .unwrap();
        let asked = Asked::of(&net, &data, None).unwrap();
        let found = Influence::of(&net, &[150, 20], &asked.nodes).unwrap();
        assert_eq!((found.answer, found.runner_up, found.margin), (0, Some(1), 1.0));
        // Without the first value the classes are equal; with the second too.
        assert_eq!(found.weights, [1.0, 1.0]);

        // As a number, the second score has nothing to lose and one to gain.
        let numbers = Targets::Real { shape: vec![2], values: vec![0.5; 4] };
        let values = data.values().clone();
        let numbers = Dataset::new("t", &[1, 1, 2], values, numbers).unwrap();
        let asked = Asked::of(&net, &numbers, Some(1)).unwrap();
        let number = Influence::of(&net, &[150, 20], &asked.nodes).unwrap();
        assert_eq!(
            (number.runner_up, number.margin, &number.weights[..]),
            (None, 0.0, &[0.0, -1.0][..])
        );
        let words = number.in_words(&asked.name(7), asked.wanted(&numbers));
        assert_eq!(words, "sample 7, number 1: answer 0.00 (it is 0.50)");
        let refused = [
            (Asked::of(&net, &numbers, None), "--at 0 to 1, got nothing"),
            (Asked::of(&net, &numbers, Some(2)), "--at 0 to 1, got 2"),
            (Asked::of(&net, &data, Some(0)), "this is one class"),
        ];
        for (asked, says) in refused {
            assert!(asked.unwrap_err().to_string().contains(says), "{says}");
        }

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        heat_map(&path, &[150, 20], &found.weights, &[1, 1, 2]).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let reader = decoder.read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (560, 280));
        assert!(heat_map(Path::new("/proc/a.png"), &[1], &[0.0], &[1]).is_err());
    }

    #[test]
    fn best_is_the_first_of_equals() {
        assert_eq!(best(&[1.0, 3.0, 3.0], usize::MAX), 1);
        assert_eq!(best(&[1.0, 3.0, 3.0], 1), 2);
        assert_eq!((best(&[5.0, 1.0], 0), best(&[0.0, 0.0], 1)), (1, 0));
    }

    #[test]
    fn places_are_told_by_axes() {
        let told = [(vec![10], 3), (vec![1, 8, 8], 10), (vec![3, 2, 2], 7)];
        let want = ["3", "(1, 2)", "(1, 1, 1)"];
        for ((shape, value), want) in told.into_iter().zip(want) {
            assert_eq!(place(&shape, value), want);
        }
    }
}
