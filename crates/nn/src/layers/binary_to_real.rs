//! Binary to real: the share of ones over frames and groups of nodes, undoing a modulation.
//!
//! With `I` frames and `O` output nodes, output frame `f` of node `o` is the mean of the bits, as 0
//! and 1, over input frames `f·I .. f·I + I` and the nodes `n` with `n mod O = o`. Its gradient
//! goes to each of those `I · inputs / O` bits in equal parts.
//!
//! The output shape is the one given, whose nodes must divide the input's; else the input's with
//! axis 0 divided by the depth, which must divide it; else the input's. Where both are given they
//! must agree. Behind it, a batch has as many frames as samples again.
//!
//! Source: `BinaryToReal` of `BinaryBrain`, whose size test multiplies where it should divide, and
//! whose default depth of 1 discards the output shape. A depth modulation of
//! [`RealToBinary`](super::RealToBinary) is not undone by a depth here: that one puts the nodes of a
//! channel next to each other, this one takes them a whole output apart, in both libraries.

use lutweave_tensor::DType;
use serde::{Deserialize, Serialize};

use super::mean::{self, Mean};
use crate::layer::Base;
use crate::{Layer, LayerSpec, Result, Signal, Site};

/// Settings of an integration of bits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryToReal {
    frames: Option<usize>,
    depth: Option<usize>,
    output: Option<Vec<usize>>,
}

impl BinaryToReal {
    /// Every bit as a number, 0 or 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Frames of one mean, `I`: those the network's modulation makes of one sample.
    #[must_use]
    pub fn frames(self, frames: usize) -> Self {
        Self { frames: Some(frames), ..self }
    }

    /// Nodes of one mean; axis 0 is divided by it.
    #[must_use]
    pub fn depth(self, depth: usize) -> Self {
        Self { depth: Some(depth), ..self }
    }

    /// The output shape.
    #[must_use]
    pub fn output(self, shape: &[usize]) -> Self {
        Self { output: Some(shape.to_vec()), ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("binary_to_real", config)
    }
}

impl LayerSpec for BinaryToReal {
    fn kind(&self) -> &'static str {
        "binary_to_real"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if site.input().dtype != DType::Bit {
            return Err(site.input_error("bits"));
        }
        let frames = self.frames.unwrap_or(1);
        if frames == 0 {
            return Err(site.option_error("frames", "at least 1", frames));
        }
        let shape = mean::shape(site, self.output.as_deref(), self.depth)?;
        Ok(Box::new(Mean { base: Base::new(self.clone(), site, Signal::reals(&shape)), frames }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use approx::assert_relative_eq;
    use lutweave_backend::Cpu;
    use lutweave_tensor::{Dataset, FrameBuffer, Targets, Values};

    use super::*;
    use crate::{LutLayer, RealToBinary, Sequential};

    /// Relative tolerance of one rounded division.
    const CLOSE: f32 = 1e-6;

    fn site(shape: &[usize]) -> Site<'static> {
        Site::alone(Signal::bits(shape), "3.binary_to_real", 0)
    }

    /// One case of the golden files: settings, input shape, bits, result, gradients.
    struct Case {
        spec: BinaryToReal,
        shape: &'static [usize],
        x: &'static [u8],
        y: &'static [f32],
        dy: &'static [f32],
        dx: &'static [f32],
    }

    #[rustfmt::skip]
    fn cases() -> [Case; 3] {
        [
            // golden/binary_to_real_mux_bit, the first frame
            Case {
                spec: BinaryToReal::new().frames(2).output(&[3]),
                shape: &[12],
                x: &[0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0],
                y: &[0.375, 0.625, 0.375],
                dy: &[-0.464_381, 0.252_455_86, 0.619_401_9],
                dx: &[-0.058_047_626, 0.031_556_983, 0.077_425_234],
            },
            // golden/binary_to_real_frame4_f32, the first frame
            Case {
                spec: BinaryToReal::new().frames(4),
                shape: &[5],
                x: &[1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1],
                y: &[0.5, 0.25, 0.75, 0.5, 0.5],
                dy: &[-0.7004, -0.189_882_34, 1.277_341_4, 1.419_087, -0.311_272_92],
                dx: &[-0.1751, -0.047_470_585, 0.319_335_34, 0.354_771_76, -0.077_818_23],
            },
            // golden/binary_to_real_depth3_f32, the first frame
            Case {
                spec: BinaryToReal::new().depth(3),
                shape: &[6],
                x: &[0, 0, 1, 0, 0, 1],
                y: &[0.333_333_34, 0.333_333_34],
                dy: &[-1.245_867_4, 0.590_761_66],
                dx: &[-0.415_289_13, 0.196_920_56],
            },
        ]
    }

    #[test]
    fn means_are_those_of_binary_brain() {
        for case in cases() {
            let mut layer = case.spec.build(&site(case.shape)).unwrap();
            let bits: Vec<bool> = case.x.iter().map(|&bit| bit == 1).collect();
            let x = FrameBuffer::from_frame_bits(case.shape, &bits).unwrap();
            let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
            let got = y.to_frames::<f32>().unwrap();
            for (got, want) in got.iter().zip(case.y) {
                assert_relative_eq!(got, want, max_relative = CLOSE);
            }
            let dy = FrameBuffer::from_frames(y.shape(), case.dy).unwrap();
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            let got = dx.to_frames::<f32>().unwrap();
            assert_eq!(got.len(), bits.len());
            for (got, want) in got.iter().zip(case.dx.iter().cycle()) {
                assert_relative_eq!(got, want, max_relative = CLOSE);
            }
        }
    }

    #[test]
    fn shapes_divide() {
        let shape =
            |spec: BinaryToReal| spec.build(&site(&[4, 6])).map(|l| l.output().shape.clone());
        assert_eq!(shape(BinaryToReal::new()).unwrap(), [4, 6]);
        assert_eq!(shape(BinaryToReal::new().depth(2)).unwrap(), [2, 6]);
        assert_eq!(shape(BinaryToReal::new().output(&[3])).unwrap(), [3]);
        assert_eq!(shape(BinaryToReal::new().output(&[3]).depth(8)).unwrap(), [3]);
        let error = shape(BinaryToReal::new().depth(3)).unwrap_err().to_string();
        let want = "expected integration size to be a divisor of axis 0 of the input, 4, got 3";
        assert_eq!(error, format!("3.binary_to_real: {want}"));
        assert!(shape(BinaryToReal::new().depth(0)).is_err());
        assert!(shape(BinaryToReal::new().output(&[3]).depth(1)).is_err());
        assert!(shape(BinaryToReal::new().output(&[5])).is_err());
        assert!(shape(BinaryToReal::new().output(&[0])).is_err());
        assert!(shape(BinaryToReal::new().output(&[usize::MAX, 2])).is_err());
        assert!(shape(BinaryToReal::new().frames(0)).is_err());
        let layer = BinaryToReal::new().frames(3).build(&site(&[2])).unwrap();
        let x = FrameBuffer::zeros(DType::Bit, &[2], 7).unwrap();
        let error = layer.evaluate(&x, &Cpu::new()).unwrap_err().to_string();
        assert_eq!(error, "binary_to_real: expected a multiple of 3 frames, got 7");
    }

    #[test]
    fn predictions_are_one_a_sample() {
        let net = Sequential::new(&[6])
            .then(RealToBinary::new().range(0.0, 255.0).frames(5))
            .then(LutLayer::new(12).fan_in(3))
            .then(BinaryToReal::new().frames(5).output(&[3]))
            .build(4)
            .unwrap();
        let values: Vec<u8> = (0..6 * 1100u32).map(|v| (v * 97 % 256) as u8).collect();
        let targets = Targets::Classes { count: 3, labels: vec![0; 1100] };
        let data = Dataset::new("t", &[6], Values::U8(values), targets).unwrap();
        let all = net.predict(&data).unwrap();
        assert_eq!(all.len(), 1100);
        let odd: Vec<usize> = (0..1100).skip(1).step_by(2).collect();
        let some = net.predict(&data.select(&odd).unwrap()).unwrap();
        assert!(some.iter().zip(odd).all(|(class, sample)| *class == all[sample]));
        let open = Sequential::new(&[6])
            .then(RealToBinary::new().range(0.0, 255.0).frames(5))
            .then(LutLayer::new(12).fan_in(3))
            .then(BinaryToReal::new().output(&[3]));
        let error = open.build(4).unwrap().to_netlist("t").unwrap_err().to_string();
        assert!(error.contains("it gives 5 frames a sample"), "{error}");
    }
}
