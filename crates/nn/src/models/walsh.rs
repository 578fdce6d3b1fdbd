//! The node of Walsh coefficients: a sigmoid of a weighted sum of parities.
//!
//! With `s_l = 1 − 2·x_l` (a zero is 1, a one is −1) and one coefficient for each set `S` of inputs,
//! input `l` being in `S` where bit `l` of its number is set,
//!
//! ```text
//! z(x)  = −(1/τ) Σ_S θ_S Π_{l∈S} s_l          at pattern k: z[k] = −WHT(θ)[k] / τ
//! V[k]  = 1 / (1 + e^(−z[k]))                  bit: WHT(θ)[k] < 0
//! dθ   += −(1/τ) WHT(dV · V·(1 − V))
//! slope = V·(1 − V) · (z[k with input i set] − z[k with it clear])
//! ```
//!
//! `WHT(θ)[k] = Σ_S θ_S (−1)^|S ∩ k|` is the Walsh-Hadamard transform, `n` passes over the table.
//! The slope is the true derivative of `V` with respect to `x_i` at the pattern, `z` being linear
//! in each input. Coefficients have no range. They start as N(0, τ²/2ⁿ), which gives every `z` unit
//! variance (a choice of this library), or, passing input `i` through, as `τ·ln(p/(1−p))` with
//! p = 0.951 for `S = {i}` and 0 elsewhere. Fan-in 1 to 8. Meant for a layer without batch norm.
//!
//! `noise` `σ` adds `σ` times logistic noise `ln U − ln(1−U)` to every `τ·z[k]` in each training
//! step, as `θ − σ·WHT(noise)/2ⁿ`. The binary Gumbel-softmax of temperature τ has σ = 1.
//!
//! Source: Gerlach, Gerlach, Våge, Kauffman and Ojalvo 2026, "WARP logic neural networks"
//! (arXiv:2602.03527), Walsh relaxation, residual initialisation and stochastic smoothing, with the
//! constants of its code, torchlogix. There, inputs in training are probabilities; here, bits.

use lutweave_backend::{Draw, Noise, TableModel};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::Residual;
use super::parts::{
    MAX_ENTRIES, add_noise, check_noise, check_positive, decided, differences, fan_in_of,
    for_pairs, logistic, sigmoid, sigmoid_slope,
};
use crate::{LutModel, Result};

/// ln(0.951 / 0.049): how sure a node that passes an input through is.
const RESIDUAL_LOGIT: f32 = 2.965_701_3;

/// A sigmoid of a weighted sum of parities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walsh {
    /// τ, positive.
    pub temperature: f32,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
    /// Scale of the logistic noise of a training step; 0 for none.
    #[serde(default)]
    pub noise: f32,
}

impl Default for Walsh {
    fn default() -> Self {
        Self { temperature: 1.0, residual: Residual::None, noise: 0.0 }
    }
}

impl Walsh {
    /// The name in files.
    pub const KIND: &'static str = "walsh";

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

    /// Writes `z`.
    fn logits(&self, params: &[f32], z: &mut [f32]) {
        z.copy_from_slice(params);
        transform(z);
        for z in z.iter_mut() {
            *z /= -self.temperature;
        }
    }
}

/// The Walsh-Hadamard transform, in place; `2ⁿ` times its own inverse.
fn transform(table: &mut [f32]) {
    for i in 0..fan_in_of(table) {
        for_pairs(table, i, |zero, one| (*zero, *one) = (*zero + *one, *zero - *one));
    }
}

impl LutModel for Walsh {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, _fan_in: usize) -> Result<()> {
        check_positive(self.temperature, "temperature")?;
        check_noise(self.noise)
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        if let Some(i) = self.residual.input(rng, fan_in_of(params)) {
            params.fill(0.0);
            params[1 << i] = self.temperature * RESIDUAL_LOGIT;
            return;
        }
        let deviation = self.temperature / (params.len() as f32).sqrt();
        for value in params.iter_mut() {
            *value = deviation * rng::normal(rng);
        }
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::Walsh { temperature: self.temperature })
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        self.logits(params, values);
        for z in values.iter_mut() {
            *z = decided(sigmoid(*z), *z > 0.0);
        }
    }

    fn noise(&self) -> Option<Noise> {
        Some(Noise { draw: Draw::Logistic, scale: self.noise, transformed: true })
    }

    fn perturb(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) -> bool {
        let mut noise = [0f32; MAX_ENTRIES];
        let noise = &mut noise[..params.len()];
        if !add_noise(noise, self.noise, rng, logistic) {
            return false;
        }
        transform(noise);
        let scale = 1.0 / params.len() as f32;
        params.iter_mut().zip(noise).for_each(|(value, noise)| *value -= scale * *noise);
        true
    }

    fn backward(&self, params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        let mut dz = [0f32; MAX_ENTRIES];
        let dz = &mut dz[..params.len()];
        self.logits(params, dz);
        for (dz, dvalue) in dz.iter_mut().zip(dvalues) {
            *dz = dvalue * sigmoid_slope(*dz) / -self.temperature;
        }
        transform(dz);
        dparams.iter_mut().zip(dz).for_each(|(dparam, dz)| *dparam += *dz);
    }

    fn slopes(&self, params: &[f32], _values: &[f32], i: usize, slopes: &mut [f32]) {
        let mut z = [0f32; MAX_ENTRIES];
        let z = &mut z[..params.len()];
        self.logits(params, z);
        differences(z, i, 1.0, slopes);
        slopes.iter_mut().zip(z).for_each(|(slope, z)| *slope *= sigmoid_slope(*z));
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::models::testing::{agrees_with_formula, initial, normals, table, values};

    #[test]
    fn agrees_with_the_sum_of_parities() {
        for (fan_in, temperature) in [(1, 1.0), (2, 0.5), (3, 2.0), (4, 1.0), (6, 1.0), (8, 0.7)] {
            let model = Walsh { temperature, ..Walsh::default() };
            let params = initial(&model, fan_in, 6);
            agrees_with_formula(&model, fan_in, &params, |theta, x| {
                let parity = |set: usize| -> f64 {
                    (0..fan_in).filter(|l| set >> l & 1 == 1).map(|l| 1.0 - 2.0 * x[l]).product()
                };
                let sum: f64 = (0..theta.len()).map(|set| theta[set] * parity(set)).sum();
                1.0 / (1.0 + (sum / f64::from(temperature)).exp())
            });
        }
    }

    #[test]
    fn the_table_is_where_the_transform_is_negative() {
        for fan_in in 1..=8usize {
            let params = initial(&Walsh::default(), fan_in, 1);
            for (k, bit) in table(&Walsh::default(), fan_in, &params).into_iter().enumerate() {
                let sign = |set: usize| if (set & k).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
                let sum: f64 = (0..1 << fan_in).map(|set| sign(set) * f64::from(params[set])).sum();
                assert_eq!(bit, sum < 0.0);
            }
        }
        // Too small for the sigmoid to show, and exactly zero.
        assert_eq!(table(&Walsh::default(), 1, &[0.0, 1e-30]), [false, true]);
        assert_eq!(table(&Walsh::default(), 1, &[0.0, 0.0]), [false, false]);
    }

    #[test]
    fn saturated_nodes_still_learn() {
        let mut dparams = [0.0; 2];
        Walsh::default().backward(&[-30.0, 0.0], &[1.0, 0.0], &[1, 0], &mut dparams);
        assert!(dparams[0] < 0.0 && dparams[0] > -1e-12, "{}", dparams[0]);
    }

    #[test]
    fn noise_moves_each_logit_by_its_own_draw() {
        let model = Walsh { temperature: 0.5, ..Walsh::default() }.noise(0.8);
        let params = initial(&model, 4, 3);
        let mut noisy = params.clone();
        assert!(model.perturb(&mut rng::stream(8, &[]), &mut noisy));
        let (mut before, mut after) = (vec![0.0; 16], vec![0.0; 16]);
        model.logits(&params, &mut before);
        model.logits(&noisy, &mut after);
        let mut rng = rng::stream(8, &[]);
        for (before, after) in before.iter().zip(after) {
            let moved = 0.8 * logistic(&mut rng) / 0.5;
            assert_relative_eq!(after - before, moved, max_relative = 1e-4, epsilon = 1e-5);
        }
    }

    #[test]
    fn a_passed_input_has_the_stated_probability() {
        for temperature in [0.3, 1.0] {
            let model = Walsh { temperature, ..Walsh::default() }.residual(true);
            for (k, value) in values(&model, 5, &initial(&model, 5, 1)).into_iter().enumerate() {
                let want = if k & 1 == 1 { 0.951 } else { 0.049 };
                assert_relative_eq!(value, want, epsilon = 1e-5);
            }
        }
    }

    #[test]
    fn the_transform_is_its_own_inverse_up_to_scale() {
        let table = normals(64, 4);
        let mut twice = table.clone();
        transform(&mut twice);
        transform(&mut twice);
        for (twice, once) in twice.iter().zip(table) {
            assert_relative_eq!(twice / 64.0, once, max_relative = 1e-4, epsilon = 1e-6);
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Walsh { temperature: bad, ..Walsh::default() }.check(6).is_err(), "{bad}");
        }
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            assert!(Walsh::default().noise(bad).check(6).is_err(), "{bad}");
        }
    }
}
