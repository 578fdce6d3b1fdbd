//! OR, without parameters.
//!
//! ```text
//! V[k]  = 1 if any input of k is one, else 0                   bit: V[k] > 0.5
//! slope = 1 for the first input that is one (input 0 where none is), 0 for the others
//! real  y = max(x_0, …, x_{n−1})     dx_i = dy for the first largest i, 0 for the others
//! ```
//!
//! So the gradient goes to the first input that is maximal. Fan-in 1 to 8. Inputs that are real
//! numbers may be of any size, and a bit is one where the largest is above 0.5. Meant for a layer
//! without batch norm.
//!
//! Source: BinaryBrain's `MaxLut`. There the threshold is 0 and, on one device, a maximum is never
//! below −1. Its exported tables are those of a majority; here they are the OR that the layer
//! computes.

use lutweave_backend::TableModel;
use lutweave_tensor::rng::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::parts::{check_rows, check_size};
use crate::{LutModel, RealInputs, RealNode, Result};

/// OR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Max;

impl Max {
    /// The name in files.
    pub const KIND: &'static str = "max";
}

/// The first largest input of a frame, and its number.
fn largest(x: &[&[f32]], frame: usize) -> (usize, f32) {
    let mut best = (0, x[0][frame]);
    for (i, row) in x.iter().enumerate().skip(1) {
        if row[frame] > best.1 {
            best = (i, row[frame]);
        }
    }
    best
}

impl RealNode for Max {
    fn forward(&self, _params: &[f32], x: &[&[f32]], y: &mut [f32]) -> Result<()> {
        check_rows("max forward", x, y.len())?;
        for (frame, y) in y.iter_mut().enumerate() {
            *y = largest(x, frame).1;
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
        const OP: &str = "max backward";
        let frames = dy.len();
        check_rows(OP, x, frames)?;
        check_size(OP, "dx", x.len() * frames, dx.len())?;
        for (frame, dy) in dy.iter().enumerate() {
            dx[largest(x, frame).0 * frames + frame] += dy;
        }
        Ok(())
    }
}

impl LutModel for Max {
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
        Some(TableModel::Max)
    }

    fn values(&self, _params: &[f32], values: &mut [f32]) {
        values.fill(1.0);
        values[0] = 0.0;
    }

    fn backward(&self, _: &[f32], _dvalues: &[f32], _counts: &[u32], _dparams: &mut [f32]) {}

    fn slopes(&self, _params: &[f32], _values: &[f32], i: usize, slopes: &mut [f32]) {
        for (k, slope) in slopes.iter_mut().enumerate() {
            let first = if k == 0 { 0 } else { k.trailing_zeros() as usize };
            *slope = f32::from(u8::from(i == first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{agrees_with_table, slopes, table, values};

    #[test]
    fn is_the_or_of_its_inputs() {
        for fan_in in 1..=8 {
            for (k, bit) in table(&Max, fan_in, &[]).into_iter().enumerate() {
                assert_eq!(bit, k != 0);
            }
        }
    }

    #[test]
    fn the_first_maximal_input_gets_the_gradient() {
        for fan_in in 1..=8 {
            let values = values(&Max, fan_in, &[]);
            let all: Vec<Vec<f32>> = (0..fan_in).map(|i| slopes(&Max, &[], i, &values)).collect();
            for k in 0..1usize << fan_in {
                let bits: Vec<usize> = (0..fan_in).map(|i| k >> i & 1).collect();
                let most = *bits.iter().max().unwrap();
                let first = bits.iter().position(|&bit| bit == most).unwrap();
                for (i, slopes) in all.iter().enumerate() {
                    assert_eq!(slopes[k] > 0.5, i == first, "{k} {i}");
                    assert!([0.0, 1.0].contains(&slopes[k]));
                }
            }
        }
    }

    #[test]
    fn gives_the_largest_of_real_numbers() {
        let (a, b, c) = ([-5.0, 0.0, 2.0], [-4.0, 0.0, 1.0], [-4.0, -0.5, 3.0]);
        let x: [&[f32]; 3] = [&a, &b, &c];
        let mut y = [9.0; 3];
        RealNode::forward(&Max, &[], &x, &mut y).unwrap();
        assert_eq!(y.as_slice(), [-4.0, 0.0, 3.0]);
        let mut dx = [1.0; 9];
        RealNode::backward(&Max, &[], &x, &[2.0, 3.0, 4.0], &mut [], &mut dx).unwrap();
        assert_eq!(dx.as_slice(), [1.0, 4.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 5.0]);
        agrees_with_table(&Max);
    }
}
