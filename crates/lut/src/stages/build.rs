//! Putting stages together.

use super::{MAX_FRAMES, Operation, Pixel, Stage, Stages};
use crate::netlist::check_name;
use crate::{Error, MAX_NETS, MAX_WIDTH, Netlist, Op, Result, Window, bits_for};

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
        Ok(Self { name, input, list: Vec::new(), next: 0 })
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
        let pixel = self.pixel(self.next);
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
        let output = output_of(&name, &netlist)?;
        if outside >> pixel.width != 0 {
            return refuse(format!(
                "{outside} outside the image does not fit in {} bits",
                pixel.width
            ));
        }
        let operation = Operation::Slide { window, outside, netlist };
        self.push(name, operation, output, self.frames(self.next));
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
        let output = self.pixel(self.next);
        self.push(name, Operation::Enlarge { factors }, output, self.frames(self.next));
        Ok(())
    }

    /// Adds a stage that lays the channels of each pixel side by side as a window of `filter` pixels,
    /// windows `stride` apart; see [`Operation::Spread`].
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] when the channels are no whole number
    /// of windows, or a stride is below the filter or above [`MAX_NETS`].
    pub fn spread(
        &mut self,
        name: impl Into<String>,
        filter: [usize; 2],
        stride: [usize; 2],
    ) -> Result<()> {
        let name = self.fresh(name.into())?;
        let pixel = self.pixel(self.next);
        let taps = filter[0].saturating_mul(filter[1]);
        let apart = (0..2).all(|i| (filter[i]..=MAX_NETS).contains(&stride[i]));
        if taps == 0 || !pixel.channels.is_multiple_of(taps) || !apart {
            let what = format!(
                "expected channels that are windows of {filter:?} pixels, at least as far apart, got \
                 {} channels and a stride of {stride:?}",
                pixel.channels
            );
            return Err(Error::Stage { stage: name, what });
        }
        let output = Pixel { channels: pixel.channels / taps, ..pixel };
        self.push(name, Operation::Spread { filter, stride }, output, self.frames(self.next));
        Ok(())
    }

    /// Adds a stage that makes `frames` frames of an image; see [`Operation::Modulate`].
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] when there are frames already, fewer
    /// than 2 or more than 1024 are to be made, or the ports of the netlist are not those of a pixel
    /// and a frame's number.
    pub fn modulate(
        &mut self,
        name: impl Into<String>,
        frames: usize,
        netlist: Netlist,
    ) -> Result<()> {
        let name = self.fresh(name.into())?;
        let pixel = self.pixel(self.next);
        let refuse = |what| Err(Error::Stage { stage: name.clone(), what });
        if self.frames(self.next) > 1 || !(2..=MAX_FRAMES).contains(&frames) {
            return refuse(format!(
                "expected one frame that becomes 2 to {MAX_FRAMES}, got {} that become {frames}",
                self.frames(self.next)
            ));
        }
        let ports: Vec<[usize; 2]> = netlist.inputs().iter().map(|p| [p.words, p.width]).collect();
        let expected = [[pixel.channels, pixel.width], [1, bits_for(frames - 1)]];
        if ports != expected {
            return refuse(format!(
                "expected ports of [words, bits] {expected:?}, those of a pixel and of the number of \
                 a frame, got {ports:?}"
            ));
        }
        let output = output_of(&name, &netlist)?;
        self.push(name, Operation::Modulate { frames, netlist }, output, frames);
        Ok(())
    }

    /// Adds a stage that adds up all frames, in words of `width` bits.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] when there is one frame only, or the
    /// width is below that of a word or above [`MAX_WIDTH`].
    pub fn sum(&mut self, name: impl Into<String>, width: usize) -> Result<()> {
        let name = self.fresh(name.into())?;
        let (pixel, frames) = (self.pixel(self.next), self.frames(self.next));
        if frames < 2 || !(pixel.width..=MAX_WIDTH).contains(&width) {
            let what = format!(
                "expected several frames and sums of {} to {MAX_WIDTH} bits, got {frames} and {width}",
                pixel.width
            );
            return Err(Error::Stage { stage: name, what });
        }
        self.push(name, Operation::Sum, Pixel { width, ..pixel }, 1);
        Ok(())
    }

    /// Adds a stage that puts the channels of these images side by side.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`]; [`Error::Stage`] for no images, images that there are
    /// not, of several numbers of frames, or of more than [`MAX_NETS`] bits a pixel together.
    pub fn join(&mut self, name: impl Into<String>, images: &[usize]) -> Result<()> {
        let name = self.fresh(name.into())?;
        let refuse = |what| Err(Error::Stage { stage: name.clone(), what });
        let (Some(&first), None) =
            (images.first(), images.iter().find(|&&image| image > self.list.len()))
        else {
            let all = self.list.len();
            return refuse(format!("expected images numbered 0 to {all}, got {images:?}"));
        };
        let frames: Vec<usize> = images.iter().map(|&image| self.frames(image)).collect();
        if frames.iter().any(|&count| count != frames[0]) {
            return refuse(format!("expected images of as many frames each, got {frames:?}"));
        }
        let pixels = images.iter().map(|&image| self.pixel(image));
        let output = pixels.fold(Pixel { channels: 0, width: 1 }, |all, pixel| Pixel {
            channels: all.channels.saturating_add(pixel.channels),
            width: all.width.max(pixel.width),
        });
        if output.channels.saturating_mul(output.width) > MAX_NETS {
            return refuse(format!("expected at most {MAX_NETS} bits a pixel"));
        }
        self.next = first;
        self.push(name, Operation::Join, output, frames[0]);
        if let Some(stage) = self.list.last_mut() {
            stage.inputs = images.to_vec();
        }
        Ok(())
    }

    /// Lets the next stage read image `image`, not what the last stage gives.
    ///
    /// # Errors
    ///
    /// [`Error::Stage`] when there is no image of that number.
    pub fn read(&mut self, image: usize) -> Result<()> {
        if image > self.list.len() {
            let what = format!("expected an image numbered 0 to {}, got {image}", self.list.len());
            return Err(Error::Stage { stage: self.name.clone(), what });
        }
        self.next = image;
        Ok(())
    }

    /// The number of the image that the next stage reads.
    pub fn present(&self) -> usize {
        self.next
    }

    fn push(&mut self, name: String, operation: Operation, output: Pixel, frames: usize) {
        self.list.push(Stage { name, inputs: vec![self.next], operation, output, frames });
        self.next = self.list.len();
    }

    fn fresh(&self, name: String) -> Result<String> {
        check_name(&name)?;
        if self.list.iter().any(|stage| stage.name == name) {
            return Err(Error::Duplicate { name });
        }
        Ok(name)
    }
}

/// The pixels that a netlist gives, which has one output port and no registers.
fn output_of(stage: &str, netlist: &Netlist) -> Result<Pixel> {
    let refuse = |what| Err(Error::Stage { stage: stage.to_owned(), what });
    let [output] = netlist.outputs() else {
        return refuse(format!("expected one output port, got {}", netlist.outputs().len()));
    };
    if let Some(cell) = netlist.cells().iter().find(|c| matches!(c.op, Op::Register { .. })) {
        return refuse(format!("expected a netlist without registers, got `{}`", cell.name));
    }
    Ok(Pixel { channels: output.words, width: output.width })
}
