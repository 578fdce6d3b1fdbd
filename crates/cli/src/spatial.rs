//! Networks as filters over images of any size: opening them, and images of tiles for them.

use std::path::Path;

use lutweave::lut::{Pixel, Stages};
use lutweave::nn::{Answer, Filter};
use lutweave::prelude::*;

use crate::error::{Error, Result};

/// Longest side of an image on the command line, in pixels.
const MAX_SIDE: usize = 1 << 16;
/// Most words of the images that are made here.
const MAX_WORDS: usize = 1 << 25;

/// Reads `HxW`: rows and columns of an image.
pub(crate) fn image_size(text: &str) -> std::result::Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    let sides = text.split_once(['x', 'X', '×']).and_then(|(h, w)| Some([side(h)?, side(w)?]));
    sides.ok_or_else(|| {
        format!("expected HEIGHTxWIDTH in pixels from 1 to {MAX_SIDE}, such as 120x160")
    })
}

/// The filter of a network for images of one size.
#[derive(Debug)]
pub(crate) struct Spatial {
    pub(crate) filter: Filter,
    /// Rows and columns of the images that it works on.
    pub(crate) image: [usize; 2],
    /// Rows and columns of the images that it was trained on.
    pub(crate) trained: [usize; 2],
}

impl Spatial {
    /// Freezes a network, and checks that its windows fit the image.
    pub(crate) fn new(network: &Network, name: &str, image: [usize; 2]) -> Result<Self> {
        let filter = network.to_filter(name, Answer::Auto)?;
        let trained = match network.input().shape[..] {
            [_, height, width] => [height, width],
            _ => return Err(Error::Unexpected("the network reads no images")),
        };
        if let Err(error) = filter.stages.images(image) {
            let [height, width] = trained;
            return Err(Error::Options(format!(
                "--image {}x{}: {error}\n  try: an image of at least {height}x{width} pixels, as the \
                 network was trained on",
                image[0], image[1]
            )));
        }
        Ok(Self { filter, image, trained })
    }

    /// The stages.
    pub(crate) fn stages(&self) -> &Stages {
        &self.filter.stages
    }

    /// Channels of a pixel that goes in.
    pub(crate) fn channels(&self) -> usize {
        self.stages().input().channels
    }

    /// Rows and columns of what comes out of an image.
    pub(crate) fn output(&self, image: [usize; 2]) -> Result<[usize; 2]> {
        Ok(self.stages().images(image)?.pop().unwrap_or(image))
    }

    /// Images of tiles: the samples of a data set side by side, cut off at the right and at the
    /// bottom; each image goes on with the samples where the one before ended.
    pub(crate) fn tiles(
        &self,
        network: &Network,
        data: &Dataset,
        frames: usize,
    ) -> Result<Vec<u64>> {
        let sample = self.channels() * self.trained[0] * self.trained[1];
        if data.is_empty() || data.sample_size() != sample {
            let (name, shape) = (data.name(), data.shape());
            return Err(Error::Options(format!(
                "--data {name}: its samples have shape {shape:?}, the network reads {:?}; name the \
                 data set that it was trained on",
                network.input().shape
            )));
        }
        let all = frames.saturating_mul(self.channels() * self.image[0] * self.image[1]);
        if all > MAX_WORDS {
            return Err(Error::Options(format!(
                "--image {}x{}: {frames} images have more than {MAX_WORDS} words; choose a smaller \
                 image",
                self.image[0], self.image[1]
            )));
        }
        let words = network.port_words(data)?;
        let shape = [self.channels(), self.trained[0], self.trained[1]];
        Ok(tiles(&words, shape, self.image, frames))
    }
}

/// Samples of `shape` side by side in `frames` images of `image` pixels.
fn tiles(samples: &[u64], shape: [usize; 3], image: [usize; 2], frames: usize) -> Vec<u64> {
    let [channels, rows, columns] = shape;
    let [height, width] = image;
    let count = samples.len() / (channels * rows * columns);
    let across = width.div_ceil(columns);
    let of_frame = height.div_ceil(rows) * across;
    let mut words = Vec::with_capacity(frames * channels * height * width);
    for frame in 0..frames {
        for channel in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let tile = frame * of_frame + y / rows * across + x / columns;
                    let plane = tile % count * channels + channel;
                    words.push(samples[(plane * rows + y % rows) * columns + x % columns]);
                }
            }
        }
    }
    words
}

/// An image of words as a PNG file: three channels in colour, others one below the other in grey;
/// from 0, black, to the largest word, white.
pub(crate) fn png(words: &[u64], pixel: Pixel, image: [usize; 2]) -> Result<Vec<u8>> {
    let largest = (1u64 << pixel.width) - 1;
    let shades: Vec<u8> = words.iter().map(|&word| (word * 255 / largest) as u8).collect();
    let points = image[0] * image[1];
    let (color, rows, bytes) = if pixel.channels == 3 {
        let channels = (0..points).flat_map(|at| [at, at + points, at + 2 * points]);
        (png::ColorType::Rgb, image[0], channels.map(|at| shades[at]).collect())
    } else {
        (png::ColorType::Grayscale, image[0] * pixel.channels, shades)
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image[1] as u32, rows as u32);
    encoder.set_color(color);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&bytes)?;
        writer.finish()
    });
    written.map_err(|error| Error::Options(format!("picture of the tiles: {error}")))?;
    Ok(file)
}

/// The network in a model file.
pub(crate) fn open_network(path: &Path) -> Result<Network> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    if !bytes.starts_with(b"LUTWEAVE") {
        return Err(Error::Options(format!(
            "`{}` is no model file: a netlist has no windows that slide over images; give the model \
             file that `lutweave train` wrote",
            path.display()
        )));
    }
    Ok(store::from_bytes(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_height_by_width() {
        assert_eq!(image_size("120x160"), Ok([120, 160]));
        for wrong in ["120", "0x4", "4x", "x", "70000x2", "3x4x5", "-1x2"] {
            assert!(image_size(wrong).unwrap_err().contains("such as 120x160"), "{wrong}");
        }
    }

    #[test]
    fn tiles_are_cut_off_and_go_on_in_the_next_image() {
        // Three samples of two channels of 1 x 2 pixels.
        let samples: Vec<u64> = (0..12).collect();
        let got = tiles(&samples, [2, 1, 2], [2, 3], 2);
        let first = [0, 1, 4, 8, 9, 0, 2, 3, 6, 10, 11, 2];
        let second = [4, 5, 8, 0, 1, 4, 6, 7, 10, 2, 3, 6];
        assert_eq!(got, [first, second].concat());
    }

    #[test]
    fn a_picture_has_the_size_of_its_image() {
        for (channels, rows) in [(1, 2), (2, 4), (3, 2)] {
            let words: Vec<u64> = (0..channels as u64 * 6).map(|x| x % 4).collect();
            let bytes = png(&words, Pixel { channels, width: 2 }, [2, 3]).unwrap();
            let info = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            assert_eq!((info.info().width, info.info().height), (3, rows));
        }
    }
}
