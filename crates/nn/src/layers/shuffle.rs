//! Shuffle: nodes dealt out to groups, as channels are between grouped convolutions.
//!
//! With unit `U` and `N` nodes, which are a multiple of it, and `G = N / U`: output node `i · U +
//! j` is input node `j · G + i`, for `i < G` and `j < U`. The shape stays. It takes any type of
//! element. In hardware it is wires.
//!
//! Source: `Shuffle` of BinaryBrain.

use serde::{Deserialize, Serialize};

use super::moved::{self, Moved};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Settings of a shuffle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shuffle {
    unit: usize,
}

impl Shuffle {
    /// Nodes that follow one another are taken from `unit` equal parts of the input.
    pub fn new(unit: usize) -> Self {
        Self { unit }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("shuffle", config)
    }
}

impl LayerSpec for Shuffle {
    fn kind(&self) -> &'static str {
        "shuffle"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let shape = &site.input().shape;
        let nodes = moved::check_shape(site, "input", shape)?;
        if self.unit == 0 || !nodes.is_multiple_of(self.unit) {
            return Err(site.option_error(
                "unit",
                format!("a divisor of {nodes} nodes"),
                self.unit,
            ));
        }
        let groups = nodes / self.unit;
        let source = |node: usize| (node % self.unit * groups + node / self.unit) as u32;
        let table = (0..nodes).map(source).collect();
        Ok(Moved::build(self.clone(), site, shape, table, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::FrameBuffer;

    use super::*;
    use crate::Signal;

    fn build(unit: usize, shape: &[usize]) -> Result<Box<dyn Layer>> {
        Shuffle::new(unit).build(&Site::alone(Signal::reals(shape), "1.shuffle", 0))
    }

    #[test]
    fn backward_undoes_forward() {
        let mut layer = build(3, &[3, 2]).unwrap();
        let x = [11f32, 12.0, 13.0, 14.0, 15.0, 16.0];
        let x = Arc::new(FrameBuffer::from_frames(&[3, 2], &x).unwrap());
        let (y, saved) = layer.forward(Arc::clone(&x), &Cpu::new()).unwrap();
        assert_eq!(y.to_frames::<f32>().unwrap(), [11.0, 13.0, 15.0, 12.0, 14.0, 16.0]);
        let dx = layer.backward(saved, &y, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(dx, *x);
        let bits = FrameBuffer::from_frame_bits(&[6], &[true; 6]).unwrap();
        assert!(layer.evaluate(&bits, &Cpu::new()).is_err());
    }

    #[test]
    fn the_unit_divides() {
        let error = build(4, &[3, 2]).unwrap_err().to_string();
        assert_eq!(error, "1.shuffle: expected unit to be a divisor of 6 nodes, got 4");
        assert!(build(0, &[6]).is_err());
    }
}
