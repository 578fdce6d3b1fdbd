//! Stochastic max pooling: the probability that at least one pixel of a window is 1, in each
//! channel, when pixels are independent probabilities.
//!
//! `[c, h, w]` becomes `[c, oh, ow]` with `y = 1 − Π (1 − x)` over the pixels of the window that
//! are in the image, and `dx = dy · Π (1 − x)` over the others of them. Windows lie side by side,
//! the last ones of a row or column cut off by the image, unless stride and padding say otherwise.
//!
//! It reads f32, which is not clamped; or bits, and it is their OR, with the gradient of the
//! numbers 0 and 1. In hardware it is a tree of OR LUTs for each output; f32 has no such form.
//!
//! Source: `StochasticMaxPooling` and `StochasticMaxPooling2x2` of BinaryBrain. There, backward is
//! for 2 × 2 only and takes bits for −1 and +1.

use lutweave_lut::{Padding, Window};
use serde::{Deserialize, Serialize};

use super::pooling::{self, Pooled};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Settings of a stochastic max pooling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticMaxPool {
    window: Window,
}

impl StochasticMaxPool {
    /// Windows of `[height, width]` side by side.
    pub fn new(filter: [usize; 2]) -> Self {
        Self { window: pooling::window(filter) }
    }

    /// Pixels from one window to the next, `[y, x]`.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { window: self.window.stride(stride) }
    }

    /// How far windows reach over the edges; every window must have a pixel of the image.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { window: self.window.padding(padding) }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("stochastic_max_pool", config)
    }
}

impl LayerSpec for StochasticMaxPool {
    fn kind(&self) -> &'static str {
        "stochastic_max_pool"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        pooling::build(self.clone(), &self.window, Pooled::Any, site)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::{DType, FrameBuffer, rng};

    use super::*;
    use crate::Signal;

    /// Relative tolerance of f32 products and differences.
    const CLOSE: f64 = 1e-3;

    fn build(spec: &StochasticMaxPool, dtype: DType) -> Box<dyn Layer> {
        let signal = Signal { dtype, shape: vec![2, 4, 5] };
        spec.build(&Site::alone(signal, "1.stochastic_max_pool", 0)).unwrap()
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let three = StochasticMaxPool::new([3, 3]).stride([2, 1]).padding(Padding::Same);
        for spec in [StochasticMaxPool::new([2, 2]), three] {
            let mut layer = build(&spec, DType::F32);
            let mut stream = rng::stream(5, &[]);
            let mut draw =
                |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
            let (x, dy) = (draw(40), draw(layer.output().nodes()));
            let batch = |x: &[f32]| FrameBuffer::from_frames(&[2, 4, 5], x).unwrap();
            let dy_rows = FrameBuffer::from_frames(&layer.output().shape.clone(), &dy).unwrap();
            let (_, saved) = layer.forward(Arc::new(batch(&x)), &Cpu::new()).unwrap();
            let dx = layer.backward(saved, &dy_rows, true, &Cpu::new()).unwrap().unwrap();
            let loss = |x: &[f32]| -> f64 {
                let y = layer.evaluate(&batch(x), &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
                y.iter().zip(&dy).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum()
            };
            for (i, dx) in dx.to_frames::<f32>().unwrap().into_iter().enumerate() {
                let (mut high, mut low) = (x.clone(), x.clone());
                high[i] += 0.125;
                low[i] -= 0.125;
                let slope = (loss(&high) - loss(&low)) / 0.25; // exact: it is linear in each pixel
                assert!(
                    (f64::from(dx) - slope).abs() < CLOSE * slope.abs().max(0.01),
                    "{i}: {dx} {slope}"
                );
            }
        }
    }

    /// Bits have the gradient of the numbers that they are.
    #[test]
    fn bits_are_zero_and_one() {
        let mut stream = rng::stream(6, &[]);
        let bits: Vec<bool> = (0..40 * 70).map(|_| rng::uniform(&mut stream) < 0.3).collect();
        let x = FrameBuffer::from_frame_bits(&[2, 4, 5], &bits).unwrap();
        let spec = StochasticMaxPool::new([2, 3]);
        let (mut on_bits, mut on_reals) = (build(&spec, DType::Bit), build(&spec, DType::F32));
        let reals = Arc::new(x.convert(DType::F32).unwrap());
        let (y, saved) = on_bits.forward(Arc::new(x), &Cpu::new()).unwrap();
        let (y_real, saved_real) = on_reals.forward(reals, &Cpu::new()).unwrap();
        assert_eq!(y.convert(DType::F32).unwrap(), y_real);
        let dx = on_bits.backward(saved, &y_real, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(dx, on_reals.backward(saved_real, &y_real, true, &Cpu::new()).unwrap().unwrap());
    }
}
