//! The learning rate over a training run.

/// How the learning rate changes while training.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// Always the optimizer's own.
    Constant,
    /// From the optimizer's own down to zero along half a cosine (Loshchilov and Hutter 2017).
    #[default]
    Cosine,
}

impl Schedule {
    /// The factor of the learning rate for step `step` of `steps`, from 0.
    pub fn factor(self, step: usize, steps: usize) -> f32 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let part = step as f64 / steps.max(1) as f64;
                (0.5 + 0.5 * libm::cos(std::f64::consts::PI * part)) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_falls_from_one_to_zero() {
        let factors: Vec<f32> = (0..=4).map(|step| Schedule::Cosine.factor(step, 4)).collect();
        let want = [1.0, 0.853_553_4, 0.5, 0.146_446_6, 0.0];
        assert!(factors.iter().zip(want).all(|(f, w)| (f - w).abs() < 1e-6), "{factors:?}");
        assert!((Schedule::Constant.factor(3, 4) - 1.0).abs() < f32::EPSILON);
    }
}
