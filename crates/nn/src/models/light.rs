//! One squashed number per table entry.
//!
//! ```text
//! V[k]   = squash(w[k])                       bit: V[k] > 0.5
//! dw[k] += dV[k] · squash′(w[k])
//! slope  = V[k with input i set] − V[k with it clear]
//!
//! sigmoid   squash(w) = 1 / (1 + e^(−w))      bit: w > 0
//! sine      squash(w) = (1 + sin w) / 2       bit: sin w > 0, which is w > 0 while |w| < π
//! ```
//!
//! The slope is that of the multilinear function through the table at the pattern, the expected
//! entry for inputs that are independent with probability `x`. Parameters have no range; under the
//! sine they may go round, and the bit goes with them. They start as N(0, 1), or, passing input `i`
//! through, as N(±3, 0.25²) for the sigmoid and N(±1.2, 0.25²) for the sine. Fan-in 1 to 8. Meant
//! for a layer without batch norm.
//!
//! `noise` `σ` (sigmoid only) adds `σ` times logistic noise `ln U − ln(1−U)` to every entry in each
//! training step. The binary Gumbel-softmax of temperature τ is σ = 1 with parameters and learning
//! rates scaled by τ, that is σ = 1/τ in these units.
//!
//! Source: Rüttgers, Aczel, Plesner and Wattenhofer 2025, "Light differentiable logic gate networks"
//! (arXiv:2510.03250), input-wise parametrisation, with the heights of its code. There, inputs in
//! training are probabilities; here, bits. Noise: binary case of Yousefi et al. 2025, "Mind the gap"
//! (arXiv:2506.07500).

use lutweave_backend::{Draw, Noise, TableModel};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::Residual;
use super::parts::{
    add_noise, check, check_noise, decided, differences, fan_in_of, logistic, side, sigmoid,
    sigmoid_slope,
};
use crate::{LutModel, Result};

/// The function from a parameter to a table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Squash {
    /// `1 / (1 + e^(−w))`.
    #[default]
    Sigmoid,
    /// `(1 + sin w) / 2`.
    Sine,
}

/// One squashed number per table entry.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// The function from a parameter to a table entry.
    pub squash: Squash,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
    /// Scale of the logistic noise of a training step; 0 for none.
    #[serde(default)]
    pub noise: f32,
}

impl Light {
    /// The name in files.
    pub const KIND: &'static str = "light";

    /// The model with a sine.
    pub fn sine() -> Self {
        Self { squash: Squash::Sine, ..Self::default() }
    }

    /// Lets new nodes pass an input through (`true`: input 0).
    #[must_use]
    pub fn residual(self, residual: impl Into<Residual>) -> Self {
        Self { residual: residual.into(), ..self }
    }

    /// Adds so much logistic noise in each training step.
    #[must_use]
    pub fn noise(self, noise: f32) -> Self {
        Self { noise, ..self }
    }
}

impl LutModel for Light {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, _fan_in: usize) -> Result<()> {
        check_noise(self.noise)?;
        let fine = self.noise == 0.0 || self.squash == Squash::Sigmoid;
        check(fine, "noise", "0 for a sine, which is periodic", self.noise)
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        let input = self.residual.input(rng, fan_in_of(params));
        let height = if self.squash == Squash::Sine { 1.2 } else { 3.0 };
        for (k, value) in params.iter_mut().enumerate() {
            let normal = rng::normal(rng);
            *value = input.map_or(normal, |i| height * side(k, i) + 0.25 * normal);
        }
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::Light { sine: self.squash == Squash::Sine })
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        for (value, &w) in values.iter_mut().zip(params) {
            *value = match self.squash {
                Squash::Sigmoid => decided(sigmoid(w), w > 0.0),
                Squash::Sine => {
                    let sine = libm::sinf(w);
                    decided(0.5 + 0.5 * sine, sine > 0.0)
                }
            };
        }
    }

    fn noise(&self) -> Option<Noise> {
        Some(Noise { draw: Draw::Logistic, scale: self.noise, transformed: false })
    }

    fn perturb(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) -> bool {
        add_noise(params, self.noise, rng, logistic)
    }

    fn backward(&self, params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        for ((dparam, &w), dvalue) in dparams.iter_mut().zip(params).zip(dvalues) {
            *dparam += dvalue
                * match self.squash {
                    Squash::Sigmoid => sigmoid_slope(w),
                    Squash::Sine => 0.5 * libm::cosf(w),
                };
        }
    }

    fn slopes(&self, _params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]) {
        differences(values, i, 1.0, slopes);
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::reference::multilinear;

    use super::*;
    use crate::models::testing::{agrees_with_formula, initial, table};

    #[test]
    fn agrees_with_the_multilinear_formula() {
        for fan_in in [1, 2, 3, 5, 6, 8] {
            for model in [Light::default(), Light::sine()] {
                let params = initial(&model, fan_in, 4);
                agrees_with_formula(&model, fan_in, &params, |w, x| {
                    let entries: Vec<f64> = w
                        .iter()
                        .map(|w| match model.squash {
                            Squash::Sigmoid => 1.0 / (1.0 + (-w).exp()),
                            Squash::Sine => 0.5 * (1.0 + w.sin()),
                        })
                        .collect();
                    multilinear(&entries, x)
                });
            }
        }
    }

    #[test]
    fn the_table_is_the_sign() {
        let params = [0.0, 1e-30, -1e-30, 3.0, -3.0, 1e-9, -1e-9, -0.0];
        let want = [false, true, false, true, false, true, false, false];
        assert_eq!(table(&Light::default(), 3, &params), want);
        assert_eq!(table(&Light::sine(), 3, &params), want);
        // Past π a sine has changed its mind.
        assert_eq!(table(&Light::sine(), 1, &[3.5, -3.5]), [false, true]);
        assert_eq!(table(&Light::default(), 1, &[100.0, -100.0]), [true, false]);
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(Light::default().noise(0.5).check(6).is_ok());
        assert!(Light::sine().noise(0.5).check(6).is_err());
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            assert!(Light::default().noise(bad).check(6).is_err(), "{bad}");
        }
    }
}
