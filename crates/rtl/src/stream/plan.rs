//! What each stage does with its image: where its scan begins, reads, and gives a pixel.

use lutweave_lut::{Border, Netlist, Operation, Padding, Pixel, Stages, Window};

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

/// One stage.
#[derive(Debug)]
pub(super) struct StagePlan {
    pub(super) name: String,
    pub(super) pixel: Pixel,
    pub(super) image: [usize; 2],
    pub(super) output: Pixel,
    pub(super) output_image: [usize; 2],
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
}

/// The scan along one axis: `scan` places, of which those from `offset` on are the pixels of the
/// image. A window covers `extent` of them and ends at place `extent - 1 + position * stride`.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) positions: usize,
    pub(super) filter: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
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
        self.extent - 1 + (self.positions - 1) * self.stride
    }
}

impl StagePlan {
    /// Rows and columns of the scan: it takes a clock cycle for each place.
    pub(super) fn scan(&self) -> [usize; 2] {
        match &self.work {
            Work::Slide { axes, .. } => [axes[0].scan, axes[1].scan],
            Work::Enlarge { .. } => self.output_image,
        }
    }

    /// Whether its first pixel is given before any pixel of the image was taken, as the window
    /// lies in the border: then the scan has to wait for an image to begin.
    pub(super) fn waits(&self) -> bool {
        match &self.work {
            Work::Slide { axes, .. } => {
                let [y, x] = axes.as_ref();
                (y.first_end(), x.first_end()) < (y.offset, x.offset)
            }
            Work::Enlarge { .. } => false,
        }
    }

    /// Registers on the way from the scan to the hand-over.
    pub(super) fn depth(&self) -> usize {
        match self.work {
            Work::Slide { latency, .. } => latency + 1,
            Work::Enlarge { .. } => 1,
        }
    }

    /// Bits of its line buffers.
    pub(super) fn line_bits(&self) -> usize {
        match &self.work {
            Work::Slide { axes, .. } if axes[1].scan > 1 => {
                let lines = (axes[0].extent - 1).saturating_mul(axes[1].scan);
                lines.saturating_mul(self.pixel.bits())
            }
            Work::Enlarge { factors } if self.keeps_a_line(*factors) => {
                self.image[1] * self.pixel.bits()
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
            Work::Enlarge { .. } => self.pixel.bits(),
        }
    }

    /// Whether an enlargement has to keep a line to repeat it.
    pub(super) fn keeps_a_line(&self, factors: [usize; 2]) -> bool {
        factors[0] > 1 && self.image[1] > 1
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
        let mut pixel = stages.input();
        for (stage, pair) in stages.stages().iter().zip(images.windows(2)) {
            let (from, to) = (pair[0], pair[1]);
            check_pixel(&stage.name, stage.output)?;
            let work = match &stage.operation {
                Operation::Slide { window, outside, netlist } => {
                    let axes = axes(&stage.name, window, from, to)?;
                    check_window(&stage.name, &axes, pixel)?;
                    let (net, latency) = plan.net(&stage.name, netlist, module, registers)?;
                    let constant = window.border == Border::Constant;
                    Work::Slide { axes: Box::new(axes), constant, outside: *outside, net, latency }
                }
                Operation::Enlarge { factors } => Work::Enlarge { factors: *factors },
            };
            let (name, output) = (stage.name.clone(), stage.output);
            let planned = StagePlan { name, pixel, image: from, output, output_image: to, work };
            check_side(&planned.name, planned.scan())?;
            plan.stages.push(planned);
            pixel = stage.output;
            plan.output_image = to;
        }
        plan.check()?;
        Ok(plan)
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

    fn check(&self) -> Result<()> {
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
        let mut bits = 0usize;
        for stage in &self.stages {
            bits = bits.saturating_add(stage.line_bits());
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
fn axes(stage: &str, window: &Window, from: [usize; 2], to: [usize; 2]) -> Result<[Axis; 2]> {
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
        Axis { size, positions, filter, stride, dilation, offset, extent, scan, selections }
    });
    check_side(stage, [axes[0].scan, axes[1].scan])?;
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
