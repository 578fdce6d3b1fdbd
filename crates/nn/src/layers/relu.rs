//! ReLU: `y = max(x, 0)`, `dx = dy` where `x > 0`, else 0.
//!
//! In binary mode `y` is 1 above 0, else 0, with the gradient of a straight line over −1 to 1:
//! `dx = dy / 2` there, else 0. The mode can be switched while training, or the layer gives bits
//! and stays binary. Reads f32; gives f32 or bits.
//!
//! Source: `ReLU` of `BinaryBrain`, whose binary mode gives −1 and 1, twice as far apart, and has
//! twice the gradient.

use serde::{Deserialize, Serialize};

use super::pointwise::{Pointwise, Real, Step};
use crate::{Layer, LayerSpec, Result, Site};

/// Settings of a ReLU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {
    binary: bool,
    bits: bool,
}

impl Relu {
    /// In real mode.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it begins in binary mode.
    #[must_use]
    pub fn binary(self, binary: bool) -> Self {
        Self { binary, ..self }
    }

    /// Whether it gives bits; it is then always binary.
    #[must_use]
    pub fn bits(self, bits: bool) -> Self {
        Self { bits, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("relu", config)
    }
}

impl LayerSpec for Relu {
    fn kind(&self) -> &'static str {
        "relu"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let step = Step::new(0.0, (0.0, 1.0), (-1.0, 1.0));
        Pointwise::build(
            self.clone(),
            site,
            Real::Clamp { low: 0.0, high: f32::INFINITY },
            step,
            (self.binary, self.bits),
        )
    }
}
