//! Binarize: a bit for each number, 1 where it is above a threshold.
//!
//! ```text
//! y = x > threshold
//! dx = slope · dy where low < x < high, else 0
//! ```
//!
//! Gives bits, or one of two numbers of f32. The gradient is the straight-through one: over the
//! window the step counts as a straight line from one level to the other, whose slope is their
//! difference by the width of the window. So levels −1 and 1 over the window −1 to 1, the ones of
//! `BinaryBrain`, have slope 1, and bits half of it: from 0 to 1 is half as far as from −1 to 1.
//! [`Dense`](crate::Dense) with bits that count as −1 and 1 makes up for that. Reads f32.
//!
//! Source: Bengio et al. 2013, Hubara et al. 2016; `Binarize` of `BinaryBrain`, whose slope is 1
//! for all levels.

use serde::{Deserialize, Serialize};

use super::pointwise::{Pointwise, Real, Step};
use crate::{Layer, LayerSpec, Result, Site};

/// Settings of a threshold.
///
/// ```
/// use lutweave_nn::{BatchNormalization, Binarize, Dense, LutLayer, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[6])
///     .reading(DType::F32)
///     .then(Dense::new(&[24]).bias(false))
///     .then(BatchNormalization::new())
///     .then(Binarize::new())
///     .then(LutLayer::new(10).fan_in(4))
///     .build(1)?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binarize {
    threshold: f32,
    /// None for bits.
    levels: Option<(f32, f32)>,
    window: (f32, f32),
    /// None for that of a straight line.
    slope: Option<f32>,
}

impl Default for Binarize {
    fn default() -> Self {
        Self::new()
    }
}

impl Binarize {
    /// Bits for numbers above 0, with gradients between −1 and 1.
    pub fn new() -> Self {
        Self { threshold: 0.0, levels: None, window: (-1.0, 1.0), slope: None }
    }

    /// Sets the threshold.
    #[must_use]
    pub fn threshold(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }

    /// Gives numbers instead of bits: `high` above the threshold, else `low`.
    #[must_use]
    pub fn levels(self, low: f32, high: f32) -> Self {
        Self { levels: Some((low, high)), ..self }
    }

    /// Sets between which numbers gradients pass.
    #[must_use]
    pub fn window(self, low: f32, high: f32) -> Self {
        Self { window: (low, high), ..self }
    }

    /// Sets what gradients are multiplied by.
    #[must_use]
    pub fn slope(self, slope: f32) -> Self {
        Self { slope: Some(slope), ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("binarize", config)
    }
}

/// Checks a range of numbers.
pub(super) fn check_range(
    site: &Site<'_>,
    option: &'static str,
    (low, high): (f32, f32),
) -> Result<()> {
    if low < high && (high - low).is_finite() {
        return Ok(());
    }
    Err(site.option_error(option, "finite numbers, the lower one first", (low, high)))
}

impl LayerSpec for Binarize {
    fn kind(&self) -> &'static str {
        "binarize"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        check_range(site, "window", self.window)?;
        let levels = self.levels.unwrap_or((0.0, 1.0));
        check_range(site, "levels", levels)?;
        let mut step = Step::new(self.threshold, levels, self.window);
        step.window.slope = self.slope.unwrap_or(step.window.slope);
        for (option, value) in [("threshold", self.threshold), ("slope", step.window.slope)] {
            if !value.is_finite() {
                return Err(site.option_error(option, "a finite number", value));
            }
        }
        Pointwise::build(self.clone(), site, Real::None, step, (true, self.levels.is_none()))
    }
}
