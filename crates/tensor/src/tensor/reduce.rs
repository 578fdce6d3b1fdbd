//! One number from all elements.
//!
//! Sums are taken in f64 over fixed blocks of 4,096 elements in row-major order, so their bits
//! depend neither on the number of threads nor on where the elements of a view lie.

use super::{Tensor, with_number};
use crate::numeric;

/// Runs a body with the elements as a slice: those in memory, or a copy for a view with gaps.
macro_rules! with_values {
    ($tensor:expr, $values:ident => $body:expr) => {{
        let tensor = $tensor;
        with_number!(tensor.dtype, T => if tensor.is_contiguous() {
            let $values = tensor.raw::<T>();
            $body
        } else {
            let mut copy = vec![<T as bytemuck::Zeroable>::zeroed(); tensor.len];
            tensor.gather(&mut copy);
            let $values = copy.as_slice();
            $body
        })
    }};
}

impl Tensor {
    /// The sum, taken in f64 over fixed blocks.
    pub fn sum(&self) -> f64 {
        with_values!(self, values => numeric::sum(values, |x| x))
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum() / self.len as f64
    }

    /// The variance `Σ (x − mean)² / n` of the elements taken as the whole population.
    ///
    /// `BinaryBrain`'s `Var` leaves out the mean; this one does not.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let squares =
            with_values!(self, values => numeric::sum(values, |x| (x - mean) * (x - mean)));
        squares / self.len as f64
    }

    /// The Euclidean norm `√Σ x²`.
    pub fn norm(&self) -> f64 {
        libm::sqrt(self.sum_of_squares())
    }

    /// The smallest element; NaN if any element is NaN.
    pub fn min(&self) -> f64 {
        with_values!(self, values => numeric::min_max(values)).0
    }

    /// The largest element; NaN if any element is NaN.
    pub fn max(&self) -> f64 {
        with_values!(self, values => numeric::min_max(values)).1
    }

    /// Whether no element is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        with_values!(self, values => numeric::is_finite(values))
    }

    pub(crate) fn sum_of_squares(&self) -> f64 {
        with_values!(self, values => numeric::sum(values, |x| x * x))
    }
}
