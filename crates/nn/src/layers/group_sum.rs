//! Group sum: the score of a class is the number of ones in its group of bits.
//!
//! `y[c] = Σ x[n] / τ` over the nodes `n` of group `c`; groups are contiguous and equally large:
//! node `n` belongs to class `n / (nodes / classes)`. The temperature τ sets how sharp the softmax
//! behind it is while training (a good start is √(nodes per class)); it does not change the answer,
//! and hardware is a popcount per class. Source: GroupSum of difflogic (Petersen et al. 2022).

use lutweave_backend::Backend;
use lutweave_lut::{NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use crate::hardware::{StageChain, Values};
use crate::layer::{Base, Frozen};
use crate::settings::unknown;
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site};

/// Settings of a group sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSum {
    classes: usize,
    /// None for the square root of the group size.
    temperature: Option<f32>,
}

impl GroupSum {
    /// A score for each of `classes`, with temperature √(nodes per class).
    pub fn new(classes: usize) -> Self {
        Self { classes, temperature: None }
    }

    /// Sets the temperature τ, a positive number.
    #[must_use]
    pub fn temperature(self, temperature: f32) -> Self {
        Self { temperature: Some(temperature), ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("group_sum", config)
    }
}

impl LayerSpec for GroupSum {
    fn kind(&self) -> &'static str {
        "group_sum"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if site.input().dtype != DType::Bit {
            return Err(site.input_error("bits"));
        }
        let nodes = site.input().nodes();
        if self.classes == 0 || !nodes.is_multiple_of(self.classes) {
            let expected = format!("bits in {} equal groups, such as {}", self.classes, {
                nodes.next_multiple_of(self.classes.max(1))
            });
            return Err(site.input_error(expected));
        }
        let temperature = self.temperature.unwrap_or((nodes as f32 / self.classes as f32).sqrt());
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(site.option_error("temperature", "a positive number", temperature));
        }
        Ok(Box::new(Counter {
            base: Base::new(self.clone(), site, Signal::reals(&[self.classes])),
            spec: self.clone(),
            temperature,
            scale: 1.0 / temperature,
        }))
    }
}

/// The built group sum.
#[derive(Debug)]
struct Counter {
    base: Base,
    spec: GroupSum,
    temperature: f32,
    /// Its inverse.
    scale: f32,
}

impl Layer for Counter {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, x.frames())?;
        backend.group_sum(x, self.scale, &mut y)?;
        Ok(y)
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.input_gradient(dy, want_dx, |dx| backend.group_sum_backward(dy, self.scale, dx))
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let bits = input.bits(self.base.path())?;
        build.group(name, Role::Head)?;
        let size = bits.len() / self.spec.classes;
        let mut words = Vec::with_capacity(self.spec.classes);
        for (class, group) in bits.chunks(size).enumerate() {
            words.push(build.popcount(format!("{name}_{class}"), group)?);
        }
        let values: Values = (0..=size).map(|count| self.scale * count as f32).collect();
        Ok(input.with_values(words, vec![values; self.spec.classes]))
    }

    fn settings(&self) -> Vec<(String, f32)> {
        vec![("temperature".to_owned(), self.temperature)]
    }

    fn set(&mut self, name: &str, value: f32) -> Result<()> {
        if name != "temperature" {
            return Err(unknown(&self.base, &self.settings(), name));
        }
        if !(value > 0.0 && value.is_finite()) {
            return Err(self.base.option_error("temperature", "a positive number", value));
        }
        (self.temperature, self.scale) = (value, 1.0 / value);
        Ok(())
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.whole(name)?;
        chain.add(name, &self.base, |input, build| self.freeze(name, input, build))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;

    use super::*;

    fn site(nodes: usize) -> Site<'static> {
        Site::alone(Signal::bits(&[nodes]), "2.group_sum", 0)
    }

    #[test]
    fn counts_each_group() {
        let mut layer = GroupSum::new(2).temperature(4.0).build(&site(6)).unwrap();
        let bits = [true, true, false, false, true, false, true, true, true, false, false, false];
        let x = FrameBuffer::from_frame_bits(&[6], &bits).unwrap();
        let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        assert_eq!(y.to_frames::<f32>().unwrap(), [0.5, 0.25, 0.75, 0.0]);
        let dy = FrameBuffer::from_frames(&[2], &[4f32, 8.0, 12.0, 16.0]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        let want = [1f32, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0];
        assert_eq!(dx.to_frames::<f32>().unwrap(), want);
    }

    #[test]
    fn groups_must_be_equal() {
        let error = GroupSum::new(4).build(&site(6)).unwrap_err().to_string();
        assert_eq!(
            error,
            "2.group_sum: expected bits in 4 equal groups, such as 8, got bit of shape [6]"
        );
        assert!(GroupSum::new(0).build(&site(6)).is_err());
        assert!(GroupSum::new(2).temperature(0.0).build(&site(6)).is_err());
    }
}
