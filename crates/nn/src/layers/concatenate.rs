//! Concatenate: several inputs one after the other along axis 0.
//!
//! Their types and all their other axes are equal. The gradient of each input is its part of that
//! of the output. It takes any type of element. In hardware it is nothing; as stages, it waits for
//! the pixels of all images.
//!
//! Source: `Concatenate` of BinaryBrain.

use std::ops::RangeInclusive;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::FrameBuffer;
use serde::{Deserialize, Serialize};

use super::{moved, several};
use crate::hardware::{Branch, StageChain};
use crate::layer::{Ancestors, Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Settings of a concatenation: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concatenate {}

impl Concatenate {
    /// Any number of inputs, in the order in which they come.
    pub fn new() -> Self {
        Self {}
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("concatenate", config)
    }
}

impl LayerSpec for Concatenate {
    fn kind(&self) -> &'static str {
        "concatenate"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let first = site.input();
        let mut shape = first.shape.clone();
        for (number, other) in site.inputs.iter().enumerate().skip(1) {
            let same = other.shape.get(1..) == first.shape.get(1..) && !other.shape.is_empty();
            if other.dtype != first.dtype || !same {
                return Err(several::input_error(
                    site,
                    number,
                    format!(
                        "{} of a shape that is {:?} but for axis 0, as the first input is",
                        first.dtype, first.shape
                    ),
                ));
            }
            shape[0] = shape[0].saturating_add(other.shape[0]);
        }
        moved::check_shape(site, "inputs", &shape)?;
        let output = Signal { dtype: first.dtype, shape };
        Ok(Box::new(Joined { base: Base::new(self.clone(), site, output) }))
    }
}

/// The built concatenation.
#[derive(Debug)]
struct Joined {
    base: Base,
}

impl Joined {
    fn join(&self, x: &[&FrameBuffer]) -> Result<FrameBuffer> {
        several::check(&self.base, x)?;
        Ok(FrameBuffer::concat_nodes(x)?.reshape(&self.base.output().shape)?)
    }
}

impl Layer for Joined {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        let known = inputs.iter().zip(self.base.inputs()).all(|(a, x)| a.len() == x.nodes());
        vec![if known { inputs.concat() } else { Ancestors::new() }]
    }

    fn evaluate(&self, x: &FrameBuffer, _backend: &dyn Backend) -> Result<FrameBuffer> {
        self.join(&[x])
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let dx = self.backward_all(saved, &[Some(dy.clone())], want_dx, backend)?;
        Ok(dx.into_iter().next().flatten())
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut frozen = self.freeze_all(name, std::slice::from_ref(input), build)?;
        Ok(frozen.swap_remove(0))
    }

    fn evaluate_all(
        &self,
        x: &[Arc<FrameBuffer>],
        _backend: &dyn Backend,
    ) -> Result<Vec<Arc<FrameBuffer>>> {
        Ok(vec![Arc::new(self.join(&x.iter().map(Arc::as_ref).collect::<Vec<_>>())?)])
    }

    fn forward_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<(Vec<Arc<FrameBuffer>>, Saved)> {
        Ok((self.evaluate_all(x, backend)?, Box::new(())))
    }

    fn backward_all(
        &mut self,
        _saved: Saved,
        dy: &[Option<FrameBuffer>],
        want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Vec<Option<FrameBuffer>>> {
        let Some(dy) = several::gradient(&self.base, dy)?.filter(|_| want_dx) else {
            return Ok(vec![None; self.base.inputs().len()]);
        };
        let mut first = 0;
        let part = |input: &Signal| {
            let nodes = first..first + input.nodes();
            first = nodes.end;
            Ok(Some(dy.node_range(nodes)?.reshape(&input.shape)?))
        };
        self.base.inputs().iter().map(part).collect()
    }

    fn freeze_all(
        &self,
        _name: &str,
        inputs: &[Frozen],
        _build: &mut NetlistBuilder,
    ) -> Result<Vec<Frozen>> {
        Ok(vec![Frozen::joined(self.base.path(), inputs)?])
    }

    fn stage_all(
        &self,
        name: &str,
        chain: &mut StageChain,
        inputs: Vec<Branch>,
    ) -> Result<Vec<Branch>> {
        chain.join(name, &self.base, inputs)?;
        Ok(vec![chain.leave()])
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_tensor::DType;

    use super::*;

    fn site(signals: &[Signal]) -> Site<'static> {
        let site = Site::alone(signals[0].clone(), "2.concatenate", 0);
        Site { inputs: signals.to_vec(), ..site }
    }

    #[test]
    fn parts_come_back() {
        let signals = [Signal::bits(&[1, 2]), Signal::bits(&[2, 2])];
        let mut layer = Concatenate::new().build(&site(&signals)).unwrap();
        assert_eq!(*layer.output(), Signal::bits(&[3, 2]));
        let batch = |shape: &[usize], bits: &[u8]| {
            let bits: Vec<bool> = bits.iter().map(|&bit| bit == 1).collect();
            Arc::new(FrameBuffer::from_frame_bits(shape, &bits).unwrap())
        };
        // Two frames.
        let x = [batch(&[1, 2], &[1, 0, 0, 0]), batch(&[2, 2], &[0, 0, 1, 1, 1, 1, 1, 0])];
        let (y, saved) = layer.forward_all(&x, &Cpu::new()).unwrap();
        assert_eq!(*y[0], *batch(&[3, 2], &[1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]));
        let dy = y[0].convert(DType::F32).unwrap();
        let dx = layer.backward_all(saved, &[Some(dy)], true, &Cpu::new()).unwrap();
        for (dx, x) in dx.into_iter().zip(&x) {
            assert_eq!(dx.unwrap(), x.convert(DType::F32).unwrap());
        }
        assert!(layer.evaluate_all(&x[..1], &Cpu::new()).is_err());
        assert!(layer.evaluate(&x[0], &Cpu::new()).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = |other: Signal| {
            let signals = [Signal::bits(&[1, 2]), other];
            Concatenate::new().build(&site(&signals)).unwrap_err().to_string()
        };
        let want = "2.concatenate: expected bit of a shape that is [1, 2] but for axis 0, as the \
                    first input is, got bit of shape [2, 3]";
        assert_eq!(error(Signal::bits(&[2, 3])), want);
        assert!(error(Signal::reals(&[1, 2])).ends_with("got f32 of shape [1, 2]"));
        error(Signal::bits(&[usize::MAX, 2]));
    }
}
