//! The hard table, trained entry by entry, with extended finite differences.
//!
//! ```text
//! V[k]   = (1 + W[k]) / 2                                     bit: W[k] > 0
//! dW[k] += dV[k]
//! slope  = α Σ_m s_i(m) · W[m] · β^H(m \ i, k \ i)            for input i at pattern k
//! ```
//!
//! with `s_i(m) = 1` where input `i` is one in pattern `m` and −1 elsewhere, and `H(m \ i, k \ i)`
//! the number of inputs other than `i` in which `m` and `k` differ. `W` is in `[−1, 1]`. It starts
//! as U(−1, 1), or, passing input `i` through, as N(±0.5, 0.1²). Fan-in 1 to 8, any α and β.
//!
//! Scale convention: the gradient of the output is taken as that of `W` itself, not of
//! `(1 + W) / 2`, so `dW` is twice the derivative of `V`, and slopes are of `W` too. This is the
//! convention of the source, whose node puts out `W`; use the layer without batch norm to match it.
//!
//! Only the entry that a frame addresses learns from it. Nearby entries come in by the slope: with
//! the default α = 0.5 · 0.75^(n−1) and β = 1/3 it is half the slope of
//! [`Smoothed`](super::Smoothed) with bias 0.25 on the same table. The weights `β^H` are a product
//! over inputs, so all sums of one input take `n − 1` passes over `2^(n−1)` differences instead of
//! `4ⁿ` terms.
//!
//! Source: Bacellar, Susskind, Breternitz, John, John, Lima and França, "Differentiable weightless
//! neural networks" (ICML 2024, arXiv:2410.11112), extended finite difference; α and β are
//! those of its published code (the paper's weights fall off as `1/(H + 1)`).

use lutweave_backend::TableModel;
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::Residual;
use super::parts::{self, MAX_ENTRIES, decided, fan_in_of, for_pairs, side};
use crate::{LutModel, Result};

/// The hard table with extended finite differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardTable {
    /// Scale of the slopes; none for `0.5 · 0.75^(fan_in − 1)`.
    pub alpha: Option<f32>,
    /// How much a table entry counts for each further input in which it differs.
    pub beta: f32,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
}

impl Default for HardTable {
    fn default() -> Self {
        Self { alpha: None, beta: 1.0 / 3.0, residual: Residual::None }
    }
}

impl HardTable {
    /// The name in files.
    pub const KIND: &'static str = "hard_table";

    /// Lets new nodes pass an input through (`true`: input 0).
    #[must_use]
    pub fn residual(self, residual: impl Into<Residual>) -> Self {
        Self { residual: residual.into(), ..self }
    }

    fn alpha_of(&self, fan_in: usize) -> f32 {
        self.alpha.unwrap_or_else(|| (1..fan_in).fold(0.5, |alpha, _| alpha * 0.75))
    }
}

impl LutModel for HardTable {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, fan_in: usize) -> Result<()> {
        let alpha = self.alpha_of(fan_in);
        parts::check(alpha.is_finite(), "alpha", "a finite number", alpha)?;
        parts::check(self.beta.is_finite(), "beta", "a finite number", self.beta)
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        let input = self.residual.input(rng, fan_in_of(params));
        for (k, value) in params.iter_mut().enumerate() {
            *value = match input {
                Some(i) => (0.5 * side(k, i) + 0.1 * rng::normal(rng)).clamp(-1.0, 1.0),
                None => 2.0 * rng::uniform(rng) - 1.0,
            };
        }
    }

    fn range(&self) -> Option<(f32, f32)> {
        Some((-1.0, 1.0))
    }

    fn kernel(&self, fan_in: usize) -> Option<TableModel> {
        Some(TableModel::HardTable { alpha: self.alpha_of(fan_in), beta: self.beta })
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        for (value, &w) in values.iter_mut().zip(params) {
            *value = decided(0.5 + 0.5 * w, w > 0.0);
        }
    }

    fn backward(&self, _params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        for (dparam, dvalue) in dparams.iter_mut().zip(dvalues) {
            *dparam += dvalue;
        }
    }

    fn slopes(&self, params: &[f32], _values: &[f32], i: usize, slopes: &mut [f32]) {
        let (alpha, beta, bit) = (self.alpha_of(fan_in_of(params)), self.beta, 1usize << i);
        // Differences along input i, a table of the other inputs, which the passes then spread.
        let mut spread = [0f32; MAX_ENTRIES / 2];
        let spread = &mut spread[..params.len() / 2];
        let pairs = params.chunks(2 * bit).zip(spread.chunks_mut(bit));
        for (pair, spread) in pairs {
            let (zeros, ones) = pair.split_at(bit);
            for ((difference, zero), one) in spread.iter_mut().zip(zeros).zip(ones) {
                *difference = alpha * (one - zero);
            }
        }
        for other in 0..fan_in_of(spread) {
            for_pairs(spread, other, |zero, one| {
                (*zero, *one) = (*zero + beta * *one, *one + beta * *zero);
            });
        }
        for (pair, spread) in slopes.chunks_mut(2 * bit).zip(spread.chunks(bit)) {
            let (zeros, ones) = pair.split_at_mut(bit);
            zeros.copy_from_slice(spread);
            ones.copy_from_slice(spread);
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::models::Smoothed;
    use crate::models::testing::{CLOSE, initial, normals, slopes, table, values};

    /// The stated sum, term by term.
    fn naive(w: &[f32], alpha: f64, beta: f64, i: usize, k: usize) -> f64 {
        let term = |m: usize| {
            let distance = ((m ^ k) & !(1 << i)).count_ones();
            f64::from(side(m, i)) * f64::from(w[m]) * beta.powi(distance.cast_signed())
        };
        alpha * (0..w.len()).map(term).sum::<f64>()
    }

    #[test]
    fn slopes_are_the_stated_sum() {
        let settings = [
            HardTable::default(),
            HardTable { alpha: Some(0.7), beta: 1.0, ..HardTable::default() },
            HardTable { alpha: Some(-2.0), beta: -0.5, ..HardTable::default() },
            HardTable { alpha: Some(1.0), beta: 0.0, ..HardTable::default() },
        ];
        for fan_in in 1..=8usize {
            for model in settings {
                let params = initial(&model, fan_in, 5);
                let power = i32::try_from(fan_in).unwrap() - 1;
                let alpha = model.alpha.map_or(0.5 * 0.75f64.powi(power), f64::from);
                let values = values(&model, fan_in, &params);
                for i in 0..fan_in {
                    let got = slopes(&model, &params, i, &values);
                    for (k, &got) in got.iter().enumerate() {
                        let want = naive(&params, alpha, f64::from(model.beta), i, k);
                        assert_relative_eq!(
                            f64::from(got),
                            want,
                            max_relative = CLOSE,
                            epsilon = CLOSE
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn default_slopes_are_half_of_those_of_the_smoothed_table() {
        let params = initial(&HardTable::default(), 6, 8);
        let smooth = values(&Smoothed::default(), 6, &params);
        for i in 0..6 {
            let hard = slopes(&HardTable::default(), &params, i, &smooth);
            let smooth = slopes(&Smoothed::default(), &params, i, &smooth);
            for (hard, smooth) in hard.iter().zip(smooth) {
                assert_relative_eq!(*hard, 0.5 * smooth, max_relative = 1e-4, epsilon = 1e-6);
            }
        }
    }

    #[test]
    fn the_table_is_the_sign_and_its_gradient_that_of_the_output() {
        let params = [0.0, 1e-30, -1e-30, 1.0, -1.0, -0.0, 0.25, -0.25];
        let model = HardTable::default();
        let want = [false, true, false, true, false, false, true, false];
        assert_eq!(table(&model, 3, &params), want);
        let mut dparams = vec![1.0; 8];
        let dvalues = normals(8, 2);
        model.backward(&params, &dvalues, &[], &mut dparams);
        for (dparam, dvalue) in dparams.iter().zip(dvalues) {
            assert_eq!(dparam.to_bits(), (1.0 + dvalue).to_bits());
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        let base = HardTable::default();
        assert!(HardTable { alpha: Some(f32::INFINITY), ..base }.check(6).is_err());
        assert!(HardTable { beta: f32::NAN, ..base }.check(6).is_err());
    }
}
