//! Reduce: the mean of groups of nodes.
//!
//! With `O` output nodes, node `o` is the mean of the input nodes `n` with `n mod O = o`; its
//! gradient goes to them in equal parts. It reads f32, or bits, which count as 0 and 1: on bits it
//! is [`BinaryToReal`](super::BinaryToReal) without frames. The output shape is the one given, or
//! the input's with axis 0 divided by the integration size.
//!
//! Source: `Reduce` of `BinaryBrain`, in which bits count as −1 and +1: its result is `2·y − 1`, and
//! the gradient it passes on to a bit is the same as here.

use lutweave_tensor::DType;
use serde::{Deserialize, Serialize};

use super::mean::{self, Mean};
use crate::layer::Base;
use crate::{Layer, LayerSpec, Result, Signal, Site};

/// Settings of a mean over nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    size: Option<usize>,
    output: Option<Vec<usize>>,
}

impl Reduce {
    /// Means that make this output shape, whose nodes must divide the input's.
    pub fn to_shape(shape: &[usize]) -> Self {
        Self { size: None, output: Some(shape.to_vec()) }
    }

    /// Means of `size` nodes, which must divide axis 0 of the input.
    pub fn by(size: usize) -> Self {
        Self { size: Some(size), output: None }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("reduce", config)
    }
}

impl LayerSpec for Reduce {
    fn kind(&self) -> &'static str {
        "reduce"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !matches!(site.input().dtype, DType::Bit | DType::F32) {
            return Err(site.input_error("bits or f32"));
        }
        let shape = mean::shape(site, self.output.as_deref(), self.size)?;
        Ok(Box::new(Mean { base: Base::new(self.clone(), site, Signal::reals(&shape)), frames: 1 }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use approx::assert_relative_eq;
    use lutweave_backend::Cpu;
    use lutweave_tensor::FrameBuffer;

    use super::*;

    /// Relative tolerance of a short sum.
    const CLOSE: f32 = 1e-6;

    fn build(spec: &Reduce, dtype: DType, shape: &[usize]) -> Result<Box<dyn Layer>> {
        let input = Signal { dtype, shape: shape.to_vec() };
        spec.build(&Site::alone(input, "1.reduce", 0))
    }

    #[test]
    fn one_to_nine_become_four_five_six() {
        let mut layer = build(&Reduce::to_shape(&[3]), DType::F32, &[9]).unwrap();
        let x: Vec<f32> = (1..=9u8).map(f32::from).collect();
        let x = Arc::new(FrameBuffer::from_frames(&[9], &x).unwrap());
        let (y, saved) = layer.forward(x, &Cpu::new()).unwrap();
        assert_eq!(y.to_frames::<f32>().unwrap(), [4.0, 5.0, 6.0]);
        let dy = FrameBuffer::from_frames(&[3], &[1f32, 2.0, 3.0]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        let want: Vec<f32> = [1f32, 2.0, 3.0].repeat(3).into_iter().map(|v| v / 3.0).collect();
        assert_eq!(dx.to_frames::<f32>().unwrap(), want);
    }

    #[test]
    fn a_gradient_of_other_frames_is_refused() {
        let mut layer = build(&Reduce::by(3), DType::F32, &[9]).unwrap();
        let x = |frames: usize| Arc::new(FrameBuffer::zeros(DType::F32, &[9], frames).unwrap());
        let dy = FrameBuffer::zeros(DType::F32, &[3], 4).unwrap();
        for want_dx in [false, true] {
            let (_, saved) = layer.forward(x(5), &Cpu::new()).unwrap();
            let error = layer.backward(saved, &dy, want_dx, &Cpu::new()).unwrap_err();
            assert!(error.to_string().contains("expected 5 frames, got 4"), "{error}");
        }
        let (_, saved) = layer.forward(x(4), &Cpu::new()).unwrap();
        assert!(layer.backward(saved, &dy, true, &Cpu::new()).is_ok());
    }

    #[test]
    fn means_are_those_of_binary_brain() {
        // golden/reduce_integration_f32, the first frame
        let layer = build(&Reduce::by(4), DType::F32, &[8, 2]).unwrap();
        assert_eq!(layer.output().shape, [2, 2]);
        let x = [
            0.118_502_74f32,
            0.548_341_45,
            0.988_841,
            1.338_571_9,
            -1.091_978,
            -0.045_540_255,
            0.580_098_15,
            1.029_916_8,
            -1.016_442_8,
            -1.602_746_8,
            0.639_333_3,
            0.285_904_8,
            0.377_790_24,
            1.080_765_2,
            0.655_891_5,
            0.774_801_5,
        ];
        let want = [-0.403_031_95f32, -0.004_795_104_3, 0.716_040_97, 0.857_298_8];
        let x = FrameBuffer::from_frames(&[8, 2], &x).unwrap();
        let got = layer.evaluate(&x, &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
        for (got, want) in got.iter().zip(want) {
            assert_relative_eq!(*got, want, max_relative = CLOSE, epsilon = CLOSE);
        }

        // golden/reduce_bit, the first three frames, in which bits are −1 and +1
        let layer = build(&Reduce::to_shape(&[2]), DType::Bit, &[10]).unwrap();
        let x = [
            1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 0, 1,
            1,
        ];
        let x = FrameBuffer::from_frame_bits(&[10], &x.map(|bit| bit == 1)).unwrap();
        let got = layer.evaluate(&x, &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
        for (got, want) in got.iter().zip([0.2f32, 0.2, 0.2, 0.2, -0.2, 0.2]) {
            assert_relative_eq!(2.0 * got - 1.0, want, max_relative = CLOSE, epsilon = CLOSE);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(build(&Reduce::by(3), DType::F32, &[8]).is_err());
        assert!(build(&Reduce::by(0), DType::F32, &[8]).is_err());
        assert!(build(&Reduce::to_shape(&[3]), DType::F32, &[8]).is_err());
        assert!(build(&Reduce::to_shape(&[]), DType::F32, &[8]).is_err());
        assert!(build(&Reduce::by(2), DType::U8, &[8]).is_err());
    }
}
