//! Optimizers, one number at a time in f64.

use crate::optimizer::{OptimizerKernels, Rule, Trained, check_trained, power_of_two};
use crate::{Reference, Result};

impl OptimizerKernels for Reference {
    fn update(&self, rule: Rule, trained: Vec<Trained<'_>>) -> Result<()> {
        check_trained(rule, &trained)?;
        for all in trained {
            let (limits, ends) = (all.limits(), all.ends());
            for i in 0..all.values.len() {
                let mut slots = [0f64; 2];
                for (own, slot) in slots.iter_mut().zip(&*all.slots) {
                    *own = f64::from(slot[i]);
                }
                let (value, gradient) = (f64::from(all.values[i]), f64::from(all.gradient[i]));
                let new = step(rule, value, gradient, &mut slots, ends);
                let (low, high) = (f64::from(limits.0), f64::from(limits.1));
                all.values[i] = if new.is_nan() { f32::NAN } else { new.max(low).min(high) as f32 };
                all.gradient[i] = 0.0;
                for (own, slot) in slots.iter().zip(&mut *all.slots) {
                    slot[i] = *own as f32;
                }
            }
        }
        Ok(())
    }
}

/// The new value; changes what is remembered.
fn step(rule: Rule, p: f64, g: f64, [m, v]: &mut [f64; 2], ends: (f32, f32)) -> f64 {
    let mut moments = |beta1: f32, beta2: f32| {
        *m = f64::from(beta1) * *m + (1.0 - f64::from(beta1)) * g;
        *v = f64::from(beta2) * *v + (1.0 - f64::from(beta2)) * g * g;
        (*m, v.sqrt())
    };
    match rule {
        Rule::Sgd { rate, decay } => p - f64::from(rate) * (g + f64::from(decay) * p),
        Rule::Momentum { rate, decay, momentum, nesterov } => {
            let (g, momentum) = (g + f64::from(decay) * p, f64::from(momentum));
            *m = momentum * *m + g;
            p - f64::from(rate) * if nesterov { g + momentum * *m } else { *m }
        }
        Rule::AdaGrad { rate, epsilon } => {
            *m += g * g;
            let root = m.sqrt() + f64::from(epsilon);
            if root > 0.0 { p - f64::from(rate) * g / root } else { p }
        }
        Rule::Adam { rate, beta1, beta2, epsilon } => {
            let (m, root) = moments(beta1, beta2);
            p - f64::from(rate) * m / (root + f64::from(epsilon))
        }
        Rule::AdamW { keep, rate, root, beta1, beta2, epsilon } => {
            let (m, deviation) = moments(beta1, beta2);
            let step = m / (f64::from(root) * deviation + f64::from(epsilon));
            f64::from(keep) * p - f64::from(rate) * step
        }
        Rule::ShiftAdaMax { rate, beta1, beta2 } => {
            *m = f64::from(beta1) * *m + (1.0 - f64::from(beta1)) * g;
            *v = (f64::from(beta2) * *v).max(g.abs());
            let scale = f64::from(power_of_two(*v as f32));
            if *v > 0.0 { p - f64::from(rate) * *m / scale } else { p }
        }
        Rule::Bop { gamma, threshold } => {
            *m = (1.0 - f64::from(gamma)) * *m + f64::from(gamma) * g;
            let (low, high) = (f64::from(ends.0), f64::from(ends.1));
            let is_high = p - low >= high - p;
            let against = if is_high { *m } else { -*m };
            let flips = against >= f64::from(threshold) && against > 0.0;
            if is_high == flips { low } else { high }
        }
    }
}
