//! The top bits of numbers: fewer wires, smaller adders and comparators behind them.
//!
//! `y = ⌊x / 2^(8 − B)⌋` for numbers of u8: what its `B` most significant bits say, from 0 to
//! `2^B − 1`, as u8 again and of the same shape. In hardware that is a choice of wires, and whatever
//! reads them ([`Differences`](super::Differences), [`Thermometer`](super::Thermometer)) has words of `B`
//! bits instead of 8. There is no gradient to the input.
//!
//! Coarse pixels are what FPGA networks begin with where the encoder is most of the circuit: FINN and hls4ml
//! feed quantised inputs, and the sums behind them shrink in proportion.

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::byte_cells::BYTE;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Site, registry};

/// Settings of top bits.
///
/// ```
/// use lutweave_nn::{Differences, Sequential, TopBits};
/// use lutweave_tensor::DType;
///
/// let edges = Sequential::new(&[1, 28, 28]).reading(DType::U8);
/// let net = edges.then(TopBits::new(4)).then(Differences::new()).build(1)?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopBits {
    bits: usize,
}

impl TopBits {
    /// Of 1 to 8 bits.
    pub fn new(bits: usize) -> Self {
        Self { bits }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("top_bits", config)
    }
}

impl LayerSpec for TopBits {
    fn kind(&self) -> &'static str {
        "top_bits"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !(1..=BYTE).contains(&self.bits) {
            return Err(site.option_error("bits", format!("1 to {BYTE}"), self.bits));
        }
        if site.input().dtype != DType::U8 {
            return Err(site.input_error("numbers of u8"));
        }
        let base = Base::new(self.clone(), site, site.input().clone());
        Ok(Box::new(Shifted { base, by: BYTE - self.bits }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Shifted {
    base: Base,
    /// Bits that are left away.
    by: usize,
}

impl Shifted {
    /// The top wires of each word.
    fn wires(&self, input: &Frozen) -> Result<Frozen> {
        let top = |word: &Vec<_>| match word.len() {
            BYTE => Ok(word[self.by..].to_vec()),
            bits => Err(self.base.freeze_error(format!("it reads words of 8 bits, not {bits}"))),
        };
        Ok(input.with(input.words.iter().map(top).collect::<Result<_>>()?))
    }
}

impl Layer for Shifted {
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
        let mut y = FrameBuffer::zeros(DType::U8, x.shape(), x.frames())?;
        for (y, x) in y.rows_mut::<u8>()?.iter_mut().zip(x.rows::<u8>()?) {
            *y = x >> self.by;
        }
        Ok(y)
    }

    fn backward(
        &mut self,
        _saved: Saved,
        _dy: &FrameBuffer,
        _want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        Ok(None)
    }

    fn input_width(&self) -> Option<usize> {
        Some(BYTE)
    }

    fn freeze(&self, _name: &str, input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        self.wires(input)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, _| self.wires(input));
        }
        chain.at_pixel(name, |pixel, _| self.wires(pixel))
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;
    use crate::Signal;

    fn site(dtype: DType) -> Site<'static> {
        Site::alone(Signal { dtype, shape: vec![3] }, "0.top_bits", 0)
    }

    #[test]
    fn the_top_bits_are_left() {
        let x = FrameBuffer::from_frames(&[3], &[0u8, 15, 16, 127, 128, 255]).unwrap();
        for (bits, want) in
            [(8, [0u8, 15, 16, 127, 128, 255]), (4, [0, 0, 1, 7, 8, 15]), (1, [0, 0, 0, 0, 1, 1])]
        {
            let layer = TopBits::new(bits).build(&site(DType::U8)).unwrap();
            let y = layer.evaluate(&x, &Cpu::new()).unwrap();
            assert_eq!(y.to_frames::<u8>().unwrap(), want);
        }
    }

    #[test]
    fn what_has_no_eight_bits_is_refused() {
        for bits in [0, 9, usize::MAX] {
            assert!(TopBits::new(bits).build(&site(DType::U8)).is_err());
        }
        assert!(TopBits::new(4).build(&site(DType::F32)).is_err());
        let layer = TopBits::new(4).build(&site(DType::U8)).unwrap();
        let mut build = NetlistBuilder::new("n").unwrap();
        build.group("a", lutweave_lut::Role::Encoder).unwrap();
        let words = vec![vec![build.constant("c", false).unwrap(); 4]; 3];
        assert!(layer.freeze("a", &Frozen::new(words), &mut build).is_err());
    }
}
