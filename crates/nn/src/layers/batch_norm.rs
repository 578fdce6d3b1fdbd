//! Batch normalisation of real nodes, with a trained scale and shift.
//!
//! ```text
//! training    y = (x − mean) / √(variance + 1e-7) · γ + β      over the frames of the batch
//! evaluation  the same with running statistics
//! ```
//!
//! Each node has its own numbers, or each channel (axis 0) of an image where asked for. A batch
//! leaves `momentum` of the running statistics and adds the rest: its mean, and its variance with
//! the divisor n − 1. The variance of a single value is not known and is left out. Running
//! statistics begin with 0 and 1, and change in `backward`, once for each use of the layer.
//!
//! A frozen layer does in training what it does in evaluation, and its gradient goes through the
//! running statistics. Reads and gives f32.
//!
//! Source: Ioffe and Szegedy 2015; `BatchNormalization` of `BinaryBrain`, which gives NaN for
//! batches of one frame.

use serde::{Deserialize, Serialize};

use super::statistics::{Normaliser, check};
use crate::layer::Base;
use crate::{Layer, LayerSpec, Parameter, Result, Site};

/// Settings of batch normalisation.
///
/// ```
/// use lutweave_nn::{BatchNormalization, Dense, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[6]).reading(DType::F32);
/// let net = net.then(Dense::new(&[4])).then(BatchNormalization::new()).build(1)?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormalization {
    momentum: f32,
    gamma: f32,
    beta: f32,
    /// γ and β.
    fixed: (bool, bool),
    channels: bool,
    bypass: bool,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNormalization {
    /// With momentum 0.9, γ = 1 and β = 0 to begin with, each node on its own.
    pub fn new() -> Self {
        Self {
            momentum: 0.9,
            gamma: 1.0,
            beta: 0.0,
            fixed: (false, false),
            channels: false,
            bypass: false,
        }
    }

    /// How much of the running statistics a batch keeps, at least 0 and below 1.
    #[must_use]
    pub fn momentum(self, momentum: f32) -> Self {
        Self { momentum, ..self }
    }

    /// The first γ.
    #[must_use]
    pub fn gamma(self, gamma: f32) -> Self {
        Self { gamma, ..self }
    }

    /// The first β.
    #[must_use]
    pub fn beta(self, beta: f32) -> Self {
        Self { beta, ..self }
    }

    /// Whether γ and β stay as they are.
    #[must_use]
    pub fn fixed(self, gamma: bool, beta: bool) -> Self {
        Self { fixed: (gamma, beta), ..self }
    }

    /// Whether the nodes of a channel, axis 0, share their numbers.
    #[must_use]
    pub fn per_channel(self, channels: bool) -> Self {
        Self { channels, ..self }
    }

    /// Whether the layer passes everything through, both ways.
    #[must_use]
    pub fn bypass(self, bypass: bool) -> Self {
        Self { bypass, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("batch_norm", config)
    }
}

impl LayerSpec for BatchNormalization {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        check(site, self.momentum, self.gamma, self.beta)?;
        let input = site.input();
        let nodes = input.nodes();
        let share = if self.channels { nodes / input.shape[0] } else { 1 };
        let groups = nodes / share;
        Ok(Box::new(Normaliser {
            base: Base::new(self.clone(), site, input.clone()),
            share,
            momentum: self.momentum,
            gamma: Parameter::new("gamma", vec![self.gamma; groups], None),
            beta: Parameter::new("beta", vec![self.beta; groups], None),
            trained: [!self.fixed.0, !self.fixed.1],
            unbiased: true,
            stored: true,
            bypass: self.bypass,
            running_mean: vec![0.0; groups].into(),
            running_variance: vec![1.0; groups].into(),
        }))
    }
}
