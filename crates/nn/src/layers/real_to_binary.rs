//! Real to binary: a number becomes bits, spread over frames (time) and nodes (depth).
//!
//! With `Mf` frames and depth `Md`, input frame `f` becomes output frames `f·Mf + k`, and input
//! node `(c, p)` of shape `[c, points..]` becomes nodes `((c·Md + d)·points + p)`; the output shape
//! is `[c·Md, points..]`. All in f32 and in this order:
//!
//! ```text
//! t = ((x − low) / (high − low) − d / Md) · Md          the part of the number that depth d shows
//! ramp                bit = clamp((t − k / Mf) · Mf, 0, 1) > 0.5
//! uniform, normal     bit = t > a drawn threshold
//! diffusion           a = clamp(t, 0, 1) + e;  bit = a > 0.5;  e = a − bit, from e = 0 at k = 0
//! ```
//!
//! so a ramp has the thresholds `low + (high − low) · (d / Md + (k + 0.5) / (Mf · Md))`. In real
//! mode a ramp gives the clamped number instead of the bit, and the number itself, untouched and
//! with as many frames, where `Md` is 1.
//!
//! Thresholds are drawn for each frame, or for each frame and input node. While training they are
//! new in every step. In evaluation, frame `k` of every sample has the same ones, so an answer
//! depends on the sample alone, not on the batch it is in.
//!
//! The gradient passes unchanged where nothing is spread (`Md = 1`, and `Mf = 1` or real mode), and
//! is zero otherwise.
//!
//! Source: `RealToBinary` of `BinaryBrain`, whose gradient is undefined memory where it is zero here,
//! and which has neither diffusion nor fixed thresholds in evaluation.

mod clocks;

use std::sync::Arc;

use lutweave_backend::{Backend, Levels, Modulation, Thresholds};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer, node_count, rng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::byte_cells::{self, BYTE};
use super::steps::Steps;
use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as};
use crate::{Error, Layer, LayerSpec, Result, Saved, Signal, Site, StateTensor, StepState};

/// Most frames or depth of one number.
const MAX_SIZE: usize = 1 << 16;

/// The use of this layer's random stream.
const USE: u64 = u64::from_be_bytes(*b"modulate");

/// How the threshold of a modulated frame is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Generator {
    /// Evenly spaced.
    #[default]
    Ramp,
    /// Drawn, uniform from `low` to `high`.
    Uniform {
        /// The least threshold.
        low: f32,
        /// The bound of the thresholds.
        high: f32,
    },
    /// Drawn from a normal distribution.
    Normal {
        /// Its mean.
        mean: f32,
        /// Its standard deviation.
        deviation: f32,
    },
    /// The middle; the error of each frame is carried to the next.
    Diffusion,
}

impl Generator {
    fn is_random(self) -> bool {
        matches!(self, Self::Uniform { .. } | Self::Normal { .. })
    }

    fn draw(self, stream: &mut rng::Xoshiro256PlusPlus) -> f32 {
        match self {
            Self::Uniform { low, high } => low + (high - low) * rng::uniform(stream),
            Self::Normal { mean, deviation } => mean + deviation * rng::normal(stream),
            Self::Ramp | Self::Diffusion => 0.5,
        }
    }
}

/// Settings of a modulation.
///
/// ```
/// use lutweave_nn::{BinaryToReal, LutLayer, RealToBinary, Sequential};
///
/// // Each u8 image becomes 15 frames of bits; the scores are means over them.
/// let net = Sequential::new(&[16])
///     .then(RealToBinary::new().range(0.0, 255.0).frames(15))
///     .then(LutLayer::new(20).fan_in(4))
///     .then(BinaryToReal::new().frames(15).output(&[10]))
///     .build(1)?;
/// assert_eq!(net.output().shape, [10]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealToBinary {
    frames: usize,
    depth: usize,
    low: f32,
    high: f32,
    generator: Generator,
    framewise: bool,
    binary: bool,
}

impl Default for RealToBinary {
    fn default() -> Self {
        Self::new()
    }
}

impl RealToBinary {
    /// One bit a number, from the range 0 to 1: `x > 0.5`.
    pub fn new() -> Self {
        let generator = Generator::Ramp;
        Self { frames: 1, depth: 1, low: 0.0, high: 1.0, generator, framewise: false, binary: true }
    }

    /// Frames of each frame, `Mf`.
    #[must_use]
    pub fn frames(self, frames: usize) -> Self {
        Self { frames, ..self }
    }

    /// Nodes of each node, `Md`.
    #[must_use]
    pub fn depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// The numbers that become 0 and 1; for u8 data usually 0 and 255.
    #[must_use]
    pub fn range(self, low: f32, high: f32) -> Self {
        Self { low, high, ..self }
    }

    /// How thresholds are chosen.
    #[must_use]
    pub fn generator(self, generator: Generator) -> Self {
        Self { generator, ..self }
    }

    /// Whether all nodes share the drawn threshold of a frame; otherwise each input node has its
    /// own.
    #[must_use]
    pub fn framewise(self, framewise: bool) -> Self {
        Self { framewise, ..self }
    }

    /// Whether it gives bits; otherwise, in real mode, numbers.
    #[must_use]
    pub fn binary(self, binary: bool) -> Self {
        Self { binary, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("real_to_binary", config)
    }

    fn check(&self, site: &Site<'_>) -> Result<()> {
        for (option, size) in [("frames", self.frames), ("depth", self.depth)] {
            if !(1..=MAX_SIZE).contains(&size) {
                return Err(site.option_error(option, format!("1 to {MAX_SIZE}"), size));
            }
        }
        if !(self.low < self.high && (self.high - self.low).is_finite()) {
            let expected = "finite numbers, the lower one first";
            return Err(site.option_error("range", expected, (self.low, self.high)));
        }
        let drawn = match self.generator {
            Generator::Uniform { low, high } => low <= high && (high - low).is_finite(),
            Generator::Normal { mean, deviation } => {
                mean.is_finite() && deviation.is_finite() && deviation >= 0.0
            }
            Generator::Ramp | Generator::Diffusion => true,
        };
        if !drawn {
            let expected = "finite numbers: a rising range, or a mean and a deviation from 0";
            return Err(site.option_error("generator", expected, self.generator));
        }
        if !self.binary && self.generator != Generator::Ramp {
            return Err(site.option_error("generator", "`Ramp` in real mode", self.generator));
        }
        Ok(())
    }

    fn passes_input(&self) -> bool {
        !self.binary && self.depth == 1
    }
}

impl LayerSpec for RealToBinary {
    fn kind(&self) -> &'static str {
        "real_to_binary"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        self.check(site)?;
        if !matches!(site.input().dtype, DType::U8 | DType::F32) {
            return Err(site.input_error("numbers of u8 or f32"));
        }
        let mut shape = site.input().shape.clone();
        shape[0] = shape[0].checked_mul(self.depth).unwrap_or(0); // refused below
        node_count("real to binary", &shape)?;
        let dtype = match self.binary {
            true => DType::Bit,
            false if self.depth == 1 => site.input().dtype,
            false => DType::F32,
        };
        Ok(Box::new(Modulator {
            base: Base::new(self.clone(), site, Signal { dtype, shape }),
            spec: self.clone(),
            steps: Steps::new(site, USE),
        }))
    }
}

/// The built modulation.
#[derive(Debug)]
struct Modulator {
    base: Base,
    spec: RealToBinary,
    steps: Steps,
}

impl Modulator {
    fn modulation(&self) -> Modulation {
        let RealToBinary { frames, depth, low, high, .. } = self.spec;
        Modulation { frames, depth, low, high }
    }

    /// The answer with thresholds from `seed`, for every frame or for every sample alike.
    fn run(
        &self,
        x: &FrameBuffer,
        seed: impl FnOnce() -> u64,
        per_frame: bool,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        self.base.check(x)?;
        if self.spec.passes_input() {
            return Ok(x.clone());
        }
        let frames = x.frames().saturating_mul(self.spec.frames); // too many are refused
        let mut y =
            FrameBuffer::zeros(self.base.output().dtype, &self.base.output().shape, frames)?;
        let modulation = self.modulation();
        match self.spec.generator {
            Generator::Ramp => backend.modulate(x, &modulation, Levels::Ramp, &mut y)?,
            Generator::Diffusion => backend.modulate(x, &modulation, Levels::Diffusion, &mut y)?,
            Generator::Uniform { .. } | Generator::Normal { .. } => {
                let per_node = !self.spec.framewise;
                let period = if per_frame { frames } else { self.spec.frames };
                let values = self.thresholds(seed(), per_node, period)?;
                let thresholds = Thresholds { values: &values, per_node, per_frame };
                backend.modulate(x, &modulation, Levels::Given(thresholds), &mut y)?;
            }
        }
        Ok(y)
    }

    /// Thresholds of `period` frames for every row; each row has its own stream.
    fn thresholds(&self, seed: u64, per_node: bool, period: usize) -> Result<Vec<f32>> {
        let rows = if per_node { self.base.input().nodes() } else { 1 };
        let mut values = vec![0f32; node_count("thresholds", &[rows, period])?];
        values.par_chunks_mut(period).enumerate().for_each(|(row, values)| {
            let mut stream = rng::stream(seed, &[row as u64]);
            values.fill_with(|| self.spec.generator.draw(&mut stream));
        });
        Ok(values)
    }

    /// For each output node the input node and the depth.
    fn outputs(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.base.output().nodes()).map(|node| self.source(node))
    }

    /// The input node and the depth of an output node.
    fn source(&self, node: usize) -> (usize, usize) {
        let (points, depth) =
            (self.base.input().nodes() / self.base.input().shape[0], self.spec.depth);
        (node / points / depth * points + node % points, node / points % depth)
    }
}

impl Layer for Modulator {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        let of = |(node, _): (usize, usize)| inputs[0].get(node).cloned();
        vec![self.outputs().map(of).collect::<Option<_>>().unwrap_or_default()]
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.run(x, || self.steps.evaluation(), false, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let y = self.run(&x, || self.steps.training(), true, backend)?;
        Ok((y, Box::new(x.frames())))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let frames = *saved_as::<usize>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        if self.spec.depth == 1 && (!self.spec.binary || self.spec.frames == 1) {
            return Ok(Some(dy.clone()));
        }
        Ok(Some(FrameBuffer::zeros(DType::F32, &self.base.input().shape, frames)?))
    }

    fn before_step(&self) -> StepState {
        self.steps.before_step()
    }

    fn undo_step(&mut self, before: StepState) {
        self.steps.undo_step(&before);
    }

    fn state(&self) -> Vec<StateTensor> {
        if self.spec.generator.is_random() { self.steps.state() } else { Vec::new() }
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        if self.spec.generator.is_random() {
            return self.steps.restore(state, self.base.path());
        }
        if state.is_empty() {
            return Ok(());
        }
        let what = "only random thresholds have state".to_owned();
        Err(Error::State { layer: self.base.path().to_owned(), what })
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(BYTE)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if self.spec.passes_input() {
            return Ok(input.clone());
        }
        if self.spec.frames > 1 {
            return self.over_clocks(name, input, build);
        }
        let bytes = self.base.input().dtype == DType::U8;
        if !bytes || !self.spec.binary || self.spec.generator != Generator::Ramp {
            return elementwise::freeze(self, name, input, |node| self.source(node).0, build);
        }
        let modulation = self.modulation();
        let tables = byte_cells::tables(self.spec.depth, |backend, x, y| {
            backend.modulate(x, &modulation, Levels::Ramp, y)
        })?;
        byte_cells::freeze(self.base.path(), name, input, &tables, self.outputs(), build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if self.spec.passes_input() {
            return Ok(());
        }
        if self.spec.frames > 1 {
            return self.as_frames(name, chain);
        }
        chain.elementwise(name, self, |node| self.source(node).0)
    }
}

#[cfg(test)]
mod tests;
