//! A modulation over frames as hardware: one frame a clock, counted from reset.
//!
//! The thresholds of frame `k` are the same for every sample, drawn ones too, so they are a table of
//! the clock: the input is compared with the threshold that a counter chooses. Where a bit is no
//! comparison, as with error diffusion, it is a table of clock and input together. In a filter over
//! images, the clock is the number of the frame of a pixel.

use lutweave_backend::Cpu;
use lutweave_lut::{Net, NetlistBuilder, Role, bits_for};
use lutweave_tensor::FrameBuffer;

use super::Modulator;
use crate::hardware::{Cells, StageChain, counter};
use crate::layer::Frozen;
use crate::{Error, Layer, Result};

/// Most clocks of one sample.
const MAX_CLOCKS: usize = 1 << 10;

/// Most bits that are looked at: nodes, by frames, by what an input can be.
const MAX_BITS: usize = 1 << 30;

impl Modulator {
    /// The modulated bits of the present clock.
    pub(super) fn over_clocks(
        &self,
        name: &str,
        input: &Frozen,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let y = self.all_bits(input)?;
        build.group(name, Role::Encoder)?;
        let clock = counter(&format!("{name}_clock"), self.spec.frames, build)?;
        let rows = self.outputs().map(|(source, _)| source).enumerate();
        let mut given = self.bits_of_frame(name, &y, rows, input, &clock, build)?;
        (given.clocks, given.held) = (self.spec.frames, self.spec.frames);
        Ok(given)
    }

    /// As a stage that gives the frames of each pixel, or of the one place there is.
    pub(super) fn as_frames(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        // Points of an image, which are alike.
        let input = self.base.input();
        let points = if chain.is_image() { input.nodes() / input.shape[0] } else { 1 };
        let frames = self.spec.frames;
        chain.modulate(name, frames, |pixel, frame, build| {
            let nodes = pixel.words.len() * points;
            let y = self.all_bits(&pixel.nodes((0..nodes).map(|node| node / points)))?;
            let row = |node: usize| Ok::<_, Error>(&y.rows::<u64>()?[node * y.stride()..][..y.stride()]);
            for node in 0..y.nodes() {
                if row(node)? != row(node / points * points)? {
                    return Err(self.base.freeze_error(
                        "its thresholds differ from pixel to pixel, which a filter that slides over \
                         images cannot have: draw one for all nodes of a frame (framewise), or take \
                         a ramp",
                    ));
                }
            }
            build.group(name, Role::Encoder)?;
            let rows = (0..y.nodes()).step_by(points);
            let rows = rows.map(|node| (node, self.source(node).0 / points));
            self.bits_of_frame(name, &y, rows, pixel, frame, build)
        })
    }

    /// The bits of every node: frame `e · Mf + k` has those of frame `k` where all inputs are `e`.
    fn all_bits(&self, input: &Frozen) -> Result<FrameBuffer> {
        let (base, frames) = (&self.base, self.spec.frames);
        if !self.spec.binary {
            let why = "it gives real numbers over several frames; switch binary mode on";
            return Err(base.freeze_error(why));
        }
        if input.clocks != 1 {
            let why = "it modulates what is modulated already; use one modulation over frames";
            return Err(base.freeze_error(why));
        }
        let x = input.batch(base)?;
        let bits = x.frames().saturating_mul(frames).saturating_mul(base.output().nodes());
        if frames > MAX_CLOCKS || bits > MAX_BITS {
            return Err(base.freeze_error(format!(
                "it makes {frames} frames of {} inputs; hardware takes at most {MAX_CLOCKS} clocks a \
                 sample, and tables of {MAX_BITS} bits: use fewer frames",
                base.input().nodes()
            )));
        }
        self.evaluate(&x, &Cpu::new())
    }

    /// The bits of some nodes of `y` in the frame whose number `clock` is, each with the word of the
    /// input that it is made of.
    fn bits_of_frame(
        &self,
        name: &str,
        y: &FrameBuffer,
        rows: impl Iterator<Item = (usize, usize)>,
        input: &Frozen,
        clock: &[Net],
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let (frames, entries) = (self.spec.frames, y.frames() / self.spec.frames);
        let mut cells = Cells::new(name, build);
        let mut words = Vec::new();
        for (node, source) in rows {
            let row = &y.rows::<u64>()?[node * y.stride()..][..y.stride()];
            let seen = Seen { row, frames, entries: input.count(source).min(entries) };
            words.push(vec![seen.freeze(clock, &input.words[source], &mut cells)?]);
        }
        Ok(input.with(words))
    }
}

/// The bit of one node for each entry of its input and each frame.
struct Seen<'a> {
    row: &'a [u64],
    frames: usize,
    entries: usize,
}

impl Seen<'_> {
    fn bit(&self, entry: usize, frame: usize) -> bool {
        let at = entry * self.frames + frame;
        self.row[at / 64] >> (at % 64) & 1 == 1
    }

    /// The least entry whose bit is one in a frame, where all above it are; one past the last where
    /// there is none.
    fn threshold(&self, frame: usize) -> Option<u64> {
        let least = (0..self.entries).find(|&entry| self.bit(entry, frame));
        let least = least.unwrap_or(self.entries);
        (least..self.entries).all(|entry| self.bit(entry, frame)).then_some(least as u64)
    }

    fn freeze(&self, clock: &[Net], word: &[Net], cells: &mut Cells<'_>) -> Result<Net> {
        let thresholds: Option<Vec<u64>> = (0..self.frames).map(|k| self.threshold(k)).collect();
        let Some(thresholds) = thresholds else { return self.table(clock, word, cells) };
        if thresholds.iter().all(|&threshold| threshold == thresholds[0]) {
            let above: Vec<bool> = (0..self.entries).map(|entry| self.bit(entry, 0)).collect();
            return cells.function(word, &above);
        }
        let threshold = cells.recode(clock, &thresholds)?;
        let below = cells.greater(&threshold, word)?;
        cells.not(below)
    }

    /// The bit as a table of the clock, below, and the input, above.
    fn table(&self, clock: &[Net], word: &[Net], cells: &mut Cells<'_>) -> Result<Net> {
        let digits = bits_for(self.frames - 1);
        let both: Vec<Net> = clock.iter().chain(word).copied().collect();
        let mut table = vec![false; self.entries << digits];
        for entry in 0..self.entries {
            for frame in 0..self.frames {
                table[entry << digits | frame] = self.bit(entry, frame);
            }
        }
        cells.function(&both, &table)
    }
}
