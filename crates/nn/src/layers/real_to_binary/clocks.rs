//! A modulation over frames as hardware: one frame a clock, counted from reset.
//!
//! The thresholds of frame `k` are the same for every sample, drawn ones too, so they are a table of
//! the clock: the input is compared with the threshold that a counter chooses. Where a bit is no
//! comparison, as with error diffusion, it is a table of clock and input together.

use lutweave_backend::Cpu;
use lutweave_lut::{Net, NetlistBuilder, Role, bits_for};

use super::Modulator;
use crate::hardware::{Cells, counter};
use crate::layer::Frozen;
use crate::{Layer, Result};

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
        let y = self.evaluate(&x, &Cpu::new())?;
        build.group(name, Role::Encoder)?;
        let clock = counter(&format!("{name}_clock"), frames, build)?;
        let mut cells = Cells::new(name, build);
        let mut words = Vec::with_capacity(y.nodes());
        for (node, (source, _)) in self.outputs().enumerate() {
            let row = &y.rows::<u64>()?[node * y.stride()..][..y.stride()];
            let seen = Seen { row, frames, entries: input.count(source).min(x.frames()) };
            words.push(vec![seen.freeze(&clock, &input.words[source], &mut cells)?]);
        }
        let mut given = input.with(words);
        (given.clocks, given.held) = (frames, frames);
        Ok(given)
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
