//! Majority, without parameters.
//!
//! ```text
//! V[k]  = ones(k) / n                bit: V[k] > 0.5, more ones than zeros; a tie is a zero
//! slope = 1 / n
//! real  y = (x_0 + … + x_{n−1}) / n  dx_i = dy / n
//! ```
//!
//! Fan-in 1 to 8. Inputs that are real numbers enter as they are, and a bit is one where their mean
//! is above 0.5. Meant for a layer without batch norm, which would move the threshold.
//!
//! Source: BinaryBrain's `AverageLut`. There, on real numbers, the output is the sum on one device and
//! the mean on the other, it is compared with 0, and the vote of zeros and ones is an OR; here it
//! is one thing.

use lutweave_backend::TableModel;
use lutweave_tensor::rng::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::parts::{check_rows, check_size, fan_in_of};
use crate::{LutModel, RealInputs, RealNode, Result};

/// Majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Average;

impl Average {
    /// The name in files.
    pub const KIND: &'static str = "average";
}

impl RealNode for Average {
    fn forward(&self, _params: &[f32], x: &[&[f32]], y: &mut [f32]) -> Result<()> {
        check_rows("average forward", x, y.len())?;
        y.fill(0.0);
        for row in x {
            y.iter_mut().zip(*row).for_each(|(y, x)| *y += x);
        }
        let fan_in = x.len() as f32;
        for y in y {
            *y /= fan_in; // half of the inputs being one is 0.5 exactly
        }
        Ok(())
    }

    fn backward(
        &self,
        _params: &[f32],
        x: &[&[f32]],
        dy: &[f32],
        _dparams: &mut [f32],
        dx: &mut [f32],
    ) -> Result<()> {
        const OP: &str = "average backward";
        check_rows(OP, x, dy.len())?;
        check_size(OP, "dx", x.len() * dy.len(), dx.len())?;
        let share = 1.0 / x.len() as f32;
        for (dx, dy) in dx.iter_mut().zip(dy.iter().cycle()) {
            *dx += dy * share;
        }
        Ok(())
    }
}

impl LutModel for Average {
    fn real(&self) -> RealInputs<'_> {
        RealInputs::Own(self)
    }

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

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::Average)
    }

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
    use crate::models::testing::{agrees_with_formula, agrees_with_table, table};

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

    #[test]
    fn gives_the_mean_of_real_numbers() {
        let (a, b, c) = ([0.0, -3.0], [0.25, 1.0], [0.5, 0.5]);
        let x: [&[f32]; 3] = [&a, &b, &c];
        let mut y = [9.0; 2];
        RealNode::forward(&Average, &[], &x, &mut y).unwrap();
        assert_eq!(y.as_slice(), [0.25, -0.5]);
        let mut dx = [1.0; 6];
        RealNode::backward(&Average, &[], &x, &[3.0, -6.0], &mut [], &mut dx).unwrap();
        assert_eq!(dx.as_slice(), [2.0, -1.0, 2.0, -1.0, 2.0, -1.0]);
        agrees_with_table(&Average);
    }
}
