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

    /// What comes out of every stage, in order; see [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn probe(&self, image: [usize; 2], values: &[u64]) -> Result<Vec<Vec<u64>>> {
        let images = self.images(image)?;
        let (op, width) = ("evaluate stages", self.input().width);
        let expected = self.input().channels * image[0] * image[1];
        if values.len() != expected {
            return Err(Error::Length { op, expected, got: values.len() });
        }
        if let Some(position) = values.iter().position(|value| value >> width != 0) {
            return Err(Error::Value { op, value: values[position], position, width });
        }
        let mut outputs: Vec<Vec<u64>> = Vec::with_capacity(self.stages().len());
        let mut pixel = self.input();
        for (stage, &image) in self.stages().iter().zip(&images) {
            let given = stage.apply(pixel, image, outputs.last().map_or(values, Vec::as_slice))?;
            outputs.push(given);
            pixel = stage.output;
        }
        Ok(outputs)
    }
}

impl Stage {
    /// The image that comes out of `values`, which were checked.
    fn apply(&self, pixel: Pixel, image: [usize; 2], values: &[u64]) -> Result<Vec<u64>> {
        match &self.operation {
            Operation::Slide { window, outside, netlist } => {
                slide(window, *outside, netlist, [pixel.channels, image[0], image[1]], values)
            }
            Operation::Enlarge { factors: [down, across] } => {
                Ok(values.chunks(image[1]).flat_map(|row| repeat(row, *down, *across)).collect())
            }
        }
    }
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
