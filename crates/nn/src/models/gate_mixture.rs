//! A softmax over the 16 functions of two inputs.
//!
//! Gate `g` is the function whose truth table is `g`: its output for pattern `k` (input 0 in bit 0)
//! is bit `k` of `g`.
//!
//! ```text
//!  0 false     4 b ∧ ¬a     8 a ∧ b      12 b             a: input 0, b: input 1
//!  1 ¬(a ∨ b)  5 ¬a         9 ¬(a ⊕ b)   13 b ∨ ¬a
//!  2 a ∧ ¬b    6 a ⊕ b     10 a          14 a ∨ b
//!  3 ¬b        7 ¬(a ∧ b)  11 a ∨ ¬b     15 true
//!
//! p      = softmax(z / τ)
//! V[k]   = Σ_g p_g · bit_k(g)                                 training bit: V[k] > 0.5
//! dz_g  += p_g / τ · Σ_k dV[k] · (bit_k(g) − V[k])            bit of the finished network:
//! slope  = V[k with input i set] − V[k with it clear]                   bit_k(arg max_g z_g)
//! ```
//!
//! (difflogic numbers the same gates with the bits in the other order: its gate is the four bits of
//! `g` reversed.) Of equal logits the first gate wins. The slope is that of the probabilistic gates
//! (AND is `ab`, OR is `a + b − ab`), at the pattern. Logits have no range. They start as N(0, 1),
//! or, passing an input through, as 5 for that gate and 0 elsewhere. Fan-in 2 only. Meant for a
//! layer without batch norm: batch statistics of the mixture do not fit the arg-max.
//!
//! `noise` `σ` adds `σ` times Gumbel noise `−ln(−ln U)` to each logit in every training step, and
//! that step's values are those of the arg-max gate, with the gradient and the slopes of the
//! mixture (straight-through). Training and finished network then compute alike. σ = 1 with τ from
//! 0.15 to 0.5 is Gumbel-softmax as in the source.
//!
//! Source: Petersen et al. 2022, "Deep differentiable logic gate networks", section 3; residual
//! logit of Petersen et al. 2024, "Convolutional differentiable logic gate networks"
//! (arXiv:2411.04732); noise of Yousefi, Plesner, Aczel and Wattenhofer 2025, "Mind the gap: removing
//! the discretization gap in differentiable logic gate networks" (arXiv:2506.07500). Unlike there, training sees bits, not probabilities.

use lutweave_backend::{Draw, Noise, TableModel};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::Residual;
use super::parts::{add_noise, check, check_noise, check_positive, differences, fan_in_of, gumbel};
use crate::{LutModel, Result};

const GATES: usize = 16;

/// Gate `a`, and gate `b`.
const PASS: [usize; 2] = [10, 12];

/// Logit of the gate that passes an input through.
const RESIDUAL_LOGIT: f32 = 5.0;

/// A softmax over the 16 functions of two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateMixture {
    /// τ of the softmax, positive.
    pub temperature: f32,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
    /// Scale of the Gumbel noise of a training step; 0 for none, and for values of the mixture.
    #[serde(default)]
    pub noise: f32,
}

impl Default for GateMixture {
    fn default() -> Self {
        Self { temperature: 1.0, residual: Residual::None, noise: 0.0 }
    }
}

impl GateMixture {
    /// The name in files.
    pub const KIND: &'static str = "gate_mixture";

    /// Lets new nodes pass an input through (`true`: input 0).
    #[must_use]
    pub fn residual(self, residual: impl Into<Residual>) -> Self {
        Self { residual: residual.into(), ..self }
    }

    /// Adds so much Gumbel noise in each training step, which then takes the arg-max.
    #[must_use]
    pub fn noise(self, noise: f32) -> Self {
        Self { noise, ..self }
    }

    fn softmax(&self, params: &[f32]) -> [f32; GATES] {
        let most = params.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut p = [0f32; GATES];
        for (p, z) in p.iter_mut().zip(params) {
            *p = libm::expf((z - most) / self.temperature);
        }
        let sum: f32 = p.iter().sum();
        p.map(|p| p / sum)
    }
}

/// The output of gate `g` for pattern `k`.
fn output(g: usize, k: usize) -> f32 {
    (g >> k & 1) as f32
}

/// The outputs of a mixture of gates.
fn mixture(p: &[f32; GATES], values: &mut [f32]) {
    for (k, value) in values.iter_mut().enumerate() {
        *value = p.iter().enumerate().map(|(g, p)| p * output(g, k)).sum();
    }
}

impl LutModel for GateMixture {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, fan_in: usize) -> Result<()> {
        check(fan_in == 2, "fan_in", "2 for a gate mixture", fan_in)?;
        check_positive(self.temperature, "temperature")?;
        check_noise(self.noise)
    }

    fn parameters(&self, _fan_in: usize) -> usize {
        GATES
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        let Some(i) = self.residual.input(rng, PASS.len()) else {
            for value in params.iter_mut() {
                *value = rng::normal(rng);
            }
            return;
        };
        params.fill(0.0);
        params[PASS[i]] = RESIDUAL_LOGIT;
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::GateMixture { temperature: self.temperature, hard: self.noise > 0.0 })
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        if self.noise > 0.0 {
            self.hardened(params, values);
        } else {
            mixture(&self.softmax(params), values);
        }
    }

    fn hardened(&self, params: &[f32], values: &mut [f32]) {
        let gates = params.iter().enumerate().skip(1);
        let best = gates.fold(0, |best, (g, z)| if *z > params[best] { g } else { best });
        for (k, value) in values.iter_mut().enumerate() {
            *value = output(best, k);
        }
    }

    fn noise(&self) -> Option<Noise> {
        Some(Noise { draw: Draw::Gumbel, scale: self.noise, transformed: false })
    }

    fn perturb(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) -> bool {
        add_noise(params, self.noise, rng, gumbel)
    }

    fn backward(&self, params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        let p = self.softmax(params);
        let mut values = [0f32; 4];
        mixture(&p, &mut values);
        for (g, (dparam, p)) in dparams.iter_mut().zip(p).enumerate() {
            let terms = values.iter().zip(dvalues).enumerate();
            let sum: f32 = terms.map(|(k, (value, dvalue))| dvalue * (output(g, k) - value)).sum();
            *dparam += p * sum / self.temperature;
        }
    }

    fn slopes(&self, params: &[f32], _values: &[f32], i: usize, slopes: &mut [f32]) {
        debug_assert_eq!(fan_in_of(slopes), 2);
        let mut values = [0f32; 4];
        mixture(&self.softmax(params), &mut values);
        differences(&values, i, 1.0, slopes);
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::models::testing::{agrees_with_formula, initial, slopes, table, values};

    /// The probabilistic gates of the source, in our order.
    fn gate(g: usize, a: f64, b: f64) -> f64 {
        match g {
            0 => 0.0,
            1 => 1.0 - (a + b - a * b),
            2 => a * (1.0 - b),
            3 => 1.0 - b,
            4 => b * (1.0 - a),
            5 => 1.0 - a,
            6 => a + b - 2.0 * a * b,
            7 => 1.0 - a * b,
            8 => a * b,
            9 => 1.0 - (a + b - 2.0 * a * b),
            10 => a,
            11 => 1.0 - b + a * b,
            12 => b,
            13 => 1.0 - a + a * b,
            14 => a + b - a * b,
            _ => 1.0,
        }
    }

    #[test]
    fn agrees_with_the_probabilistic_gates() {
        for (seed, temperature) in [(1, 1.0), (2, 0.3), (3, 4.0)] {
            let model = GateMixture { temperature, ..GateMixture::default() };
            let params = initial(&model, 2, seed);
            agrees_with_formula(&model, 2, &params, |z, x| {
                let weights = z.iter().map(|z| (z / f64::from(temperature)).exp());
                let sum: f64 = weights.clone().sum();
                weights.enumerate().map(|(g, w)| w / sum * gate(g, x[0], x[1])).sum()
            });
        }
    }

    #[test]
    fn the_table_is_the_likeliest_gate() {
        for g in 0..GATES {
            let mut params = initial(&GateMixture::default(), 2, 9);
            params[g] = 10.0;
            let want: Vec<bool> = (0..4).map(|k| g >> k & 1 == 1).collect();
            assert_eq!(table(&GateMixture::default(), 2, &params), want);
        }
        assert_eq!(table(&GateMixture::default(), 2, &[0.0; GATES]), [false; 4]);
        // Where mixture and likeliest gate differ, the latter counts.
        let mut params = [-9.0; GATES];
        (params[8], params[14], params[6]) = (1.0, 0.9, 0.9);
        assert_eq!(table(&GateMixture::default(), 2, &params), [false, false, false, true]);
        assert!(values(&GateMixture::default(), 2, &params)[1] > 0.5);
    }

    #[test]
    fn a_noisy_step_takes_one_gate_and_the_gradient_of_the_mixture() {
        let (soft, hard) = (GateMixture::default(), GateMixture::default().noise(1.0));
        let mut params = initial(&soft, 2, 1);
        assert!(!soft.perturb(&mut rng::stream(2, &[]), &mut params));
        assert!(hard.perturb(&mut rng::stream(2, &[]), &mut params));
        let taken = values(&hard, 2, &params);
        assert!(taken.iter().all(|value| [0.0, 1.0].contains(value)));
        let mixed = values(&soft, 2, &params);
        assert_eq!(slopes(&hard, &params, 1, &taken), slopes(&soft, &params, 1, &mixed));
        let (mut a, mut b) = (vec![0.0; GATES], vec![0.0; GATES]);
        soft.backward(&params, &[1.0, -2.0, 0.5, 0.0], &[1; 4], &mut a);
        hard.backward(&params, &[1.0, -2.0, 0.5, 0.0], &[1; 4], &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn a_passed_input_has_the_stated_probability() {
        let model = GateMixture::default().residual(true);
        let p = model.softmax(&initial(&model, 2, 1));
        assert_relative_eq!(p[10], 0.908, epsilon = 1e-3);
    }

    #[test]
    fn bad_settings_are_refused() {
        for fan_in in [1, 3, 6] {
            assert!(GateMixture::default().check(fan_in).is_err());
        }
        assert!(GateMixture { temperature: 0.0, ..GateMixture::default() }.check(2).is_err());
        assert!(GateMixture::default().noise(-1.0).check(2).is_err());
    }
}
