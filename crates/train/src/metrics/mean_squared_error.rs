//! The mean squared difference.

use lutweave_tensor::{FrameBuffer, Target};

use super::Metric;
use super::classes::as_numbers;
use crate::Result;
use crate::losses::wanted::wanted;

/// The mean of `(y − t)²` over nodes and frames; classes count as 1 at their own node and 0 at the
/// others. `BinaryBrain`'s `MetricsMeanSquaredError`.
#[derive(Debug, Clone, Default)]
pub struct MeanSquaredError {
    sum: f64,
    counted: u64,
}

impl MeanSquaredError {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Metric for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean squared error"
    }

    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()> {
        let y = as_numbers(y)?;
        let (wanted, layout) = wanted("mean squared error", &y, target)?;
        for node in 0..y.nodes() {
            let (row, mut sum) = (y.row::<f32>(node)?, 0f64);
            wanted.row(node, layout, y.frames()).each([0.0, 1.0], |frame, t| {
                let difference = f64::from(row[frame]) - f64::from(t);
                sum += difference * difference;
                self.counted += 1;
            });
            self.sum += sum;
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        if self.counted == 0 { 0.0 } else { self.sum / self.counted as f64 }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn more_is_better(&self) -> bool {
        false
    }
}
