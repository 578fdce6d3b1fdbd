//! One pass over all parameters.

use lutweave_backend::{Backend, Rule, Trained};
use lutweave_nn::Parameter;
use lutweave_tensor::Array;

use crate::Result;

/// Applies a rule to all parameters that are not frozen, clamps them and clears all gradients.
///
/// Each of `slots` is as long as its parameter; [`Slots::begin`](super::slots::Slots::begin) sees to
/// that.
pub(super) fn sweep<const N: usize>(
    parameters: Vec<&mut Parameter>,
    slots: &mut [[Array; N]],
    rule: Rule,
    backend: &dyn Backend,
) -> Result<()> {
    let mut trained = Vec::with_capacity(parameters.len());
    for (parameter, slots) in parameters.into_iter().zip(slots) {
        let Parameter { values, gradient, range, frozen, .. } = parameter;
        if *frozen {
            gradient.clear();
        } else {
            trained.push(Trained { values, gradient, slots, range: *range });
        }
    }
    Ok(backend.update(rule, trained).map_err(lutweave_nn::Error::from)?)
}
