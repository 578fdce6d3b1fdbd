//! Bit encode: a number becomes the bits of its binary code.
//!
//! With `B` bits, `v = clamp(x, 0, 1) · (2^B − 1)` without its fraction; a u8 counts as `x / 255`,
//! in whole numbers: `v = x · (2^B − 1) / 255`, so 8 bits are those of the u8 itself. Bit `b` of
//! input node `n` of `N` becomes node `b·N + n`; the output shape is that of the input with axis 0
//! multiplied by `B`. The gradient to the input is zero.
//!
//! Source: `BitEncode` of `BinaryBrain`, whose CPU code does not clamp.

use std::sync::Arc;

use lutweave_backend::{Backend, MAX_CODE_BITS};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer, node_count};
use serde::{Deserialize, Serialize};

use super::byte_cells::{self, BYTE};
use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site};

/// Settings of a binary code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitEncode {
    bits: usize,
}

impl BitEncode {
    /// Codes of 1 to 24 bits.
    pub fn new(bits: usize) -> Self {
        Self { bits }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("bit_encode", config)
    }
}

impl LayerSpec for BitEncode {
    fn kind(&self) -> &'static str {
        "bit_encode"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !(1..=MAX_CODE_BITS).contains(&self.bits) {
            return Err(site.option_error("bits", format!("1 to {MAX_CODE_BITS}"), self.bits));
        }
        if !matches!(site.input().dtype, DType::U8 | DType::F32) {
            return Err(site.input_error("numbers of u8 or f32"));
        }
        let mut shape = site.input().shape.clone();
        shape[0] = shape[0].checked_mul(self.bits).unwrap_or(0); // refused below
        node_count("bit encode", &shape)?;
        Ok(Box::new(Coder {
            base: Base::new(self.clone(), site, Signal::bits(&shape)),
            spec: self.clone(),
        }))
    }
}

/// The built code.
#[derive(Debug)]
struct Coder {
    base: Base,
    spec: BitEncode,
}

impl Layer for Coder {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        vec![(0..self.spec.bits).flat_map(|_| inputs[0].iter().cloned()).collect()]
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(DType::Bit, &self.base.output().shape, x.frames())?;
        backend.bit_encode(x, self.spec.bits, &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(x.frames())))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let frames = *saved_as::<usize>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        Ok(Some(FrameBuffer::zeros(DType::F32, &self.base.input().shape, frames)?))
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(BYTE)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let nodes = self.base.input().nodes();
        if self.base.input().dtype != DType::U8 {
            return elementwise::freeze(self, name, input, |node| node % nodes, build);
        }
        let bits = self.spec.bits;
        let tables = byte_cells::tables(bits, |backend, x, y| backend.bit_encode(x, bits, y))?;
        let outputs = (0..bits).flat_map(|bit| (0..nodes).map(move |node| (node, bit)));
        byte_cells::freeze(self.base.path(), name, input, &tables, outputs, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        let nodes = self.base.input().nodes();
        chain.elementwise(name, self, |node| node % nodes)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_lut::Evaluator;

    use super::*;

    fn site(dtype: DType, shape: &[usize]) -> Site<'static> {
        let input = Signal { dtype, shape: shape.to_vec() };
        Site::alone(input, "0.bit_encode", 0)
    }

    fn codes(y: &FrameBuffer, nodes: usize) -> Vec<u32> {
        let bits = y.to_frame_bits().unwrap();
        let frames = bits.chunks(y.nodes());
        let code = |frame: &[bool], node: usize| {
            let digits = frame.iter().skip(node).step_by(nodes).enumerate();
            digits.map(|(b, &bit)| u32::from(bit) << b).sum()
        };
        frames
            .flat_map(|frame| (0..nodes).map(|node| code(frame, node)).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn codes_are_those_of_binary_brain() {
        let layer = BitEncode::new(4).build(&site(DType::F32, &[6])).unwrap();
        assert_eq!(layer.output(), &Signal::bits(&[24]));
        let x = [85.0f32, 17.0, 34.0, 170.0, 0.0, 255.0].map(|v| v / 255.0);
        let x = FrameBuffer::from_frames(&[6], &x).unwrap();
        assert_eq!(codes(&layer.evaluate(&x, &Cpu::new()).unwrap(), 6), [5, 1, 2, 10, 0, 15]);

        let layer = BitEncode::new(4).build(&site(DType::F32, &[5])).unwrap();
        // The first two frames of golden/bit_encode_4_f32.
        let x = [
            0.833_333_3f32,
            0.3,
            0.7,
            0.9,
            0.966_666_64,
            0.1,
            0.766_666_65,
            0.7,
            0.433_333_34,
            0.633_333_3,
        ];
        let x = FrameBuffer::from_frames(&[5], &x).unwrap();
        let want = [12, 4, 10, 13, 14, 1, 11, 10, 6, 9];
        assert_eq!(codes(&layer.evaluate(&x, &Cpu::new()).unwrap(), 5), want);

        let layer = BitEncode::new(8).build(&site(DType::F32, &[2, 2, 1])).unwrap();
        assert_eq!(layer.output().shape, [16, 2, 1]);
        // The first frame of golden/bit_encode_8_bit.
        let x = [0.966_666_64f32, 0.731_372_54, 0.813_725_5, 0.374_509_8];
        let x = FrameBuffer::from_frames(&[2, 2, 1], &x).unwrap();
        let y: Vec<u8> = layer
            .evaluate(&x, &Cpu::new())
            .unwrap()
            .to_frame_bits()
            .unwrap()
            .into_iter()
            .map(u8::from)
            .collect();
        let want = [
            0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1,
            1, 1, 0,
        ];
        assert_eq!(y, want);
    }

    #[test]
    fn numbers_are_clamped_and_have_no_gradient() {
        let mut layer = BitEncode::new(3).build(&site(DType::F32, &[1])).unwrap();
        let x = [-1.0f32, 0.0, 0.5, 1.0, 7.0, f32::NAN];
        let x = Arc::new(FrameBuffer::from_frames(&[1], &x).unwrap());
        let (y, saved) = layer.forward(x, &Cpu::new()).unwrap();
        assert_eq!(codes(&y, 1), [0, 0, 3, 7, 7, 0]);
        let dy = FrameBuffer::from_frames(&[3], &[1f32; 18]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(dx.to_frames::<f32>().unwrap(), [0.0; 6]);
    }

    #[test]
    fn the_netlist_is_the_code() {
        for bits in [1, 2, 5, 8, 11, 24] {
            let layer = BitEncode::new(bits).build(&site(DType::U8, &[1, 2])).unwrap();
            let mut build = NetlistBuilder::new("code").unwrap();
            let nets = build.input("x", 2, 8).unwrap();
            let input = Frozen::new(nets.chunks(8).map(<[_]>::to_vec).collect());
            let frozen = layer.freeze("bit_encode0", &input, &mut build).unwrap();
            build.output("y", 1, &frozen.bits("y").unwrap()).unwrap();
            let netlist = build.finish().unwrap();
            if bits == 8 {
                assert_eq!(netlist.cells().len(), 0, "8 bits are wires");
            }
            let values: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v]).collect();
            let words: Vec<u64> = values.iter().map(|&v| u64::from(v)).collect();
            let got = Evaluator::new(&netlist).unwrap().frames(&words).unwrap();
            let x = FrameBuffer::from_frames(&[1, 2], &values).unwrap();
            let want = layer.evaluate(&x, &Cpu::new()).unwrap().to_frame_bits().unwrap();
            assert_eq!(got, want.into_iter().map(u64::from).collect::<Vec<_>>(), "{bits} bits");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(BitEncode::new(0).build(&site(DType::U8, &[2])).is_err());
        assert!(BitEncode::new(25).build(&site(DType::U8, &[2])).is_err());
        assert!(BitEncode::new(2).build(&site(DType::Bit, &[2])).is_err());
        assert!(BitEncode::new(2).build(&site(DType::U8, &[usize::MAX / 2, 2])).is_err());
        let layer = BitEncode::new(2).build(&site(DType::F32, &[1])).unwrap();
        let mut build = NetlistBuilder::new("code").unwrap();
        let error = layer.freeze("b", &Frozen::default(), &mut build).unwrap_err().to_string();
        assert!(error.starts_with("0.bit_encode: cannot be frozen to a netlist: it reads 1 words"));
    }
}
