//! Initial weights.

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use crate::{Result, Site};

/// The distribution of the initial weights and of the initial bias of a dense layer. `n` is the
/// fan-in: the inputs of one group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialise {
    /// Uniform from −√(1/n) to √(1/n).
    Default,
    /// Normal around 0 with this standard deviation.
    Normal(f32),
    /// Uniform around 0 with this standard deviation: from −√3 times that to √3 times that.
    Uniform(f32),
    /// Normal with standard deviation √(2/n), for layers before a ReLU (He et al. 2015).
    He,
    /// Normal with standard deviation √(1/n) (Glorot and Bengio 2010, from the fan-in alone).
    Xavier,
}

impl Initialise {
    pub(super) fn check(self, site: &Site<'_>) -> Result<()> {
        match self {
            Self::Normal(deviation) | Self::Uniform(deviation)
                if !(deviation >= 0.0 && (2.0 * deviation).is_finite()) =>
            {
                let expected = "a finite standard deviation from 0";
                Err(site.option_error("initialise", expected, self))
            }
            _ => Ok(()),
        }
    }

    /// `count` numbers for a fan-in.
    pub(super) fn draw(
        self,
        count: usize,
        fan_in: usize,
        stream: &mut Xoshiro256PlusPlus,
    ) -> Vec<f32> {
        let of_fan_in = |factor: f64| (factor / fan_in as f64).sqrt() as f32;
        let mut normal = |deviation: f32| -> Vec<f32> {
            (0..count).map(|_| deviation * rng::normal(stream)).collect()
        };
        match self {
            Self::Normal(deviation) => normal(deviation),
            Self::He => normal(of_fan_in(2.0)),
            Self::Xavier => normal(of_fan_in(1.0)),
            Self::Default => uniform(count, of_fan_in(1.0), stream),
            Self::Uniform(deviation) => uniform(count, 3f32.sqrt() * deviation, stream),
        }
    }
}

/// Uniform from `−limit` to `limit`.
fn uniform(count: usize, limit: f32, stream: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    (0..count).map(|_| limit * (2.0 * rng::uniform(stream) - 1.0)).collect()
}
