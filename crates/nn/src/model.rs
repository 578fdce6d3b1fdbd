//! What a trainable LUT node computes.

use std::fmt::Debug;

use lutweave_backend::{Noise, TableModel, UnitFunction};
use lutweave_tensor::rng::Xoshiro256PlusPlus;

use crate::Result;

/// A family of trainable LUT nodes.
///
/// With binary inputs a node of `n` inputs sees one of `2^n` patterns, so a model is three small
/// functions over that many values; kernels, batch norm, wiring and export are shared by all.
/// Pattern `k` has input 0 in bit 0.
pub trait LutModel: Debug + Send + Sync {
    /// The name of the model, as in files and reports.
    fn kind(&self) -> &'static str;

    /// The settings, as in files; null when there are none.
    fn config(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Refuses settings out of range, and fan-ins that the model does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Option`](crate::Error::Option) naming the setting. Without this method every
    /// fan-in a layer takes is fine.
    fn check(&self, _fan_in: usize) -> Result<()> {
        Ok(())
    }

    /// Whether training may change the parameters (by weight decay, say).
    fn trains(&self) -> bool {
        true
    }

    /// Parameters of one node.
    fn parameters(&self, fan_in: usize) -> usize {
        1 << fan_in
    }

    /// Writes the initial parameters of one node.
    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]);

    /// The range to which parameters are clamped after every update.
    fn range(&self) -> Option<(f32, f32)> {
        None
    }

    /// Writes the node's output for each of its `2^fan_in` input patterns. A bit is one where the
    /// value (after batch norm, where the layer has it) is above 0.5.
    fn values(&self, params: &[f32], values: &mut [f32]);

    /// Writes the value of each pattern in the finished network, where a one is a value above 0.5.
    /// Unless a model hardens in another way (by arg-max, say) these are its values.
    fn hardened(&self, params: &[f32], values: &mut [f32]) {
        self.values(params, values);
    }

    /// Adds this step's noise to a copy of a node's parameters; the step's values, gradients and
    /// slopes are then taken there, and the gradient goes to the parameters as they are. False, and
    /// no change, for models without noise.
    fn perturb(&self, _rng: &mut Xoshiro256PlusPlus, _params: &mut [f32]) -> bool {
        false
    }

    /// The noise as backends draw it, where they can: the same as that of [`perturb`](Self::perturb), whose
    /// draws it has in the order of the parameters. None, as here, for noise that the host draws.
    fn noise(&self) -> Option<Noise> {
        None
    }

    /// Adds the gradient of the parameters, given that of each value and how often each pattern
    /// occurred.
    fn backward(&self, params: &[f32], dvalues: &[f32], counts: &[u32], dparams: &mut [f32]);

    /// The model as backends know it: its layers then stay on a GPU. None, as here, for one that is
    /// computed on the host.
    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        None
    }

    /// How the model computes on inputs that are real numbers.
    fn real(&self) -> RealInputs<'_> {
        RealInputs::None
    }

    /// Whether the slope along each input is always the same for both values of that input, as it
    /// is for values that are linear in each input. Looking it up is then cheaper.
    fn is_multilinear(&self) -> bool {
        false
    }

    /// Writes the (surrogate) slope of the output with respect to input `i`, for each pattern.
    /// `values` is what [`values`](Self::values) wrote for these parameters.
    fn slopes(&self, params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]);
}

/// How a model computes on inputs that are real numbers.
#[derive(Debug, Clone, Copy)]
pub enum RealInputs<'a> {
    /// It takes bits only.
    None,
    /// As the multilinear function of its parameters, `Σ_k W[k] Π_i (k_i ? x_i : 1 − x_i)` on
    /// inputs clamped to `[0, 1]`.
    Multilinear {
        /// Whether each entry is read as a bit, `W[k] > 0.5`.
        binarize_table: bool,
    },
    /// In its own way.
    Own(&'a dyn RealNode),
}

/// One node on inputs that are real numbers.
pub trait RealNode: Debug + Send + Sync {
    /// Hidden units and their function, where the node is a small network as backends know it: its layers then
    /// stay on a GPU. None, as here, for one that is computed on the host.
    fn micro_mlp(&self) -> Option<(usize, UnitFunction)> {
        None
    }

    /// Writes the output of every frame; `x` has one row of frames an input.
    ///
    /// # Errors
    ///
    /// When lengths do not fit.
    fn forward(&self, params: &[f32], x: &[&[f32]], y: &mut [f32]) -> Result<()>;

    /// Adds the gradient of the parameters and that of the inputs (`[fan_in][frames]`).
    ///
    /// # Errors
    ///
    /// When lengths do not fit.
    fn backward(
        &self,
        params: &[f32],
        x: &[&[f32]],
        dy: &[f32],
        dparams: &mut [f32],
        dx: &mut [f32],
    ) -> Result<()>;
}
