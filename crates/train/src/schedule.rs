//! The learning rate over a training run.

use crate::{Error, Result};

/// How the learning rate changes while training: a factor of the optimizer's own.
///
/// Lengths are in steps, one a mini-batch: an epoch has as many as there are mini-batches.
///
/// ```
/// use lutweave_train::Schedule;
///
/// let schedule = Schedule::Cosine.warmed_up(5); // up in 5 steps, then down along half a cosine
/// assert_eq!(schedule.factor(0, 105), 0.2);
/// assert_eq!(schedule.factor(5, 105), 1.0);
/// assert_eq!(schedule.factor(55, 105), 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// Always the optimizer's own.
    Constant,
    /// From the optimizer's own down to zero along half a cosine (Loshchilov and Hutter 2017).
    #[default]
    Cosine,
    /// Multiplied by `factor` after every so many steps.
    Step {
        /// Steps between two changes, at least 1.
        every: usize,
        /// What multiplies it then, 0 or more.
        factor: f32,
    },
    /// From the optimizer's own to `last` times that, by the same factor each step.
    Exponential {
        /// What is left at the end, more than 0.
        last: f32,
    },
    /// Halved after every so many steps: powers of two stay such, and a shift does it.
    Shift {
        /// Steps between two halvings, at least 1.
        every: usize,
    },
    /// From `first` up to the optimizer's own over the share `rise` of all steps, then down to
    /// `last`, each along half a cosine (Smith and Topin 2018); see
    /// [`one_cycle`](Self::one_cycle).
    OneCycle {
        /// The factor at the beginning, 0 or more.
        first: f32,
        /// The share of steps that go up, from 0 to 1.
        rise: f32,
        /// The factor at the end, 0 or more.
        last: f32,
    },
    /// Up in a line over the first steps, then another schedule over the rest; see
    /// [`warmed_up`](Self::warmed_up).
    WarmUp {
        /// Steps that go up: the first has factor `1 / steps`.
        steps: usize,
        /// What comes then.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// One cycle from 1/25 up over 3/10 of the steps and down to 1/250,000.
    pub fn one_cycle() -> Self {
        Self::OneCycle { first: 0.04, rise: 0.3, last: 4e-6 }
    }

    /// This after so many steps of rising.
    #[must_use]
    pub fn warmed_up(self, steps: usize) -> Self {
        Self::WarmUp { steps, then: Box::new(self) }
    }

    /// Refuses settings out of range.
    ///
    /// # Errors
    ///
    /// [`Error::Option`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let error = |option, expected, got: String| Err(Error::Option { option, expected, got });
        let is_factor = |factor: f32| factor >= 0.0 && factor.is_finite();
        match self {
            Self::Step { every: 0, .. } | Self::Shift { every: 0 } => {
                error("steps between two changes of the learning rate", "at least 1", "0".into())
            }
            Self::Step { factor, .. } if !is_factor(*factor) => {
                error("factor of the learning rate", "0 or more", factor.to_string())
            }
            Self::Exponential { last } if !(is_factor(*last) && *last > 0.0) => {
                error("last factor of the learning rate", "a positive number", last.to_string())
            }
            Self::OneCycle { first, last, .. } if !(is_factor(*first) && is_factor(*last)) => {
                let got = format!("{first} and {last}");
                error("first and last factor of the learning rate", "0 or more", got)
            }
            Self::OneCycle { rise, .. } if !(0.0..=1.0).contains(rise) => {
                error("share of steps that go up", "from 0 to 1", rise.to_string())
            }
            Self::WarmUp { then, .. } => then.check(),
            _ => Ok(()),
        }
    }

    /// The factor of the learning rate for step `step` of `steps`, from 0.
    pub fn factor(&self, step: usize, steps: usize) -> f32 {
        let part = step as f64 / steps.max(1) as f64;
        let changes = |every: usize| i32::try_from(step / every.max(1)).unwrap_or(i32::MAX);
        let power = |base: f32, exponent: f64| libm::pow(f64::from(base), exponent) as f32;
        match self {
            Self::Constant => 1.0,
            Self::Cosine => fall(part),
            Self::Step { every, factor } => power(*factor, f64::from(changes(*every))),
            Self::Exponential { last } => power(*last, part),
            Self::Shift { every } => power(0.5, f64::from(changes(*every))),
            Self::OneCycle { first, rise, last } => {
                let rise = f64::from(*rise);
                if part < rise {
                    first + (1.0 - first) * (1.0 - fall(part / rise))
                } else {
                    let part = if rise < 1.0 { (part - rise) / (1.0 - rise) } else { 0.0 };
                    last + (1.0 - last) * fall(part)
                }
            }
            Self::WarmUp { steps: rising, .. } if step < *rising => {
                (step + 1) as f32 / *rising as f32
            }
            Self::WarmUp { steps: rising, then } => {
                then.factor(step - rising, steps.saturating_sub(*rising))
            }
        }
    }
}

/// Half a cosine from 1 at 0 to 0 at 1.
fn fall(part: f64) -> f32 {
    (0.5 + 0.5 * libm::cos(std::f64::consts::PI * part)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_the_formulas() {
        struct Case {
            schedule: Schedule,
            factors: [f32; 5],
        }
        let case = |schedule, factors| Case { schedule, factors };
        let cosine = [1.0, 0.853_553_4, 0.5, 0.146_446_6, 0.0];
        let cases = [
            case(Schedule::Constant, [1.0; 5]),
            case(Schedule::default(), cosine),
            case(Schedule::Step { every: 2, factor: 0.1 }, [1.0, 1.0, 0.1, 0.1, 0.01]),
            case(Schedule::Exponential { last: 1.0 / 16.0 }, [1.0, 0.5, 0.25, 0.125, 0.0625]),
            case(Schedule::Shift { every: 1 }, [1.0, 0.5, 0.25, 0.125, 0.0625]),
            case(
                Schedule::OneCycle { first: 0.0, rise: 0.5, last: 0.2 },
                [0.0, 0.5, 1.0, 0.6, 0.2],
            ),
            case(Schedule::OneCycle { first: 0.5, rise: 0.0, last: 0.0 }, cosine),
            case(Schedule::Constant.warmed_up(4), [0.25, 0.5, 0.75, 1.0, 1.0]),
            case(Schedule::Exponential { last: 0.25 }.warmed_up(2), [0.5, 1.0, 1.0, 0.5, 0.25]),
        ];
        for Case { schedule, factors } in cases {
            schedule.check().unwrap();
            let got: Vec<f32> = (0..=4).map(|step| schedule.factor(step, 4)).collect();
            let near = got.iter().zip(factors).all(|(got, want)| (got - want).abs() < 1e-6);
            assert!(near, "{schedule:?}: {got:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_and_never_panic() {
        let cases = [
            Schedule::Step { every: 0, factor: 0.5 },
            Schedule::Step { every: 1, factor: f32::NAN },
            Schedule::Shift { every: 0 },
            Schedule::Exponential { last: 0.0 },
            Schedule::OneCycle { first: -1.0, rise: 0.5, last: 0.0 },
            Schedule::OneCycle { first: 0.0, rise: 1.5, last: 0.0 },
            Schedule::Shift { every: 0 }.warmed_up(usize::MAX),
        ];
        for schedule in cases {
            assert!(schedule.check().is_err(), "{schedule:?}");
            for (step, steps) in [(0, 0), (1, 0), (usize::MAX, 1), (1, usize::MAX)] {
                let _ = schedule.factor(step, steps);
            }
        }
    }
}
