//! Making the inner answers of one network like those of another.

use lutweave_backend::Backend;
use lutweave_tensor::{DType, FrameBuffer, Target};

use super::part::on_host;
use super::wanted::not_taken;
use super::{Loss, MeanSquaredError, PartLoss};
use crate::Result;

/// Feature matching (Romero et al. 2015, "hints"): the mean squared difference between the answers
/// of a layer and those of a layer of a teacher, over nodes and frames.
///
/// Bits count as 0 and 1, on either side. Shapes may differ where the number of nodes does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeatureMatching;

impl FeatureMatching {
    /// The mean squared difference between two buffers, and its gradient with respect to the
    /// student's.
    ///
    /// # Errors
    ///
    /// When they are not of as many nodes and frames, or of types other than bits and f32.
    pub fn between(
        self,
        student: &FrameBuffer,
        teacher: &FrameBuffer,
    ) -> Result<(f32, FrameBuffer)> {
        let target = Target::Real(as_numbers(teacher)?);
        self.evaluate(student, &target)
    }
}

impl Loss for FeatureMatching {
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
        let Target::Real(_) = target.own() else {
            return Err(not_taken("feature matching", "real numbers", target));
        };
        MeanSquaredError::default().evaluate_part_on(&as_numbers(y)?, target, whole, backend)
    }
}

/// Bits as numbers.
fn as_numbers(x: &FrameBuffer) -> Result<FrameBuffer> {
    Ok(if x.dtype() == DType::Bit { x.convert(DType::F32)? } else { x.clone() })
}
