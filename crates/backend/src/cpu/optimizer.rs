//! Optimizers: one pass over all numbers.

use rayon::prelude::*;

use super::{Cpu, Kernel};
use crate::optimizer::{OptimizerKernels, Rule, Trained, check_trained, power_of_two};
use crate::{Dispatch, Result};

/// Numbers updated at a time by one thread.
const BLOCK: usize = 1 << 14;

impl OptimizerKernels for Cpu {
    fn update(&self, rule: Rule, trained: Vec<Trained<'_>>) -> Result<()> {
        check_trained(rule, &trained)?;
        match rule {
            Rule::Sgd { rate, decay } => self.sweep(trained, |_| Plain { rate, decay }),
            Rule::Momentum { rate, decay, momentum, nesterov } => {
                self.sweep(trained, |_| Moving { rate, decay, momentum, nesterov });
            }
            Rule::AdaGrad { rate, epsilon } => self.sweep(trained, |_| AdaGrad { rate, epsilon }),
            Rule::Adam { rate, beta1, beta2, epsilon } => {
                self.sweep(trained, |_| Adam { rate, beta1, beta2, epsilon });
            }
            Rule::AdamW { keep, rate, root, beta1, beta2, epsilon } => {
                self.sweep(trained, |_| AdamW { keep, rate, root, beta1, beta2, epsilon });
            }
            Rule::ShiftAdaMax { rate, beta1, beta2 } => {
                self.sweep(trained, |_| ShiftAdaMax { rate, beta1, beta2 });
            }
            Rule::Bop { gamma, threshold } => self.sweep(trained, |trained| {
                let (low, high) = trained.ends();
                Bop { gamma, threshold, low, high }
            }),
        }
        Ok(())
    }
}

/// What an optimizer does to one number.
trait Step<const N: usize>: Copy + Send + Sync {
    /// The new value, before it is clamped; changes what is remembered. Mark it
    /// `#[inline(always)]`.
    fn step(self, value: f32, gradient: f32, slots: &mut [f32; N]) -> f32;
}

impl Cpu {
    /// Applies a rule, which may depend on the array, to all numbers.
    fn sweep<const N: usize, R: Step<N>>(
        self,
        trained: Vec<Trained<'_>>,
        rule_of: impl Fn(&Trained<'_>) -> R,
    ) {
        let (mut passes, mut numbers) = (Vec::new(), 0);
        for trained in trained {
            let (rule, range) = (rule_of(&trained), trained.limits());
            let values = trained.values.chunks_mut(BLOCK);
            let blocks = values.zip(trained.gradient.chunks_mut(BLOCK));
            // As many as the rule has: that has been checked.
            let mut slots = trained.slots.iter_mut().map(|slot| slot.chunks_mut(BLOCK));
            let mut slots: [_; N] = std::array::from_fn(|_| slots.next());
            for (values, gradient) in blocks {
                let next = slots.each_mut().map(|slot| slot.as_mut().and_then(Iterator::next));
                let slots = next.map(Option::unwrap_or_default);
                numbers += values.len();
                passes.push(Pass { values, gradient, slots, range, rule });
            }
        }
        if numbers <= BLOCK {
            for pass in passes {
                self.isa.run(pass);
            }
        } else {
            passes.into_par_iter().for_each(|pass| self.isa.run(pass));
        }
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

impl<const N: usize, R: Step<N>> Kernel for Pass<'_, N, R> {
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

#[derive(Clone, Copy)]
struct Plain {
    rate: f32,
    decay: f32,
}

impl Step<0> for Plain {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, _: &mut [f32; 0]) -> f32 {
        value - self.rate * (gradient + self.decay * value)
    }
}

#[derive(Clone, Copy)]
struct Moving {
    rate: f32,
    decay: f32,
    momentum: f32,
    nesterov: bool,
}

impl Step<1> for Moving {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m]: &mut [f32; 1]) -> f32 {
        let gradient = gradient + self.decay * value;
        *m = self.momentum * *m + gradient;
        let step = if self.nesterov { gradient + self.momentum * *m } else { *m };
        value - self.rate * step
    }
}

#[derive(Clone, Copy)]
struct AdaGrad {
    rate: f32,
    epsilon: f32,
}

impl Step<1> for AdaGrad {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [h]: &mut [f32; 1]) -> f32 {
        *h += gradient * gradient;
        // Without an epsilon, a number that never had a gradient stays.
        let root = h.sqrt() + self.epsilon;
        if root > 0.0 { value - self.rate * gradient / root } else { value }
    }
}

#[derive(Clone, Copy)]
struct Adam {
    rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

impl Step<2> for Adam {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m, v]: &mut [f32; 2]) -> f32 {
        *m += (1.0 - self.beta1) * (gradient - *m);
        *v += (1.0 - self.beta2) * (gradient * gradient - *v);
        value - self.rate * *m / (v.sqrt() + self.epsilon)
    }
}

#[derive(Clone, Copy)]
struct AdamW {
    keep: f32,
    rate: f32,
    root: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

impl Step<2> for AdamW {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m, v]: &mut [f32; 2]) -> f32 {
        *m += (1.0 - self.beta1) * (gradient - *m);
        *v += (1.0 - self.beta2) * (gradient * gradient - *v);
        self.keep * value - self.rate * *m / (v.sqrt() * self.root + self.epsilon)
    }
}

#[derive(Clone, Copy)]
struct ShiftAdaMax {
    rate: f32,
    beta1: f32,
    beta2: f32,
}

impl Step<2> for ShiftAdaMax {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m, v]: &mut [f32; 2]) -> f32 {
        *m = self.beta1 * *m + (1.0 - self.beta1) * gradient;
        let (decayed, size) = (self.beta2 * *v, gradient.abs());
        *v = if decayed > size { decayed } else { size };
        // 1 / AP2(v) is AP2(1 / v): no number is half-way between two powers.
        if *v > 0.0 { value - self.rate * *m / power_of_two(*v) } else { value }
    }
}

#[derive(Clone, Copy)]
struct Bop {
    gamma: f32,
    threshold: f32,
    low: f32,
    high: f32,
}

impl Step<1> for Bop {
    #[inline(always)]
    fn step(self, value: f32, gradient: f32, [m]: &mut [f32; 1]) -> f32 {
        *m = (1.0 - self.gamma) * *m + self.gamma * gradient;
        let is_high = value - self.low >= self.high - value;
        // The gradient against the weight: falling where it is high, rising where it is low.
        let against = if is_high { *m } else { -*m };
        let flips = against >= self.threshold && against > 0.0;
        if is_high == flips { self.low } else { self.high }
    }
}
