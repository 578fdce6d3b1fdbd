//! Networks that slide over an image: a chain of stages, whatever the size of the image.
//!
//! A [`Stages`] is to a [`Netlist`] what a video filter is to a gate: each [`Stage`] turns an image
//! of pixels into another. It either slides a [`Window`] over the image and gives, at each position,
//! what the netlist of one window computes; or it enlarges the image by repeating pixels. Pooling is
//! a window whose netlist is an OR, a layer of single pixels a window of 1 × 1, and a dense layer
//! over a whole map a window as large as the map, which on a larger image becomes a classifier of
//! every place.
//!
//! A pixel is one unsigned word a channel, all equally wide. Images are `[channels, height, width]`,
//! row-major, as everywhere.
//!
//! Images are numbered: 0 goes in, `s + 1` is what stage `s` gives. A stage reads the one before it,
//! or another that [`Stages::read`] names; a join puts the channels of several side by side. So
//! skips, branches and several heads are stages too.
//!
//! A number that is spread over frames becomes several frames of its image
//! ([`Stages::modulate`]): every stage from there on works on each frame alone, until
//! [`Stages::sum`] adds them up.

mod build;
mod evaluate;
mod unroll;

use crate::{Error, MAX_NETS, Netlist, Result, Window};

/// Most frames that one image may become.
const MAX_FRAMES: usize = 1 << 10;

/// What a pixel is: `channels` unsigned words of `width` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixel {
    /// Words.
    pub channels: usize,
    /// Bits of each word.
    pub width: usize,
}

impl Pixel {
    /// Bits of a pixel.
    pub fn bits(self) -> usize {
        self.channels * self.width
    }
}

/// One step from image to image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Unique among the stages.
    pub name: String,
    /// The images it reads, by number: one, or several for a join.
    pub inputs: Vec<usize>,
    /// What it does.
    pub operation: Operation,
    /// What it gives at each position.
    pub output: Pixel,
    /// Frames of the image it gives; 1 but between a modulation and a sum.
    pub frames: usize,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // a chain has few stages
pub enum Operation {
    /// Computes a netlist at every position of a window.
    Slide {
        /// How the window slides.
        window: Window,
        /// The word that [`Border::Constant`](crate::Border::Constant) finds outside the image.
        outside: u64,
        /// The function of one window: one input port with a word for each element, in the order
        /// `[channel, row, column]`, and one output port with a word for each channel. It has no
        /// registers.
        netlist: Netlist,
    },
    /// Repeats each pixel this often, `[down, across]`.
    Enlarge {
        /// How often.
        factors: [usize; 2],
    },
    /// Lays the channels of each pixel side by side as a window of pixels: channel
    /// `(c · height + y) · width + x` becomes channel `c` of pixel `(y, x)` of the window, windows
    /// are `stride` apart, and pixels between them are zero.
    Spread {
        /// Rows and columns of a window.
        filter: [usize; 2],
        /// From window to window, at least the filter.
        stride: [usize; 2],
    },
    /// Makes frames of an image: a netlist of one pixel and the number of the frame.
    Modulate {
        /// How many.
        frames: usize,
        /// One input port with a word for each channel, one with the number of the frame in as few
        /// bits as hold it, and one output port. It has no registers.
        netlist: Netlist,
    },
    /// Adds up the words of all frames, channel by channel, modulo what its output holds.
    Sum,
    /// Puts the channels of several images of one size side by side, with zeros on top of words that
    /// are narrower than others.
    Join,
}

/// A network that slides over an image.
///
/// ```
/// use lutweave_lut::{NetlistBuilder, Padding, Pixel, Role, Stages, TruthTable, Window};
///
/// // A pixel is one where exactly one of it and its right neighbour is: edges of shapes.
/// let mut build = NetlistBuilder::new("edge")?;
/// let x = build.input("x", 2, 1)?;
/// build.group("edge", Role::Core)?;
/// let y = build.lut("y", &x, TruthTable::from_fn(2, |k| k == 1 || k == 2)?)?;
/// build.output("y", 1, &[y])?;
///
/// let mut stages = Stages::new("edges", Pixel { channels: 1, width: 1 })?;
/// stages.slide("edge", Window::new([1, 2]), 0, build.finish()?)?;
/// assert_eq!(stages.evaluate([1, 5], &[0, 1, 1, 0, 1])?, [1, 0, 1, 1]);
/// # Ok::<(), lutweave_lut::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    name: String,
    input: Pixel,
    list: Vec<Stage>,
    /// The image that the next stage reads.
    next: usize,
}

impl Stages {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pixels it reads.
    pub fn input(&self) -> Pixel {
        self.input
    }

    /// The stages, first to last.
    pub fn stages(&self) -> &[Stage] {
        &self.list
    }

    /// The pixels it gives: those of the last stage.
    pub fn output(&self) -> Pixel {
        self.pixel(self.list.len())
    }

    /// The pixels of image `image`; those that go in where there is none of that number.
    pub fn pixel(&self, image: usize) -> Pixel {
        self.before(image).map_or(self.input, |stage| stage.output)
    }

    /// The frames of image `image`.
    pub fn frames(&self, image: usize) -> usize {
        self.before(image).map_or(1, |stage| stage.frames)
    }

    /// The stage that gives image `image`.
    fn before(&self, image: usize) -> Option<&Stage> {
        image.checked_sub(1).and_then(|stage| self.list.get(stage))
    }

    /// Whether every stage slides or enlarges and reads the one before it, so that images follow one
    /// another without branches and frames.
    pub fn is_chain(&self) -> bool {
        let plain = |operation: &Operation| {
            matches!(operation, Operation::Slide { .. } | Operation::Enlarge { .. })
        };
        self.list
            .iter()
            .enumerate()
            .all(|(s, stage)| stage.inputs == [s] && plain(&stage.operation))
    }

    /// The images by number, as `[height, width]`: the one that goes in, then what each stage gives.
    ///
    /// # Errors
    ///
    /// [`Error::Stage`] naming the first stage whose window does not fit its image, that joins images
    /// of several sizes, or whose image has more than [`MAX_NETS`] bits.
    pub fn images(&self, image: [usize; 2]) -> Result<Vec<[usize; 2]>> {
        let mut images = vec![image];
        check_size(&self.name, image, self.input, 1)?;
        for stage in &self.list {
            let from = images[stage.inputs[0]];
            let channels = self.pixel(stage.inputs[0]).channels;
            let refuse = |what| Error::Stage { stage: stage.name.clone(), what };
            let to = match &stage.operation {
                Operation::Slide { window, .. } => window
                    .output([channels, from[0], from[1]])
                    .map_err(|error| refuse(error.to_string()))?,
                Operation::Enlarge { factors } => {
                    [0, 1].map(|i| from[i].saturating_mul(factors[i]))
                }
                Operation::Spread { filter, stride } => [0, 1]
                    .map(|i| (from[i] - 1).saturating_mul(stride[i]).saturating_add(filter[i])),
                Operation::Modulate { .. } | Operation::Sum => from,
                Operation::Join => {
                    let sizes = stage.inputs.iter().map(|&input| images[input]);
                    if let Some([height, width]) = { sizes }.find(|&size| size != from) {
                        return Err(refuse(format!(
                            "it joins images of one size, got {} x {} and {height} x {width} pixels",
                            from[0], from[1]
                        )));
                    }
                    from
                }
            };
            check_size(&stage.name, to, stage.output, stage.frames)?;
            images.push(to);
        }
        Ok(images)
    }
}

/// Checks that an image has pixels, and at most [`MAX_NETS`] bits in all frames.
fn check_size(stage: &str, [height, width]: [usize; 2], pixel: Pixel, frames: usize) -> Result<()> {
    let all = [height, width, pixel.bits(), frames];
    let bits = all.iter().try_fold(1usize, |bits, &size| bits.checked_mul(size));
    if bits.is_some_and(|bits| (1..=MAX_NETS).contains(&bits)) {
        return Ok(());
    }
    let frames = if frames > 1 { format!("{frames} frames of ") } else { String::new() };
    let what = format!(
        "expected an image of 1 to {MAX_NETS} bits, got {frames}{height} x {width} pixels of {} bits",
        pixel.bits()
    );
    Err(Error::Stage { stage: stage.to_owned(), what })
}

#[cfg(test)]
mod tests;
