//! A layer of trainable look-up tables on bits.
//!
//! Node `j` reads `fan_in` bits of the input, chosen by the wiring. Its model gives a value `V[k]`
//! for each of the `2^fan_in` patterns `k` it can see, and with batch norm
//!
//! ```text
//! v[k] = (V[k] − mean) · rstd · γ + β      output bit: v[k] > 0.5
//! ```
//!
//! where mean and variance (biased, at least 1e-5) are over the frames of the batch while
//! training, computed from `V` and the pattern counts `C` alone, and running averages otherwise.
//! The gradient passes the threshold where `0 < v < 1` (straight-through estimator with a
//! hard-tanh window). Without batch norm the output bit is `V[k] > 0.5` and the gradient passes
//! everywhere.
//!
//! With the model [`Smoothed`](crate::models::Smoothed) this is BinaryBrain's `DifferentiableLut`
//! (γ 0.3 and β 0.5 fixed) without its defects: statistics live with the step, so a layer may be
//! used twice in it. Momentum of the running averages is 0.9 by default, which is BinaryBrain's
//! C++ default; its Python default is 0.
//!
//! A frozen layer does while training what it does otherwise, without noise, and its gradient passes
//! through the running averages as through constants: `dV = γ · rstd · dy` in the window. Its averages
//! stay, and its steps do not count.
//!
//! Inputs that are real numbers are bits (`x > 0.5`) unless [`LutLayer::real_inputs`] is on; then the
//! value is the model's own function of real numbers, batch norm is over the frames, and only models
//! that have such a function can be used. With [`LutLayer::real_output`] the answer is `v` clamped to
//! `[0, 1]` instead of a bit.
//!
//! Cost of a training step per node and frame: see the table kernels of `lutweave-backend`; the
//! model's own work is on `2^fan_in` numbers a node, whatever the batch is.

mod body;
mod learned;
mod norm;
mod on_bits;
mod on_reals;
mod tables;
mod windowed;
mod wire;

use std::sync::Arc;

use lutweave_backend::Nodes;
use lutweave_lut::MAX_FAN_IN;
use lutweave_tensor::{Array, DType};
use serde::{Deserialize, Serialize};

use self::body::Body;
pub use self::norm::BatchNorm;
use self::on_bits::OnBits;
use self::on_reals::OnReals;
pub use self::tables::LutTables;
pub use self::wire::WiringRule;
use crate::layer::{Windowed, Windows};
use crate::models::Smoothed;
use crate::{Layer, LayerSpec, LutModel, RealInputs, Result, Site};

/// Most parameters of a layer: a gigabyte of them.
const MAX_PARAMETERS: usize = 1 << 28;

/// Most nodes that a layer reads; wiring needs memory for each.
const MAX_SOURCES: usize = 1 << 26;

/// Settings of a LUT layer.
///
/// ```
/// use lutweave_nn::{LutLayer, WiringRule};
///
/// let layer = LutLayer::new(600).fan_in(6).wiring(WiringRule::Random);
/// ```
#[derive(Debug, Clone)]
pub struct LutLayer {
    nodes: usize,
    shape: Option<Vec<usize>>,
    fan_in: usize,
    wiring: WiringRule,
    live: Vec<bool>,
    frozen_after: Option<u64>,
    model: Arc<dyn LutModel>,
    batch_norm: Option<BatchNorm>,
    real_inputs: bool,
    real_output: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    nodes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Vec<usize>>,
    fan_in: usize,
    wiring: WiringRule,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    live: Vec<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_after: Option<u64>,
    model: String,
    #[serde(default)]
    settings: serde_json::Value,
    batch_norm: Option<BatchNorm>,
    #[serde(default)]
    real_inputs: bool,
    #[serde(default)]
    real_output: bool,
}

impl LutLayer {
    /// A layer of `nodes` six-input LUTs with balanced wiring, the smoothed model and batch norm.
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            shape: None,
            fan_in: 6,
            wiring: WiringRule::default(),
            live: Vec::new(),
            frozen_after: None,
            model: Arc::new(Smoothed::default()),
            batch_norm: Some(BatchNorm::default()),
            real_inputs: false,
            real_output: false,
        }
    }

    /// A layer as [`new`](Self::new) makes it whose nodes have a shape, `[channels, height, width]`
    /// for images: wiring may go by it, and the layer's output has it.
    pub fn shaped(shape: &[usize]) -> Self {
        let nodes = shape.iter().try_fold(1usize, |nodes, &size| nodes.checked_mul(size));
        // Building a layer without nodes is an error.
        Self { shape: Some(shape.to_vec()), ..Self::new(nodes.unwrap_or(0)) }
    }

    /// Inputs of each node, 1 to 8.
    #[must_use]
    pub fn fan_in(self, fan_in: usize) -> Self {
        Self { fan_in, ..self }
    }

    /// How the inputs are chosen.
    #[must_use]
    pub fn wiring(self, wiring: WiringRule) -> Self {
        Self { wiring, ..self }
    }

    /// Marks the inputs that vary over the training set; wiring then reads no others. For balanced,
    /// random and learned wiring and windows; empty, the default, where all inputs vary. See
    /// [`Network::live_outputs`](crate::Network::live_outputs).
    #[must_use]
    pub fn live(self, live: Vec<bool>) -> Self {
        Self { live, ..self }
    }

    /// Makes learned wiring its final choice after this many batches, so that the tables can settle:
    /// about 70 % of a run is a good place. Without it, see
    /// [`Network::freeze_wiring`](crate::Network::freeze_wiring).
    #[must_use]
    pub fn frozen_after(self, batches: Option<u64>) -> Self {
        Self { frozen_after: batches, ..self }
    }

    /// What the nodes compute.
    #[must_use]
    pub fn model(self, model: impl LutModel + 'static) -> Self {
        Self { model: Arc::new(model), ..self }
    }

    /// Batch norm between value and threshold; none to compare the value itself.
    #[must_use]
    pub fn batch_norm(self, batch_norm: Option<BatchNorm>) -> Self {
        Self { batch_norm, ..self }
    }

    /// Reads f32 inputs as real numbers instead of comparing them with 0.5.
    #[must_use]
    pub fn real_inputs(self, real_inputs: bool) -> Self {
        Self { real_inputs, ..self }
    }

    /// Gives real numbers in `[0, 1]` instead of bits.
    #[must_use]
    pub fn real_output(self, real_output: bool) -> Self {
        Self { real_output, ..self }
    }

    /// The nodes as backends know them, with these parameters; none for a model that they do not know.
    fn known<'a>(&self, parameters: &'a Array) -> Option<Nodes<'a>> {
        let model = self.model.kernel(self.fan_in)?;
        let norm = self.batch_norm.map(|BatchNorm { gamma, beta, .. }| (gamma, beta));
        Some(Nodes { model, parameters, norm })
    }

    /// Inputs of each node.
    pub(crate) fn inputs_of_node(&self) -> usize {
        self.fan_in
    }

    /// The same settings for another number of nodes without a shape.
    pub(crate) fn with_nodes(self, nodes: usize) -> Self {
        Self { nodes, shape: None, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let config: Config = crate::registry::parse("lut", config)?;
        Ok(Self {
            nodes: config.nodes,
            shape: config.shape,
            fan_in: config.fan_in,
            wiring: config.wiring,
            live: config.live,
            frozen_after: config.frozen_after,
            model: crate::registry::model(&config.model, &config.settings)?,
            batch_norm: config.batch_norm,
            real_inputs: config.real_inputs,
            real_output: config.real_output,
        })
    }

    fn check(&self, site: &Site<'_>) -> Result<()> {
        match (site.input().dtype, self.real_inputs) {
            (DType::Bit, false) | (DType::F32, _) => {}
            (_, false) => {
                return Err(site.input_error("bits (put a threshold encoder before it)"));
            }
            (_, true) => return Err(site.input_error("real numbers of f32")),
        }
        if site.input().nodes() > MAX_SOURCES {
            return Err(site.input_error(format!("at most {MAX_SOURCES} nodes to read")));
        }
        if self.real_inputs && matches!(self.model.real(), RealInputs::None) {
            let expected = "off, since the model takes bits only";
            return Err(site.option_error("real_inputs", expected, self.model.kind()));
        }
        if !(1..=MAX_FAN_IN).contains(&self.fan_in) {
            return Err(site.option_error("fan_in", format!("1 to {MAX_FAN_IN}"), self.fan_in));
        }
        self.model.check(self.fan_in)?;
        if self.nodes == 0 || self.nodes > 1 << 24 {
            return Err(site.option_error("nodes", "1 to 16777216", self.nodes));
        }
        let parameters = self.nodes.saturating_mul(self.model.parameters(self.fan_in));
        if parameters > MAX_PARAMETERS {
            let expected = format!("so few that a layer has at most {MAX_PARAMETERS} parameters");
            return Err(site.option_error("nodes", expected, self.nodes));
        }
        if let Some(shape) = &self.shape {
            let nodes = shape.iter().try_fold(1usize, |nodes, &size| nodes.checked_mul(size));
            if nodes != Some(self.nodes) {
                let expected = format!("a shape of {} nodes", self.nodes);
                return Err(site.option_error("shape", expected, shape));
            }
        }
        if let Some(BatchNorm { gamma, beta, momentum }) = self.batch_norm {
            if !(gamma > 0.0 && gamma.is_finite()) {
                return Err(site.option_error("gamma", "a positive number", gamma));
            }
            if !beta.is_finite() {
                return Err(site.option_error("beta", "a finite number", beta));
            }
            if !(0.0..1.0).contains(&momentum) {
                return Err(site.option_error("momentum", "at least 0 and below 1", momentum));
            }
        }
        Ok(())
    }
}

impl LayerSpec for LutLayer {
    fn kind(&self) -> &'static str {
        "lut"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(Config {
            nodes: self.nodes,
            shape: self.shape.clone(),
            fan_in: self.fan_in,
            wiring: self.wiring.clone(),
            live: self.live.clone(),
            frozen_after: self.frozen_after,
            model: self.model.kind().to_owned(),
            settings: self.model.config(),
            batch_norm: self.batch_norm,
            real_inputs: self.real_inputs,
            real_output: self.real_output,
        })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        self.check(site)?;
        let (wiring, learned) = self.wire(site)?;
        let body = Body::new(self.clone(), wiring, learned, site);
        Ok(if self.real_inputs { Box::new(OnReals(body)) } else { Box::new(OnBits(body)) })
    }

    fn build_windowed(&self, site: &Site<'_>, windows: &Windows) -> Option<Result<Windowed>> {
        self.windowed(site, windows)
    }
}

#[cfg(test)]
mod tests;
