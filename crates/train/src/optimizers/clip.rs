//! Gradients that are kept from being too large.

use lutweave_backend::Backend;
use lutweave_nn::Parameter;

use super::{Adjust, Adjusted, Optimizer, check_option};
use crate::{Error, Hyperparameter, Result};

/// Clips gradients before another optimizer goes on with them.
///
/// ```
/// use lutweave_train::{Adam, Clip};
///
/// let by_norm = Clip::by_norm(Adam::new(1e-3), 1.0);
/// let by_value = Clip::by_value(Adam::new(1e-3), 0.1);
/// ```
#[derive(Debug, Clone)]
pub struct Clip {
    by: By,
    limit: Hyperparameter,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Norm,
    Value,
}

impl Clip {
    /// Scales all gradients by the same factor where their norm is above `limit`, a positive number
    /// (Pascanu, Mikolov and Bengio 2013). The norm is over all parameters that are not frozen,
    /// summed in f64 over fixed blocks: the same bits for any number of threads. One that is not
    /// finite is an error; on a GPU, where nobody waits for it, nothing is clipped then, and the network
    /// says what is not finite.
    pub fn by_norm<O: Optimizer>(inner: O, limit: f32) -> Adjusted<O, Self> {
        Adjusted::new(inner, Self { by: By::Norm, limit: Hyperparameter::new(limit) })
    }

    /// Clamps each gradient to `−limit` to `limit`, a positive number.
    pub fn by_value<O: Optimizer>(inner: O, limit: f32) -> Adjusted<O, Self> {
        Adjusted::new(inner, Self { by: By::Value, limit: Hyperparameter::new(limit) })
    }
}

impl Adjust for Clip {
    fn adjust(&mut self, parameters: &mut [&mut Parameter], backend: &dyn Backend) -> Result<()> {
        let limit = self.limit.now();
        let range = (f32::MIN_POSITIVE, f32::INFINITY);
        check_option("limit of gradients", limit, range, "a positive number")?;
        match self.by {
            By::Norm => {
                // Those of frozen parameters are cleared, not used.
                let live = parameters.iter_mut().filter(|parameter| !parameter.frozen);
                let gradients = live.map(|parameter| &mut parameter.gradient).collect();
                let norm = backend.clip_norm(gradients, limit).map_err(lutweave_nn::Error::from)?;
                if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
                    return Err(Error::NotFinite { op: "clip by norm", norm });
                }
            }
            By::Value => {
                let all = parameters.iter_mut();
                let gradients = all.map(|parameter| &mut parameter.gradient).collect();
                backend.clip_value(gradients, limit).map_err(lutweave_nn::Error::from)?;
            }
        }
        Ok(())
    }

    /// `clip_norm` or `clip_value`.
    fn hyperparameter(&mut self) -> (&'static str, &mut Hyperparameter) {
        let name = match self.by {
            By::Norm => "clip_norm",
            By::Value => "clip_value",
        };
        (name, &mut self.limit)
    }
}
