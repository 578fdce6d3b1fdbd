//! Average pooling: the mean of a window, in each channel.
//!
//! `[c, h, w]` becomes `[c, oh, ow]`. Windows lie side by side, the last ones of a row or column
//! cut off by the image, unless stride and padding say otherwise. The sum of the pixels in the
//! image is divided by the size of the window, or by the number of those pixels; the gradient goes
//! to them in equal parts. It reads f32, or bits, which count as 0 and 1, and gives f32. In hardware
//! it is a count, or a sum of whole numbers of one step.
//!
//! Source: the intent of `AveragePooling` of BinaryBrain, which does not compile there.

use lutweave_backend::Divisor;
use lutweave_lut::{Padding, Window};
use serde::{Deserialize, Serialize};

use super::pooling::{self, Pooled};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Settings of an average pooling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePool {
    window: Window,
    /// Whether to divide by the pixels that are in the image.
    #[serde(default)]
    present: bool,
}

impl AveragePool {
    /// Windows of `[height, width]` side by side, divided by their size.
    pub fn new(filter: [usize; 2]) -> Self {
        Self { window: pooling::window(filter), present: false }
    }

    /// Pixels from one window to the next, `[y, x]`.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { window: self.window.stride(stride), ..self }
    }

    /// How far windows reach over the edges; every window must have a pixel of the image.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { window: self.window.padding(padding), ..self }
    }

    /// Divides by the pixels of the window that are in the image.
    #[must_use]
    pub fn by_present(self) -> Self {
        Self { present: true, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("average_pool", config)
    }
}

impl LayerSpec for AveragePool {
    fn kind(&self) -> &'static str {
        "average_pool"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let divisor = if self.present { Divisor::Present } else { Divisor::Taps };
        pooling::build(self.clone(), &self.window, Pooled::Average(divisor), site)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::FrameBuffer;

    use super::*;
    use crate::Signal;

    #[test]
    fn sums_over_the_window_or_what_is_there() {
        let x = [1f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let numbers = FrameBuffer::from_frames(&[1, 2, 3], &x).unwrap();
        let bits = numbers.to_bits(2.5).unwrap();
        let dy = FrameBuffer::from_frames(&[1, 1, 2], &[8f32, 4.0]).unwrap();
        let whole = AveragePool::new([2, 2]);
        // Windows of four pixels and of two.
        for (spec, x, y_want, dx_want) in [
            (whole.clone(), &numbers, [3.0, 2.25], [2.0, 2.0, 1.0]),
            (whole.clone().by_present(), &numbers, [3.0, 4.5], [2.0, 2.0, 2.0]),
            (whole.clone(), &bits, [0.5, 0.5], [2.0, 2.0, 1.0]),
            (whole.by_present(), &bits, [0.5, 1.0], [2.0, 2.0, 2.0]),
        ] {
            let signal = Signal { dtype: x.dtype(), shape: vec![1, 2, 3] };
            let mut layer = spec.build(&Site::alone(signal, "1.average_pool", 0)).unwrap();
            let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
            assert_eq!(y.to_frames::<f32>().unwrap(), y_want, "{spec:?}");
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            assert_eq!(dx.to_frames::<f32>().unwrap(), [dx_want, dx_want].concat(), "{spec:?}");
        }
    }
}
