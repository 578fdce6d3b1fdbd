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

mod evaluate;
mod unroll;

use crate::netlist::check_name;
use crate::{Error, MAX_NETS, MAX_WIDTH, Netlist, Op, Result, Window};

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
    /// What it does.
    pub operation: Operation,
    /// What it gives at each position.
    pub output: Pixel,
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
}

impl Stages {
    /// Begins a chain without stages, which gives the image as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if `name` is no identifier; [`Error::Stage`] for pixels without channels or
    /// bits, or with more than [`MAX_WIDTH`] bits a word or [`MAX_NETS`] in all.
    pub fn new(name: impl Into<String>, input: Pixel) -> Result<Self> {
        let name = name.into();
        check_name(&name)?;
        let bits = input.channels.saturating_mul(input.width);
        if !(1..=MAX_WIDTH).contains(&input.width) || !(1..=MAX_NETS).contains(&bits) {
            let what = format!(
                "expected pixels of at least one word of 1 to {MAX_WIDTH} bits, at most {MAX_NETS} \
                 bits in all, got {} of {}",
                input.channels, input.width
            );
            return Err(Error::Stage { stage: name, what });
        }
        Ok(Self { name, input, list: Vec::new() })
    }

    /// Adds a stage that computes `netlist` at every position of `window`; `outside` is the word
    /// that a constant border finds outside the image.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] when the netlist has registers, has
    /// not one input port with a word for each element of the window and one output port, or
    /// `outside` is wider than a word.
    pub fn slide(
        &mut self,
        name: impl Into<String>,
        window: Window,
        outside: u64,
        netlist: Netlist,
    ) -> Result<()> {
        let name = self.fresh(name.into())?;
        let pixel = self.output();
        let refuse = |what| Err(Error::Stage { stage: name.clone(), what });
        let [height, width] = window.filter;
        let elements = height.checked_mul(width).and_then(|n| n.checked_mul(pixel.channels));
        let [input] = netlist.inputs() else {
            return refuse(format!("expected one input port, got {}", netlist.inputs().len()));
        };
        if Some(input.words) != elements || input.width != pixel.width {
            return refuse(format!(
                "a window of {height} x {width} pixels of {} words of {} bits needs as many words, \
                 got {} words of {} bits",
                pixel.channels, pixel.width, input.words, input.width
            ));
        }
        let [output] = netlist.outputs() else {
            return refuse(format!("expected one output port, got {}", netlist.outputs().len()));
        };
        if let Some(cell) = netlist.cells().iter().find(|c| matches!(c.op, Op::Register { .. })) {
            return refuse(format!("expected a netlist without registers, got `{}`", cell.name));
        }
        if outside >> pixel.width != 0 {
            return refuse(format!(
                "{outside} outside the image does not fit in {} bits",
                pixel.width
            ));
        }
        let output = Pixel { channels: output.words, width: output.width };
        let operation = Operation::Slide { window, outside, netlist };
        self.list.push(Stage { name, operation, output });
        Ok(())
    }

    /// Adds a stage that repeats each pixel `[down, across]` times.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] when a factor is zero or above
    /// [`MAX_NETS`].
    pub fn enlarge(&mut self, name: impl Into<String>, factors: [usize; 2]) -> Result<()> {
        let name = self.fresh(name.into())?;
        if factors.iter().any(|factor| !(1..=MAX_NETS).contains(factor)) {
            let what = format!("expected factors of 1 to {MAX_NETS}, got {factors:?}");
            return Err(Error::Stage { stage: name, what });
        }
        let output = self.output();
        self.list.push(Stage { name, operation: Operation::Enlarge { factors }, output });
        Ok(())
    }

    fn fresh(&self, name: String) -> Result<String> {
        check_name(&name)?;
        if self.list.iter().any(|stage| stage.name == name) {
            return Err(Error::Duplicate { name });
        }
        Ok(name)
    }

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

    /// The pixels it gives.
    pub fn output(&self) -> Pixel {
        self.list.last().map_or(self.input, |stage| stage.output)
    }

    /// The image that each stage reads and, last, the one that comes out, as `[height, width]`.
    ///
    /// # Errors
    ///
    /// [`Error::Stage`] naming the first stage whose window does not fit its image, or whose image
    /// has more than [`MAX_NETS`] bits.
    pub fn images(&self, image: [usize; 2]) -> Result<Vec<[usize; 2]>> {
        let mut images = vec![image];
        let (mut now, mut pixel) = (image, self.input);
        check_size(&self.name, now, pixel)?;
        for stage in &self.list {
            now = match &stage.operation {
                Operation::Slide { window, .. } => {
                    window.output([pixel.channels, now[0], now[1]]).map_err(|error| {
                        Error::Stage { stage: stage.name.clone(), what: error.to_string() }
                    })?
                }
                Operation::Enlarge { factors } => {
                    [now[0].saturating_mul(factors[0]), now[1].saturating_mul(factors[1])]
                }
            };
            pixel = stage.output;
            check_size(&stage.name, now, pixel)?;
            images.push(now);
        }
        Ok(images)
    }
}

/// Checks that an image has pixels, and at most [`MAX_NETS`] bits.
fn check_size(stage: &str, [height, width]: [usize; 2], pixel: Pixel) -> Result<()> {
    let bits = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(pixel.bits()));
    if bits.is_some_and(|bits| (1..=MAX_NETS).contains(&bits)) {
        return Ok(());
    }
    let what = format!(
        "expected an image of 1 to {MAX_NETS} bits, got {height} x {width} pixels of {} bits",
        pixel.bits()
    );
    Err(Error::Stage { stage: stage.to_owned(), what })
}

#[cfg(test)]
mod tests;
