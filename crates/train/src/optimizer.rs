//! Optimizers.

use std::fmt::Debug;

use lutweave_nn::Parameter;
use rayon::prelude::*;

/// Numbers updated at a time by one thread.
const BLOCK: usize = 1 << 14;

/// Changes parameters along their gradients.
pub trait Optimizer: Debug + Send {
    /// One update with the given learning rate: changes the values, clamps them to the
    /// parameter's range and clears the gradients. Parameters come in the same order every time.
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32);

    /// The learning rate before any schedule.
    fn learning_rate(&self) -> f32;
}

/// Adam (Kingma and Ba 2015), with the bias correction folded into the step size as in its
/// section 2:
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// p = p − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)
/// ```
///
/// Update and clamp are one pass over the numbers, near memory bandwidth for large networks.
#[derive(Debug, Clone)]
pub struct Adam {
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    steps: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Adam {
    /// Adam with β₁ 0.9, β₂ 0.999, ε 1e-7 (BinaryBrain's defaults).
    pub fn new(learning_rate: f32) -> Self {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-7);
        Self { learning_rate, beta1, beta2, epsilon, steps: 0, moments: Vec::new() }
    }
}

impl Optimizer for Adam {
    fn learning_rate(&self) -> f32 {
        self.learning_rate
    }

    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) {
        if self.moments.len() < parameters.len() {
            let sizes = parameters.iter().skip(self.moments.len()).map(|p| p.values.len());
            self.moments.extend(sizes.map(|size| (vec![0.0; size], vec![0.0; size])));
        }
        self.steps = self.steps.saturating_add(1);
        let correct = |beta: f32| 1.0 - libm::pow(f64::from(beta), f64::from(self.steps));
        let rate = f64::from(learning_rate) * correct(self.beta2).sqrt() / correct(self.beta1);
        let (rate, beta1, beta2, epsilon) = (rate as f32, self.beta1, self.beta2, self.epsilon);
        for (parameter, (m, v)) in parameters.into_iter().zip(&mut self.moments) {
            let (low, high) = parameter.range.unwrap_or((f32::MIN, f32::MAX));
            let values = parameter.values.par_chunks_mut(BLOCK);
            let values = values.zip(parameter.gradient.par_chunks_mut(BLOCK));
            let values = values.zip(m.par_chunks_mut(BLOCK)).zip(v.par_chunks_mut(BLOCK));
            values.for_each(|(((values, gradient), m), v)| {
                let moments = m.iter_mut().zip(v.iter_mut());
                for ((value, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                    *m += (1.0 - beta1) * (*g - *m);
                    *v += (1.0 - beta2) * (*g * *g - *v);
                    *value = (*value - rate * *m / (v.sqrt() + epsilon)).clamp(low, high);
                    *g = 0.0;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    /// Ten steps against the formula in f64.
    #[test]
    fn adam_is_its_formula() {
        let mut parameter = Parameter::new(vec![0.1, 5.0], None);
        let mut adam = Adam::new(0.01);
        let (mut p, mut m, mut v) = (0.1f64, 0f64, 0f64);
        for t in 1..=10 {
            let g = f64::from(t * t % 7) - 3.0;
            parameter.gradient = vec![g as f32, 0.0];
            adam.update(vec![&mut parameter], 0.01);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let rate = 0.01 * (1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t));
            p -= rate * m / (v.sqrt() + 1e-7);
            assert_relative_eq!(f64::from(parameter.values[0]), p, max_relative = 1e-4);
            assert_eq!(parameter.gradient, [0.0, 0.0]);
        }
        assert_relative_eq!(parameter.values[1], 5.0);
    }

    #[test]
    fn values_stay_in_range() {
        let mut parameter = Parameter::new(vec![0.999, 0.001], Some((0.0, 1.0)));
        parameter.gradient = vec![-1.0, 1.0];
        Adam::new(0.1).update(vec![&mut parameter], 0.1);
        assert_eq!(parameter.values, [1.0, 0.0]);
    }
}
