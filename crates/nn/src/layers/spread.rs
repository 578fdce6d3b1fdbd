//! Spread: the part of a transposed convolution that lays windows onto the output.
//!
//! Channels `[c · fh · fw, h, w]` hold a window for each pixel. The window of pixel `(y, x)` is laid
//! onto `[c, oh, ow]` with its corner at `(y · sy, x · sx)`, where `oh = (h − 1) · sy + fh`; where
//! windows meet, numbers add up. Bits cannot be added, so their windows must not meet: the stride is
//! at least the filter. Pixels under no window are zero. The gradient goes the same way back.

use lutweave_backend::Backend;
use lutweave_lut::{MAX_NETS, NO_SOURCE, NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::{Convolution, Sequential, names};
use crate::hardware::{StageChain, linear};
use crate::layer::{Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Settings of a spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    filter: [usize; 2],
    stride: [usize; 2],
}

impl Spread {
    /// Windows of `[height, width]` with this stride, `[y, x]`.
    pub fn new(filter: [usize; 2], stride: [usize; 2]) -> Self {
        Self { filter, stride }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("spread", config)
    }

    /// A transposed convolution: layers that read the channels of one pixel and give a window
    /// `[c, fh, fw]` of the output. It is these layers at every pixel, then a spread.
    ///
    /// ```
    /// use lutweave_nn::{LutLayer, Sequential, Spread};
    /// use lutweave_tensor::DType;
    ///
    /// let up = Spread::up_convolution([2, 2], [2, 2], LutLayer::new(3 * 2 * 2).fan_in(4));
    /// let net = Sequential::new(&[8, 7, 7]).reading(DType::Bit).then(up).build(1)?;
    /// assert_eq!(net.output().shape, [3, 14, 14]);
    /// # Ok::<(), lutweave_nn::Error>(())
    /// ```
    pub fn up_convolution(
        filter: [usize; 2],
        stride: [usize; 2],
        inner: impl LayerSpec + 'static,
    ) -> Sequential {
        let at_pixels = Convolution::new([1, 1], inner);
        Sequential::inner().then(at_pixels).then(Self::new(filter, stride))
    }
}

impl LayerSpec for Spread {
    fn kind(&self) -> &'static str {
        "spread"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let [[fh, fw], [sy, sx]] = [self.filter, self.stride];
        let sizes = [fh, fw, sy, sx];
        if sizes.iter().any(|&size| size == 0 || size > 1 << 16) {
            return Err(site.option_error("filter and stride", "1 to 65536 each", sizes));
        }
        let (input, taps) = (site.input(), fh * fw);
        let Ok([channels, h, w]) = <[usize; 3]>::try_from(input.shape.as_slice()) else {
            return Err(site.input_error("an image of shape [channels, height, width]"));
        };
        if !channels.is_multiple_of(taps) {
            let expected =
                format!("channels that are windows of {fh} x {fw}, a multiple of {taps}");
            return Err(site.input_error(expected));
        }
        match input.dtype {
            DType::F32 => {}
            DType::Bit if sy >= fh && sx >= fw => {}
            DType::Bit => {
                let expected =
                    format!("at least the filter {:?}, since bits cannot be added", self.filter);
                return Err(site.option_error("stride", expected, self.stride));
            }
            _ => return Err(site.input_error("bits or f32")),
        }
        let size = |n: usize, s: usize, f: usize| (n - 1).saturating_mul(s).saturating_add(f);
        let shape = [channels / taps, size(h, sy, fh), size(w, sx, fw)];
        let nodes = lutweave_tensor::node_count("spread", &shape)?;
        if nodes > MAX_NETS {
            let expected = format!("so small that the output has at most {MAX_NETS} nodes");
            return Err(site.option_error("stride", expected, self.stride));
        }
        let mut targets = Vec::with_capacity(input.nodes());
        for node in 0..input.nodes() {
            let (x, y, channel) = (node % w, node / w % h, node / w / h);
            let (kx, ky, c) = (channel % fw, channel / fw % fh, channel / taps);
            targets.push(((c * shape[1] + y * sy + ky) * shape[2] + x * sx + kx) as u32);
        }
        let output = Signal { dtype: input.dtype, shape: shape.to_vec() };
        let (base, filter, stride) =
            (Base::new(self.clone(), site, output), self.filter, self.stride);
        Ok(Box::new(Windows { base, filter, stride, targets }))
    }
}

/// The built spread.
#[derive(Debug)]
struct Windows {
    base: Base,
    filter: [usize; 2],
    stride: [usize; 2],
    /// The output node that each input node is added to.
    targets: Vec<u32>,
}

impl Windows {
    /// For each output node the input node that it is; only where windows do not meet.
    fn sources(&self) -> Vec<u32> {
        let mut sources = vec![NO_SOURCE; self.base.output().nodes()];
        for (source, &target) in self.targets.iter().enumerate() {
            sources[target as usize] = source as u32;
        }
        sources
    }
}

impl Layer for Windows {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let output = self.base.output();
        let mut y = FrameBuffer::zeros(output.dtype, &output.shape, x.frames())?;
        if output.dtype == DType::Bit {
            backend.gather_rows(x, &self.sources(), 0.0, &mut y)?;
        } else {
            backend.scatter_rows(x, &self.targets, &mut y)?;
        }
        Ok(y)
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.input_gradient(dy, want_dx, |dx| backend.gather_rows(dy, &self.targets, 0.0, dx))
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if self.base.output().dtype != DType::Bit {
            let mut groups = vec![Vec::new(); self.base.output().nodes()];
            for (source, &target) in self.targets.iter().enumerate() {
                groups[target as usize].push(source);
            }
            let groups = groups.into_iter();
            return linear::freeze(&self.base, name, input, groups, |_, sum| sum, build);
        }
        let sources = self.sources();
        let mut zero = Vec::new();
        if sources.contains(&NO_SOURCE) {
            build.group(name, Role::Core)?;
            zero.push(build.constant(names::part(name, "zero"), false)?);
        }
        let word = |source: u32| input.words.get(source as usize).cloned().unwrap_or(zero.clone());
        Ok(input.with(sources.into_iter().map(word).collect()))
    }

    /// Windows of bits are laid side by side; sums of windows that meet have no such form.
    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        if self.base.output().dtype != DType::Bit {
            let why = "it adds real numbers where its windows meet, for which a filter has no form: \
                       let it lay bits";
            return Err(self.base.freeze_error(why));
        }
        chain.spread(name, self.filter, self.stride)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;

    use super::*;

    fn site(dtype: DType, shape: &[usize]) -> Site<'static> {
        Site::alone(Signal { dtype, shape: shape.to_vec() }, "0.spread", 1)
    }

    #[test]
    fn windows_add_up_where_they_meet() {
        // One channel, one row of two pixels with windows 1 2 3 and 4 5 6, two apart.
        let mut layer = Spread::new([1, 3], [1, 2]).build(&site(DType::F32, &[3, 1, 2])).unwrap();
        let x = FrameBuffer::from_frames(&[3, 1, 2], &[1f32, 4.0, 2.0, 5.0, 3.0, 6.0]).unwrap();
        let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        assert_eq!(y.shape(), [1, 1, 5]);
        assert_eq!(y.to_frames::<f32>().unwrap(), [1.0, 2.0, 7.0, 5.0, 6.0]);
        let dy = FrameBuffer::from_frames(&[1, 1, 5], &[10f32, 20.0, 30.0, 40.0, 50.0]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(dx.to_frames::<f32>().unwrap(), [10.0, 30.0, 20.0, 40.0, 30.0, 50.0]);
    }

    #[test]
    fn bits_are_laid_side_by_side() {
        let layer = Spread::new([1, 2], [2, 3]).build(&site(DType::Bit, &[2, 2, 1])).unwrap();
        let x = FrameBuffer::from_frame_bits(&[2, 2, 1], &[true, false, true, true]).unwrap();
        let y = layer.evaluate(&x, &Cpu::new()).unwrap();
        assert_eq!(y.shape(), [1, 3, 2]);
        let bits: Vec<u8> = y.to_frame_bits().unwrap().into_iter().map(u8::from).collect();
        assert_eq!(bits, [1, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Spread::new([2, 2], [1, 2]).build(&site(DType::Bit, &[4, 2, 2])).is_err());
        assert!(Spread::new([2, 2], [1, 2]).build(&site(DType::F32, &[6, 2, 2])).is_err());
        assert!(Spread::new([2, 2], [2, 2]).build(&site(DType::U8, &[4, 2, 2])).is_err());
        assert!(Spread::new([0, 2], [2, 2]).build(&site(DType::F32, &[4, 2, 2])).is_err());
        assert!(Spread::new([1, 1], [65536, 65536]).build(&site(DType::F32, &[1, 9, 9])).is_err());
    }
}
