//! Differences of pixels: edges, which do not depend on how bright an image is.
//!
//! An image `[c, h, w]` of u8 or f32 becomes `[n, h, w]` of f32. For each image that is looked at,
//! the luminance `R + 2 G + B` or channels, and for each distance `d` there are four differences,
//! each of the pixels at both sides of a pixel `p`, rows and columns beyond the border being the
//! nearest ones:
//!
//! | channel | gives |
//! |---|---|
//! | along x | `p[y, x + d] − p[y, x − d]` |
//! | along y | `p[y + d, x] − p[y − d, x]` |
//! | down to the right | `p[y + d, x + d] − p[y − d, x − d]` |
//! | down to the left | `p[y + d, x − d] − p[y − d, x + d]` |
//!
//! in this order: images, in each of them distances, in each of them the four. Behind them come the
//! differences of colours `R − G`, `B − G`, `R − B`, where they are wanted, and then the images
//! themselves. Thresholds make bits of them.
//!
//! It is one or two [`IntegerFilter`] layers: luminance is made first, so that hardware adds it up
//! once for each pixel.
//!
//! The idea is that of local binary patterns (Ojala, Pietikäinen, Harwood 1996) and of the census
//! transform (Zabih, Woodfill 1994): comparisons of neighbours in place of values. Convolutional
//! logic networks have such fixed edges in front (Petersen et al. 2024).

use serde::{Deserialize, Serialize};

use super::integer_filter::Tap;
use super::{IntegerFilter, Sequential, moved};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Most distances.
const MAX_DISTANCES: usize = 16;
/// Largest distance in pixels.
const MAX_DISTANCE: usize = 1 << 10;
/// Most channels that are looked at.
const MAX_IMAGES: usize = 64;

/// Settings of differences.
///
/// ```
/// use lutweave_nn::{Differences, Sequential};
///
/// let edges = Differences::new().distances([1, 2]).colour(true);
/// let net = Sequential::new(&[3, 32, 32]).then(edges).build(1)?;
/// // Four differences at two distances, three of colours, and the luminance.
/// assert_eq!(net.output().shape, [12, 32, 32]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Differences {
    distances: Vec<usize>,
    of: Of,
    colour: bool,
    values: bool,
}

/// Which images differences are taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    /// `R + 2 G + B` of three channels, or the only channel.
    Luminance,
    /// Every channel.
    Each,
    /// Some channels.
    Channels(Vec<usize>),
}

impl Default for Differences {
    fn default() -> Self {
        Self { distances: vec![1], of: Of::Luminance, colour: false, values: true }
    }
}

impl Differences {
    /// Of the luminance, which is `R + 2 G + B` of three channels or the only channel, at a distance
    /// of one pixel; with the luminance itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Distances of both pixels from the one between them: 1 to 16 of them, each of 1 to 1024 pixels.
    #[must_use]
    pub fn distances(self, distances: impl IntoIterator<Item = usize>) -> Self {
        Self { distances: distances.into_iter().collect(), ..self }
    }

    /// Of every channel instead of the luminance.
    #[must_use]
    pub fn of_each(self) -> Self {
        Self { of: Of::Each, ..self }
    }

    /// Of these channels instead of the luminance.
    #[must_use]
    pub fn of_channels(self, channels: impl IntoIterator<Item = usize>) -> Self {
        Self { of: Of::Channels(channels.into_iter().collect()), ..self }
    }

    /// Whether the differences of three channels at each pixel are there too.
    #[must_use]
    pub fn colour(self, colour: bool) -> Self {
        Self { colour, ..self }
    }

    /// Whether what differences are taken in is there itself.
    #[must_use]
    pub fn values(self, values: bool) -> Self {
        Self { values, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("differences", config)
    }

    /// The filters for an image of so many channels, one after the other.
    fn filters(&self, site: &Site<'_>, channels: usize) -> Result<Vec<IntegerFilter>> {
        let all = |&distance: &usize| (1..=MAX_DISTANCE).contains(&distance);
        let count = self.distances.len();
        if !(1..=MAX_DISTANCES).contains(&count) || !self.distances.iter().all(all) {
            let expected = format!("1 to {MAX_DISTANCES}, each 1 to {MAX_DISTANCE}");
            return Err(site.option_error("distances", expected, &self.distances));
        }
        if self.colour && channels != 3 {
            return Err(site.option_error("colour", "false, as the image is not of three", true));
        }
        let mut filters = Vec::new();
        // The channels that differences of neighbours, and of colours, are taken in.
        let (mut images, mut colours) = ((0..channels).collect::<Vec<_>>(), [0, 1, 2]);
        match &self.of {
            Of::Luminance if channels == 3 => {
                let mut kernels = vec![vec![[0, 0, 0, 1], [1, 0, 0, 2], [2, 0, 0, 1]]];
                if self.colour {
                    kernels.extend((0..3).map(|channel| vec![[channel, 0, 0, 1]]));
                }
                filters.push(IntegerFilter::new(kernels));
                (images, colours) = (vec![0], [1, 2, 3]);
            }
            Of::Luminance if channels == 1 => {}
            Of::Luminance => {
                let expected = format!(
                    "\"each\" or channels, as an image of {channels} has no luminance (one of 1 or 3 has)"
                );
                return Err(site.option_error("of", expected, "luminance"));
            }
            Of::Each => {}
            Of::Channels(chosen) => {
                if chosen.is_empty() || chosen.iter().any(|&channel| channel >= channels) {
                    let expected = format!("channels below {channels}");
                    return Err(site.option_error("of", expected, chosen));
                }
                images.clone_from(chosen);
            }
        }
        if images.len() > MAX_IMAGES {
            let expected = format!("at most {MAX_IMAGES} channels");
            return Err(site.option_error("of", expected, images.len()));
        }
        // Too large a number is refused by the filter.
        let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let mut kernels: Vec<Vec<Tap>> = Vec::new();
        for &image in &images {
            for &distance in &self.distances {
                let (image, d) = (number(image), number(distance));
                for [dy, dx] in [[0, d], [d, 0], [d, d], [d, -d]] {
                    kernels.push(vec![[image, dy, dx, 1], [image, -dy, -dx, -1]]);
                }
            }
        }
        if self.colour {
            let [red, green, blue] = colours;
            for [one, other] in [[red, green], [blue, green], [red, blue]] {
                kernels.push(vec![[one, 0, 0, 1], [other, 0, 0, -1]]);
            }
        }
        if self.values {
            kernels.extend(images.iter().map(|&image| vec![[number(image), 0, 0, 1]]));
        }
        filters.push(IntegerFilter::new(kernels));
        Ok(filters)
    }
}

impl LayerSpec for Differences {
    fn kind(&self) -> &'static str {
        "differences"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let [channels, ..] = moved::image(site)?;
        let filters = self.filters(site, channels)?;
        let chain = filters.into_iter().fold(Sequential::inner(), Sequential::then);
        LayerSpec::build(&chain, site)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_tensor::{DType, FrameBuffer};

    use super::*;
    use crate::Signal;

    fn site(shape: &[usize]) -> Site<'static> {
        Site::alone(Signal { dtype: DType::U8, shape: shape.to_vec() }, "encoder", 0)
    }

    #[test]
    fn edges_colours_and_values_in_this_order() {
        let bytes: Vec<u8> = (0..75).map(|k| (k * 7 % 13) as u8 + k as u8).collect();
        let x = FrameBuffer::from_frames(&[3, 5, 5], &bytes).unwrap();
        let value =
            |c: usize, row: usize, column: usize| f32::from(bytes[c * 25 + row * 5 + column]);
        let luminance = |r: usize, q: usize| value(0, r, q) + 2.0 * value(1, r, q) + value(2, r, q);
        let edges = |of: &dyn Fn(usize, usize) -> f32, d: usize| {
            [
                of(2, 2 + d) - of(2, 2 - d),
                of(2 + d, 2) - of(2 - d, 2),
                of(2 + d, 2 + d) - of(2 - d, 2 - d),
                of(2 + d, 2 - d) - of(2 - d, 2 + d),
            ]
        };
        let middle = |spec: &Differences| {
            let y = spec.build(&site(&[3, 5, 5])).unwrap().evaluate(&x, &Cpu::new()).unwrap();
            (0..y.nodes() / 25).map(|c| y.row::<f32>(c * 25 + 12).unwrap()[0]).collect::<Vec<_>>()
        };
        let colours = [
            value(0, 2, 2) - value(1, 2, 2),
            value(2, 2, 2) - value(1, 2, 2),
            value(0, 2, 2) - value(2, 2, 2),
        ];
        let whole = Differences::new().distances([2, 1]).colour(true);
        let want = [&edges(&luminance, 2)[..], &edges(&luminance, 1), &colours, &[luminance(2, 2)]];
        assert_eq!(middle(&whole), want.concat());
        let chosen = Differences::new().of_channels([2, 0]).values(false);
        let of = |c: usize| edges(&|row, column| value(c, row, column), 1);
        assert_eq!(middle(&chosen), [of(2), of(0)].concat());
        assert_eq!(middle(&Differences::new().of_each().colour(true)).len(), 12 + 3 + 3);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |spec: Differences, channels: usize| {
            spec.build(&site(&[channels, 4, 4])).unwrap_err().to_string()
        };
        let new = Differences::new;
        assert!(error(new(), 2).contains("an image of 2 has no luminance"));
        assert!(error(new().colour(true), 1).contains("expected colour to be false"));
        assert!(error(new().distances([]), 1).contains("distances to be 1 to 16"));
        assert!(error(new().distances([0]), 1).contains("each 1 to 1024"));
        assert!(error(new().of_channels([3]), 3).contains("channels below 3"));
        assert!(error(new().of_each(), 65).contains("at most 64 channels"));
    }
}
