//! A small network with one hidden layer in each node.
//!
//! Inputs are `x_j = ±1` (a zero is −1), hidden units `m = 0..M`:
//!
//! ```text
//! a_m   = b0_m + Σ_j W0_mj · x_j          h_m = f(a_m)
//! V     = b1 + Σ_m W1_m · h_m              bit, without batch norm: V > 0.5
//! e_m   = dV · W1_m · f′(a_m)
//! dW1_m += Σ_k dV·h_m    db1 += Σ_k dV    dW0_mj += Σ_k e_m·x_j    db0_m += Σ_k e_m
//! slope = 2 Σ_m W1_m · f′(a_m) · W0_mj     for input j
//! ```
//!
//! The slope is with respect to the bit, 0 or 1, which is half as long a way as from −1 to 1.
//!
//! Parameters of a node, in order: `W0 [M][n]`, `b0 [M]`, `W1 [M]`, `b1`. They start as
//! U(−√(1/n), √(1/n)) or as [`Initial`] says. Passing input `i` through, hidden unit 0 is `f(x_i)`,
//! the output weights of the others are 0, and `W1_0` and `b1` are such that `V = x_i` (or, where
//! `clamp` forbids these, the largest multiple it allows). Fan-in 1 to 8, 1 to 64 hidden units.
//!
//! In BinaryBrain, `MicroMlp` ends in batch norm with γ = 1, β = 0 and a threshold of 0 that gives
//! ±1 and passes the gradient between −1 and 1. In our convention, an output of 0 or 1, a threshold
//! of 0.5 and a window of 0 to 1, a normalised value `u` becomes `(u + 1) / 2`: batch norm with
//! γ = 0.5 and β = 0.5 (and momentum 0 as there) is the same layer. γ = 1 with β = 0.5 gives the same
//! bits through a window of half the width.
//!
//! Source: BinaryBrain's `MicroMlpAffine` and `MicroMlp` (the network in a LUT goes back to
//! Fuchikami 2019, "LUT-Network"), with its gradients on bits corrected: there backward reads bits
//! as 0 and 1 where forward read ±1, and overwrites `db1`. Activations other than the rectifier are ours.
//!
//! For inputs that are real numbers see [`forward_real`] and [`backward_real`].

mod real;

use lutweave_backend::{TableModel, UnitFunction};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

pub use real::{backward_real, forward_real};

use super::Residual;
use super::parts::{MAX_ENTRIES, check, check_positive, fan_in_of, sigmoid};
use crate::{LutModel, RealInputs, RealNode, Result};

/// The most hidden units of a node.
const MAX_HIDDEN: usize = 64;

/// The function of a hidden unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Activation {
    /// `max(0, a)`.
    #[default]
    Relu,
    /// `a` where positive, `a / 100` elsewhere.
    LeakyRelu,
    /// The hyperbolic tangent.
    Tanh,
    /// `a` between −1 and 1, and the nearer of these elsewhere.
    HardTanh,
    /// `1 / (1 + e^(−a))`.
    Sigmoid,
}

impl Activation {
    /// As backends know it.
    fn unit(self) -> UnitFunction {
        match self {
            Self::Relu => UnitFunction::Relu,
            Self::LeakyRelu => UnitFunction::LeakyRelu,
            Self::Tanh => UnitFunction::Tanh,
            Self::HardTanh => UnitFunction::HardTanh,
            Self::Sigmoid => UnitFunction::Sigmoid,
        }
    }

    /// `f(a)` and `f′(a)`; at a kink the derivative of the flatter side.
    fn at(self, a: f32) -> (f32, f32) {
        const LEAK: f32 = 0.01;
        match self {
            Self::Relu | Self::LeakyRelu if a > 0.0 => (a, 1.0),
            Self::Relu => (0.0, 0.0),
            Self::LeakyRelu => (LEAK * a, LEAK),
            Self::Tanh => {
                let h = libm::tanhf(a);
                (h, 1.0 - h * h)
            }
            Self::HardTanh if a > -1.0 && a < 1.0 => (a, 1.0),
            Self::HardTanh => (a.clamp(-1.0, 1.0), 0.0),
            Self::Sigmoid => {
                let h = sigmoid(a);
                (h, h * (1.0 - h))
            }
        }
    }
}

/// How the parameters start, all of them alike.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Initial {
    /// U(−√(1/n), √(1/n)), of `n` inputs.
    #[default]
    FanIn,
    /// N(0, 2/n), after He et al. 2015.
    He,
    /// N(0, 1/n), after Glorot and Bengio 2010.
    Xavier,
    /// N(0, deviation²).
    Normal(f32),
    /// Uniform around 0 with this standard deviation.
    Uniform(f32),
}

impl Initial {
    fn draw(self, rng: &mut Xoshiro256PlusPlus, fan_in: usize) -> f32 {
        let fan_in = fan_in as f32;
        let mut uniform = |half: f32| half * (2.0 * rng::uniform(rng) - 1.0);
        match self {
            Self::FanIn => uniform((1.0 / fan_in).sqrt()),
            Self::Uniform(deviation) => uniform(deviation * 3f32.sqrt()),
            Self::He => (2.0 / fan_in).sqrt() * rng::normal(rng),
            Self::Xavier => (1.0 / fan_in).sqrt() * rng::normal(rng),
            Self::Normal(deviation) => deviation * rng::normal(rng),
        }
    }
}

/// A small network with one hidden layer in each node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicroMlp {
    /// Hidden units of a node, 1 to 64.
    pub hidden: usize,
    /// Their function.
    pub activation: Activation,
    /// How the parameters start.
    #[serde(default)]
    pub initial: Initial,
    /// Whether all parameters are kept in `[−1, 1]` (BinaryBrain's `binary` switch).
    #[serde(default)]
    pub clamp: bool,
    /// The input that new nodes pass through.
    #[serde(default)]
    pub residual: Residual,
}

impl Default for MicroMlp {
    /// BinaryBrain's 16 rectified units.
    fn default() -> Self {
        Self {
            hidden: 16,
            activation: Activation::Relu,
            initial: Initial::FanIn,
            clamp: false,
            residual: Residual::None,
        }
    }
}

/// The parameters of one node, or their gradients, by name.
struct Parts<T> {
    w0: T,
    b0: T,
    w1: T,
    b1: T,
}

impl MicroMlp {
    /// The name in files.
    pub const KIND: &'static str = "micro_mlp";

    /// So many rectified units.
    pub fn new(hidden: usize) -> Self {
        Self { hidden, ..Self::default() }
    }

    /// The function of the hidden units.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Lets new nodes pass an input through (`true`: input 0).
    #[must_use]
    pub fn residual(self, residual: impl Into<Residual>) -> Self {
        Self { residual: residual.into(), ..self }
    }

    fn fan_in(&self, params: &[f32]) -> usize {
        (params.len() - 1) / self.hidden - 2
    }

    fn parts<'a>(&self, params: &'a [f32]) -> Parts<&'a [f32]> {
        let (rest, b1) = params.split_at(params.len() - 1);
        let (rest, w1) = rest.split_at(rest.len() - self.hidden);
        let (w0, b0) = rest.split_at(rest.len() - self.hidden);
        Parts { w0, b0, w1, b1 }
    }

    fn parts_mut<'a>(&self, params: &'a mut [f32]) -> Parts<&'a mut [f32]> {
        let (rest, b1) = params.split_at_mut(params.len() - 1);
        let (rest, w1) = rest.split_at_mut(rest.len() - self.hidden);
        let (w0, b0) = rest.split_at_mut(rest.len() - self.hidden);
        Parts { w0, b0, w1, b1 }
    }
}

/// Writes the sum of `bias` and the weights, each with the sign of its input, for every pattern.
/// Each input doubles the part that is done.
fn sums(weights: &[f32], bias: f32, sums: &mut [f32]) {
    sums[0] = bias - weights.iter().sum::<f32>();
    for (i, weight) in weights.iter().enumerate() {
        let (done, next) = sums[..2 << i].split_at_mut(1 << i);
        next.iter_mut().zip(done).for_each(|(next, done)| *next = *done + 2.0 * weight);
    }
}

/// Adds to each of `dweights` the sum of `e`, with the sign of its input, and gives the sum of `e`.
/// The transpose of [`sums`]; `e` is used up.
fn fold(e: &mut [f32], dweights: &mut [f32]) -> f32 {
    for (i, dweight) in dweights.iter_mut().enumerate().rev() {
        let (zeros, ones) = e[..2 << i].split_at_mut(1 << i);
        for (zero, one) in zeros.iter_mut().zip(ones) {
            *dweight += *one - *zero;
            *zero += *one;
        }
    }
    e[0]
}

impl RealNode for MicroMlp {
    fn micro_mlp(&self) -> Option<(usize, UnitFunction)> {
        Some((self.hidden, self.activation.unit()))
    }

    fn forward(&self, params: &[f32], x: &[&[f32]], y: &mut [f32]) -> Result<()> {
        forward_real(self, params, x, y)
    }

    fn backward(
        &self,
        params: &[f32],
        x: &[&[f32]],
        dy: &[f32],
        dparams: &mut [f32],
        dx: &mut [f32],
    ) -> Result<()> {
        backward_real(self, params, x, dy, dparams, dx)
    }
}

impl LutModel for MicroMlp {
    fn real(&self) -> RealInputs<'_> {
        RealInputs::Own(self)
    }

    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::MicroMlp { units: self.hidden, function: self.activation.unit() })
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn check(&self, _fan_in: usize) -> Result<()> {
        check((1..=MAX_HIDDEN).contains(&self.hidden), "hidden", "1 to 64", self.hidden)?;
        match self.initial {
            Initial::Normal(deviation) | Initial::Uniform(deviation) => {
                check_positive(deviation, "initial")
            }
            _ => Ok(()),
        }
    }

    fn parameters(&self, fan_in: usize) -> usize {
        self.hidden * (fan_in + 2) + 1
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        let fan_in = self.fan_in(params);
        let input = self.residual.input(rng, fan_in);
        for value in params.iter_mut() {
            *value = self.initial.draw(rng, fan_in);
        }
        if let Some(i) = input {
            let Parts { w0, b0, w1, b1 } = self.parts_mut(params);
            let (low, high) = (self.activation.at(-1.0).0, self.activation.at(1.0).0);
            w0[..fan_in].fill(0.0);
            w1.fill(0.0);
            (w0[i], b0[0]) = (1.0, 0.0);
            let (weight, bias) = (2.0 / (high - low), -(high + low) / (high - low));
            let most = if self.clamp { weight.max(bias.abs()).max(1.0) } else { 1.0 };
            (w1[0], b1[0]) = (weight / most, bias / most);
        }
        if let Some((low, high)) = self.range() {
            for value in params.iter_mut() {
                *value = value.clamp(low, high);
            }
        }
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.clamp.then_some((-1.0, 1.0))
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        let Parts { w0, b0, w1, b1 } = self.parts(params);
        let mut a = [0f32; MAX_ENTRIES];
        let a = &mut a[..values.len()];
        values.fill(b1[0]);
        for ((w0, b0), w1) in w0.chunks(fan_in_of(values)).zip(b0).zip(w1) {
            sums(w0, *b0, a);
            for (value, a) in values.iter_mut().zip(a.iter()) {
                *value += w1 * self.activation.at(*a).0;
            }
        }
    }

    fn backward(&self, params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        let Parts { w0, b0, w1, .. } = self.parts(params);
        let gradient = self.parts_mut(dparams);
        let fan_in = fan_in_of(dvalues);
        let mut e = [0f32; MAX_ENTRIES];
        let e = &mut e[..dvalues.len()];
        gradient.b1[0] += dvalues.iter().sum::<f32>();
        let units = w0.chunks(fan_in).zip(b0).zip(w1);
        let gradients = gradient.w0.chunks_mut(fan_in).zip(gradient.b0).zip(gradient.w1);
        for (((w0, b0), w1), ((dw0, db0), dw1)) in units.zip(gradients) {
            sums(w0, *b0, e);
            for (e, dvalue) in e.iter_mut().zip(dvalues) {
                let (h, slope) = self.activation.at(*e);
                *dw1 += dvalue * h;
                *e = dvalue * w1 * slope;
            }
            *db0 += fold(e, dw0);
        }
    }

    fn slopes(&self, params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]) {
        let Parts { w0, b0, w1, .. } = self.parts(params);
        let mut a = [0f32; MAX_ENTRIES];
        let a = &mut a[..values.len()];
        slopes.fill(0.0);
        for ((w0, b0), w1) in w0.chunks(fan_in_of(values)).zip(b0).zip(w1) {
            sums(w0, *b0, a);
            for (slope, a) in slopes.iter_mut().zip(a.iter()) {
                *slope += 2.0 * w1 * w0[i] * self.activation.at(*a).1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{agrees_with_formula, initial, table, values};

    pub(super) const ACTIVATIONS: [Activation; 5] = [
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Tanh,
        Activation::HardTanh,
        Activation::Sigmoid,
    ];

    pub(super) fn activate(activation: Activation, a: f64) -> f64 {
        match activation {
            Activation::Relu => a.max(0.0),
            Activation::LeakyRelu => a.max(0.01 * a),
            Activation::Tanh => a.tanh(),
            Activation::HardTanh => a.clamp(-1.0, 1.0),
            Activation::Sigmoid => 1.0 / (1.0 + (-a).exp()),
        }
    }

    /// The network on ±1 (or any numbers), unit by unit.
    pub(super) fn naive(model: &MicroMlp, params: &[f64], x: &[f64]) -> f64 {
        let (hidden, fan_in) = (model.hidden, x.len());
        let (b0, w1) = (hidden * fan_in, hidden * (fan_in + 1));
        let unit = |m: usize| {
            let sum: f64 = (0..fan_in).map(|j| params[m * fan_in + j] * x[j]).sum();
            params[w1 + m] * activate(model.activation, params[b0 + m] + sum)
        };
        params[params.len() - 1] + (0..hidden).map(unit).sum::<f64>()
    }

    #[test]
    fn agrees_with_the_network_unit_by_unit() {
        for activation in ACTIVATIONS {
            for (fan_in, hidden) in [(1, 1), (2, 3), (4, 16), (6, 5), (8, 2), (2, 64)] {
                let model = MicroMlp::new(hidden).activation(activation);
                let params = initial(&model, fan_in, hidden as u64);
                agrees_with_formula(&model, fan_in, &params, |params, bits| {
                    let x: Vec<f64> = bits.iter().map(|bit| 2.0 * bit - 1.0).collect();
                    naive(&model, params, &x)
                });
            }
        }
    }

    #[test]
    fn a_passed_input_is_the_value() {
        for activation in ACTIVATIONS {
            let model = MicroMlp::default().activation(activation).residual(true);
            let params = initial(&model, 6, 3);
            for (k, value) in values(&model, 6, &params).into_iter().enumerate() {
                let want = if k & 1 == 1 { 1.0 } else { -1.0 };
                assert!((value - want).abs() < 1e-6, "{activation:?} {value}");
            }
        }
    }

    #[test]
    fn clamped_parameters_start_in_range() {
        for activation in ACTIVATIONS {
            for residual in [Residual::None, Residual::First] {
                let model = MicroMlp { clamp: true, initial: Initial::He, ..MicroMlp::new(64) };
                let model = model.activation(activation).residual(residual);
                let params = initial(&model, 2, 3);
                assert!(params.iter().all(|value| value.abs() <= 1.0));
                let values = values(&model, 1, &initial(&model, 1, 4));
                assert!(residual == Residual::None || (values[0] + values[1]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_table_is_the_value_above_the_threshold() {
        // V = 1·relu(x_0 + x_1 − 1) + b1: 1 + b1 where both are one, else b1.
        let model = MicroMlp::new(1);
        assert_eq!(table(&model, 2, &[1.0, 1.0, -1.0, 1.0, 0.0]), [false, false, false, true]);
        assert_eq!(table(&model, 2, &[1.0, 1.0, -1.0, 1.0, -0.5]), [false; 4]);
        assert_eq!(table(&model, 2, &[1.0, 1.0, -1.0, 1.0, 0.75]), [true; 4]);
    }

    #[test]
    fn parameters_start_with_the_stated_deviation() {
        let deviations = [
            (Initial::FanIn, (1.0f32 / 18.0).sqrt()),
            (Initial::He, (1.0f32 / 3.0).sqrt()),
            (Initial::Xavier, (1.0f32 / 6.0).sqrt()),
            (Initial::Normal(0.01), 0.01),
            (Initial::Uniform(0.5), 0.5),
        ];
        for (how, want) in deviations {
            let model = MicroMlp { initial: how, ..MicroMlp::new(64) };
            let params = initial(&model, 6, 21);
            let variance = params.iter().map(|value| value * value).sum::<f32>();
            let got = (variance / params.len() as f32).sqrt();
            assert!((got / want - 1.0).abs() < 0.15, "{how:?} {got} {want}");
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(MicroMlp::new(0).check(6).is_err());
        assert!(MicroMlp::new(65).check(6).is_err());
        let model = MicroMlp { initial: Initial::Normal(f32::NAN), ..MicroMlp::new(4) };
        assert!(model.check(6).is_err());
    }
}
