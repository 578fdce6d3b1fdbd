//! What a chain of stages means: its answer to an image.

use super::{Operation, Pixel, Stage, Stages};
use crate::{Error, Evaluator, Netlist, Result, Window};

/// Entries of the table of sources that is made at a time, where a row of positions needs no more:
/// 4 MiB.
const BAND_ENTRIES: usize = 1 << 20;

impl Stages {
    /// The image that comes out of `values`, an image of `[height, width]` pixels: one number a
    /// word, `[channels, height, width]`. Costs the evaluation of each stage's netlist at every
    /// position, 64 at a time.
    ///
    /// # Errors
    ///
    /// As [`images`](Self::images); [`Error::Length`] when there is not one value a word, and
    /// [`Error::Value`] when one does not fit.
    pub fn evaluate(&self, image: [usize; 2], values: &[u64]) -> Result<Vec<u64>> {
        Ok(self.probe(image, values)?.pop().unwrap_or_else(|| values.to_vec()))
    }

    /// What comes out of every stage, in order, `[frames, channels, height, width]`; see
    /// [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn probe(&self, image: [usize; 2], values: &[u64]) -> Result<Vec<Vec<u64>>> {
        let sizes = self.images(image)?;
        let (op, width) = ("evaluate stages", self.input().width);
        let expected = self.input().channels * image[0] * image[1];
        if values.len() != expected {
            return Err(Error::Length { op, expected, got: values.len() });
        }
        if let Some(position) = values.iter().position(|value| value >> width != 0) {
            return Err(Error::Value { op, value: values[position], position, width });
        }
        let mut outputs: Vec<Vec<u64>> = Vec::with_capacity(self.stages().len());
        for stage in self.stages() {
            let of = |&image: &usize| Image {
                pixel: self.pixel(image),
                size: sizes[image],
                values: image.checked_sub(1).map_or(values, |stage| outputs[stage].as_slice()),
            };
            let images: Vec<Image<'_>> = stage.inputs.iter().map(of).collect();
            outputs.push(stage.apply(&images, sizes[outputs.len() + 1])?);
        }
        Ok(outputs)
    }
}

/// An image that a stage reads, all of its frames.
#[derive(Clone, Copy)]
struct Image<'a> {
    pixel: Pixel,
    size: [usize; 2],
    values: &'a [u64],
}

impl<'a> Image<'a> {
    /// Its frames one by one.
    fn frames(self) -> impl Iterator<Item = &'a [u64]> {
        self.values.chunks(self.pixel.channels * self.size[0] * self.size[1])
    }

    fn words(self) -> [usize; 3] {
        [self.pixel.channels, self.size[0], self.size[1]]
    }
}

impl Stage {
    /// The image of `size` that comes out of images that were checked.
    fn apply(&self, images: &[Image<'_>], size: [usize; 2]) -> Result<Vec<u64>> {
        let image = images[0];
        match &self.operation {
            Operation::Slide { window, outside, netlist } => {
                let frame = |values| slide(window, *outside, netlist, image.words(), values);
                Ok(image.frames().map(frame).collect::<Result<Vec<_>>>()?.concat())
            }
            Operation::Enlarge { factors: [down, across] } => {
                let rows = image.values.chunks(image.size[1]);
                Ok(rows.flat_map(|row| repeat(row, *down, *across)).collect())
            }
            Operation::Spread { filter, stride } => {
                let source = spread(image.size, *filter, *stride, size);
                let positions = size[0] * size[1];
                let word = |frame: &[u64], at: usize| {
                    let (channel, position) = (at / positions, at % positions);
                    source(channel, position).map_or(0, |source| frame[source])
                };
                let all = self.output.channels * positions;
                Ok(image.frames().flat_map(|f| (0..all).map(move |at| word(f, at))).collect())
            }
            Operation::Modulate { frames, netlist } => modulate(netlist, *frames, image),
            Operation::Sum => {
                let mask = (1 << self.output.width) - 1;
                let mut sums = vec![0u64; image.pixel.channels * size[0] * size[1]];
                for frame in image.frames() {
                    sums.iter_mut().zip(frame).for_each(|(sum, word)| *sum = (*sum + word) & mask);
                }
                Ok(sums)
            }
            Operation::Join => {
                let mut sides: Vec<_> = images.iter().map(|image| image.frames()).collect();
                let mut values = Vec::new();
                for _ in 0..self.frames {
                    for frame in sides.iter_mut().filter_map(Iterator::next) {
                        values.extend_from_slice(frame);
                    }
                }
                Ok(values)
            }
        }
    }
}

/// For a channel and a position of what a spread gives the word that it reads, if any.
pub(super) fn spread(
    from: [usize; 2],
    filter: [usize; 2],
    stride: [usize; 2],
    size: [usize; 2],
) -> impl Fn(usize, usize) -> Option<usize> + Copy {
    move |channel, position| {
        let at = [position / size[1], position % size[1]];
        let tap = [at[0] % stride[0], at[1] % stride[1]];
        let place = [at[0] / stride[0], at[1] / stride[1]];
        let channel = (channel * filter[0] + tap[0]) * filter[1] + tap[1];
        let covered = tap[0] < filter[0] && tap[1] < filter[1];
        covered.then(|| (channel * from[0] + place[0]) * from[1] + place[1])
    }
}

/// Every frame of an image: the netlist of a pixel and of the frame's number.
fn modulate(netlist: &Netlist, frames: usize, image: Image<'_>) -> Result<Vec<u64>> {
    let positions = image.size[0] * image.size[1];
    let mut evaluator = Evaluator::new(netlist)?;
    let channels = netlist.outputs()[0].words;
    let mut outputs = vec![0; frames * channels * positions];
    let mut samples = Vec::with_capacity((image.pixel.channels + 1) * 64);
    for (number, output) in outputs.chunks_mut(channels * positions).enumerate() {
        for start in (0..positions).step_by(64) {
            let block = start..positions.min(start + 64);
            samples.clear();
            for position in block.clone() {
                let words = image.values.iter().skip(position).step_by(positions);
                samples.extend(words.copied().chain([number as u64]));
            }
            let given = evaluator.frames(&samples)?;
            for (position, words) in block.zip(given.chunks(channels)) {
                for (channel, &word) in words.iter().enumerate() {
                    output[channel * positions + position] = word;
                }
            }
        }
    }
    Ok(outputs)
}

/// A row repeated, with every pixel of it repeated.
fn repeat(row: &[u64], down: usize, across: usize) -> impl Iterator<Item = u64> {
    (0..down).flat_map(move |_| row.iter().flat_map(move |&x| std::iter::repeat_n(x, across)))
}

/// The netlist at every position of the window, band by band.
fn slide(
    window: &Window,
    outside: u64,
    netlist: &Netlist,
    image: [usize; 3],
    values: &[u64],
) -> Result<Vec<u64>> {
    let [rows, columns] = window.output(image)?;
    let positions = rows * columns;
    let mut evaluator = Evaluator::new(netlist)?;
    let channels = netlist.outputs()[0].words;
    let mut outputs = vec![0; channels * positions];
    let elements = netlist.inputs()[0].words;
    let band = (BAND_ENTRIES / (elements * columns)).max(1);
    let mut frames = Vec::with_capacity(elements * 64);
    for top in (0..rows).step_by(band) {
        let band = top..rows.min(top + band);
        let (first, count) = (top * columns, band.len() * columns);
        let sources = window.sources_of_rows(image, band)?;
        for start in (0..count).step_by(64) {
            let block = start..count.min(start + 64);
            frames.clear();
            for position in block.clone() {
                frames.extend((0..elements).map(|element| {
                    let source = sources[element * count + position] as usize;
                    values.get(source).copied().unwrap_or(outside)
                }));
            }
            let given = evaluator.frames(&frames)?;
            for (position, words) in block.zip(given.chunks(channels)) {
                for (channel, &word) in words.iter().enumerate() {
                    outputs[channel * positions + first + position] = word;
                }
            }
        }
    }
    Ok(outputs)
}
