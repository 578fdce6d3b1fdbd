//! The share of nodes that say yes or no rightly.

use lutweave_tensor::{FrameBuffer, Target};

use super::classes::as_numbers;
use super::{Metric, share};
use crate::Result;
use crate::losses::wanted::wanted;

/// The share of nodes and frames on the right side of a threshold: `(y > 0.5) = (t > 0.5)`.
///
/// Classes count as 1 at their own node and 0 at the others. `BinaryBrain` has
/// `MetricsBinaryCategoricalAccuracy`, which is the same for targets of 0 and 1, and
/// `MetricsBinaryAccuracy`, which takes `y = 0.5` for a yes and divides by frames alone.
#[derive(Debug, Clone, Default)]
pub struct BinaryAccuracy {
    right: u64,
    counted: u64,
}

impl BinaryAccuracy {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Metric for BinaryAccuracy {
    fn name(&self) -> &'static str {
        "binary accuracy"
    }

    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()> {
        const THRESHOLD: f32 = lutweave_tensor::THRESHOLD as f32;
        let y = as_numbers(y)?;
        let (wanted, layout) = wanted("binary accuracy", &y, target)?;
        for node in 0..y.nodes() {
            let row = y.row::<f32>(node)?;
            wanted.row(node, layout, y.frames()).each([0.0, 1.0], |frame, t| {
                self.counted += 1;
                self.right += u64::from((row[frame] > THRESHOLD) == (t > THRESHOLD));
            });
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        share(self.right, self.counted)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
