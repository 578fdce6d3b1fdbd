//! Networks that slide over images: the chain of stages that a network becomes.
//!
//! Layers of images are the same at every pixel, so what they do at one of them is all there is to
//! build. A [`StageChain`] holds the stages that are finished and the netlist of the one that is
//! open: layers that work on a pixel go on with it, layers that look at a window begin another. A
//! layer that reads all of an image begins a stage whose window is as large as the image, and
//! everything behind it goes on at that one place.

use lutweave_lut::{Border, Net, NetlistBuilder, Padding, Pixel, Role, Stages, Window};
use lutweave_tensor::{DType, FrameBuffer};

use super::cells::Cells;
use super::{Answer, Frozen, Head, Values, elementwise, head};
use crate::layer::Base;
use crate::{Error, Layer, Network, Result, Signal};

/// A chain of stages that layers add themselves to.
#[derive(Debug)]
pub struct StageChain {
    stages: Stages,
    /// The image at this point of the network, as it was trained; none where there is one place.
    map: Option<[usize; 3]>,
    /// What the words of each channel stand for, behind the finished stages.
    values: Vec<Values>,
    /// Whether they are sums of the sample's values.
    summed: bool,
    open: Option<Open>,
}

/// The stage that is being built.
#[derive(Debug)]
struct Open {
    name: String,
    window: Window,
    outside: u64,
    build: NetlistBuilder,
    /// What it gives so far at each position.
    frozen: Frozen,
}

impl StageChain {
    fn new(name: &str, image: [usize; 3], width: usize) -> Result<Self> {
        let stages = Stages::new(name, Pixel { channels: image[0], width })?;
        Ok(Self { stages, map: Some(image), values: Vec::new(), summed: false, open: None })
    }

    /// Whether it is at the pixels of an image; otherwise at one place.
    pub fn is_image(&self) -> bool {
        self.map.is_some_and(|[_, height, width]| height * width > 1)
    }

    /// Adds a layer that reads all there is at one place. `build` is given what it reads.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] where the layer would read the pixels of an image, and what `build` refuses.
    pub fn add(
        &mut self,
        name: &str,
        base: &Base,
        build: impl FnOnce(&Frozen, &mut NetlistBuilder) -> Result<Frozen>,
    ) -> Result<()> {
        if self.is_image() {
            return Err(base.freeze_error(
                "it has no form that slides over an image; put it into a convolution, or behind a \
                 layer that reads all of the image",
            ));
        }
        self.at_pixel(name, build)?;
        self.map = None;
        Ok(())
    }

    /// Adds a layer that does the same at every pixel of an image, or at the one place there is:
    /// `build` is given the channels of one pixel.
    ///
    /// # Errors
    ///
    /// What `build` refuses.
    pub fn at_pixel(
        &mut self,
        name: &str,
        build: impl FnOnce(&Frozen, &mut NetlistBuilder) -> Result<Frozen>,
    ) -> Result<()> {
        if self.open.is_none() {
            self.begin(name, Window::new([1, 1]), 0)?;
        }
        if let Some(open) = &mut self.open {
            open.frozen = build(&open.frozen, &mut open.build)?;
            if let Some(map) = &mut self.map {
                map[0] = open.frozen.words.len();
            }
        }
        Ok(())
    }

    /// Begins a stage with a window as large as the image, for a layer that reads all of it; does
    /// nothing where there is one place only.
    ///
    /// # Errors
    ///
    /// When the stage before cannot be ended.
    pub fn whole(&mut self, name: &str) -> Result<()> {
        if let Some([_, height, width]) = self.map.filter(|_| self.is_image()) {
            self.begin(name, Window::new([height, width]), 0)?;
            self.map = None;
        }
        Ok(())
    }

    /// Begins a stage with a window, or goes on with the open one where the window is one pixel;
    /// what it sees is given to the layers that follow until
    /// [`becomes`](Self::becomes). `outside` is the number that a constant border stands for; none
    /// for the word 0, whatever that is.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] where no word stands for that number.
    pub fn slide(
        &mut self,
        name: &str,
        base: &Base,
        window: &Window,
        outside: Option<f32>,
    ) -> Result<()> {
        if is_pixel(window) && self.open.is_some() {
            self.map = None;
            return Ok(());
        }
        self.close()?;
        let reaches = window.border == Border::Constant && window.padding != Padding::Valid;
        let outside = match outside.filter(|_| reaches) {
            Some(number) => self.outside(base, number)?,
            None => 0,
        };
        self.begin(name, *window, outside)?;
        self.map = None;
        Ok(())
    }

    /// The word that stands for a number in every channel.
    fn outside(&self, base: &Base, number: f32) -> Result<u64> {
        let Some(first) = self.values.first() else {
            let bits = self.stages.output().width == 1;
            return Ok(if bits { u64::from(number > 0.5) } else { number as u64 });
        };
        let is = |value: f32| value.partial_cmp(&number) == Some(std::cmp::Ordering::Equal);
        let all = |&k: &usize| self.values.iter().all(|v| v.get(k).is_some_and(|&v| is(v)));
        match (0..first.len()).find(all) {
            Some(word) => Ok(word as u64),
            None => Err(base.freeze_error(format!(
                "its border is {number}, which no word of a pixel stands for; choose a border value \
                 that pixels have, another border, or stay within the image"
            ))),
        }
    }

    /// What the open stage gives so far at one position, to be replaced with [`put`](Self::put).
    pub fn take(&mut self) -> Frozen {
        self.open.as_mut().map(|open| std::mem::take(&mut open.frozen)).unwrap_or_default()
    }

    /// Makes this what the open stage gives.
    pub fn put(&mut self, frozen: Frozen) {
        if let Some(open) = &mut self.open {
            open.frozen = frozen;
        }
    }

    /// Makes what the open stage gives the pixels of an image of this shape.
    pub fn becomes(&mut self, image: [usize; 3]) {
        self.map = Some(image);
    }

    /// Adds a stage that repeats pixels.
    ///
    /// # Errors
    ///
    /// When the stage before cannot be ended.
    pub fn enlarge(&mut self, name: &str, factors: [usize; 2]) -> Result<()> {
        self.close()?;
        self.stages.enlarge(name, factors)?;
        if let Some([_, height, width]) = &mut self.map {
            (*height, *width) = (*height * factors[0], *width * factors[1]);
        }
        Ok(())
    }

    /// Adds a layer of which each output depends on the input `sources(output)` alone, as
    /// [`elementwise`] does; at the pixels of an image it must be the same at each.
    pub(crate) fn elementwise(
        &mut self,
        name: &str,
        layer: &dyn Layer,
        sources: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let base = layer.base();
        let Some([channels, height, width]) = self.map.filter(|_| self.is_image()) else {
            return self.add(name, base, |input, build| {
                elementwise::freeze(layer, name, input, sources, build)
            });
        };
        let points = height * width;
        self.at_pixel(name, |pixel, build| {
            let image = pixel.nodes((0..channels * points).map(|node| node / points));
            let y = elementwise::seen(layer, &image)?;
            let outputs = y.nodes() / points;
            for node in 0..y.nodes() {
                let first = node / points * points;
                let same = sources(node) == sources(first) + node % points
                    && match y.dtype() {
                        DType::Bit => packed(&y, node)? == packed(&y, first)?,
                        DType::U8 => y.row::<u8>(node)? == y.row::<u8>(first)?,
                        _ => bits(y.row(node)?).eq(bits(y.row(first)?)),
                    };
                if !same {
                    return Err(base.freeze_error(
                        "its numbers differ from pixel to pixel, which a filter that slides over \
                         images cannot have: share them (thresholds for all inputs, batch norm per \
                         channel)",
                    ));
                }
            }
            let rows = (0..outputs).map(|o| (o * points, sources(o * points) / points));
            elementwise::freeze_rows(name, pixel, &y, rows, build)
        })
    }

    /// Ends the open stage and begins another.
    fn begin(&mut self, name: &str, window: Window, outside: u64) -> Result<()> {
        self.close()?;
        let pixel = self.stages.output();
        let taps = window.filter[0].saturating_mul(window.filter[1]);
        let mut build = NetlistBuilder::new(name)?;
        let nets = build.input("x", pixel.channels.saturating_mul(taps), pixel.width)?;
        let mut frozen = Frozen::new(nets.chunks(pixel.width).map(<[Net]>::to_vec).collect());
        for values in &self.values {
            frozen.values.extend(std::iter::repeat_n(values, taps).cloned());
        }
        frozen.summed = self.summed;
        self.open = Some(Open { name: name.to_owned(), window, outside, build, frozen });
        Ok(())
    }

    /// Ends the open stage.
    fn close(&mut self) -> Result<()> {
        let Some(Open { name, window, outside, mut build, frozen }) = self.open.take() else {
            return Ok(());
        };
        if frozen.held > 1 || frozen.only_order {
            let why = "a layer of an image spreads numbers over frames, or is a softmax; a filter \
                       gives a pixel a clock: use depth, or leave the softmax to the end";
            return Err(Error::Freeze { layer: name, why: why.to_owned() });
        }
        build.group("pixel", Role::Core)?;
        let words = Cells::new("pixel", &mut build).equal_widths(frozen.words)?;
        build.output("y", words[0].len(), &words.concat())?;
        self.stages.slide(name, window, outside, build.finish()?.prune()?)?;
        (self.values, self.summed) = (frozen.values, frozen.summed);
        Ok(())
    }

    /// Ends the chain with what an output of a network shows.
    fn finish(mut self, output: &Signal, answer: Answer) -> Result<Filter> {
        let shape = match self.map {
            Some([channels, ..]) => vec![channels],
            None => output.shape.clone(),
        };
        let signal = Signal { dtype: output.dtype, shape };
        if self.open.is_none() {
            self.begin("answer", Window::new([1, 1]), 0)?;
        }
        let Some(Open { name, window, outside, mut build, frozen }) = self.open else {
            let why = "its last stage was not begun".to_owned();
            return Err(Error::Freeze { layer: "network".to_owned(), why });
        };
        let head = head(&frozen, &signal, answer, None, &mut build)?;
        self.stages.slide(name, window, outside, build.finish()?.prune()?)?;
        Ok(Filter { stages: self.stages, head })
    }
}

/// A network as a filter over images, and how to read the pixels that it gives.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The chain of stages.
    pub stages: Stages,
    /// What a pixel of the last stage is: a class, or words and what those of each channel stand for.
    pub head: Head,
}

/// Whether a window is one pixel, at every pixel.
fn is_pixel(window: &Window) -> bool {
    let within = match window.padding {
        Padding::Explicit { top, left, bottom, right } => top + left + bottom + right == 0,
        _ => true, // one pixel reaches over no edge
    };
    within && window.filter == [1, 1] && window.stride == [1, 1]
}

/// The packed bits of a node.
fn packed(y: &FrameBuffer, node: usize) -> Result<&[u64]> {
    Ok(&y.rows::<u64>()?[node * y.stride()..][..y.stride()])
}

fn bits(values: &[f32]) -> impl Iterator<Item = u32> {
    values.iter().map(|value| value.to_bits())
}

impl Network {
    /// Freezes the trained network to a chain of stages that slides over images of any size.
    ///
    /// On an image of the size that the network was trained for it gives the network's answer. On a
    /// larger one, layers that read all of an image become windows of the trained size, so that a
    /// classifier of 28 × 28 pixels gives a class for each place where such a crop fits; a network
    /// whose windows stay within the image gives what it would give for each crop.
    ///
    /// A pixel of the last stage is what [`to_netlist`](Self::to_netlist) shows: a class where the
    /// network gives several real numbers along the channels, else its words.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`], naming the layer that has no such form, and what to do.
    pub fn to_stages(&self, name: &str) -> Result<Stages> {
        self.to_stages_showing(name, Answer::Auto)
    }

    /// The same with a choice of what the pixels of the last stage are.
    ///
    /// # Errors
    ///
    /// As [`to_stages`](Self::to_stages).
    pub fn to_stages_showing(&self, name: &str, answer: Answer) -> Result<Stages> {
        Ok(self.to_filter(name, answer)?.stages)
    }

    /// The same with what the pixels of the last stage mean.
    ///
    /// # Errors
    ///
    /// As [`to_stages`](Self::to_stages).
    pub fn to_filter(&self, name: &str, answer: Answer) -> Result<Filter> {
        let refuse = |why: String| Err(Error::Freeze { layer: "network".to_owned(), why });
        let ([input], [output]) = (self.inputs(), self.outputs()) else {
            let (inputs, outputs) = (self.inputs().len(), self.outputs().len());
            return refuse(format!(
                "a chain of stages has one input and one output, the network {inputs} and {outputs}"
            ));
        };
        let Ok(image) = <[usize; 3]>::try_from(input.shape.as_slice()) else {
            let shape = &input.shape;
            return refuse(format!(
                "it reads {shape:?}; a filter reads images of shape [channels, height, width]"
            ));
        };
        let mut chain = StageChain::new(name, image, self.port_width(0)?)?;
        self.root().stage(self.root_name(), &mut chain)?;
        chain.finish(output, answer)
    }
}

#[cfg(test)]
mod tests;
