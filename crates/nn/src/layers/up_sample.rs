//! Up-sampling: every pixel becomes a block of pixels.
//!
//! `[c, h, w]` becomes `[c, h · fh, w · fw]`. Each pixel of a block is a copy, or, sparse, only the
//! one at `(fh / 2, fw / 2)` is and the others are zero. The gradient of a pixel is the sum over
//! its copies. It takes any type of element. In hardware it is wires.
//!
//! Source: `UpSampling` of BinaryBrain.

use lutweave_lut::NO_SOURCE;
use serde::{Deserialize, Serialize};

use super::moved::{self, Moved, StageForm};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Largest height or width of a block.
const MAX_FACTOR: usize = 1 << 10;

/// Settings of an up-sampling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpSample {
    factor: [usize; 2],
    sparse: bool,
}

impl UpSample {
    /// Blocks of `[height, width]` copies.
    pub fn new(factor: [usize; 2]) -> Self {
        Self { factor, sparse: false }
    }

    /// Only the middle of a block is a copy, the rest is zero.
    #[must_use]
    pub fn sparse(self) -> Self {
        Self { sparse: true, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("up_sample", config)
    }
}

impl LayerSpec for UpSample {
    fn kind(&self) -> &'static str {
        "up_sample"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let ([channels, height, width], [fh, fw]) = (moved::image(site)?, self.factor);
        if self.factor.iter().any(|size| !(1..=MAX_FACTOR).contains(size)) {
            let expected = format!("1 to {MAX_FACTOR} each");
            return Err(site.option_error("factor", expected, self.factor));
        }
        let shape = [channels, height.saturating_mul(fh), width.saturating_mul(fw)];
        let nodes = moved::check_shape(site, "factor", &shape)?;
        let mut table = Vec::with_capacity(nodes);
        for row in 0..channels * shape[1] {
            for column in 0..shape[2] {
                let middle = row % fh == fh / 2 && column % fw == fw / 2;
                let source = (row / fh * width + column / fw) as u32;
                table.push(if self.sparse && !middle { NO_SOURCE } else { source });
            }
        }
        // Sparse blocks are no copies, and have no such form.
        let form = if self.sparse { StageForm::Pixel } else { StageForm::Enlarge(self.factor) };
        Ok(Moved::build_as(form, self.clone(), site, &shape, table, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::{DType, FrameBuffer};

    use super::*;
    use crate::Signal;

    fn build(spec: &UpSample, shape: &[usize]) -> Result<Box<dyn Layer>> {
        spec.build(&Site::alone(Signal::reals(shape), "1.up_sample", 0))
    }

    #[test]
    fn a_pixel_becomes_a_block() {
        // Source: the numbers of BinaryBrain's own test, factor 2 × 3.
        let mut layer = build(&UpSample::new([2, 3]), &[4, 3, 2]).unwrap();
        let at = |f: usize, c: usize, y: usize, x: usize| (1000 * f + 100 * c + 10 * y + x) as f32;
        let pixel = |f, n: usize| at(f, n / 6, n / 2 % 3, n % 2);
        let x: Vec<f32> = (0..48).map(|i| pixel(i / 24, i % 24)).collect();
        let x = FrameBuffer::from_frames(&[4, 3, 2], &x).unwrap();
        let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        assert_eq!(y.shape(), [4, 6, 6]);
        let value = |f: usize, c: usize, y_: usize, x_: usize| {
            y.row::<f32>((c * 6 + y_) * 6 + x_).unwrap()[f]
        };
        assert_eq!((value(0, 0, 2, 3), value(1, 3, 4, 3)), (11.0, 1321.0));
        let mut dy = FrameBuffer::zeros(DType::F32, &[4, 6, 6], 2).unwrap();
        for (i, node) in [0, 1, 2, 6, 7, 8].into_iter().enumerate() {
            dy.row_mut::<f32>(node).unwrap()[0] = 11.0 + i as f32;
        }
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(dx.row::<f32>(0).unwrap(), [81.0, 0.0]);
    }

    #[test]
    fn sparse_blocks_are_zero_but_for_the_middle() {
        let layer = build(&UpSample::new([2, 3]).sparse(), &[1, 1, 2]).unwrap();
        let x = FrameBuffer::from_frames(&[1, 1, 2], &[5f32, 7.0]).unwrap();
        let y = layer.evaluate(&x, &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
        assert_eq!(y, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 7.0, 0.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(build(&UpSample::new([2, 2]), &[4]).is_err());
        assert!(build(&UpSample::new([0, 2]), &[1, 2, 2]).is_err());
        let error = build(&UpSample::new([usize::MAX, 2]), &[1, 2, 2]).unwrap_err().to_string();
        assert!(error.starts_with("1.up_sample: expected factor to be 1 to 1024 each"), "{error}");
        assert!(build(&UpSample::new([1024, 1024]), &[1, 64, 64]).is_err());
    }
}
