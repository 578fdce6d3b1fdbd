//! Gradients that are kept from being too large.

use lutweave_backend::{Backend, Dispatch, Isa, Kernel};
use lutweave_nn::{Parameter, StateTensor};
use rayon::prelude::*;

use super::{Optimizer, check_option, cpu};
use crate::{Error, Hyperparameter, Result};

/// Numbers summed at a time; part of the numeric contract.
const BLOCK: usize = 1 << 14;
/// Partial sums of a block; part of the numeric contract.
const LANES: usize = 16;

/// Clips gradients, then lets another optimizer go on with them.
///
/// ```
/// use lutweave_train::{Adam, Clip};
///
/// let by_norm = Clip::by_norm(Adam::new(1e-3), 1.0);
/// let by_value = Clip::by_value(Adam::new(1e-3), 0.1);
/// ```
#[derive(Debug, Clone)]
pub struct Clip<O> {
    inner: O,
    by: By,
    limit: Hyperparameter,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Norm,
    Value,
}

impl<O: Optimizer> Clip<O> {
    /// Scales all gradients by the same factor where their norm is above `limit`, a positive number
    /// (Pascanu, Mikolov and Bengio 2013). The norm is over all parameters that are not frozen,
    /// summed in f64 over fixed blocks: the same bits for any number of threads. One that is not
    /// finite is an error.
    pub fn by_norm(inner: O, limit: f32) -> Self {
        Self { inner, by: By::Norm, limit: Hyperparameter::new(limit) }
    }

    /// Clamps each gradient to `−limit` to `limit`, a positive number.
    pub fn by_value(inner: O, limit: f32) -> Self {
        Self { inner, by: By::Value, limit: Hyperparameter::new(limit) }
    }
}

impl<O: Optimizer> Optimizer for Clip<O> {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        mut parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let limit = self.limit.now();
        let range = (f32::MIN_POSITIVE, f32::INFINITY);
        check_option("limit of gradients", limit, range, "a positive number")?;
        match self.by {
            By::Norm => {
                let norm = norm(&parameters);
                if !norm.is_finite() {
                    return Err(Error::NotFinite { op: "clip by norm", norm });
                }
                if norm > f64::from(limit) {
                    let factor = (f64::from(limit) / norm) as f32;
                    change(&mut parameters, |gradient| gradient * factor);
                }
            }
            By::Value => change(&mut parameters, |gradient| gradient.clamp(-limit, limit)),
        }
        self.inner.update_on(parameters, learning_rate, backend)
    }

    fn learning_rate(&self) -> f32 {
        self.inner.learning_rate()
    }

    /// `clip_norm` or `clip_value`, then those of the other.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        let name = match self.by {
            By::Norm => "clip_norm",
            By::Value => "clip_value",
        };
        let mut all = vec![(name, &mut self.limit)];
        all.extend(self.inner.hyperparameters());
        all
    }

    fn state(&self) -> Vec<StateTensor> {
        self.inner.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.inner.restore(state)
    }
}

/// The Euclidean norm of all gradients.
fn norm(parameters: &[&mut Parameter]) -> f64 {
    let live = parameters.iter().filter(|parameter| !parameter.frozen);
    let blocks: Vec<&[f32]> = live.flat_map(|parameter| parameter.gradient.chunks(BLOCK)).collect();
    let isa = Isa::best();
    let sums: Vec<f64> = blocks.into_par_iter().map(|block| isa.run(Squares(block))).collect();
    sums.iter().fold(0.0, |total, sum| total + sum).sqrt()
}

/// The sum of squares, in lanes of fixed number.
struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0f64; LANES];
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for chunk in whole {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += f64::from(x) * f64::from(x);
        }
        sums.iter().fold(0.0, |total, sum| total + sum)
    }
}

/// Changes each gradient.
fn change(parameters: &mut [&mut Parameter], by: impl Fn(f32) -> f32 + Sync) {
    let blocks = parameters.iter_mut().flat_map(|parameter| parameter.gradient.chunks_mut(BLOCK));
    let blocks: Vec<&mut [f32]> = blocks.collect();
    blocks.into_par_iter().for_each(|block| block.iter_mut().for_each(|x| *x = by(*x)));
}
