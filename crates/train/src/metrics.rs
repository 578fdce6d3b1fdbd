//! Metrics: how good the answers of a network are, over as many batches as one likes.

mod binary_accuracy;
mod categorical_accuracy;
mod classes;
mod confusion;
mod flips;
mod mean_squared_error;

use std::fmt::Debug;

use lutweave_backend::Backend;
use lutweave_tensor::{FrameBuffer, Target};

pub use self::binary_accuracy::BinaryAccuracy;
pub use self::categorical_accuracy::{CategoricalAccuracy, TopK};
pub use self::confusion::Confusion;
pub use self::flips::{Flips, Snapshot};
pub use self::mean_squared_error::MeanSquaredError;
use crate::Result;

/// A figure of merit that runs over batches.
///
/// Answers and targets are those of [`Loss`](crate::Loss); answers may also be bits, which count as
/// 0 and 1. What is not labelled is not counted.
///
/// ```
/// use lutweave_tensor::{FrameBuffer, Target};
/// use lutweave_train::metrics::{CategoricalAccuracy, Metric};
///
/// let mut accuracy = CategoricalAccuracy::new();
/// let y = FrameBuffer::from_frames(&[2], &[0.9f32, 0.1, 0.4, 0.6])?;
/// accuracy.add(&y, &Target::Classes(vec![0, 1]))?;
/// accuracy.add(&y, &Target::Classes(vec![0, 0]))?;
/// assert_eq!((accuracy.name(), accuracy.value()), ("accuracy", 0.75));
/// # Ok::<(), lutweave_train::Error>(())
/// ```
pub trait Metric: Debug + Send {
    /// What it is called in reports: `accuracy`.
    fn name(&self) -> &str;

    /// Counts a batch.
    ///
    /// # Errors
    ///
    /// When the target does not fit the answers or is of a kind that the metric does not take;
    /// nothing is counted then.
    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()>;

    /// [`add`](Self::add) where the answers are: on a GPU only counts cross to the host. As it is here
    /// it is the same on the host, which is what a metric without a kernel has.
    ///
    /// # Errors
    ///
    /// As that, and what the device says.
    fn add_on(&mut self, y: &FrameBuffer, target: &Target, _backend: &dyn Backend) -> Result<()> {
        self.add(y, target)
    }

    /// The figure over all batches since the last [`clear`](Self::clear); 0 before any.
    fn value(&self) -> f64;

    /// Begins anew.
    fn clear(&mut self);

    /// Whether more is better.
    fn more_is_better(&self) -> bool {
        true
    }
}

/// `part / whole`, or 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
