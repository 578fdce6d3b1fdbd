//! Hard tanh: `y = min(max(x, low), high)`, `dx = dy` where `low < x < high`, else 0.
//!
//! In binary mode `y` is `high` above the middle of the range, else `low`, with the same gradient.
//! The mode can be switched while training, or the layer gives bits and stays binary; the gradient
//! is then that of a straight line from 0 to 1 over the range, `dy / (high − low)`. Reads f32; gives
//! f32 or bits.
//!
//! Source: `HardTanh` of `BinaryBrain`, whose binary mode gives −1 and 1 whatever the range.

use serde::{Deserialize, Serialize};

use super::binarize::check_range;
use super::pointwise::{Pointwise, Real, Step};
use crate::{Layer, LayerSpec, Result, Site};

/// Settings of a hard tanh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardTanh {
    low: f32,
    high: f32,
    binary: bool,
    bits: bool,
}

impl Default for HardTanh {
    fn default() -> Self {
        Self::new()
    }
}

impl HardTanh {
    /// In real mode, from −1 to 1.
    pub fn new() -> Self {
        Self { low: -1.0, high: 1.0, binary: false, bits: false }
    }

    /// Sets the range.
    #[must_use]
    pub fn range(self, low: f32, high: f32) -> Self {
        Self { low, high, ..self }
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
        crate::registry::parse("hard_tanh", config)
    }
}

impl LayerSpec for HardTanh {
    fn kind(&self) -> &'static str {
        "hard_tanh"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let (low, high) = (self.low, self.high);
        check_range(site, "range", (low, high))?;
        let step = Step::new(0.5 * low + 0.5 * high, (low, high), (low, high));
        let real = Real::Clamp { low, high };
        Pointwise::build(self.clone(), site, real, step, (self.binary, self.bits))
    }
}
