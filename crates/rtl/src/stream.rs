//! AXI4-Stream video filters in Verilog-2001 from a chain of stages.
//!
//! A [`Stream`] prints the hardware of a [`Stages`] for images of one size: pixels in, one a clock
//! cycle, pixels out. Each stage keeps the lines that its window covers and computes the window's
//! netlist once, for whatever pixel comes by, so that the hardware grows with the network and the
//! width of the image alone, not with the number of positions. All is in one file without outside
//! modules.
//!
//! A stage with a window scans its image with the borders that windows reach over: at places within
//! the image it takes a pixel, at others it goes on by itself. Where a window ends, at every stride,
//! it gives what the netlist says. Reflecting and replicating borders choose other places of the
//! window by its row and column.
//!
//! Frames that a number is spread over follow one another pixel by pixel, so that no image is kept:
//! lines and windows have room for a pixel's frames, and the netlists are there once. Where an image
//! goes two ways that meet again, the way that is ahead waits in a queue, whose places follow from the
//! scans: nothing can come to a stop, however both ends stall.
//!
//! What a stage cannot do is refused by [`validate`] with its name and a remedy: borders that need
//! pixels which the window does not cover (wrap; reflections wider than the window), and sizes
//! beyond the limits.
//!
//! [`Stages`]: lutweave_lut::Stages

mod bench;
mod clocks;
mod enlarge;
mod flow;
mod frames;
mod guard;
mod join;
mod modulate;
mod plan;
mod queue;
mod slide;
mod top;

use std::fmt;
use std::path::Path;

use lutweave_lut::Stages;

use crate::blocks::check_name;
use crate::{Files, Result};
use clocks::Clocks;
use frames::Frames;
pub use frames::tile;
use plan::{Plan, Work};

/// Frames of the test bench when the caller gives none.
const DEFAULT_FRAMES: usize = 3;

/// A streaming export: the module's name, the size of the images, and what its bench is fed with.
///
/// ```
/// use lutweave_lut::{NetlistBuilder, Padding, Pixel, Role, Stages, TruthTable, Window};
/// use lutweave_rtl::Stream;
///
/// // The OR of 2 x 2 bits at every second row and column.
/// let mut build = NetlistBuilder::new("or")?;
/// let x = build.input("x", 4, 1)?;
/// build.group("or", Role::Core)?;
/// let y = build.lut("y", &x, TruthTable::from_fn(4, |k| k > 0)?)?;
/// build.output("y", 1, &[y])?;
/// let mut stages = Stages::new("pool", Pixel { channels: 1, width: 1 })?;
/// stages.slide("pool", Window::new([2, 2]).stride([2, 2]), 0, build.finish()?)?;
///
/// let stream = Stream::new("pool").image([6, 8]);
/// let info = stream.info(&stages)?;
/// assert_eq!((info.output, info.clocks_per_frame), ([3, 4], 48));
/// let dir = tempfile::tempdir()?;
/// let files = stream.write(&stages, dir.path())?;
/// assert!(files.module.ends_with("pool.v"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    module: String,
    image: [usize; 2],
    registers: bool,
    probes: bool,
    frames: Option<Vec<u64>>,
}

/// What a stream takes and costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Rows and columns of the images that come out.
    pub output: [usize; 2],
    /// Clock cycles from the last pixel out of the second image to that of the third, where images
    /// come without a gap and nothing waits for what comes out: the initiation interval.
    pub clocks_per_frame: usize,
    /// Clock cycles from the first pixel of an image in to the first out, from reset.
    pub latency: usize,
    /// Clock cycles from the first pixel of an image in to the last of it out, from reset.
    pub frame_latency: usize,
    /// Bits of all line buffers.
    pub line_buffer_bits: usize,
    /// Bits of the registers that hold the windows.
    pub window_bits: usize,
    /// The stages.
    pub stages: Vec<StageInfo>,
}

/// What one stage of a stream takes and costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageInfo {
    /// Its name.
    pub name: String,
    /// Rows and columns of its image.
    pub image: [usize; 2],
    /// Rows and columns of what it gives.
    pub output: [usize; 2],
    /// Rows and columns of its scan: a clock cycle for each place, of which a pixel has one for each
    /// of its frames.
    pub scan: [usize; 2],
    /// Clock cycles of the netlist of its window.
    pub netlist_latency: usize,
    /// Bits of its line buffers, or of the queues of a join.
    pub line_buffer_bits: usize,
    /// Bits of the registers that hold its window.
    pub window_bits: usize,
}

impl Stream {
    /// An export of a module called `module`, for images of 28 x 28 pixels.
    pub fn new(module: impl Into<String>) -> Self {
        let module = module.into();
        Self { module, image: [28, 28], registers: true, probes: false, frames: None }
    }

    /// Sets the size of the images, `[height, width]`.
    #[must_use]
    pub fn image(self, image: [usize; 2]) -> Self {
        Self { image, ..self }
    }

    /// Whether registers follow every group of each netlist, a clock cycle a layer. The default;
    /// without, the netlist of a window is combinational.
    #[must_use]
    pub fn registers(self, registers: bool) -> Self {
        Self { registers, ..self }
    }

    /// Feeds the test bench with these images instead of three random ones: one number a word,
    /// `[frames, channels, height, width]`.
    #[must_use]
    pub fn frames(self, frames: &[u64]) -> Self {
        Self { frames: Some(frames.to_vec()), ..self }
    }

    /// Whether the test bench compares what comes out of every stage, not only of the last.
    #[must_use]
    pub fn probes(self, probes: bool) -> Self {
        Self { probes, ..self }
    }

    /// Name of the module.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// What the stream takes and costs. Follows three images clock cycle by clock cycle: some 20 ns
    /// for each place of each stage, seconds for the largest images.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn info(&self, stages: &Stages) -> Result<StreamInfo> {
        Ok(StreamInfo::new(&self.plan(stages)?))
    }

    /// The text of all modules.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub fn module_text(&self, stages: &Stages) -> Result<String> {
        let plan = self.plan(stages)?;
        top::emit(&plan, &StreamInfo::new(&plan), self)
    }

    /// Writes the modules, their test bench, its images and the answers expected to them into the
    /// folder `dir`, which is made where it is missing. Files of the same names are replaced.
    ///
    /// The answers are those of [`Stages::evaluate`].
    ///
    /// # Errors
    ///
    /// As [`validate`], and before anything is written: [`Error::Length`](crate::Error::Length) when
    /// the frames are no whole number of images, at least one;
    /// [`Error::Netlist`](crate::Error::Netlist) when a value does not fit, or a window has too many
    /// positions to be evaluated; [`Error::Unsupported`](crate::Error::Unsupported) when all frames
    /// have more than 2^25 words; [`Error::Io`](crate::Error::Io).
    pub fn write(&self, stages: &Stages, dir: impl AsRef<Path>) -> Result<Files> {
        let plan = self.plan(stages)?;
        let frames = match &self.frames {
            Some(values) => Frames::new(stages, self.image, values, self.probes)?,
            None => Frames::random(stages, self.image, DEFAULT_FRAMES, self.probes)?,
        };
        let info = StreamInfo::new(&plan);
        let module = top::emit(&plan, &info, self)?;
        let bench = bench::emit(&plan, &info, &frames, &self.module)?;
        Files::save(dir.as_ref(), &self.module, [&module, &bench, &frames.inputs, &frames.expected])
    }

    fn plan(&self, stages: &Stages) -> Result<Plan> {
        check_name(&self.module)?;
        Plan::new(stages, self.image, &self.module, self.registers)
    }
}

impl StreamInfo {
    fn new(plan: &Plan) -> Self {
        let clocks = Clocks::of(plan);
        let stage = |(index, stage): (usize, &plan::StagePlan)| StageInfo {
            name: stage.name.clone(),
            image: stage.image,
            output: stage.output_image,
            scan: stage.scan(),
            netlist_latency: match stage.work {
                Work::Slide { latency, .. } | Work::Modulate { latency, .. } => latency,
                _ => 0,
            },
            line_buffer_bits: plan.line_bits(index),
            window_bits: stage.window_bits(),
        };
        let stages: Vec<StageInfo> = plan.stages.iter().enumerate().map(stage).collect();
        Self {
            output: plan.output_image,
            clocks_per_frame: clocks.frame,
            latency: clocks.first,
            frame_latency: clocks.last,
            line_buffer_bits: stages.iter().map(|stage| stage.line_buffer_bits).sum(),
            window_bits: stages.iter().map(|stage| stage.window_bits).sum(),
            stages,
        }
    }
}

/// Refuses what cannot be streamed.
///
/// # Errors
///
/// [`Error::ModuleName`](crate::Error::ModuleName); [`Error::Netlist`](crate::Error::Netlist) when a
/// window does not fit its image; [`Error::Stage`](crate::Error::Stage), which names the stage and a
/// remedy, for borders that need pixels the window does not cover, and for pixels, windows, images
/// and line buffers that are too large; [`Error::Unsupported`](crate::Error::Unsupported) for a chain
/// without stages and for netlists that cannot be printed.
pub fn validate(stages: &Stages, options: &Stream) -> Result<()> {
    options.plan(stages).map(drop)
}

/// Prints all modules to `out`.
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) if the writer fails; without [`validate`] before it, also
/// its errors, and nothing is written then.
pub fn emit(stages: &Stages, options: &Stream, out: &mut impl fmt::Write) -> Result<()> {
    Ok(out.write_str(&options.module_text(stages)?)?)
}
