//! Shares of frames that are put into the right class.

use lutweave_backend::Backend;
use lutweave_tensor::{FrameBuffer, Target};

use super::classes::{Classes, as_numbers};
use super::{Metric, share};
use crate::losses::wanted::wanted;
use crate::trainer::cpu;
use crate::{Error, Result};

/// The share of labelled frames (or positions) whose best-scored class is the wanted one. Of equal
/// scores the first class counts.
///
/// Real targets stand for the class of their largest number. `BinaryBrain`'s
/// `MetricsCategoricalAccuracy`.
#[derive(Debug, Clone, Default)]
pub struct CategoricalAccuracy {
    right: u64,
    counted: u64,
}

impl CategoricalAccuracy {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Metric for CategoricalAccuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()> {
        self.add_on(y, target, cpu())
    }

    fn add_on(&mut self, y: &FrameBuffer, target: &Target, backend: &dyn Backend) -> Result<()> {
        let y = as_numbers(y)?;
        let (wanted, layout) = wanted("accuracy", &y, target)?;
        let counts = backend.right(&y, layout, wanted).map_err(lutweave_nn::Error::from)?;
        self.counted += counts[0];
        self.right += counts[1];
        Ok(())
    }

    fn value(&self) -> f64 {
        share(self.right, self.counted)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The share of labelled frames (or positions) whose wanted class is among the `k` best-scored ones.
/// Of equal scores the first class comes first.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    name: String,
    right: u64,
    counted: u64,
}

impl TopK {
    /// Among the `k` best.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when `k` is 0.
    pub fn new(k: usize) -> Result<Self> {
        if k == 0 {
            let (option, expected) = ("k of top-k accuracy", "at least 1");
            return Err(Error::Option { option, expected, got: k.to_string() });
        }
        Ok(Self { k, name: format!("top-{k} accuracy"), right: 0, counted: 0 })
    }
}

impl Metric for TopK {
    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()> {
        let Self { k, right, counted, .. } = self;
        Classes::new("top-k accuracy", y, target)?.each_rank(|rank| {
            *counted += 1;
            *right += u64::from(rank < *k);
        })
    }

    fn value(&self) -> f64 {
        share(self.right, self.counted)
    }

    fn clear(&mut self) {
        (self.right, self.counted) = (0, 0);
    }
}
