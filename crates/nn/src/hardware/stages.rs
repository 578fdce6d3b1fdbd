//! Networks that slide over images: the chain of stages that a network becomes.
//!
//! Layers of images are the same at every pixel, so what they do at one of them is all there is to
//! build. A [`StageChain`] holds the stages that are finished and the netlist of the one that is
//! open: layers that work on a pixel go on with it, layers that look at a window begin another. A
//! layer that reads all of an image begins a stage whose window is as large as the image, and
//! everything behind it goes on at that one place.
//!
//! Where a graph branches, the chain stands at one of several [`Branch`]es. One that several layers
//! read is a finished image; one that a single layer reads goes on with its open stage.

use lutweave_lut::{
    Border, Net, Netlist, NetlistBuilder, Padding, Pixel, Role, Stages, Window, bits_for,
};
use lutweave_tensor::{DType, FrameBuffer};

use super::cells::Cells;
use super::{Answer, Frozen, Head, Values, elementwise, head};
use crate::layer::Base;
use crate::{Error, Layer, Network, Result, Signal};

/// A chain of stages that layers add themselves to.
#[derive(Debug)]
pub struct StageChain {
    stages: Stages,
    /// Where the next layer is added.
    at: Branch,
    /// Whether that is within the window of a convolution, where no stage ends.
    in_window: bool,
}

/// A point of a network as stages: what a layer gives, and the next reads.
#[derive(Debug, Clone, Default)]
pub struct Branch {
    /// The number of the image that the finished stages give here.
    image: usize,
    /// The image at this point of the network, as it was trained; none where there is one place.
    map: Option<[usize; 3]>,
    /// What the words of each channel stand for, behind the finished stages.
    values: Vec<Values>,
    /// Whether they are sums of the sample's values.
    summed: bool,
    open: Option<Open>,
}

/// The stage that is being built.
#[derive(Debug, Clone)]
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
        let at = Branch { map: Some(image), ..Branch::default() };
        Ok(Self { stages, at, in_window: false })
    }

    /// Leaves this point of the network, to come back to it by [`enter`](Self::enter).
    pub fn leave(&mut self) -> Branch {
        std::mem::take(&mut self.at)
    }

    /// Goes on at a point of the network.
    pub fn enter(&mut self, branch: Branch) {
        self.at = branch;
    }

    /// The same point as a finished image, for several layers to read.
    ///
    /// # Errors
    ///
    /// When its stage cannot be ended.
    pub fn finished(&mut self, branch: Branch) -> Result<Branch> {
        self.at = branch;
        self.close()?;
        Ok(self.leave())
    }

    /// Frames of the image here: several behind a modulation, until they are added up.
    pub fn frames(&self) -> usize {
        self.stages.frames(self.at.image)
    }

    /// Whether layers are added within the window of a convolution, where no stage ends.
    pub(crate) fn in_window(&self) -> bool {
        self.in_window
    }

    /// Sets whether layers are added within a window.
    pub(crate) fn set_in_window(&mut self, within: bool) {
        self.in_window = within;
    }

    /// Stages that are finished.
    fn count(&self) -> usize {
        self.stages.stages().len()
    }

    /// Whether it is at the pixels of an image; otherwise at one place.
    pub fn is_image(&self) -> bool {
        self.at.map.is_some_and(|[_, height, width]| height * width > 1)
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
        self.at.map = None;
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
        if self.at.open.is_none() {
            self.begin(name, Window::new([1, 1]), 0)?;
        }
        if let Some(open) = &mut self.at.open {
            open.frozen = build(&open.frozen, &mut open.build)?;
            if let Some(map) = &mut self.at.map {
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
        if let Some([_, height, width]) = self.at.map.filter(|_| self.is_image()) {
            self.begin(name, Window::new([height, width]), 0)?;
            self.at.map = None;
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
        if is_pixel(window) && self.at.open.is_some() {
            self.at.map = None;
            return Ok(());
        }
        self.close()?;
        let reaches = window.border == Border::Constant && window.padding != Padding::Valid;
        let outside = match outside.filter(|_| reaches) {
            Some(number) => self.outside(base, number)?,
            None => 0,
        };
        self.begin(name, *window, outside)?;
        self.at.map = None;
        Ok(())
    }

    /// The word that stands for a number in every channel.
    fn outside(&self, base: &Base, number: f32) -> Result<u64> {
        let Some(first) = self.at.values.first() else {
            let bits = self.stages.pixel(self.at.image).width == 1;
            return Ok(if bits { u64::from(number > 0.5) } else { number as u64 });
        };
        let is = |value: f32| value.partial_cmp(&number) == Some(std::cmp::Ordering::Equal);
        let all = |&k: &usize| self.at.values.iter().all(|v| v.get(k).is_some_and(|&v| is(v)));
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
        self.at.open.as_mut().map(|open| std::mem::take(&mut open.frozen)).unwrap_or_default()
    }

    /// Makes this what the open stage gives.
    pub fn put(&mut self, frozen: Frozen) {
        if let Some(open) = &mut self.at.open {
            open.frozen = frozen;
        }
    }

    /// Makes what the open stage gives the pixels of an image of this shape.
    pub fn becomes(&mut self, image: [usize; 3]) {
        self.at.map = Some(image);
    }

    /// Adds a stage that repeats pixels.
    ///
    /// # Errors
    ///
    /// When the stage before cannot be ended.
    pub fn enlarge(&mut self, name: &str, factors: [usize; 2]) -> Result<()> {
        self.close()?;
        self.stages.read(self.at.image)?;
        self.stages.enlarge(name, factors)?;
        self.at.image = self.count();
        if let Some([_, height, width]) = &mut self.at.map {
            (*height, *width) = (*height * factors[0], *width * factors[1]);
        }
        Ok(())
    }

    /// Adds a stage that lays the channels of each pixel side by side as windows, which do not meet.
    /// Words of bits or numbers only, as zeros may lie between.
    ///
    /// # Errors
    ///
    /// When the stage before cannot be ended.
    pub fn spread(&mut self, name: &str, filter: [usize; 2], stride: [usize; 2]) -> Result<()> {
        self.close()?;
        self.stages.read(self.at.image)?;
        self.stages.spread(name, filter, stride)?;
        self.at.image = self.count();
        if let Some([channels, height, width]) = &mut self.at.map {
            *channels /= filter[0] * filter[1];
            let size = |from: usize, i: usize| (from - 1) * stride[i] + filter[i];
            (*height, *width) = (size(*height, 0), size(*width, 1));
        }
        Ok(())
    }

    /// Adds a stage that makes frames of an image: `build` is given the channels of one pixel and the
    /// number of the frame.
    ///
    /// # Errors
    ///
    /// What `build` refuses; when there are several frames already.
    pub fn modulate(
        &mut self,
        name: &str,
        frames: usize,
        build: impl FnOnce(&Frozen, &[Net], &mut NetlistBuilder) -> Result<Frozen>,
    ) -> Result<()> {
        self.close()?;
        let mut netlist = NetlistBuilder::new(name)?;
        let pixel = self.seen(1, &mut netlist)?;
        let frame = netlist.input("frame", 1, bits_for(frames - 1))?;
        let given = build(&pixel, &frame, &mut netlist)?;
        let netlist = ended(netlist, given.words)?;
        self.stages.read(self.at.image)?;
        self.stages.modulate(name, frames, netlist)?;
        if let Some(map) = &mut self.at.map {
            map[0] = self.stages.output().channels;
        }
        (self.at.image, self.at.values, self.at.summed) = (self.count(), given.values, false);
        Ok(())
    }

    /// Adds a stage that adds up the counts of all frames, which are at most `most` in all; then they
    /// stand for the numbers `values`.
    ///
    /// # Errors
    ///
    /// When the stage before cannot be ended, or there are no frames.
    pub fn sum(&mut self, name: &str, values: &Values) -> Result<()> {
        self.close()?;
        self.stages.read(self.at.image)?;
        let width = bits_for(values.len().saturating_sub(1));
        self.stages.sum(name, width.max(self.stages.pixel(self.at.image).width))?;
        let channels = self.stages.output().channels;
        (self.at.image, self.at.values) = (self.count(), vec![values.clone(); channels]);
        Ok(())
    }

    /// Goes on where several branches meet, their channels one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] where they have different numbers of frames or different images; when the
    /// stage of one cannot be ended.
    pub fn join(&mut self, name: &str, base: &Base, branches: Vec<Branch>) -> Result<()> {
        let size = |branch: &Branch| {
            branch.map.map(|[_, height, width]| [height, width]).filter(|size| *size != [1, 1])
        };
        let mut images = Vec::with_capacity(branches.len());
        let mut all = Branch { summed: true, ..Branch::default() };
        let mut channels = 0;
        for branch in branches {
            let branch = self.finished(branch)?;
            if !images.is_empty() && size(&all) != size(&branch) {
                let why = "it joins images of several sizes, or an image and what was made of all of \
                           one; bring them to one size";
                return Err(base.freeze_error(why));
            }
            images.push(branch.image);
            channels += self.stages.pixel(branch.image).channels;
            all.map = branch.map;
            all.summed &= branch.summed;
            all.values.extend(branch.values);
        }
        let frames: Vec<usize> = images.iter().map(|&image| self.stages.frames(image)).collect();
        if let Some(other) = frames.iter().find(|&&other| other != frames[0]) {
            return Err(base.freeze_error(format!(
                "it reads one signal of {} frames a sample and one of {other}; bring both to the same \
                 number of frames",
                frames[0]
            )));
        }
        self.stages.join(name, &images)?;
        if let Some(map) = &mut all.map {
            map[0] = channels;
        }
        all.image = self.count();
        self.at = all;
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
        let Some([channels, height, width]) = self.at.map.filter(|_| self.is_image()) else {
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
        let taps = window.filter[0].saturating_mul(window.filter[1]);
        let mut build = NetlistBuilder::new(name)?;
        let frozen = self.seen(taps, &mut build)?;
        self.at.open = Some(Open { name: name.to_owned(), window, outside, build, frozen });
        Ok(())
    }

    /// What a window of so many pixels sees of the image here, as the port `x` of a netlist.
    fn seen(&self, taps: usize, build: &mut NetlistBuilder) -> Result<Frozen> {
        let pixel = self.stages.pixel(self.at.image);
        let nets = build.input("x", pixel.channels.saturating_mul(taps), pixel.width)?;
        let mut frozen = Frozen::new(nets.chunks(pixel.width).map(<[Net]>::to_vec).collect());
        for values in &self.at.values {
            frozen.values.extend(std::iter::repeat_n(values, taps).cloned());
        }
        frozen.summed = self.at.summed;
        (frozen.clocks, frozen.held) = (self.frames(), self.frames());
        Ok(frozen)
    }

    /// Ends the open stage.
    fn close(&mut self) -> Result<()> {
        if let (true, Some(open)) = (self.in_window, &self.at.open) {
            let why = "a layer within its windows makes frames, adds them up or moves pixels; put it \
                       before the convolution or behind it";
            return Err(Error::Freeze { layer: open.name.clone(), why: why.to_owned() });
        }
        let Some(Open { name, window, outside, build, frozen }) = self.at.open.take() else {
            return Ok(());
        };
        if frozen.held != self.frames() || frozen.only_order {
            let why = "a layer of an image counts clocks by itself, or is a softmax; modulate before \
                       the window, or leave the softmax to the end";
            return Err(Error::Freeze { layer: name, why: why.to_owned() });
        }
        self.stages.read(self.at.image)?;
        self.stages.slide(name, window, outside, ended(build, frozen.words)?)?;
        (self.at.image, self.at.values) = (self.count(), frozen.values);
        self.at.summed = frozen.summed;
        Ok(())
    }

    /// Ends a branch with what an output of a network shows.
    fn finish(
        &mut self,
        branch: Branch,
        output: &Signal,
        answer: Answer,
        number: Option<usize>,
    ) -> Result<Head> {
        self.at = branch;
        let shape = match self.at.map {
            Some([channels, ..]) => vec![channels],
            None => output.shape.clone(),
        };
        let signal = Signal { dtype: output.dtype, shape };
        if self.at.open.is_none() {
            let number = number.map_or_else(String::new, |number| number.to_string());
            self.begin(&format!("answer{number}"), Window::new([1, 1]), 0)?;
        }
        let Some(Open { name, window, outside, mut build, frozen }) = self.at.open.take() else {
            let why = "its last stage was not begun".to_owned();
            return Err(Error::Freeze { layer: "network".to_owned(), why });
        };
        let head = head(&frozen, &signal, answer, number, &mut build)?;
        self.stages.read(self.at.image)?;
        self.stages.slide(name, window, outside, build.finish()?.prune()?)?;
        self.at.image = self.count();
        Ok(head)
    }
}

/// A finished netlist of one window: its words, all as wide as the widest, are the port `y`.
fn ended(mut build: NetlistBuilder, words: Vec<Vec<Net>>) -> Result<Netlist> {
    build.group("pixel", Role::Core)?;
    let words = Cells::new("pixel", &mut build).equal_widths(words)?;
    build.output("y", words[0].len(), &words.concat())?;
    Ok(build.finish()?.prune()?)
}

/// A network as a filter over images, and how to read the pixels that it gives.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The chain of stages.
    pub stages: Stages,
    /// What a pixel of the last stage is: for each output of the network, in order, a class, or words
    /// and what those of each channel stand for.
    pub heads: Vec<Head>,
    /// The channels of each head.
    pub channels: Vec<usize>,
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
    /// network gives several real numbers along the channels, else its words. Several outputs are
    /// channels side by side.
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
        let [input] = self.inputs() else {
            let inputs = self.inputs().len();
            return refuse(format!("a filter reads one image, the network has {inputs} inputs"));
        };
        let Ok(image) = <[usize; 3]>::try_from(input.shape.as_slice()) else {
            let shape = &input.shape;
            return refuse(format!(
                "it reads {shape:?}; a filter reads images of shape [channels, height, width]"
            ));
        };
        let mut chain = StageChain::new(name, image, self.port_width(0)?)?;
        let start = chain.leave();
        let branches = self.root().stage_all(self.root_name(), &mut chain, vec![start])?;
        let (mut heads, mut images) = (Vec::new(), Vec::new());
        let several = branches.len() > 1;
        for (number, (branch, output)) in branches.into_iter().zip(self.outputs()).enumerate() {
            heads.push(chain.finish(branch, output, answer, several.then_some(number))?);
            images.push(chain.at.image);
        }
        let mut stages = chain.stages;
        let channels = images.iter().map(|&image| stages.pixel(image).channels).collect();
        if several {
            stages.join("heads", &images)?;
            if let Err(error) = stages.images([image[1], image[2]]) {
                return refuse(format!(
                    "its outputs come out together, as channels of one image: {error}; leave out an \
                     output, or bring them to one size"
                ));
            }
        }
        Ok(Filter { stages, heads, channels })
    }
}

#[cfg(test)]
mod tests;
