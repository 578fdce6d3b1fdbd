//! Softmax over the channels, axis 0, apart for every point of the other axes:
//! `y[c] = e^x[c] / Σ e^x[k]`.
//!
//! It is taken of `x` less its maximum, so it is a distribution for any finite numbers. For a loss
//! on scores use the cross entropy of `lutweave-train` that contains it. Reads and gives f32.
//!
//! Source: `Softmax` of `BinaryBrain`, whose maximum begins at 0, so that scores far below 0 give
//! zeros only.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use crate::hardware::StageChain;
use crate::layer::{Base, Frozen, saved_as};
use crate::{Layer, LayerSpec, Result, Saved, Site};

/// Scores that are closer than this may have the same share of the whole, in f32.
const CLOSEST: f32 = 1e-5;

/// Settings of softmax: none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Softmax {
    /// Over axis 0.
    pub fn new() -> Self {
        Self {}
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("softmax", config)
    }
}

impl LayerSpec for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if site.input().dtype != DType::F32 {
            return Err(site.input_error("numbers of f32"));
        }
        Ok(Box::new(Channels { base: Base::new(self.clone(), site, site.input().clone()) }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Channels {
    base: Base,
}

impl Layer for Channels {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.softmax(x, &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let y = self.evaluate(&x, backend)?;
        Ok((y.clone(), Box::new(y)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let y = saved_as::<FrameBuffer>(saved, self.base.path())?;
        self.base.input_gradient(dy, want_dx, |dx| backend.softmax_backward(&y, dy, dx))
    }

    /// The class is the same without it where no two scores are so close that their shares could be
    /// equal.
    fn freeze(&self, _name: &str, input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut all: Vec<f32> =
            input.reals(self.base.path())?.iter().flat_map(|v| v.iter().copied()).collect();
        all.sort_by(f32::total_cmp);
        all.dedup_by(|a, b| (*a).partial_cmp(b) == Some(std::cmp::Ordering::Equal));
        if all.windows(2).any(|pair| pair[1] - pair[0] < CLOSEST) {
            let why = format!(
                "two scores can be closer than {CLOSEST}, so that their shares may be equal: leave \
                 the softmax out, it does not change the class"
            );
            return Err(self.base.freeze_error(why));
        }
        Ok(Frozen { only_order: true, ..input.clone() })
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.at_pixel(name, |input, build| self.freeze(name, input, build))
    }
}
