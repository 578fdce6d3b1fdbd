//! The squared hinge of support vector machines.

use lutweave_backend::{Backend, ElementLoss};
use lutweave_tensor::{FrameBuffer, Target};

use super::part::on_host;
use super::wanted::by_element;
use super::{Loss, PartLoss, Reduction};
use crate::Result;

/// Squared hinge: `max(0, 1 − t · y)²`, gradient `−2 · t · max(0, 1 − t · y)`.
///
/// Targets are −1 and +1: real ones are such numbers, classes count as +1 at their own node and −1
/// at the others (one against all). The output loss of BinaryNet (Courbariaux et al. 2016), with the
/// mean over frames and classes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredHinge {
    /// Over what it is averaged.
    pub reduction: Reduction,
}

impl Loss for SquaredHinge {
    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> Result<(f32, FrameBuffer)> {
        on_host(self, y, target, whole)
    }

    fn evaluate_part_on(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
        backend: &dyn Backend,
    ) -> Result<(PartLoss, FrameBuffer)> {
        let divisor = self.reduction.divisor(y.nodes(), whole)?;
        let loss = ElementLoss::SquaredHinge;
        by_element("squared hinge", loss, y, target, [-1.0, 1.0], divisor, backend)
    }
}
