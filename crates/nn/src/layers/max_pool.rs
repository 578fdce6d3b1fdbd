//! Max pooling: the largest value of a window, in each channel.
//!
//! `[c, h, w]` becomes `[c, oh, ow]`. Windows lie side by side, the last ones of a row or column
//! cut off by the image, unless stride and padding say otherwise; what lies outside the image is no
//! part of a window.
//!
//! It reads f32, and its gradient goes to the first of the largest values; or bits, and it is their
//! OR, whose gradient goes to the first that is 1, and nowhere when none is. Gradients of windows
//! that overlap add up. In hardware it is a tree of OR LUTs for each output; of numbers, whose words
//! must stand for the same rising values, comparisons and choices.
//!
//! Source: `MaxPooling` of BinaryBrain, whose windows always lie side by side.

use lutweave_lut::{Padding, Window};
use serde::{Deserialize, Serialize};

use super::pooling::{self, Pooled};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Settings of a max pooling.
///
/// ```
/// use lutweave_nn::{MaxPool, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[3, 7, 7]).reading(DType::Bit).then(MaxPool::new([2, 2])).build(1)?;
/// assert_eq!(net.output().shape, [3, 4, 4]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    window: Window,
}

impl MaxPool {
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
        registry::parse("max_pool", config)
    }
}

impl LayerSpec for MaxPool {
    fn kind(&self) -> &'static str {
        "max_pool"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        pooling::build(self.clone(), &self.window, Pooled::Max, site)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_lut::{Evaluator, NetlistBuilder};
    use lutweave_tensor::{DType, FrameBuffer, rng};

    use super::*;
    use crate::Signal;
    use crate::layer::Frozen;

    fn build(spec: &MaxPool, dtype: DType, shape: &[usize]) -> Result<Box<dyn Layer>> {
        spec.build(&Site::alone(Signal { dtype, shape: shape.to_vec() }, "1.max_pool", 0))
    }

    /// Source: the numbers of BinaryBrain's own test.
    #[test]
    fn the_largest_of_each_window() {
        let mut layer = build(&MaxPool::new([2, 3]), DType::F32, &[3, 4, 6]).unwrap();
        let mut x: Vec<f32> = (0..144)
            .map(|i| (1000 * (i / 72) + 100 * (i / 24 % 3) + 10 * (i / 6 % 4) + i % 6) as f32)
            .collect();
        x[1] = 99.0;
        let x = FrameBuffer::from_frames(&[3, 4, 6], &x).unwrap();
        let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        let got = y.to_frames::<f32>().unwrap();
        assert_eq!(got[..8], [99.0, 15.0, 32.0, 35.0, 112.0, 115.0, 132.0, 135.0]);
        let dx = layer.backward(saved, &y, true, &Cpu::new()).unwrap().unwrap();
        for (place, value) in [(1, 99.0), (11, 15.0), (20, 32.0), (23, 35.0), (2, 0.0), (8, 0.0)] {
            assert_eq!(dx.row::<f32>(place).unwrap()[0].to_bits(), f32::to_bits(value), "{place}");
        }
    }

    /// The gradient is that of a difference quotient where no two values are nearly as large; with
    /// windows that overlap.
    #[test]
    fn the_gradient_is_the_slope() {
        let spec = MaxPool::new([3, 3]).stride([2, 1]).padding(Padding::Same);
        let mut layer = build(&spec, DType::F32, &[2, 4, 5]).unwrap();
        let mut stream = rng::stream(3, &[]);
        let mut x: Vec<f32> = (0..40u8).map(f32::from).collect();
        for i in (1..40).rev() {
            x.swap(i, rng::below(&mut stream, i + 1));
        }
        let dy: Vec<f32> = (0..layer.output().nodes()).map(|_| rng::normal(&mut stream)).collect();
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
            high[i] += 0.25;
            low[i] -= 0.25;
            let slope = (loss(&high) - loss(&low)) / 0.5;
            assert!((f64::from(dx) - slope).abs() < 1e-5, "{i}: {dx} {slope}");
        }
    }

    #[test]
    fn the_netlist_is_an_or() {
        let layer = build(&MaxPool::new([3, 2]), DType::Bit, &[2, 5, 5]).unwrap();
        let mut stream = rng::stream(4, &[]);
        let bits: Vec<bool> = (0..50 * 20).map(|_| rng::uniform(&mut stream) < 0.2).collect();
        let x = FrameBuffer::from_frame_bits(&[2, 5, 5], &bits).unwrap();
        let y = layer.evaluate(&x, &Cpu::new()).unwrap().to_frame_bits().unwrap();
        let mut netlist = NetlistBuilder::new("t").unwrap();
        let nets = netlist.input("x", 50, 1).unwrap();
        let input = Frozen::of_bits(nets);
        let words = layer.freeze("pool", &input, &mut netlist).unwrap().words;
        netlist.output("y", 1, &words.concat()).unwrap();
        let netlist = netlist.finish().unwrap();
        assert_eq!(netlist.cells().len() as u64, layer.cost().unrolled);
        let words: Vec<u64> = bits.iter().map(|&bit| u64::from(bit)).collect();
        let got = Evaluator::new(&netlist).unwrap().frames(&words).unwrap();
        assert_eq!(got, y.iter().map(|&bit| u64::from(bit)).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let spec = MaxPool::new([2, 2]);
        assert!(build(&spec, DType::F32, &[4, 4]).is_err());
        assert!(build(&spec, DType::U8, &[1, 4, 4]).is_err());
        assert!(build(&MaxPool::new([0, 2]), DType::F32, &[1, 4, 4]).is_err());
        let far = Padding::Explicit { top: 3, left: 0, bottom: 0, right: 0 };
        let error = build(&spec.padding(far), DType::F32, &[1, 4, 4]).unwrap_err().to_string();
        let want = "1.max_pool: expected window to be such that every window has a pixel";
        assert!(error.starts_with(want), "{error}");
    }
}
