//! Reshape: the same nodes in another shape.
//!
//! It takes any type of element. In hardware it is nothing.
//!
//! Source: `Reshape` of BinaryBrain.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::moved;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Settings of a reshape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// None for one axis of all nodes.
    shape: Option<Vec<usize>>,
}

impl Reshape {
    /// This shape, of as many nodes as the input has.
    pub fn to(shape: &[usize]) -> Self {
        Self { shape: Some(shape.to_vec()) }
    }

    /// One axis of all nodes.
    pub fn flat() -> Self {
        Self { shape: None }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("reshape", config)
    }
}

impl LayerSpec for Reshape {
    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let nodes = moved::check_shape(site, "input", &site.input().shape)?;
        let shape = self.shape.clone().unwrap_or_else(|| vec![nodes]);
        if shape.is_empty() || moved::check_shape(site, "shape", &shape)? != nodes {
            let expected = format!("one of {nodes} nodes, as the input has");
            return Err(site.option_error("shape", expected, shape));
        }
        let output = Signal { dtype: site.input().dtype, shape };
        Ok(Box::new(Reshaped { base: Base::new(self.clone(), site, output) }))
    }
}

/// The built reshape.
#[derive(Debug)]
struct Reshaped {
    base: Base,
}

impl Layer for Reshaped {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        inputs.to_vec()
    }

    fn evaluate(&self, x: &FrameBuffer, _backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        Ok(x.clone().reshape(&self.base.output().shape)?)
    }

    fn forward(&self, x: Arc<FrameBuffer>, _backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        self.base.check(&x)?;
        Ok((Arc::unwrap_or_clone(x).reshape(&self.base.output().shape)?, Box::new(())))
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        Ok(Some(dy.clone().reshape(&self.base.input().shape)?))
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(8)
    }

    fn freeze(&self, _name: &str, input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        Ok(input.clone())
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if self.base.output().shape == self.base.input().shape {
            return Ok(());
        }
        chain.whole(name)?;
        chain.add(name, &self.base, |input, build| self.freeze(name, input, build))
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;

    fn build(spec: &Reshape) -> Result<Box<dyn Layer>> {
        spec.build(&Site::alone(Signal::reals(&[2, 3]), "1.reshape", 0))
    }

    #[test]
    fn only_the_shape_changes() {
        for (spec, shape) in [(Reshape::to(&[3, 1, 2]), vec![3, 1, 2]), (Reshape::flat(), vec![6])]
        {
            let mut layer = build(&spec).unwrap();
            let x = FrameBuffer::from_frames(&[2, 3], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
            let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
            assert_eq!(y.shape(), shape);
            assert_eq!(y.rows::<f32>().unwrap(), x.rows::<f32>().unwrap());
            assert_eq!(layer.backward(saved, &y, true, &Cpu::new()).unwrap().unwrap(), x);
        }
    }

    #[test]
    fn nodes_must_be_as_many() {
        let error = build(&Reshape::to(&[4])).unwrap_err().to_string();
        assert_eq!(
            error,
            "1.reshape: expected shape to be one of 6 nodes, as the input has, got [4]"
        );
        assert!(build(&Reshape::to(&[])).is_err() && build(&Reshape::to(&[6, 0])).is_err());
        assert!(build(&Reshape::to(&[usize::MAX, 6])).is_err());
    }
}
