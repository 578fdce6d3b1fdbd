//! Add: the sum of several inputs, as in a residual connection.
//!
//! All are f32 of one shape; the gradient of each is that of the output. In hardware they are whole
//! numbers of one step, such as counts; bits are better concatenated, for a layer of LUTs to read.

use std::ops::RangeInclusive;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::{moved, names, several};
use crate::hardware::{Branch, StageChain, linear};
use crate::layer::{Ancestors, Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Settings of a sum: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {}

impl Add {
    /// Any number of inputs, of one shape.
    pub fn new() -> Self {
        Self {}
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("add", config)
    }
}

impl LayerSpec for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let shape = &site.input().shape;
        let wrong = |x: &Signal| x.dtype != DType::F32 || x.shape != *shape;
        if let Some(number) = site.inputs.iter().position(wrong) {
            return Err(several::input_error(site, number, format!("f32 of shape {shape:?}")));
        }
        let nodes = moved::check_shape(site, "inputs", shape)?;
        let rows = (0..nodes as u32).collect();
        Ok(Box::new(Sum { base: Base::new(self.clone(), site, Signal::reals(shape)), rows }))
    }
}

/// The built sum.
#[derive(Debug)]
struct Sum {
    base: Base,
    /// Every row in order.
    rows: Vec<u32>,
}

impl Sum {
    fn sum(&self, x: &[&FrameBuffer], backend: &dyn Backend) -> Result<FrameBuffer> {
        several::check(&self.base, x)?;
        let mut y = x[0].clone();
        for x in &x[1..] {
            backend.scatter_rows(x, &self.rows, &mut y)?;
        }
        Ok(y)
    }
}

impl Layer for Sum {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        if inputs.iter().any(|input| input.len() != self.rows.len()) {
            return vec![Ancestors::new()];
        }
        let mut all = inputs[0].clone();
        for input in &inputs[1..] {
            for (own, other) in all.iter_mut().zip(input) {
                own.resize(own.len().max(other.len()), 0);
                own.iter_mut().zip(other).for_each(|(own, other)| *own |= other);
            }
        }
        vec![all]
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.sum(&[x], backend)
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

    fn freeze(&self, _name: &str, input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        Ok(input.clone())
    }

    fn evaluate_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<Vec<Arc<FrameBuffer>>> {
        let x: Vec<&FrameBuffer> = x.iter().map(Arc::as_ref).collect();
        Ok(vec![Arc::new(self.sum(&x, backend)?)])
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
        let dy = several::gradient(&self.base, dy)?.filter(|_| want_dx);
        Ok(vec![dy.cloned(); self.base.inputs().len()])
    }

    fn freeze_all(
        &self,
        name: &str,
        inputs: &[Frozen],
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Frozen>> {
        let nodes = self.rows.len();
        let all = Frozen::joined(self.base.path(), inputs)?;
        let groups = (0..nodes).map(|node| (node..all.words.len()).step_by(nodes).collect());
        Ok(vec![linear::freeze(&self.base, name, &all, groups, |_, sum| sum, build)?])
    }

    /// The images are joined, and the sum is that of the channels of a pixel.
    fn stage_all(
        &self,
        name: &str,
        chain: &mut StageChain,
        inputs: Vec<Branch>,
    ) -> Result<Vec<Branch>> {
        let count = inputs.len();
        chain.join(&names::part(name, "all"), &self.base, inputs)?;
        chain.at_pixel(name, |all, build| {
            let channels = all.words.len() / count;
            let groups = (0..channels).map(|c| (c..all.words.len()).step_by(channels).collect());
            linear::freeze(&self.base, name, all, groups, |_, sum| sum, build)
        })?;
        Ok(vec![chain.leave()])
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;

    fn site(signals: &[Signal]) -> Site<'static> {
        let site = Site::alone(signals[0].clone(), "2.add", 0);
        Site { inputs: signals.to_vec(), ..site }
    }

    #[test]
    fn every_input_has_the_gradient() {
        let mut layer = Add::new().build(&site(&vec![Signal::reals(&[2]); 3])).unwrap();
        let batch = |x: [f32; 4]| Arc::new(FrameBuffer::from_frames(&[2], &x).unwrap());
        let x = [batch([1.0, 2.0, 3.0, 4.0]), batch([10.0; 4]), batch([0.0, 1.0, 0.0, -1.0])];
        let (y, saved) = layer.forward_all(&x, &Cpu::new()).unwrap();
        assert_eq!(*y[0], *batch([11.0, 13.0, 13.0, 13.0]));
        let dx = layer.backward_all(saved, &[Some((*x[0]).clone())], true, &Cpu::new()).unwrap();
        assert_eq!(dx, vec![Some((*x[0]).clone()); 3]);
        let short = Arc::new(FrameBuffer::from_frames(&[2], &[1f32, 2.0]).unwrap());
        let error = layer.evaluate_all(&[x[0].clone(), x[1].clone(), short], &Cpu::new());
        assert_eq!(error.unwrap_err().to_string(), "add: expected 2 frames, got 1");
    }

    #[test]
    fn all_inputs_are_alike() {
        let error = |other: Signal| {
            let signals = [Signal::reals(&[2]), other];
            Add::new().build(&site(&signals)).unwrap_err().to_string()
        };
        let want = "2.add: expected f32 of shape [2], got f32 of shape [3]";
        assert_eq!(error(Signal::reals(&[3])), want);
        assert!(error(Signal::bits(&[2])).ends_with("got bit of shape [2]"));
    }
}
