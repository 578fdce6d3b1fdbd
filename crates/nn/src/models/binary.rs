//! A fixed truth table.
//!
//! ```text
//! V[k] = W[k] > 0.5 ? 1 : 0                   dW += 0, slope 0
//! ```
//!
//! `W` holds 0 or 1. The table starts with random bits; usually it is then replaced by the finished
//! table of another layer. Nothing is trained, and no gradient reaches the layers before. Fan-in 1
//! to 8. For a layer without batch norm.
//!
//! Source: BinaryBrain's `BinaryLut`; a bit there is any number but 0, so that −1 is a one.

use lutweave_backend::TableModel;
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use crate::LutModel;

/// A fixed truth table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Binary;

impl Binary {
    /// The name in files.
    pub const KIND: &'static str = "binary";
}

impl LutModel for Binary {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn trains(&self) -> bool {
        false
    }

    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        for value in params.iter_mut() {
            *value = rng::below(rng, 2) as f32;
        }
    }

    fn range(&self) -> Option<(f32, f32)> {
        Some((0.0, 1.0))
    }

    fn kernel(&self, _fan_in: usize) -> Option<TableModel> {
        Some(TableModel::Binary)
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        for (value, param) in values.iter_mut().zip(params) {
            *value = f32::from(u8::from(*param > 0.5));
        }
    }

    fn backward(&self, _: &[f32], _dvalues: &[f32], _counts: &[u32], _dparams: &mut [f32]) {}

    fn slopes(&self, _params: &[f32], _values: &[f32], _i: usize, slopes: &mut [f32]) {
        slopes.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::{initial, slopes, table, values};

    #[test]
    fn is_its_table_and_never_learns() {
        for fan_in in 1..=8 {
            let mut params = initial(&Binary, fan_in, 12);
            assert!(params.iter().all(|value| [0.0, 1.0].contains(value)));
            let want: Vec<bool> = params.iter().map(|&value| value > 0.5).collect();
            assert_eq!(table(&Binary, fan_in, &params), want);
            let values = values(&Binary, fan_in, &params);
            assert!(slopes(&Binary, &params, 0, &values).iter().all(|&slope| slope == 0.0));
            let before = params.clone();
            Binary.backward(&before, &vec![1.0; 1 << fan_in], &[], &mut params);
            assert_eq!(params, before);
        }
        let ones = initial(&Binary, 8, 12).iter().sum::<f32>();
        assert!((90.0..166.0).contains(&ones), "{ones}");
    }
}
