//! What every built layer holds, and what flows between layers.

use std::sync::Arc;

use lutweave_tensor::{DType, FrameBuffer};

use super::{LayerSpec, Site};
use crate::{Error, Result};

/// The type and shape of what flows between two layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Type of the elements.
    pub dtype: DType,
    /// Shape of one frame.
    pub shape: Vec<usize>,
}

impl Signal {
    /// A signal of bits.
    pub fn bits(shape: &[usize]) -> Self {
        Self { dtype: DType::Bit, shape: shape.to_vec() }
    }

    /// A signal of f32 numbers.
    pub fn reals(shape: &[usize]) -> Self {
        Self { dtype: DType::F32, shape: shape.to_vec() }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of one frame, bits packed.
    pub fn bytes(&self) -> usize {
        (self.nodes().saturating_mul(self.dtype.bits())).div_ceil(8)
    }

    /// Checks that a batch is of this type and shape.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] in the name of `layer`.
    pub fn check(&self, layer: &str, x: &FrameBuffer) -> Result<()> {
        if x.dtype() == self.dtype && x.shape() == self.shape {
            return Ok(());
        }
        Err(Error::Input {
            layer: layer.to_owned(),
            expected: format!("{} of shape {:?}", self.dtype, self.shape),
            got_dtype: x.dtype(),
            got_shape: x.shape().to_vec(),
        })
    }
}

/// What every built layer holds: what it was built from, where it is, what it reads and gives.
#[derive(Debug)]
pub struct Base {
    spec: Arc<dyn LayerSpec>,
    path: String,
    inputs: Vec<Signal>,
    outputs: Vec<Signal>,
    frozen: bool,
    /// What changed settings were when the layer was built, by name.
    own_settings: Vec<(String, f32)>,
}

impl Base {
    /// For a layer with one output.
    pub fn new(spec: impl LayerSpec + 'static, site: &Site<'_>, output: Signal) -> Self {
        Self::with_outputs(spec, site, vec![output])
    }

    /// For a layer with any number of outputs, at least one.
    pub fn with_outputs(
        spec: impl LayerSpec + 'static,
        site: &Site<'_>,
        outputs: Vec<Signal>,
    ) -> Self {
        let (path, inputs) = (site.path.clone(), site.inputs.clone());
        Self {
            spec: Arc::new(spec),
            path,
            inputs,
            outputs,
            frozen: false,
            own_settings: Vec::new(),
        }
    }

    /// The settings the layer was built from.
    pub fn spec(&self) -> &dyn LayerSpec {
        self.spec.as_ref()
    }

    /// Its path in the network, for messages: `1.lut`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it reads, where that is one thing; the first otherwise.
    pub fn input(&self) -> &Signal {
        &self.inputs[0]
    }

    /// All that it reads.
    pub fn inputs(&self) -> &[Signal] {
        &self.inputs
    }

    /// What it gives, where that is one thing; the first otherwise.
    pub fn output(&self) -> &Signal {
        &self.outputs[0]
    }

    /// All that it gives.
    pub fn outputs(&self) -> &[Signal] {
        &self.outputs
    }

    /// Whether training leaves the layer as it is: its parameters get no updates, and its running
    /// statistics neither change nor give way to those of a batch.
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// Freezes the layer, or lets it learn again.
    pub fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// What a setting that has been changed was when the layer was built.
    pub(crate) fn own_setting(&self, name: &str) -> Option<f32> {
        self.own_settings.iter().find(|(own, _)| own == name).map(|&(_, value)| value)
    }

    /// Remembers what a setting was, unless it has been changed before.
    pub(crate) fn setting_changed(&mut self, name: &str, before: f32) {
        if self.own_setting(name).is_none() {
            self.own_settings.push((name.to_owned(), before));
        }
    }

    /// Forgets that a setting was changed.
    pub(crate) fn setting_restored(&mut self, name: &str) {
        self.own_settings.retain(|(own, _)| own != name);
    }

    /// Checks that a batch is what the layer was built for.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when it is not.
    pub fn check(&self, x: &FrameBuffer) -> Result<()> {
        self.input().check(&self.path, x)
    }

    /// Checks that a gradient is of the layer's output: f32, of its shape.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when it is not.
    pub fn check_gradient(&self, dy: &FrameBuffer) -> Result<()> {
        Signal::reals(&self.output().shape).check(&self.path, dy)
    }

    /// The gradient of the input where it is wanted, as many frames as `dy`: `write` is given zeros of
    /// f32. None where it is not.
    ///
    /// # Errors
    ///
    /// As [`check_gradient`](Self::check_gradient), and what `write` says.
    pub fn input_gradient(
        &self,
        dy: &FrameBuffer,
        want_dx: bool,
        write: impl FnOnce(&mut FrameBuffer) -> lutweave_backend::Result<()>,
    ) -> Result<Option<FrameBuffer>> {
        self.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.input().shape, dy.frames())?;
        write(&mut dx)?;
        Ok(Some(dx))
    }

    /// An error about a setting out of range.
    pub fn option_error(&self, option: &'static str, expected: &str, got: f32) -> Error {
        let (layer, expected) = (self.path.clone(), expected.to_owned());
        Error::Option { layer, option, expected, got: got.to_string() }
    }

    /// An error about hardware: the layer has no form in a netlist.
    pub fn freeze_error(&self, why: impl Into<String>) -> Error {
        Error::Freeze { layer: self.path.clone(), why: why.into() }
    }

    /// An error about stored state or a call that does not fit the layer.
    pub fn state_error(&self, what: impl Into<String>) -> Error {
        Error::State { layer: self.path.clone(), what: what.into() }
    }
}
