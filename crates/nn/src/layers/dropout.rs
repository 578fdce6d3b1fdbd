//! Dropout: while training, a share of the numbers is zero, so that the network does not rely on
//! any of them.
//!
//! Each element of a batch, or each node in all its frames, is dropped with probability `rate` (a
//! multiple of 2⁻³²), anew in every step. So that sums stay as large on average,
//!
//! ```text
//! inverted     training: y = x / (1 − rate) where kept     evaluation: y = x
//! inference    training: y = x where kept                  evaluation: y = x · (1 − rate)
//! ```
//!
//! Reads and gives f32; for bits there is
//! [`InsertBitError::clearing`](crate::InsertBitError::clearing).
//!
//! Source: Srivastava et al. 2014. `Dropout` of `BinaryBrain` is per node and `inference`.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::steps::Steps;
use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as};
use crate::settings::unknown;
use crate::{Layer, LayerSpec, Result, Saved, Site, StateTensor, StepState};

/// The use of this layer's random stream.
const USE: u64 = u64::from_be_bytes(*b"dropout ");

/// Settings of dropout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    rate: f64,
    nodes: bool,
    scale: DropoutScale,
}

/// Where dropout makes up for what it drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropoutScale {
    /// In training: what is kept is divided by the share that is kept.
    Inverted,
    /// In evaluation: everything is multiplied by that share.
    Inference,
}

impl Dropout {
    /// Drops this share of the elements, at least 0 and below 1, with inverted scale.
    pub fn new(rate: f64) -> Self {
        Self { rate, nodes: false, scale: DropoutScale::Inverted }
    }

    /// Whether a node is dropped in all frames of a batch, or in none.
    #[must_use]
    pub fn per_node(self, nodes: bool) -> Self {
        Self { nodes, ..self }
    }

    /// Sets where it makes up for what it drops.
    #[must_use]
    pub fn scale(self, scale: DropoutScale) -> Self {
        Self { scale, ..self }
    }

    /// What is kept is multiplied by, in training and in evaluation.
    fn factors(&self) -> (f32, f32) {
        let kept = (1.0 - self.rate) as f32;
        match self.scale {
            DropoutScale::Inverted => (1.0 / kept, 1.0),
            DropoutScale::Inference => (1.0, kept),
        }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("dropout", config)
    }
}

impl LayerSpec for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(site.option_error("rate", "at least 0 and below 1", self.rate));
        }
        if site.input().dtype != DType::F32 {
            return Err(site.input_error("numbers of f32"));
        }
        let (training, evaluation) = self.factors();
        Ok(Box::new(Dropper {
            base: Base::new(self.clone(), site, site.input().clone()),
            spec: self.clone(),
            training,
            evaluation,
            steps: Steps::new(site, USE),
        }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Dropper {
    base: Base,
    spec: Dropout,
    /// Factors.
    training: f32,
    evaluation: f32,
    steps: Steps,
}

impl Layer for Dropper {
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
        if self.spec.scale == DropoutScale::Inverted {
            return Ok(x.clone());
        }
        let none = FrameBuffer::zeros(DType::Bit, x.shape(), 1)?;
        let mut y = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.dropout(x, &none, self.evaluation, &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        self.base.check(&x)?;
        let frames = if self.spec.nodes { 1 } else { x.frames() };
        let mut dropped = FrameBuffer::zeros(DType::Bit, x.shape(), frames)?;
        backend.bit_errors(self.steps.training(), self.spec.rate, &mut dropped)?;
        let mut y = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.dropout(&x, &dropped, self.training, &mut y)?;
        Ok((y, Box::new(dropped)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let dropped = saved_as::<FrameBuffer>(saved, self.base.path())?;
        self.base.input_gradient(dy, want_dx, |dx| backend.dropout(dy, &dropped, self.training, dx))
    }

    fn before_step(&self) -> StepState {
        self.steps.before_step()
    }

    fn undo_step(&mut self, before: StepState) {
        self.steps.undo_step(&before);
    }

    fn state(&self) -> Vec<StateTensor> {
        self.steps.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.steps.restore(state, self.base.path())
    }

    fn settings(&self) -> Vec<(String, f32)> {
        vec![("rate".to_owned(), self.spec.rate as f32)]
    }

    fn set(&mut self, name: &str, value: f32) -> Result<()> {
        if name != "rate" {
            return Err(unknown(&self.base, &self.settings(), name));
        }
        if !(0.0..1.0).contains(&value) {
            return Err(self.base.option_error("rate", "at least 0 and below 1", value));
        }
        self.spec.rate = value.into();
        (self.training, self.evaluation) = self.spec.factors();
        Ok(())
    }

    /// Dropping belongs to training: in hardware the layer is wires.
    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        elementwise::freeze(self, name, input, |node| node, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.elementwise(name, self, |node| node)
    }
}
