//! What each stage does with its image: where its scan begins, reads, and gives a pixel.

use lutweave_lut::{Border, Netlist, Operation, Padding, Pixel, Stages, Window, bits_for};

use super::flow;
use crate::verilog::{self, MAX_PORT_BITS, Style};
use crate::{Error, Result, Verilog};

/// Longest side of a scan, in positions.
pub(super) const MAX_SIDE: usize = 1 << 16;
/// Most positions of the scans of all stages, were all as large as the largest.
pub(super) const MAX_POSITIONS: usize = 1 << 28;
/// Most bits of all line buffers together.
pub(super) const MAX_LINE_BITS: usize = 1 << 28;
/// Most bits of the registers of one window.
const MAX_WINDOW_BITS: usize = 1 << 20;
/// Most places at which elements of a window read a border that is no constant, on one axis.
const MAX_SELECTIONS: usize = 1 << 16;

/// A chain of stages for one size of image.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) input: Pixel,
    pub(super) image: [usize; 2],
    pub(super) output: Pixel,
    pub(super) output_image: [usize; 2],
    pub(super) stages: Vec<StagePlan>,
    /// The modules of single windows, each once.
    pub(super) nets: Vec<Netlist>,
}

/// A stage that reads an image, and which of the images it reads that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) stage: usize,
    pub(super) side: usize,
}

/// One stage.
#[derive(Debug)]
pub(super) struct StagePlan {
    pub(super) name: String,
    /// The images that it reads, by number.
    pub(super) inputs: Vec<usize>,
    /// Pixels, size and frames of the first of them.
    pub(super) pixel: Pixel,
    pub(super) image: [usize; 2],
    pub(super) frames: usize,
    pub(super) output: Pixel,
    pub(super) output_image: [usize; 2],
    pub(super) output_frames: usize,
    pub(super) work: Work,
}

/// What a stage does at every place of its scan.
#[derive(Debug)]
pub(super) enum Work {
    /// A window that slides.
    Slide {
        /// Rows and columns.
        axes: Box<[Axis; 2]>,
        /// Whether what lies outside is the constant `outside`.
        constant: bool,
        outside: u64,
        /// Index of its netlist, and the clock cycles that it takes.
        net: usize,
        latency: usize,
    },
    /// Repetition.
    Enlarge { factors: [usize; 2] },
    /// Channels laid side by side as windows.
    Spread { filter: [usize; 2], stride: [usize; 2] },
    /// Frames of each pixel, one after the other.
    Modulate { net: usize, latency: usize },
    /// The sum of the frames of each pixel.
    Sum,
    /// Queues that put images side by side: of each, the places as a power of two.
    Join { places: Vec<usize> },
}

/// The scan along one axis: `scan` places, of which those from `offset` on are the pixels of the
/// image. A window covers `extent` of them and ends at place `extent - 1 + position * stride`.
///
/// Along a row, each pixel has as many places as there are frames, one behind the other; all but
/// `positions`, `filter` and `stride` are counted in such places. So a window, which reads the same
/// frame of every pixel, is one whose elements are `frames` times as far apart.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) positions: usize,
    pub(super) filter: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) frames: usize,
    pub(super) offset: usize,
    pub(super) extent: usize,
    pub(super) scan: usize,
    /// For each element: the places where a window ends that has it over the border, and which of
    /// the `extent` places covered it reads there instead of `element * dilation`.
    pub(super) selections: Vec<Vec<(usize, usize)>>,
}

impl Axis {
    /// The place at which the window at the first position ends.
    pub(super) fn first_end(&self) -> usize {
        self.extent - 1
    }

    /// The place at which the window at the last position ends.
    pub(super) fn last_end(&self) -> usize {
        self.first_end() + (self.positions - 1) * self.period() + self.frames - 1
    }

    /// Places from window to window.
    pub(super) fn period(&self) -> usize {
        self.stride * self.frames
    }

    /// The same with a place for each frame of a pixel.
    fn with_frames(mut self, frames: usize) -> Self {
        self.frames = frames;
        self.extent = (self.extent - 1) * frames + 1;
        for places in [&mut self.size, &mut self.offset, &mut self.scan, &mut self.dilation] {
            *places *= frames;
        }
        for list in &mut self.selections {
            let each = |&(end, reads): &(usize, usize)| {
                (0..frames).map(move |frame| (end * frames + frame, reads * frames))
            };
            *list = list.iter().flat_map(each).collect();
        }
        self
    }
}

impl StagePlan {
    /// Rows and columns of the scan: it takes a clock cycle for each place.
    pub(super) fn scan(&self) -> [usize; 2] {
        if let Work::Slide { axes, .. } = &self.work {
            return [axes[0].scan, axes[1].scan];
        }
        let [rows, columns] = self.output_image;
        [rows, columns.saturating_mul(self.frames.max(self.output_frames))]
    }

    /// Pixels that it gives of an image, in all frames.
    pub(super) fn beats(&self) -> usize {
        self.output_image[0] * self.output_image[1] * self.output_frames
    }

    /// Whether its first pixel is given before any pixel of the image was taken, as the window
    /// lies in the border: then the scan has to wait for an image to begin.
    pub(super) fn waits(&self) -> bool {
        match &self.work {
            Work::Slide { axes, .. } => {
                let [y, x] = axes.as_ref();
                (y.first_end(), x.first_end()) < (y.offset, x.offset)
            }
            _ => false,
        }
    }

    /// Registers on the way from the scan to the hand-over.
    pub(super) fn depth(&self) -> usize {
        match self.work {
            Work::Slide { latency, .. } | Work::Modulate { latency, .. } => latency + 1,
            _ => 1,
        }
    }

    /// Bits of its line buffers.
    pub(super) fn line_bits(&self) -> usize {
        match &self.work {
            Work::Slide { axes, .. } if axes[1].scan > 1 => {
                let lines = (axes[0].extent - 1).saturating_mul(axes[1].scan);
                lines.saturating_mul(self.pixel.bits())
            }
            Work::Enlarge { factors } => self.kept_line(*factors).saturating_mul(self.pixel.bits()),
            Work::Spread { stride, .. } => {
                self.kept_line(*stride).saturating_mul(self.pixel.bits())
            }
            _ => 0,
        }
    }

    /// Bits of the registers that hold a window.
    pub(super) fn window_bits(&self) -> usize {
        match &self.work {
            Work::Slide { axes, .. } => {
                axes[0].filter.saturating_mul(axes[1].extent).saturating_mul(self.pixel.bits())
            }
            Work::Join { .. } => 0,
            Work::Sum => self.output.bits(),
            _ => self.pixel.bits(),
        }
    }

    /// Words of the memory in which an enlargement keeps a line to repeat it, none where it needs
    /// none. With frames, a pixel's frames have addresses from a power of two on.
    pub(super) fn kept_line(&self, factors: [usize; 2]) -> usize {
        if self.frames > 1 && factors != [1, 1] {
            return ((self.image[1] - 1) << bits_for(self.frames - 1)) + self.frames;
        }
        if factors[0] > 1 && self.image[1] > 1 { self.image[1] } else { 0 }
    }
}

impl Plan {
    /// Checks that every stage can be streamed, and plans it.
    pub(super) fn new(
        stages: &Stages,
        image: [usize; 2],
        module: &str,
        registers: bool,
    ) -> Result<Self> {
        if stages.stages().is_empty() {
            let what = "expected at least one stage, got none".to_owned();
            return Err(Error::Unsupported { netlist: stages.name().to_owned(), what });
        }
        check_pixel(stages.name(), stages.input())?;
        let images = stages.images(image)?;
        let mut plan = Self {
            input: stages.input(),
            image,
            output: stages.output(),
            output_image: image,
            stages: Vec::new(),
            nets: Vec::new(),
        };
        check_readers(stages)?;
        for (stage, &to) in stages.stages().iter().zip(&images[1..]) {
            let first = stage.inputs[0];
            let (pixel, from, frames) = (stages.pixel(first), images[first], stages.frames(first));
            check_pixel(&stage.name, stage.output)?;
            let work = match &stage.operation {
                Operation::Slide { window, outside, netlist } => {
                    let [y, x] = axes(&stage.name, window, from, to, frames)?;
                    let axes = [y, x.with_frames(frames)];
                    check_window(&stage.name, &axes, pixel)?;
                    let (net, latency) = plan.net(&stage.name, netlist, module, registers)?;
                    let constant = window.border == Border::Constant;
                    Work::Slide { axes: Box::new(axes), constant, outside: *outside, net, latency }
                }
                Operation::Enlarge { factors } => Work::Enlarge { factors: *factors },
                Operation::Spread { filter, stride } => {
                    Work::Spread { filter: *filter, stride: *stride }
                }
                Operation::Modulate { netlist, .. } => {
                    let (net, latency) = plan.net(&stage.name, netlist, module, registers)?;
                    Work::Modulate { net, latency }
                }
                Operation::Sum => Work::Sum,
                Operation::Join => Work::Join { places: Vec::new() },
            };
            let planned = StagePlan {
                name: stage.name.clone(),
                inputs: stage.inputs.clone(),
                pixel,
                image: from,
                frames,
                output: stage.output,
                output_image: to,
                output_frames: stage.frames,
                work,
            };
            check_side(&planned.name, planned.scan())?;
            plan.stages.push(planned);
            plan.output_image = to;
        }
        plan.check_scans()?;
        flow::plan_queues(&mut plan)?;
        plan.check()?;
        Ok(plan)
    }

    /// Whether images are joined. Then each has to be whole, and what is missing of one that was cut
    /// short is filled up.
    pub(super) fn joins(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage.work, Work::Join { .. }))
    }

    /// The pixels of an image by number.
    pub(super) fn pixel(&self, image: usize) -> Pixel {
        image.checked_sub(1).map_or(self.input, |stage| self.stages[stage].output)
    }

    /// Bits of the line buffers of a stage, or of its queues.
    pub(super) fn line_bits(&self, stage: usize) -> usize {
        let planned = &self.stages[stage];
        let Work::Join { places } = &planned.work else { return planned.line_bits() };
        let of = |(image, places): (&usize, &usize)| (self.pixel(*image).bits() + 1) << places;
        planned.inputs.iter().zip(places).map(of).sum()
    }

    /// The stages that read each image, by number, as often as they do; the last image, which goes
    /// out, has none.
    pub(super) fn readers(&self) -> Vec<Vec<Reader>> {
        let mut readers = vec![Vec::new(); self.stages.len() + 1];
        for (stage, planned) in self.stages.iter().enumerate() {
            for (side, &image) in planned.inputs.iter().enumerate() {
                readers[image].push(Reader { stage, side });
            }
        }
        readers
    }

    /// The module of one window, pipelined as asked, and its latency.
    fn net(
        &mut self,
        stage: &str,
        netlist: &Netlist,
        module: &str,
        registers: bool,
    ) -> Result<(usize, usize)> {
        let groups: Vec<usize> = (0..netlist.groups().len()).collect();
        let made = if registers && !groups.is_empty() {
            netlist.pipeline(&groups).map_err(|error| {
                refuse(stage, format!("{error}; order its groups, or leave out the registers"))
            })?
        } else {
            netlist.clone()
        };
        let latency = Style::of(&made)?.latency();
        if let Some(index) = self.nets.iter().position(|net| *net == made) {
            return Ok((index, latency));
        }
        verilog::validate(&made, &Verilog::new(module).enable(true))?;
        self.nets.push(made);
        Ok((self.nets.len() - 1, latency))
    }

    fn check_scans(&self) -> Result<()> {
        let largest = self.stages.iter().max_by_key(|stage| stage.scan()[0] * stage.scan()[1]);
        if let Some(stage) = largest {
            let [rows, columns] = stage.scan();
            if (rows * columns).saturating_mul(self.stages.len()) > MAX_POSITIONS {
                let what = format!(
                    "it scans {rows} x {columns} places; expected at most {} for {} stages: use a \
                     smaller image",
                    MAX_POSITIONS / self.stages.len(),
                    self.stages.len()
                );
                return Err(refuse(&stage.name, what));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let mut bits = 0usize;
        for (index, stage) in self.stages.iter().enumerate() {
            bits = bits.saturating_add(self.line_bits(index));
            if bits > MAX_LINE_BITS {
                let what = format!(
                    "line buffers up to here have more than {MAX_LINE_BITS} bits; use a narrower \
                     image, windows of fewer rows or fewer channels"
                );
                return Err(refuse(&stage.name, what));
            }
        }
        Ok(())
    }
}

/// Refuses images that nothing reads, which would keep the stages before them from going on, and
/// frames that nothing adds up.
fn check_readers(stages: &Stages) -> Result<()> {
    let list = stages.stages();
    let name = |image: usize| match image.checked_sub(1) {
        Some(stage) => list[stage].name.as_str(),
        None => stages.name(),
    };
    let unread = |image: &usize| !list.iter().any(|stage| stage.inputs.contains(image));
    if let Some(image) = (0..list.len()).find(unread) {
        let what = "no stage reads what it gives; leave it out, or join it to what comes out";
        return Err(refuse(name(image), what.to_owned()));
    }
    match stages.frames(list.len()) {
        1 => Ok(()),
        frames => {
            let what = format!("it gives {frames} frames of an image; end with their sum");
            Err(refuse(name(list.len()), what))
        }
    }
}

/// Refuses windows that are too large for vectors and registers.
fn check_window(stage: &str, axes: &[Axis; 2], pixel: Pixel) -> Result<()> {
    let bits = pixel.bits();
    let strip = axes[0].extent.saturating_mul(bits);
    let row = axes[1].extent.saturating_mul(bits);
    let window = axes[0].filter.saturating_mul(row);
    let elements = axes[0].filter.saturating_mul(axes[1].filter).saturating_mul(bits);
    if strip.max(row).max(elements) <= MAX_PORT_BITS && window <= MAX_WINDOW_BITS {
        return Ok(());
    }
    let what = format!(
        "a window that covers {} x {} pixels of {bits} bits needs too many registers; expected at \
         most {MAX_PORT_BITS} bits a row, a column and in all elements, {MAX_WINDOW_BITS} in all: \
         use a smaller filter or dilation, or fewer channels",
        axes[0].extent, axes[1].extent,
    );
    Err(refuse(stage, what))
}

fn check_side(stage: &str, [rows, columns]: [usize; 2]) -> Result<()> {
    if rows.max(columns) <= MAX_SIDE {
        return Ok(());
    }
    let what = format!(
        "it scans {rows} x {columns} places, borders included; expected at most {MAX_SIDE} on each \
         side: use a smaller image or less padding"
    );
    Err(refuse(stage, what))
}

fn check_pixel(stage: &str, pixel: Pixel) -> Result<()> {
    if pixel.bits() <= MAX_PORT_BITS - 8 {
        return Ok(());
    }
    let what = format!(
        "pixels of {} words of {} bits are too wide for a stream; expected at most {} bits",
        pixel.channels,
        pixel.width,
        MAX_PORT_BITS - 8
    );
    Err(refuse(stage, what))
}

/// The two axes of a window on an image; `to` is the size of what comes out.
fn axes(
    stage: &str,
    window: &Window,
    from: [usize; 2],
    to: [usize; 2],
    frames: usize,
) -> Result<[Axis; 2]> {
    let mut axes = [0, 1].map(|i| {
        let (filter, stride, dilation) = (window.filter[i], window.stride[i], window.dilation[i]);
        let extent = dilation * (filter - 1) + 1; // the window was checked: below 2^56
        let offset = match window.padding {
            Padding::Explicit { top, left, .. } => [top, left][i],
            Padding::Same => (extent - 1) / 2,
            _ => 0,
        };
        let (size, positions) = (from[i], to[i]);
        let scan = (offset + size).max((positions - 1) * stride + extent);
        let selections = Vec::new(); // filled in below, once the sizes are checked
        let frames = 1;
        Axis { size, positions, filter, stride, dilation, frames, offset, extent, scan, selections }
    });
    check_side(stage, [axes[0].scan, axes[1].scan.saturating_mul(frames)])?;
    if window.border != Border::Constant {
        for (i, axis) in axes.iter_mut().enumerate() {
            axis.selections = selections(stage, window, from, i, axis)?;
        }
    }
    Ok(axes)
}

/// What the elements of a window read on the border, which must be a place that it covers.
fn selections(
    stage: &str,
    window: &Window,
    image: [usize; 2],
    i: usize,
    axis: &Axis,
) -> Result<Vec<Vec<(usize, usize)>>> {
    let what = ["rows", "columns"][i];
    let starts = |position: usize| position * axis.stride;
    let inside = |position: &usize| {
        starts(*position) >= axis.offset
            && starts(*position) + axis.extent <= axis.offset + axis.size
    };
    let over: Vec<usize> = (0..axis.positions).filter(|position| !inside(position)).collect();
    let mut selections = vec![Vec::new(); axis.filter];
    if over.len().saturating_mul(axis.filter) > MAX_SELECTIONS {
        let what = format!(
            "{} {what} of windows of {} reach over the border; expected at most {MAX_SELECTIONS} \
             in all: use a constant border or valid padding",
            over.len(),
            axis.filter
        );
        return Err(refuse(stage, what));
    }
    for position in over {
        for (element, list) in selections.iter_mut().enumerate() {
            let (mut elements, mut positions) = ([0, 0, 0], [0, 0]);
            (elements[i + 1], positions[i]) = (element, position);
            // The other axis may lie over the border too, but its pixel is that of one axis alone.
            let source = window.source([1, image[0], image[1]], elements, positions)?.unwrap_or(0);
            let pixel = if i == 0 { source / image[1] } else { source % image[1] };
            let place = pixel + axis.offset;
            let covered = starts(position)..starts(position) + axis.extent;
            if !covered.contains(&place) {
                let what = format!(
                    "border {:?}: the window at position {position} of the {what} needs {} {pixel} \
                     of the image, which it does not cover and the hardware no longer has; use a \
                     constant border, valid padding, or less padding",
                    window.border,
                    what.trim_end_matches('s'),
                );
                return Err(refuse(stage, what));
            }
            let reads = place - covered.start;
            if reads != element * axis.dilation {
                list.push((covered.end - 1, reads));
            }
        }
    }
    Ok(selections)
}

pub(super) fn refuse(stage: &str, what: String) -> Error {
    Error::Stage { stage: stage.to_owned(), what }
}
