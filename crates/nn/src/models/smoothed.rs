//! The multilinear LUT that sees a bit as 0.5 ± bias.
//!
//! ```text
//! u_i(x) = 0.5 + (x_i ? b : −b)
//! V[k]   = Σ_j W[j] Π_i (j_i ? u_i(k) : 1 − u_i(k))          bit: V[k] > 0.5
//! dW[j] += Σ_k dV[k] Π_i (j_i ? u_i(k) : 1 − u_i(k))
//! slope  = ∂V/∂u_i = (V[k with input i set] − V[k with it clear]) / 2b
//! ```
//!
//! Every input pattern reads the whole table, weighted by closeness, so each frame trains every
//! entry: a low-pass filter on the table, which scales its Walsh coefficients of degree `d` by
//! `(2b)^d`. `W` stays in `[0, 1]` and starts as N(0.5, 0.01²), or, passing input `i` through, as
//! N(0.5 ± 0.25, 0.01²). Fan-in 1 to 8.
//!
//! These are three layers of BinaryBrain on bits:
//!
//! | BinaryBrain | here |
//! |---|---|
//! | `DifferentiableLut` | [`Smoothed::default()`] with batch norm (γ 0.3, β 0.5) |
//! | `DifferentiableLutDiscrete` | [`Smoothed::stochastic()`] with batch norm of momentum 0 |
//! | `StochasticLut` | [`Smoothed::stochastic()`] without batch norm |
//!
//! `stochastic` reads a table of bits: with `binarize_table` the sums above are over
//! `W[j] > 0.5 ? 1 : 0`, and the gradient passes that threshold as if it were not there. (BinaryBrain
//! exports the bit `V ≥ 0.5`. That is the same bit: with bias 0.25 no sum of weights `3^i / 4^n` is
//! 0.5: `4^n / 2` is two more than a multiple of 3, and all of `3^i` but one are multiples.) The
//! frame-by-frame specification is
//! [`DifferentiableLut`](lutweave_backend::reference::DifferentiableLut).
//!
//! The sum factorises: one pass per input mixes entries that differ in that input,
//! `t[k] ← (0.5 + b)·t[k] + (0.5 − b)·t[k ^ 1 << i]`. The mix is its own transpose, so the gradient
//! of the table is the same pass over the gradient of the values.

use lutweave_backend::{Dispatch, Isa, TableModel};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::Residual;
use super::parts::{self, MAX_ENTRIES, differences, fan_in_of, side};
use crate::{LutModel, RealInputs, Result};

/// The multilinear LUT on smoothed bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoothed {
    /// How far a bit is from 0.5, in `0 < bias ≤ 0.5`; at 0.5 the table is read as it is.
    pub bias: f32,
    /// Whether each entry is read as a bit (BinaryBrain's `lut_binarize`).
    #[serde(default)]
    pub binarize_table: bool,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
}

impl Default for Smoothed {
    /// BinaryBrain's bias of 0.25, and a table of real numbers.
    fn default() -> Self {
        Self { bias: 0.25, binarize_table: false, residual: Residual::None }
    }
}

impl Smoothed {
    /// The name in files.
    pub const KIND: &'static str = "smoothed";

    /// BinaryBrain's `StochasticLut`: a table of bits.
    pub fn stochastic() -> Self {
        Self { binarize_table: true, ..Self::default() }
    }

    /// Lets new nodes pass an input through (`true`: input 0).
    #[must_use]
    pub fn residual(self, residual: impl Into<Residual>) -> Self {
        Self { residual: residual.into(), ..self }
    }

    /// The smoothing, in place.
    fn mix(self, table: &mut [f32]) {
        Isa::best().mix(table, 0.5 + self.bias, 0.5 - self.bias);
    }
}

impl LutModel for Smoothed {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, _fan_in: usize) -> Result<()> {
        let fine = self.bias > 0.0 && self.bias <= 0.5;
        parts::check(fine, "bias", "a number above 0 and at most 0.5", self.bias)
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        let input = self.residual.input(rng, fan_in_of(params));
        for (k, value) in params.iter_mut().enumerate() {
            *value = 0.5 + input.map_or(0.0, |i| 0.25 * side(k, i)) + 0.01 * rng::normal(rng);
        }
    }

    fn range(&self) -> Option<(f32, f32)> {
        Some((0.0, 1.0))
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::Smoothed { bias: self.bias, binarize_table: self.binarize_table })
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        values.copy_from_slice(params);
        if self.binarize_table {
            for value in values.iter_mut() {
                *value = f32::from(u8::from(*value > 0.5));
            }
        }
        self.mix(values);
    }

    fn backward(&self, _params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        let mut mixed = [0f32; MAX_ENTRIES];
        let mixed = &mut mixed[..dvalues.len()];
        mixed.copy_from_slice(dvalues);
        self.mix(mixed);
        for (dparam, mixed) in dparams.iter_mut().zip(mixed) {
            *dparam += *mixed;
        }
    }

    fn real(&self) -> RealInputs<'_> {
        RealInputs::Multilinear { binarize_table: self.binarize_table }
    }

    fn is_multilinear(&self) -> bool {
        true
    }

    fn slopes(&self, _params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]) {
        // V is linear in u_i, and the two values of u_i are 2·bias apart.
        differences(values, i, 1.0 / (2.0 * self.bias), slopes);
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use lutweave_backend::reference::{multilinear, multilinear_gradient};

    use super::*;
    use crate::models::testing::{CLOSE, initial, normals, slopes, table, values};

    /// The model against the formula, entry by entry.
    #[test]
    fn agrees_with_the_multilinear_formula() {
        for (fan_in, bias) in [(1, 0.25), (2, 0.1), (4, 0.25), (6, 0.25), (8, 0.5)] {
            for binarize_table in [false, true] {
                agrees(fan_in, Smoothed { bias, binarize_table, ..Smoothed::default() });
            }
        }
    }

    fn agrees(fan_in: usize, model: Smoothed) {
        let mut rng = rng::stream(fan_in as u64, &[]);
        let params: Vec<f32> = (0..1 << fan_in).map(|_| rng::uniform(&mut rng)).collect();
        let dvalues = normals(1 << fan_in, 9);
        let bit = |w: f32| if w > 0.5 { 1.0 } else { 0.0 };
        let read = |w: f32| if model.binarize_table { bit(w) } else { f64::from(w) };
        let weights: Vec<f64> = params.iter().map(|&w| read(w)).collect();
        let values = values(&model, fan_in, &params);
        let mut dtable = vec![1.0; 1 << fan_in];
        for k in 0..1usize << fan_in {
            let side = |i: usize| f64::from(0.5 + model.bias * side(k, i));
            let x: Vec<f64> = (0..fan_in).map(side).collect();
            let value = multilinear(&weights, &x);
            assert_relative_eq!(f64::from(values[k]), value, max_relative = CLOSE, epsilon = CLOSE);
            let (dw, dx) = multilinear_gradient(&weights, &x);
            for (total, dw) in dtable.iter_mut().zip(dw) {
                *total += dw * f64::from(dvalues[k]);
            }
            for (i, dx) in dx.into_iter().enumerate() {
                let slope = f64::from(slopes(&model, &params, i, &values)[k]);
                assert_relative_eq!(slope, dx, max_relative = CLOSE, epsilon = CLOSE);
            }
        }
        let mut dparams = vec![1.0; 1 << fan_in];
        model.backward(&params, &dvalues, &[], &mut dparams);
        for (got, want) in dparams.iter().zip(dtable) {
            assert_relative_eq!(f64::from(*got), want, max_relative = CLOSE, epsilon = CLOSE);
        }
    }

    #[test]
    fn a_binarized_table_has_no_ties() {
        let model = Smoothed::stochastic();
        assert_eq!(table(&model, 2, &[0.1, 0.9, 0.6, 0.5]), [false, true, true, false]);
        for fan_in in 1..=8 {
            for seed in 0..20 {
                let mut params = normals(1 << fan_in, seed);
                for value in &mut params {
                    *value += 0.5;
                }
                assert!(!values(&model, fan_in, &params).contains(&0.5));
            }
        }
    }

    #[test]
    fn weights_start_where_stated() {
        for (residual, away) in [(Residual::None, 0.0), (Residual::First, 0.25)] {
            let params = initial(&Smoothed::default().residual(residual), 6, 3);
            for (k, value) in params.iter().enumerate() {
                assert!((value - 0.5 - away * side(k, 0)).abs() < 0.05, "{value}");
            }
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for bias in [0.0, -0.1, 0.6, f32::NAN] {
            assert!(Smoothed { bias, ..Smoothed::default() }.check(6).is_err(), "{bias}");
        }
    }
}
