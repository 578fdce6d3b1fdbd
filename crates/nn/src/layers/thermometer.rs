//! Thermometer encoding: a number becomes one bit per threshold.
//!
//! For input node `(c, p)` of shape `[c, points..]` and level `l`, the output node
//! `((c · levels + l) · points + p)` is `x > t[c, p, l]`. The output shape is
//! `[c · levels, points..]`, so for images the levels are channels. There is no gradient to the
//! input; thresholds have one where they are learned ([`Thermometer::learn`]).
//!
//! In hardware each threshold that differs from the others of its input is one comparator against
//! a constant; thresholds no input value can pass or fail are constants.

mod learned;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use lutweave_backend::{Backend, Cpu};
use lutweave_lut::{Net, NetlistBuilder, Role, bits_for};
use lutweave_tensor::{Array, DType, Dataset, FrameBuffer, Values};
use serde::{Deserialize, Serialize};

use self::learned::Learned;
use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as};
use crate::{Error, Layer, LayerSpec, Parameter, Result, Saved, Signal, Site, StateTensor};

/// Most thresholds of one input.
const MAX_LEVELS: usize = 255;

/// Settings of a thermometer encoder: its thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thermometer {
    levels: usize,
    /// Bits of the unsigned numbers that hardware reads.
    width: usize,
    thresholds: Thresholds,
    /// Half the width of the smooth step that gradients are of; none where thresholds stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learn: Option<f32>,
}

/// Thresholds in rising order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Thresholds {
    /// The same levels for every input.
    Shared(Vec<f32>),
    /// `levels` for each channel in turn, the same for all of its inputs.
    Channels(Vec<f32>),
    /// `levels` for each input in turn.
    Each(Vec<f32>),
}

impl Thermometer {
    /// Evenly spaced thresholds between the smallest and the largest value of a data set,
    /// the same for every input: `low + (high − low) · l / (levels + 1)`, `l` from 1.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when there are no levels or too many, or the data set is empty or holds
    /// values that are not finite.
    pub fn uniform(data: &Dataset, levels: usize) -> Result<Self> {
        let (low, high) = range(data, levels)?;
        let step = |l: usize| low + (high - low) * l as f32 / (levels + 1) as f32;
        let thresholds = Thresholds::Shared((1..=levels).map(step).collect());
        Ok(Self { levels, width: width(high), thresholds, learn: None })
    }

    /// Thresholds at the quantiles of each input over a data set (distributive thermometer, DWN,
    /// Bacellar et al. 2024): of its `n` sorted values the one at place `n · l / (levels + 1)`.
    ///
    /// # Errors
    ///
    /// As [`uniform`](Self::uniform).
    pub fn fit(data: &Dataset, levels: usize) -> Result<Self> {
        let (_, high) = range(data, levels)?;
        let thresholds = Thresholds::Each(quantiles(data, 1, levels)?);
        Ok(Self { levels, width: width(high), thresholds, learn: None })
    }

    /// Thresholds at the quantiles of each channel of `[c, points..]`, as [`fit`](Self::fit) but over
    /// all of a channel's inputs together, which share them.
    ///
    /// # Errors
    ///
    /// As [`uniform`](Self::uniform).
    pub fn fit_channels(data: &Dataset, levels: usize) -> Result<Self> {
        let (_, high) = range(data, levels)?;
        let points = data.sample_size() / data.shape()[0];
        let thresholds = Thresholds::Channels(quantiles(data, points, levels)?);
        Ok(Self { levels, width: width(high), thresholds, learn: None })
    }

    /// Lets training move the thresholds, which begin where they are and keep their order. Their
    /// gradient is that of a smooth step from 0 at `t − width` to 1 at `t + width`, in units of the
    /// input: a sample within `width` of a threshold has a say in where that goes. A quarter of the
    /// range of the input is a good width.
    ///
    /// The bits are those of `x > t` all the while, so that the network as it trains and its netlist
    /// see the same. Inputs that share thresholds go on sharing them; thresholds of bytes that come
    /// to lie between the same two are one comparator.
    ///
    /// The layer behind such an encoder has to make the gradient of its input, which takes time; the
    /// layers before it get none.
    ///
    /// ```
    /// use lutweave_nn::{LutLayer, Sequential, Thermometer};
    /// use lutweave_tensor::{Dataset, Targets, Values};
    ///
    /// let labels = Targets::Classes { count: 2, labels: vec![0, 1, 0] };
    /// let data = Dataset::new("three", &[1], Values::U8(vec![7, 40, 200]), labels)?;
    /// let encoder = Thermometer::fit(&data, 2)?.learn(64.0);
    /// let mut net = Sequential::new(&[1]).then(encoder).then(LutLayer::new(4).fan_in(2)).build(1)?;
    /// assert_eq!(net.parameters_mut()[0].path, "0.thermometer.first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn learn(self, width: f32) -> Self {
        Self { learn: Some(width), ..self }
    }

    /// [`learn`](Self::learn) with a width of a quarter of the range of a data set's values; 1 where
    /// they are all the same.
    ///
    /// # Errors
    ///
    /// As [`uniform`](Self::uniform).
    pub fn learn_over(self, data: &Dataset) -> Result<Self> {
        let (low, high) = range(data, self.levels)?;
        let width = high / 4.0 - low / 4.0;
        Ok(self.learn(if width > 0.0 { width } else { 1.0 }))
    }

    /// Bits for each input.
    pub fn levels(&self) -> usize {
        self.levels
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("thermometer", config)
    }

    fn expand(&self, site: &Site<'_>) -> Result<Vec<f32>> {
        let inputs = site.input().nodes();
        if self.levels == 0 || self.levels > MAX_LEVELS {
            return Err(site.option_error("levels", format!("1 to {MAX_LEVELS}"), self.levels));
        }
        if !(1..=lutweave_lut::MAX_WIDTH).contains(&self.width) {
            return Err(site.option_error("width", "1 to 32 bits", self.width));
        }
        let channels = site.input().shape[0];
        let (values, expected) = match &self.thresholds {
            Thresholds::Shared(values) => (values, self.levels),
            Thresholds::Channels(values) => (values, channels.saturating_mul(self.levels)),
            Thresholds::Each(values) => (values, inputs.saturating_mul(self.levels)),
        };
        if values.len() != expected {
            return Err(site.option_error(
                "thresholds",
                format!("{expected} numbers"),
                values.len(),
            ));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(site.option_error("thresholds", "finite numbers", "others"));
        }
        Ok(match self.thresholds {
            Thresholds::Shared(_) => values.repeat(inputs),
            Thresholds::Channels(_) => {
                let each = |levels: &[f32]| levels.repeat(inputs / channels);
                values.chunks(self.levels).flat_map(each).collect()
            }
            Thresholds::Each(_) => values.clone(),
        })
    }
}

/// The values at places `n · l / (levels + 1)` of the `n` sorted values of each group of `size`
/// inputs that follow one another, over all samples.
fn quantiles(data: &Dataset, size: usize, levels: usize) -> Result<Vec<f32>> {
    let mut all = Vec::with_capacity(data.sample_size() / size * levels);
    for first in (0..data.sample_size()).step_by(size) {
        let inputs = first..first + size;
        let mut values: Vec<f32> = match data.values() {
            Values::U8(values) => {
                let samples = values.chunks_exact(data.sample_size());
                samples.flat_map(|s| s[inputs.clone()].iter().map(|&v| f32::from(v))).collect()
            }
            Values::F32(values) => {
                let samples = values.chunks_exact(data.sample_size());
                samples.flat_map(|sample| sample[inputs.clone()].iter().copied()).collect()
            }
            _ => return Err(unsupported(data)),
        };
        for level in 1..=levels {
            let place = values.len() * level / (levels + 1);
            all.push(*values.select_nth_unstable_by(place, f32::total_cmp).1);
        }
    }
    Ok(all)
}

fn range(data: &Dataset, levels: usize) -> Result<(f32, f32)> {
    let option = |option, expected: String, got: String| {
        Err(Error::Option { layer: "thermometer".to_owned(), option, expected, got })
    };
    if levels == 0 || levels > MAX_LEVELS {
        return option("levels", format!("1 to {MAX_LEVELS}"), levels.to_string());
    }
    if data.is_empty() {
        return option("data", "at least one sample".to_owned(), "none".to_owned());
    }
    let fold = |(low, high): (f32, f32), v: f32| (low.min(v), high.max(v));
    let start = (f32::INFINITY, f32::NEG_INFINITY);
    let (low, high) = match data.values() {
        Values::U8(values) => values.iter().map(|&v| f32::from(v)).fold(start, fold),
        Values::F32(values) if values.iter().all(|v| v.is_finite()) => {
            values.iter().copied().fold(start, fold)
        }
        Values::F32(_) => return option("data", "finite numbers".to_owned(), "others".to_owned()),
        _ => return Err(unsupported(data)),
    };
    Ok((low, high))
}

fn unsupported(data: &Dataset) -> Error {
    Error::Option {
        layer: "thermometer".to_owned(),
        option: "data",
        expected: "values of u8 or f32".to_owned(),
        got: data.name().to_owned(),
    }
}

/// Bits of the largest whole number up to `high`.
fn width(high: f32) -> usize {
    bits_for(high.clamp(0.0, u32::MAX as f32) as usize).min(lutweave_lut::MAX_WIDTH)
}

impl LayerSpec for Thermometer {
    fn kind(&self) -> &'static str {
        "thermometer"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !matches!(site.input().dtype, DType::U8 | DType::F32) {
            return Err(site.input_error("numbers of u8 or f32"));
        }
        let thresholds = self.expand(site)?;
        let learned = match self.learn {
            Some(width) => {
                let inputs = site.input().nodes();
                let share = match self.thresholds {
                    Thresholds::Shared(_) => inputs,
                    Thresholds::Channels(_) => inputs / site.input().shape[0],
                    Thresholds::Each(_) => 1,
                };
                Some(Learned::new(width, &thresholds, self.levels, share, site)?)
            }
            None => None,
        };
        let mut shape = site.input().shape.clone();
        shape[0] *= self.levels;
        Ok(Box::new(Encoder {
            base: Base::new(self.clone(), site, Signal::bits(&shape)),
            spec: self.clone(),
            thresholds: thresholds.into(),
            learned,
        }))
    }
}

/// The built encoder.
#[derive(Debug)]
struct Encoder {
    base: Base,
    spec: Thermometer,
    /// `[inputs][levels]`, as they were fitted.
    thresholds: Array,
    /// What has taken their place.
    learned: Option<Learned>,
}

/// What a learning encoder remembers: its input, and the thresholds that it was compared with.
type Seen = (Arc<FrameBuffer>, Array);

impl Encoder {
    /// The thresholds as they are now, `[inputs][levels]`.
    fn thresholds(&self, backend: &dyn Backend) -> Result<Cow<'_, Array>> {
        Ok(match &self.learned {
            Some(learned) => Cow::Owned(learned.thresholds(self.base.path(), backend)?),
            None => Cow::Borrowed(&self.thresholds),
        })
    }

    fn compare(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(DType::Bit, &self.base.output().shape, x.frames())?;
        backend.threshold(x, thresholds, self.spec.levels, &mut y)?;
        Ok(y)
    }

    /// For each output node the input node and the level.
    fn outputs(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.base.output().nodes()).map(|node| self.source(node))
    }

    /// The input node and the level of one output node.
    fn source(&self, node: usize) -> (usize, usize) {
        let points = self.base.input().nodes() / self.base.input().shape[0];
        let levels = self.spec.levels;
        let (channel, level) = (node / points / levels, node / points % levels);
        (channel * points + node % points, level)
    }
}

impl Layer for Encoder {
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
        self.compare(x, self.thresholds(backend)?.as_ref(), backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let thresholds = self.thresholds(backend)?;
        let y = self.compare(&x, &thresholds, backend)?;
        let saved: Saved = match self.learned {
            Some(_) => Box::new((x, thresholds.into_owned())),
            None => Box::new(()),
        };
        Ok((y, saved))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        _want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        if let Some(learned) = &mut self.learned {
            let (x, thresholds) = *saved_as::<Seen>(saved, self.base.path())?;
            self.base.check_gradient(dy)?;
            learned.backward(&x, &thresholds, dy, backend)?;
        }
        Ok(None)
    }

    fn parameters(&self) -> Vec<&Parameter> {
        self.learned.as_ref().map_or_else(Vec::new, Learned::parameters)
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.learned.as_mut().map_or_else(Vec::new, Learned::parameters_mut)
    }

    fn state(&self) -> Vec<StateTensor> {
        self.learned.as_ref().map_or_else(Vec::new, Learned::state)
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        match (&mut self.learned, state) {
            (Some(learned), state) => learned.restore(state, self.base.path()),
            (None, []) => Ok(()),
            (None, [tensor, ..]) => {
                let what = format!("stored state has `{}`; these thresholds stay", tensor.name);
                Err(self.base.state_error(what))
            }
        }
    }

    fn input_width(&self) -> Option<usize> {
        Some(self.spec.width)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if self.base.input().dtype != DType::U8 {
            return elementwise::freeze(self, name, input, |node| self.source(node).0, build);
        }
        build.group(name, Role::Encoder)?;
        let mut made: BTreeMap<(usize, u64), Net> = BTreeMap::new();
        let mut constants: BTreeMap<bool, Net> = BTreeMap::new();
        let largest = (1u64 << self.spec.width) - 1;
        let thresholds = self.thresholds(&Cpu::new())?;
        let mut words = Vec::with_capacity(self.base.output().nodes());
        for (node, level) in self.outputs() {
            let threshold = thresholds[node * self.spec.levels + level];
            // x > t for whole x is x >= floor(t) + 1.
            let least = threshold.floor() + 1.0;
            let constant = if least <= 0.0 {
                Some(true)
            } else if least > largest as f32 {
                Some(false)
            } else {
                None
            };
            let known = match constant {
                Some(value) => constants.get(&value),
                None => made.get(&(node, least as u64)),
            };
            let net = match (known, constant) {
                (Some(&net), _) => net,
                (None, Some(value)) => {
                    let cell = format!("{name}_{}", if value { "high" } else { "low" });
                    let net = build.constant(cell, value)?;
                    constants.insert(value, net);
                    net
                }
                (None, None) => {
                    let least = least as u64;
                    let cell = format!("{name}_{node}_{least}");
                    let net = build.at_least(cell, &input.words[node], least)?;
                    made.insert((node, least), net);
                    net
                }
            };
            words.push(vec![net]);
        }
        Ok(input.with(words))
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.elementwise(name, self, |node| self.source(node).0)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_tensor::Targets;

    use super::*;

    fn data(values: Vec<u8>, size: usize) -> Dataset {
        let labels = vec![0; values.len() / size];
        let targets = Targets::Classes { count: 1, labels };
        Dataset::new("t", &[size], Values::U8(values), targets).unwrap()
    }

    #[test]
    fn thresholds_are_quantiles_or_even_steps() {
        let set = data(vec![0, 10, 1, 20, 2, 30, 3, 40], 2);
        let fit = Thermometer::fit(&set, 3).unwrap();
        assert_eq!(fit.thresholds, Thresholds::Each(vec![1.0, 2.0, 3.0, 20.0, 30.0, 40.0]));
        let even = Thermometer::uniform(&set, 3).unwrap();
        assert_eq!(even.thresholds, Thresholds::Shared(vec![10.0, 20.0, 30.0]));
        assert_eq!((fit.width, even.width), (6, 6));
        let set = data((0..12).rev().map(|v| v * 10).collect(), 4);
        let whole = Dataset::new("t", &[2, 2], set.values().clone(), set.targets().clone());
        let shared = Thermometer::fit_channels(&whole.unwrap(), 2).unwrap();
        // Channels hold 20, 30, 60, 70, 100, 110 and the numbers between.
        assert_eq!(shared.thresholds, Thresholds::Channels(vec![60.0, 100.0, 40.0, 80.0]));
        let site = Site::alone(Signal { dtype: DType::U8, shape: vec![2, 2] }, "t", 0);
        let each = [[60.0, 100.0], [60.0, 100.0], [40.0, 80.0], [40.0, 80.0]].concat();
        assert_eq!(shared.expand(&site).unwrap(), each);
        assert!(Thermometer::fit(&set, 0).is_err() && Thermometer::uniform(&set, 256).is_err());
    }

    #[test]
    fn levels_are_channels() {
        let set = data((0..=16).collect(), 1);
        let site = Site {
            ancestors: vec![(0..6).map(|i| vec![1 << i]).collect()],
            ..Site::alone(Signal { dtype: DType::U8, shape: vec![2, 3] }, "0.thermometer", 0)
        };
        let layer = Thermometer::uniform(&set, 3).unwrap().build(&site).unwrap();
        assert_eq!(layer.output().shape, [6, 3]);
        let x = FrameBuffer::from_frames(&[2, 3], &[0u8, 5, 16, 9, 12, 13]).unwrap();
        let y = layer.evaluate(&x, &Cpu::new()).unwrap();
        let bits: Vec<u8> = y.to_frame_bits().unwrap().into_iter().map(u8::from).collect();
        // thresholds 4, 8, 12
        assert_eq!(bits, [0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1]);
        let ancestors = layer.ancestors(&site.ancestors).remove(0);
        assert_eq!(ancestors[4], [2], "channel 0, level 1, point 1 depends on input 1");
        assert_eq!(ancestors[17], [32]);
    }
}
