//! One pass over all parameters.

use lutweave_backend::{Dispatch, Isa, Kernel};
use lutweave_nn::Parameter;
use rayon::prelude::*;

/// Numbers updated at a time by one thread.
const BLOCK: usize = 1 << 14;

/// What an optimizer does to one number.
pub(super) trait Rule<const N: usize>: Copy + Send + Sync {
    /// The new value, before it is clamped; changes what is remembered. Mark it
    /// `#[inline(always)]`.
    fn step(self, value: f32, gradient: f32, slots: &mut [f32; N]) -> f32;
}

/// Applies a rule to all parameters that are not frozen, clamps them and clears all gradients.
///
/// Each of `slots` is as long as its parameter; [`Slots::begin`](super::slots::Slots::begin) sees to
/// that.
pub(super) fn sweep<const N: usize, R: Rule<N>>(
    parameters: Vec<&mut Parameter>,
    slots: &mut [[Vec<f32>; N]],
    rule: R,
) {
    sweep_each(parameters, slots, |_| rule);
}

/// The same with a rule for each parameter.
pub(super) fn sweep_each<const N: usize, R: Rule<N>>(
    parameters: Vec<&mut Parameter>,
    slots: &mut [[Vec<f32>; N]],
    rule_of: impl Fn(&Parameter) -> R,
) {
    let (mut passes, mut numbers) = (Vec::new(), 0);
    for (parameter, slots) in parameters.into_iter().zip(slots) {
        if parameter.frozen {
            parameter.gradient.fill(0.0);
            continue;
        }
        let rule = rule_of(parameter);
        let range = parameter.range.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let values = parameter.values.chunks_mut(BLOCK);
        let blocks = values.zip(parameter.gradient.chunks_mut(BLOCK));
        let mut slots = slots.each_mut().map(|slot| slot.chunks_mut(BLOCK));
        for (values, gradient) in blocks {
            let slots = slots.each_mut().map(|slot| slot.next().unwrap_or_default());
            numbers += values.len();
            passes.push(Pass { values, gradient, slots, range, rule });
        }
    }
    let isa = Isa::best();
    if numbers <= BLOCK {
        for pass in passes {
            isa.run(pass);
        }
    } else {
        passes.into_par_iter().for_each(|pass| isa.run(pass));
    }
}

/// A block of numbers.
struct Pass<'a, const N: usize, R> {
    values: &'a mut [f32],
    gradient: &'a mut [f32],
    slots: [&'a mut [f32]; N],
    range: (f32, f32),
    rule: R,
}

impl<const N: usize, R: Rule<N>> Kernel for Pass<'_, N, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { values, gradient, slots, range, rule } = self;
        let length = values.len();
        let gradient = &mut gradient[..length];
        let mut slots = slots.map(|slot| &mut slot[..length]);
        for i in 0..length {
            let mut own = [0f32; N];
            for (own, slot) in own.iter_mut().zip(&slots) {
                *own = slot[i];
            }
            values[i] = clamp(rule.step(values[i], gradient[i], &mut own), range);
            gradient[i] = 0.0;
            for (own, slot) in own.iter().zip(&mut slots) {
                slot[i] = *own;
            }
        }
    }
}

/// Within the range; NaN stays, so that it is seen.
#[inline(always)]
fn clamp(value: f32, (low, high): (f32, f32)) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}
