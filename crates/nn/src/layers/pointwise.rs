//! The built layer behind the activations that work on one number at a time.

use std::sync::Arc;

use lutweave_backend::{Backend, TwoLevels, Window};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};

use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as, state_u32};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, StateTensor};

/// The function of a layer that is not binary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Real {
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// `min(max(x, low), high)`.
    Clamp { low: f32, high: f32 },
    /// None: the layer is always binary.
    None,
}

/// The binary function: which numbers are high, what high and low are, and where gradients pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) levels: TwoLevels,
    pub(super) window: Window,
}

impl Step {
    /// A threshold, two levels, and a gradient that is that of a straight line between the levels
    /// over the window.
    pub(super) fn new(threshold: f32, (low, high): (f32, f32), window: (f32, f32)) -> Self {
        let slope = (high - low) / (window.1 - window.0);
        let window = Window { low: window.0, high: window.1, slope };
        Self { levels: TwoLevels { threshold, low, high }, window }
    }

    /// The same with the levels 0 and 1, of a bit.
    pub(super) fn as_bits(self) -> Self {
        let Window { low, high, .. } = self.window;
        Self::new(self.levels.threshold, (0.0, 1.0), (low, high))
    }
}

/// An activation, in its real or its binary form.
#[derive(Debug)]
pub(super) struct Pointwise {
    base: Base,
    real: Real,
    step: Step,
    binary: bool,
}

impl Pointwise {
    /// Gives bits where asked for, and is then always binary; otherwise f32.
    pub(super) fn build(
        spec: impl LayerSpec + 'static,
        site: &Site<'_>,
        real: Real,
        step: Step,
        (binary, bits): (bool, bool),
    ) -> Result<Box<dyn Layer>> {
        if site.input().dtype != DType::F32 {
            return Err(site.input_error("numbers of f32"));
        }
        let dtype = if bits { DType::Bit } else { DType::F32 };
        let output = Signal { dtype, shape: site.input().shape.clone() };
        let base = Base::new(spec, site, output);
        let step = if bits && real != Real::None { step.as_bits() } else { step };
        Ok(Box::new(Self { base, real, step, binary: binary || bits || real == Real::None }))
    }

    fn is_switchable(&self) -> bool {
        self.real != Real::None && self.base.output().dtype == DType::F32
    }
}

impl Layer for Pointwise {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        inputs.to_vec()
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(self.base.output().dtype, x.shape(), x.frames())?;
        match self.real {
            _ if y.dtype() == DType::Bit => {
                backend.binarize(x, self.step.levels.threshold, &mut y)?;
            }
            Real::Sigmoid if !self.binary => backend.sigmoid(x, &mut y)?,
            Real::Clamp { low, high } if !self.binary => backend.clamp(x, low, high, &mut y)?,
            _ => backend.levels(x, self.step.levels, &mut y)?,
        }
        Ok(y)
    }

    /// Leaves the input and the form it went through; of a sigmoid, too: its answer is made again,
    /// which costs less than to keep it.
    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new((x, self.binary))))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let (x, binary) = *saved_as::<(Arc<FrameBuffer>, bool)>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        match self.real {
            Real::Sigmoid if !binary => {
                let mut y = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
                backend.sigmoid(&x, &mut y)?;
                backend.sigmoid_backward(&y, dy, &mut dx)?;
            }
            Real::Clamp { low, high } if !binary => {
                backend.window_backward(&x, dy, Window { low, high, slope: 1.0 }, &mut dx)?;
            }
            _ => backend.window_backward(&x, dy, self.step.window, &mut dx)?,
        }
        Ok(Some(dx))
    }

    fn set_binary(&mut self, binary: bool) -> bool {
        if self.is_switchable() {
            self.binary = binary;
        }
        self.is_switchable()
    }

    fn mode(&self) -> String {
        let mode = if self.is_switchable() && self.binary { "binary" } else { "" };
        mode.to_owned()
    }

    fn state(&self) -> Vec<StateTensor> {
        let binary = StateTensor::u32("binary", &[u32::from(self.binary)]);
        if self.is_switchable() { vec![binary] } else { Vec::new() }
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        match state {
            [] if !self.is_switchable() => Ok(()),
            [_] if self.is_switchable() => {
                match state_u32(state, "binary", 1, self.base.path())? {
                    [binary @ (0 | 1)] => self.binary = *binary == 1,
                    _ => return Err(self.base.state_error("stored binary mode is not 0 or 1")),
                }
                Ok(())
            }
            _ => Err(self.base.state_error(format!("stored state has {} arrays", state.len()))),
        }
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        elementwise::freeze(self, name, input, |node| node, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.elementwise(name, self, |node| node)
    }
}
