//! What the models have in common: passes over tables, pass-through initialisation, noise, checks.

use std::fmt::Display;

use lutweave_lut::MAX_FAN_IN;
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Length of the longest table.
pub(super) const MAX_ENTRIES: usize = 1 << MAX_FAN_IN;

/// Which input a new node passes through.
///
/// Deep networks of random tables lose the signal; a node that starts as a wire keeps it, and
/// leaves wires that synthesis removes (Petersen et al. 2024, "Convolutional differentiable logic
/// gate networks", residual initialisation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residual {
    /// None: the model's own random initialisation.
    #[default]
    None,
    /// Input 0.
    First,
    /// One of the inputs, drawn anew for every node.
    Random,
}

impl From<bool> for Residual {
    /// Input 0 if true.
    fn from(residual: bool) -> Self {
        if residual { Self::First } else { Self::None }
    }
}

impl Residual {
    /// The input that this node passes through.
    pub(super) fn input(self, rng: &mut Xoshiro256PlusPlus, fan_in: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::First => Some(0),
            Self::Random => Some(rng::below(rng, fan_in)),
        }
    }
}

/// The fan-in of a node with so many patterns.
pub(super) fn fan_in_of(table: &[f32]) -> usize {
    table.len().trailing_zeros() as usize
}

/// Input `i` of pattern `k` as −1 or 1.
pub(super) fn side(k: usize, i: usize) -> f32 {
    if k >> i & 1 == 1 { 1.0 } else { -1.0 }
}

/// Calls `each` with every two entries whose patterns differ in input `i` alone, the one where it
/// is zero first. The pass over every input in turn makes a fast transform of `n·2ⁿ` operations.
pub(super) fn for_pairs(table: &mut [f32], i: usize, each: impl Fn(&mut f32, &mut f32)) {
    let step = 1 << i;
    for pair in table.chunks_mut(2 * step) {
        let (zeros, ones) = pair.split_at_mut(step);
        zeros.iter_mut().zip(ones).for_each(|(zero, one)| each(zero, one));
    }
}

/// Writes, for each pattern, how much `table` grows with input `i`, times `scale`: the slope of the
/// multilinear function through the table.
pub(super) fn differences(table: &[f32], i: usize, scale: f32, slopes: &mut [f32]) {
    slopes.copy_from_slice(table);
    for_pairs(slopes, i, |zero, one| {
        let slope = (*one - *zero) * scale;
        (*zero, *one) = (slope, slope);
    });
}

/// `1 / (1 + e⁻ᶻ)`.
pub(super) fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-z))
}

/// The derivative of [`sigmoid`], without cancellation where it saturates.
pub(super) fn sigmoid_slope(z: f32) -> f32 {
    sigmoid(z) * sigmoid(-z)
}

/// `value`, on the side of the threshold 0.5 that `one` says: rounding decides no bit.
pub(super) fn decided(value: f32, one: bool) -> f32 {
    const ABOVE: f32 = 0.5f32.next_up();
    if one { value.max(ABOVE) } else { value.min(0.5) }
}

/// Uniform strictly between 0 and 1, an odd multiple of 2⁻⁵³.
fn open_unit(rng: &mut Xoshiro256PlusPlus) -> f64 {
    const STEP: f64 = 1.0 / 4_503_599_627_370_496.0; // 2⁻⁵²
    ((rng::word(rng) >> 12) as f64 + 0.5) * STEP
}

/// Standard logistic noise, `ln U − ln(1 − U)`: the difference of two Gumbel draws.
pub(super) fn logistic(rng: &mut Xoshiro256PlusPlus) -> f32 {
    let unit = open_unit(rng);
    (libm::log(unit) - libm::log1p(-unit)) as f32
}

/// Standard Gumbel noise, `−ln(−ln U)`.
pub(super) fn gumbel(rng: &mut Xoshiro256PlusPlus) -> f32 {
    (-libm::log(-libm::log(open_unit(rng)))) as f32
}

/// Adds `scale` times a draw to each parameter. False, and no change, if `scale` is 0.
pub(super) fn add_noise(
    params: &mut [f32],
    scale: f32,
    rng: &mut Xoshiro256PlusPlus,
    draw: impl Fn(&mut Xoshiro256PlusPlus) -> f32,
) -> bool {
    if scale == 0.0 {
        return false;
    }
    for value in params.iter_mut() {
        *value += scale * draw(rng);
    }
    true
}

/// An error unless `fine`.
pub(super) fn check(
    fine: bool,
    option: &'static str,
    expected: &str,
    got: impl Display,
) -> Result<()> {
    if fine {
        return Ok(());
    }
    let (layer, expected, got) = ("lut".to_owned(), expected.to_owned(), got.to_string());
    Err(Error::Option { layer, option, expected, got })
}

/// An error unless a slice has the length that the others ask for.
pub(super) fn check_size(
    op: &'static str,
    operand: &'static str,
    expected: usize,
    got: usize,
) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(lutweave_backend::Error::Size { op, operand, unit: "elements", expected, got }.into())
}

/// An error unless these are the inputs of a node, a row of so many frames each.
pub(super) fn check_rows(op: &'static str, x: &[&[f32]], frames: usize) -> Result<()> {
    check((1..=MAX_FAN_IN).contains(&x.len()), "fan_in", "1 to 8", x.len())?;
    x.iter().try_for_each(|row| check_size(op, "x", frames, row.len()))
}

/// An error unless this is a positive number.
pub(super) fn check_positive(value: f32, option: &'static str) -> Result<()> {
    check(value > 0.0 && value.is_finite(), option, "a positive number", value)
}

/// An error unless this is a scale of noise.
pub(super) fn check_noise(value: f32) -> Result<()> {
    check(value >= 0.0 && value.is_finite(), "noise", "0 (none) or a positive number", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_moments_of_its_distribution() {
        struct Case {
            draw: fn(&mut Xoshiro256PlusPlus) -> f32,
            mean: f64,
            variance: f64,
        }
        const EULER: f64 = 0.577_215_664_901_532_9;
        let pi2 = std::f64::consts::PI * std::f64::consts::PI;
        let cases = [
            Case { draw: logistic, mean: 0.0, variance: pi2 / 3.0 },
            Case { draw: gumbel, mean: EULER, variance: pi2 / 6.0 },
        ];
        let n = 100_000;
        for case in cases {
            let mut rng = rng::stream(4, &[]);
            let draws: Vec<f64> = (0..n).map(|_| f64::from((case.draw)(&mut rng))).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(n);
            let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n) - mean * mean;
            assert!((mean - case.mean).abs() < 0.02, "{mean} {}", case.mean);
            assert!((variance / case.variance - 1.0).abs() < 0.02, "{variance}");
        }
    }

    #[test]
    fn noise_is_pinned() {
        // A change here changes every network trained with noise.
        let mut rng = rng::stream(1, &[]);
        assert_eq!(logistic(&mut rng).to_bits(), 3_195_859_251);
        assert_eq!(gumbel(&mut rng).to_bits(), 3_190_193_006);
    }

    #[test]
    fn a_decided_value_is_on_its_side() {
        for value in [-1.0, 0.0, 0.4, 0.5, 0.6, 2.0] {
            assert!(decided(value, true) > 0.5);
            assert!(decided(value, false) <= 0.5);
        }
        assert_eq!(decided(0.75, true).to_bits(), 0.75f32.to_bits());
        assert_eq!(decided(0.25, false).to_bits(), 0.25f32.to_bits());
    }
}
