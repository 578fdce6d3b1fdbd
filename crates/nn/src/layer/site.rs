//! Where a layer is built.

use std::fmt::Debug;

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};

use super::{Ancestors, LayerSpec, Signal};
use crate::{Error, Result};

/// Where a layer is built: what it reads, and its random streams.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// What the layer reads: one signal for most layers.
    pub inputs: Vec<Signal>,
    /// For each input what its nodes depend on.
    pub ancestors: Vec<Ancestors>,
    /// The layer's path in the network, for messages: `1.lut`.
    pub path: String,
    pub(crate) seed: u64,
    pub(crate) place: &'a [u64],
}

impl Site<'_> {
    /// A place outside any network, to build and try one layer.
    pub fn alone(input: Signal, path: &str, seed: u64) -> Self {
        let (inputs, ancestors) = (vec![input], vec![Ancestors::new()]);
        Self { inputs, ancestors, path: path.to_owned(), seed, place: &[] }
    }

    /// What the layer reads, where that is one thing; the first otherwise.
    pub fn input(&self) -> &Signal {
        &self.inputs[0]
    }

    /// Checks that a layer reads as many signals as there are.
    pub(crate) fn check_inputs(&self, spec: &dyn LayerSpec) -> Result<()> {
        let (range, got) = (spec.inputs(), self.inputs.len());
        if got > 0 && range.contains(&got) {
            return Ok(());
        }
        let expected = match (*range.start(), *range.end()) {
            (1, 1) => "one signal to read".to_owned(),
            (low, high) if low == high => format!("{low} signals to read"),
            (low, usize::MAX) => format!("at least {low} signals to read"),
            (low, high) => format!("{low} to {high} signals to read"),
        };
        Err(Error::Option {
            layer: self.path.clone(),
            option: "inputs",
            expected,
            got: got.to_string(),
        })
    }

    /// The random stream of one use, e.g. [`rng::INIT`]; different for every layer.
    pub fn stream(&self, use_of: u64) -> Xoshiro256PlusPlus {
        let path: Vec<u64> = [use_of].iter().chain(self.place).copied().collect();
        rng::stream(self.seed, &path)
    }

    /// An error about a setting of this layer.
    pub fn option_error(
        &self,
        option: &'static str,
        expected: impl Into<String>,
        got: impl Debug,
    ) -> Error {
        let layer = self.path.clone();
        Error::Option { layer, option, expected: expected.into(), got: format!("{got:?}") }
    }

    /// An error about what this layer was given to read; about the first where it reads several.
    pub fn input_error(&self, expected: impl Into<String>) -> Error {
        Error::Input {
            layer: self.path.clone(),
            expected: expected.into(),
            got_dtype: self.input().dtype,
            got_shape: self.input().shape.clone(),
        }
    }
}
