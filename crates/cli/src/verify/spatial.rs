//! The comparisons of a network as a filter over images, one function a line of the table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lutweave::backend::Cpu;
use lutweave::lut::{Operation, Padding, Stage, Window};
use lutweave::nn::{Filter, Head, LayerSpec, Signal, Values as NodeValues, registry};
use lutweave::prelude::*;
use lutweave::rtl::{Simulator, Stream};
use lutweave::tensor::{Targets, Values};

use super::checks::{folder, prove, times};
use super::subject::{Subject, meaning};
use super::{Outcome, Row, row};
use crate::error::{Error, Result};
use crate::report::{count, grouped};
use crate::spatial::Spatial;

/// Images that are streamed.
const FRAMES: usize = 2;
/// Crops or samples that the network evaluates at a time.
const BLOCK: usize = 512;
/// Test samples on which stages of the trained size are compared.
const SAMPLES: usize = 1000;
/// Most LUTs of a netlist that is proved equal, not compared on samples.
const PROVED_LUTS: usize = 20_000;
/// Percent of the clock cycles in which either stream waits.
const STALLS: &str = "+stalls=25";

/// What is compared: the filter of a network, and images of tiles.
#[derive(Debug)]
pub(super) struct Check<'a> {
    subject: &'a Subject,
    network: &'a Network,
    spatial: Spatial,
    tiles: Vec<u64>,
}

impl<'a> Check<'a> {
    /// Makes stages of the network, and images of the samples.
    pub(super) fn new(subject: &'a Subject, image: [usize; 2]) -> Result<Self> {
        let Some(network) = subject.network() else {
            let what =
                "--image is for model files: a netlist has no windows that slide over images";
            return Err(Error::Options(what.to_owned()));
        };
        let spatial = Spatial::new(network, "filter", image)?;
        let tiles = spatial.tiles(network, &subject.data, FRAMES)?;
        Ok(Self { subject, network, spatial, tiles })
    }

    /// All of its lines, each when it is done.
    pub(super) fn rows(&self, simulator: Simulator, limit: Duration, done: &mut dyn FnMut(Row)) {
        match self.steps() {
            Ok(Some(steps)) => done(self.crops(steps)),
            Ok(None) => {
                done(self.samples());
                done(self.at_this_size());
            }
            Err(error) => done(row("network = stages", "evaluation of both", || Err(error))),
        }
        done(self.unrolled(limit));
        done(self.streamed(simulator, limit));
    }

    /// The pixels from crop to crop, where a crop of the trained size is all that an answer depends
    /// on: no window reaches over an edge, and no stage enlarges.
    fn steps(&self) -> Result<Option<[usize; 2]>> {
        let stages = self.spatial.stages();
        let images = stages.images(self.spatial.trained)?;
        let mut all = vec![[1, 1]];
        for stage in stages.stages() {
            let mut steps = all[stage.inputs[0]];
            match &stage.operation {
                Operation::Slide { window, .. }
                    if stays_within(window, images[stage.inputs[0]])? =>
                {
                    steps = [steps[0] * window.stride[0], steps[1] * window.stride[1]];
                }
                Operation::Modulate { .. } | Operation::Sum => {}
                Operation::Join if stage.inputs.iter().all(|&image| all[image] == steps) => {}
                _ => return Ok(None),
            }
            all.push(steps);
        }
        let steps = all.pop().unwrap_or([1, 1]);
        let fits = (0..2).all(|axis| self.spatial.image[axis] >= self.spatial.trained[axis]);
        Ok(fits.then_some(steps))
    }

    /// Refuses networks that are others at another size: those with a layer that reads all of the
    /// image, or what is left of it at one place.
    fn check_size_is_free(&self) -> Result<()> {
        let Spatial { image, trained, .. } = self.spatial;
        let images = self.spatial.stages().images(trained)?;
        let reads_all = |stage: &&Stage| {
            let image = images[stage.inputs[0]];
            let all = match &stage.operation {
                Operation::Slide { window, .. } => window.filter == image,
                _ => false,
            };
            all || image == [1, 1]
        };
        let bound = self.spatial.stages().stages().iter().find(reads_all);
        match bound.filter(|_| image != trained && trained != [1, 1]) {
            Some(stage) => Err(Error::Options(format!(
                "stage `{}` reads all of a {}x{} image and others reach over its edge, so there is \
                 no network of another size to compare with",
                stage.name, trained[0], trained[1]
            ))),
            None => Ok(()),
        }
    }

    /// The network on every crop of the first image, and the pixels of the stages there.
    fn crops(&self, steps: [usize; 2]) -> Row {
        row("network = stages", "network on every crop", || {
            let Spatial { image, trained, .. } = self.spatial;
            let frame = &self.tiles[..self.spatial.channels() * image[0] * image[1]];
            let given = self.spatial.stages().evaluate(image, frame)?;
            let (small, large) = (self.spatial.output(trained)?, self.spatial.output(image)?);
            let places = |axis: usize| {
                let last = (image[axis] - trained[axis]) / steps[axis];
                let every = (0..=last).step_by(small[axis]);
                every.chain([last]).collect::<BTreeSet<usize>>()
            };
            let columns = places(1);
            let crops: Vec<[usize; 2]> =
                places(0).iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect();
            let mut seen = vec![false; large[0] * large[1]];
            for block in crops.chunks(BLOCK) {
                let shape = [self.spatial.channels(), image[0], image[1]];
                let parts = block
                    .iter()
                    .flat_map(|&[y, x]| crop(frame, shape, [y * steps[0], x * steps[1]], trained));
                let answers = self.answers(self.network, parts.collect(), block.len())?;
                let channels = given.len() / (large[0] * large[1]);
                for (at, answer) in block.iter().zip(&answers) {
                    let words = crop(&given, [channels, large[0], large[1]], *at, small);
                    if let Some((point, what)) = differs(&self.values(), &words, answer, small) {
                        let [y, x] = [at[0] + point / small[1], at[1] + point % small[1]];
                        let what = format!("pixel {y}, {x}: {what}");
                        return Ok((String::new(), Outcome::Different(what)));
                    }
                    for y in at[0]..at[0] + small[0] {
                        seen[y * large[1] + at[1]..][..small[1]].fill(true);
                    }
                }
            }
            let pixels = seen.iter().filter(|&&seen| seen).count();
            Ok((of(pixels, seen.len()), Outcome::Equal))
        })
    }

    /// The network on test samples, and the stages on the same.
    fn samples(&self) -> Row {
        row("network = stages", "samples, trained size", || {
            let trained = self.spatial.trained;
            let size = self.spatial.channels() * trained[0] * trained[1];
            let count = self.subject.data.len().min(SAMPLES);
            let words = self.network.port_words(&self.subject.data)?;
            let point = self.spatial.output(trained)?;
            for (block, words) in words[..count * size].chunks(BLOCK * size).enumerate() {
                let answers = self.answers(self.network, words.to_vec(), words.len() / size)?;
                for (number, (sample, answer)) in words.chunks(size).zip(&answers).enumerate() {
                    let given = self.spatial.stages().evaluate(trained, sample)?;
                    if let Some((_, what)) = differs(&self.values(), &given, answer, point) {
                        let what = format!("sample {}: {what}", block * BLOCK + number);
                        return Ok((String::new(), Outcome::Different(what)));
                    }
                }
            }
            Ok((format!("{} samples", grouped(count)), Outcome::Equal))
        })
    }

    /// The network with its parameters on images of this size, where it can be built for them.
    fn at_this_size(&self) -> Row {
        row("network = stages", "network of the image's size", || {
            self.check_size_is_free()?;
            let image = self.spatial.image;
            let input = self.network.input();
            let shape = vec![input.shape[0], image[0], image[1]];
            let signal = Signal { dtype: input.dtype, shape };
            let spec = of_size(self.network.spec(), &signal)?;
            let mut network = Network::build(spec.as_ref(), signal, self.network.seed())?;
            network.restore(&self.network.state())?;
            let one = self.spatial.channels() * image[0] * image[1];
            let answers = self.answers(&network, self.tiles.clone(), FRAMES)?;
            let output = self.spatial.output(image)?;
            for (frame, answer) in self.tiles.chunks(one).zip(&answers) {
                let given = self.spatial.stages().evaluate(image, frame)?;
                if let Some((at, what)) = differs(&self.values(), &given, answer, output) {
                    let what = format!("pixel {}, {}: {what}", at / output[1], at % output[1]);
                    return Ok((String::new(), Outcome::Different(what)));
                }
            }
            let all = FRAMES * output[0] * output[1];
            Ok((of(all, all), Outcome::Equal))
        })
    }

    /// The stages of the trained size as one netlist, and that of the network.
    fn unrolled(&self, limit: Duration) -> Row {
        let netlist = &self.subject.netlist;
        // A netlist that counts clocks, or has several ports, is another than the unrolled one.
        let alike = self.subject.clocks == 1 && netlist.outputs().len() == 1;
        let proved = alike && self.subject.luts() <= PROVED_LUTS;
        let method = if proved { "proof, trained size" } else { "samples, trained size" };
        row("stages, unrolled = netlist", method, || {
            let unrolled = self.spatial.stages().unroll(self.spatial.trained)?;
            if proved {
                return prove(netlist, &unrolled, limit);
            }
            let one = unrolled.inputs()[0].words;
            let words = self.subject.answer_words();
            let samples = self.subject.data.len().min(SAMPLES);
            let inputs = &self.subject.inputs[..samples * one];
            let given = Evaluator::new(&unrolled)?.frames(inputs)?;
            let expected = &self.subject.expected[..samples * words];
            let differs = given.iter().zip(expected).position(|(a, b)| a != b);
            Ok(match differs {
                Some(at) => (String::new(), Outcome::Different(format!("sample {}", at / words))),
                None => (format!("{} samples", grouped(samples)), Outcome::Equal),
            })
        })
    }

    /// The stages and their Verilog, which streams the images with pauses on both sides.
    fn streamed(&self, simulator: Simulator, limit: Duration) -> Row {
        let method = match simulator {
            Simulator::Icarus => "Icarus, with stalls",
            Simulator::Verilator => "Verilator, with stalls",
        };
        let mut note = String::new();
        let row = row("stages = stream Verilog", method, || {
            let folder = folder()?;
            let stream = Stream::new("filter").image(self.spatial.image).frames(&self.tiles);
            let files = stream.write(self.spatial.stages(), folder.path())?;
            let found = simulator.run(&files, folder.path().join("work"), &[STALLS], limit)?;
            note = times(&found);
            let amount = format!("{} pixels", grouped(found.total));
            if found.equal {
                return Ok((amount, Outcome::Equal));
            }
            let (passed, total) = (grouped(found.passed), grouped(found.total));
            Ok((amount, Outcome::Different(format!("{passed} of {total} pixels right"))))
        });
        Row { note, ..row }
    }

    /// What the words of each channel stand for, where they are counts.
    fn values(&self) -> Vec<Option<NodeValues>> {
        let Filter { heads, channels, .. } = &self.spatial.filter;
        let of = |(head, &channels): (&Head, &usize)| {
            (0..channels).map(|channel| head.values.get(channel).cloned()).collect::<Vec<_>>()
        };
        heads.iter().zip(channels).flat_map(of).collect()
    }

    /// What a network says to images of words, one list of numbers an image.
    fn answers(&self, network: &Network, words: Vec<u64>, images: usize) -> Result<Vec<Vec<f32>>> {
        let bytes = words.into_iter().map(u8::try_from).collect::<std::result::Result<_, _>>();
        let bytes = bytes.map_err(|_| Error::Unexpected("the pixels are no bytes"))?;
        let targets = Targets::Classes { count: 1, labels: vec![0; images] };
        let data = Dataset::new("images", &network.input().shape, Values::U8(bytes), targets)?;
        let order: Vec<usize> = (0..images).collect();
        let x = Arc::new(network.batch(&data, &order)?);
        let answers = network.evaluate_all(&[x], &Cpu::new())?;
        let mut all = vec![Vec::new(); images];
        for (answer, head) in answers.iter().zip(&self.spatial.filter.heads) {
            let numbers = meaning(answer, head)?;
            for (all, own) in all.iter_mut().zip(numbers.chunks(numbers.len() / images)) {
                all.extend_from_slice(own);
            }
        }
        Ok(all)
    }
}

/// The specification of a network that reads images of another size, which a graph states.
fn of_size(spec: &dyn LayerSpec, input: &Signal) -> Result<Arc<dyn LayerSpec>> {
    let mut config = spec.config();
    if let Some(shape) = config.pointer_mut("/inputs/0/shape").filter(|_| spec.kind() == "graph") {
        *shape = serde_json::json!(input.shape);
    }
    Ok(registry::spec(spec.kind(), &config)?)
}

/// `12 pixels`, or `12 of 15 pixels` where the others have windows that are cut off.
fn of(pixels: usize, all: usize) -> String {
    if pixels == all {
        return count(pixels, "pixel");
    }
    format!("{} of {} pixels", grouped(pixels), grouped(all))
}

/// Whether a window reads pixels of the image only, at all positions.
fn stays_within(window: &Window, image: [usize; 2]) -> Result<bool> {
    let positions = window.output([1, image[0], image[1]])?;
    let extent = |axis: usize| window.dilation[axis] * (window.filter[axis] - 1) + 1;
    let before = match window.padding {
        Padding::Explicit { top, left, .. } => [top, left],
        Padding::Same => [(extent(0) - 1) / 2, (extent(1) - 1) / 2],
        _ => [0, 0],
    };
    let within = |axis: usize| {
        let last = (positions[axis] - 1) * window.stride[axis] + extent(axis);
        before[axis] == 0 && last <= image[axis]
    };
    Ok(within(0) && within(1))
}

/// The part of `size` pixels of an image `[channels, height, width]` at a place.
fn crop(words: &[u64], image: [usize; 3], at: [usize; 2], size: [usize; 2]) -> Vec<u64> {
    let [channels, height, width] = image;
    let rows = (0..channels).flat_map(|c| (0..size[0]).map(move |y| c * height + at[0] + y));
    rows.flat_map(|row| &words[row * width + at[1]..][..size[1]]).copied().collect()
}

/// The first pixel at which words and a network's numbers differ, and how.
fn differs(
    values: &[Option<NodeValues>],
    words: &[u64],
    answer: &[f32],
    size: [usize; 2],
) -> Option<(usize, String)> {
    let points = size[0] * size[1];
    if words.len() != answer.len() {
        let what =
            format!("the network gives {} numbers, the stages {}", answer.len(), words.len());
        return Some((0, what));
    }
    let pairs = words.iter().zip(answer).enumerate();
    { pairs }.find_map(|(at, (&word, &network))| {
        let number = match values.get(at / points).and_then(Option::as_ref) {
            Some(values) => values.get(word as usize).copied(),
            None => Some(word as f32),
        };
        let same = number.is_some_and(|number| number.to_bits() == network.to_bits());
        let what = || format!("network {network}, stages {}", number.unwrap_or(f32::NAN));
        (!same).then(|| (at % points, what()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_within_the_image_and_over_its_edge() {
        let within = |window: Window, image| stays_within(&window, image).unwrap();
        let pool = Window::new([2, 2]).stride([2, 2]).padding(Padding::Partial);
        assert!(within(pool, [6, 4]) && !within(pool, [6, 5]));
        assert!(within(Window::new([3, 3]), [5, 5]));
        assert!(!within(Window::new([3, 3]).padding(Padding::Same), [5, 5]));
        assert!(!within(Window::new([2, 2]).padding(Padding::Same), [5, 5]));
        assert!(within(Window::new([1, 1]).padding(Padding::Same), [5, 5]));
    }

    #[test]
    fn a_difference_is_found_at_its_pixel() {
        let none = [None, None];
        // Two channels of two pixels.
        assert_eq!(differs(&none, &[1, 0, 0, 1], &[1.0, 0.0, 0.0, 1.0], [1, 2]), None);
        let found = differs(&none, &[1, 0, 0, 0], &[1.0, 0.0, 0.0, 1.0], [1, 2]);
        assert_eq!(found, Some((1, "network 1, stages 0".to_owned())));
        assert!(differs(&none, &[1, 0], &[1.0, 0.0, 0.0, 1.0], [1, 2]).is_some());
        let values = [Some(vec![-0.5, 0.5].into()), Some(vec![2.0, 3.0].into())];
        assert_eq!(differs(&values, &[1, 0, 0, 1], &[0.5, -0.5, 2.0, 3.0], [1, 2]), None);
    }

    #[test]
    fn a_crop_has_all_channels() {
        let words: Vec<u64> = (0..12).collect();
        assert_eq!(crop(&words, [2, 2, 3], [1, 1], [1, 2]), [4, 5, 10, 11]);
    }
}
