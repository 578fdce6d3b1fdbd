//! Pad: rows and columns around an image.
//!
//! `[c, h, w]` becomes `[c, top + h + bottom, left + w + right]`; what lies outside is what
//! [`Border`] says, a constant being the value given, zero at first. Gradients of what was copied
//! go to where it was copied from. It takes any type of element. In hardware it is wires.

use lutweave_lut::{Border, Padding, Window};
use serde::{Deserialize, Serialize};

use super::moved::{self, Moved, StageForm};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Most pixels on one side.
const MAX_AROUND: usize = 1 << 10;

/// Settings of a padding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Top, left, bottom, right.
    around: [usize; 4],
    #[serde(default)]
    border: Border,
    #[serde(default)]
    value: f32,
}

impl Pad {
    /// As many pixels at the `[top, left, bottom, right]`.
    pub fn new(around: [usize; 4]) -> Self {
        Self { around, border: Border::Constant, value: 0.0 }
    }

    /// What lies outside the image.
    #[must_use]
    pub fn border(self, border: Border) -> Self {
        Self { border, ..self }
    }

    /// The number of a constant border; a bit is one when it is above 0.5.
    #[must_use]
    pub fn value(self, value: f32) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("pad", config)
    }
}

impl LayerSpec for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let image = moved::image(site)?;
        if !self.value.is_finite() {
            return Err(site.option_error("value", "a finite number", self.value));
        }
        if self.around.iter().any(|&size| size > MAX_AROUND) {
            let expected = format!("at most {MAX_AROUND} on each side");
            return Err(site.option_error("padding", expected, self.around));
        }
        let [top, left, bottom, right] = self.around;
        let padding = Padding::Explicit { top, left, bottom, right };
        let window = Window::new([1, 1]).padding(padding).border(self.border);
        let made = window.output(image).and_then(|size| Ok((size, window.sources(image)?)));
        let ([height, width], table) = made.map_err(|error| {
            site.option_error("padding", "one that fits the image", error.to_string())
        })?;
        let shape = [image[0], height, width];
        let form = StageForm::Window(window);
        Ok(Moved::build_as(form, self.clone(), site, &shape, table, self.value))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::FrameBuffer;

    use super::*;
    use crate::Signal;

    fn build(spec: &Pad, shape: &[usize]) -> Result<Box<dyn Layer>> {
        spec.build(&Site::alone(Signal::reals(shape), "1.pad", 0))
    }

    #[test]
    fn gradients_go_where_pixels_came_from() {
        let x = Arc::new(FrameBuffer::from_frames(&[1, 1, 2], &[5f32, 7.0]).unwrap());
        let dy = FrameBuffer::from_frames(&[1, 1, 5], &[1f32, 2.0, 4.0, 8.0, 16.0]).unwrap();
        let around = [0, 2, 0, 1];
        for (spec, y_want, dx_want) in [
            (Pad::new(around).value(3.0), [3.0, 3.0, 5.0, 7.0, 3.0], [4.0, 8.0]),
            (Pad::new(around).border(Border::Replicate), [5.0, 5.0, 5.0, 7.0, 7.0], [7.0, 24.0]),
            (Pad::new(around).border(Border::Wrap), [5.0, 7.0, 5.0, 7.0, 5.0], [21.0, 10.0]),
        ] {
            let mut layer = build(&spec, &[1, 1, 2]).unwrap();
            let (y, saved) = layer.forward(Arc::clone(&x), &Cpu::new()).unwrap();
            assert_eq!(y.to_frames::<f32>().unwrap(), y_want);
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            assert_eq!(dx.to_frames::<f32>().unwrap(), dx_want);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(build(&Pad::new([1; 4]), &[2]).is_err());
        assert!(build(&Pad::new([1; 4]).value(f32::NAN), &[1, 1, 2]).is_err());
        assert!(build(&Pad::new([usize::MAX; 4]), &[1, 1, 2]).is_err());
        let error = build(&Pad::new([1; 4]).border(Border::Reflect101), &[1, 1, 2]).unwrap_err();
        assert!(error.to_string().contains("reflect101 needs two pixels"), "{error}");
    }
}
