//! Majority, without parameters.
//!
//! ```text
//! V[k]  = ones(k) / n                bit: V[k] > 0.5, more ones than zeros; a tie is a zero
//! slope = 1 / n
//! ```
//!
//! Fan-in 1 to 8. Meant for a layer without batch norm, which would move the threshold.
//!
//! Source: BinaryBrain's `AverageLut` on bits. There, on real numbers, the output is the sum on one
//! device and the mean on the other, and the vote of zeros and ones is an OR; here it is one thing.

use lutweave_tensor::rng::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::parts::fan_in_of;
use crate::LutModel;

/// Majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Average;

impl Average {
    /// The name in files.
    pub const KIND: &'static str = "average";
}

impl LutModel for Average {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn trains(&self) -> bool {
        false
    }

    fn parameters(&self, _fan_in: usize) -> usize {
        0
    }

    fn initialise(&self, _rng: &mut Xoshiro256PlusPlus, _params: &mut [f32]) {}

    fn values(&self, _params: &[f32], values: &mut [f32]) {
        let fan_in = fan_in_of(values) as f32;
        for (k, value) in values.iter_mut().enumerate() {
            *value = k.count_ones() as f32 / fan_in;
        }
    }

    fn backward(&self, _: &[f32], _dvalues: &[f32], _counts: &[u32], _dparams: &mut [f32]) {}

    fn slopes(&self, _params: &[f32], values: &[f32], _i: usize, slopes: &mut [f32]) {
        slopes.fill(1.0 / fan_in_of(values) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{agrees_with_formula, table};

    #[test]
    fn is_the_mean_of_its_inputs() {
        for fan_in in 1..=8 {
            let mean = |_: &[f64], x: &[f64]| x.iter().sum::<f64>() / fan_in as f64;
            agrees_with_formula(&Average, fan_in, &[], mean);
        }
    }

    #[test]
    fn a_tie_is_a_zero() {
        for fan_in in 1..=8 {
            for (k, bit) in table(&Average, fan_in, &[]).into_iter().enumerate() {
                assert_eq!(bit, k.count_ones() > k.count_zeros() - (usize::BITS - fan_in as u32));
            }
        }
    }
}
