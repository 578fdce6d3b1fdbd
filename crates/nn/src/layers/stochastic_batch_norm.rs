//! Batch normalisation to a fixed range: it brings real nodes to where look-up tables of real
//! inputs work best.
//!
//! ```text
//! y = (x − mean) / √(variance + 1e-7) · γ + β
//! ```
//!
//! with one γ (0.2) and one β (0.5) for all nodes, neither of them trained, so that most values are
//! between 0 and 1. Everything else is as in
//! [`BatchNormalization`](crate::BatchNormalization), but that running variances have the divisor
//! n. Reads and gives f32.
//!
//! Source: `StochasticBatchNormalization` of `BinaryBrain`, whose CPU and GPU add different small
//! numbers to the variance, and whose evaluation takes the mean of the last batch.

use serde::{Deserialize, Serialize};

use super::statistics::{Normaliser, check};
use crate::layer::Base;
use crate::{Layer, LayerSpec, Parameter, Result, Site};

/// Settings of batch normalisation to a fixed range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StochasticBatchNormalization {
    momentum: f32,
    gamma: f32,
    beta: f32,
}

impl Default for StochasticBatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl StochasticBatchNormalization {
    /// With momentum 0.9, γ = 0.2 and β = 0.5.
    pub fn new() -> Self {
        Self { momentum: 0.9, gamma: 0.2, beta: 0.5 }
    }

    /// How much of the running statistics a batch keeps, at least 0 and below 1.
    #[must_use]
    pub fn momentum(self, momentum: f32) -> Self {
        Self { momentum, ..self }
    }

    /// The standard deviation γ and the mean β of what it gives.
    #[must_use]
    pub fn range(self, gamma: f32, beta: f32) -> Self {
        Self { gamma, beta, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("stochastic_batch_norm", config)
    }
}

impl LayerSpec for StochasticBatchNormalization {
    fn kind(&self) -> &'static str {
        "stochastic_batch_norm"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        check(site, self.momentum, self.gamma, self.beta)?;
        let nodes = site.input().nodes();
        Ok(Box::new(Normaliser {
            base: Base::new(self.clone(), site, site.input().clone()),
            share: 1,
            momentum: self.momentum,
            gamma: Parameter::new("gamma", vec![self.gamma; nodes], None),
            beta: Parameter::new("beta", vec![self.beta; nodes], None),
            trained: [false; 2],
            unbiased: false,
            stored: false,
            bypass: false,
            running_mean: vec![0.0; nodes].into(),
            running_variance: vec![1.0; nodes].into(),
        }))
    }
}
