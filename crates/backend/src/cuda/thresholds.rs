//! Thresholds that are learned.

use lutweave_kernels::THRESHOLDS;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::thresholds::{
    RisingThresholds, ThresholdGradient, ThresholdKernels, check_threshold_backward,
    check_thresholds,
};

/// Threads of a block that makes thresholds, an input each.
const INPUTS: usize = 64;
/// Levels of a block that sums, a warp each.
const LEVELS: usize = 4;

impl ThresholdKernels for Cuda {
    fn make_thresholds(&self, of: RisingThresholds<'_>, thresholds: &mut Array) -> Result<()> {
        check_thresholds(of, thresholds)?;
        let inputs = of.first.len() * of.share;
        if inputs == 0 {
            return Ok(());
        }
        let (first, out) = (self.input(of.first)?, self.output(&*thresholds)?);
        let gaps = of.gaps.map(|gaps| self.input(gaps)).transpose()?;
        self.launch(
            &THRESHOLDS,
            "make_thresholds",
            Shape::blocks([inputs.div_ceil(INPUTS), 1, 1], INPUTS as u32)?,
            arguments![
                &first,
                gaps.as_ref().map_or(0u64.into(), Argument::from),
                of.width,
                count(of.levels)?,
                count(of.share)?,
                count(inputs)?,
                &out,
            ],
        )?;
        give(thresholds, out);
        Ok(())
    }

    fn threshold_backward(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        dy: &FrameBuffer,
        of: RisingThresholds<'_>,
        gradient: ThresholdGradient<'_>,
    ) -> Result<()> {
        check_threshold_backward(x, thresholds, dy, of, &gradient)?;
        let (there, own, dy_there) = (self.input(x)?, self.input(thresholds)?, self.input(dy)?);
        let sums = self.memory.allocate(8 * thresholds.len())?;
        let bytes = x.dtype() == DType::U8;
        self.launch(
            &THRESHOLDS,
            if bytes { "window_sums_bytes" } else { "window_sums_reals" },
            Shape::blocks([x.nodes(), of.levels.div_ceil(LEVELS), 1], 32 * LEVELS as u32)?,
            arguments![
                &there,
                stride(x)?,
                count(x.frames())?,
                &own,
                of.width,
                count(of.levels)?,
                count(x.nodes() / x.shape()[0])?,
                &dy_there,
                stride(dy)?,
                &sums,
            ],
        )?;
        let ThresholdGradient { first, mut gaps } = gradient;
        let dfirst = self.changed(&*first)?;
        let dgaps = gaps.as_ref().map(|gaps| self.changed(&**gaps)).transpose()?;
        let own = of.gaps.map(|gaps| self.input(gaps)).transpose()?;
        self.launch(
            &THRESHOLDS,
            "threshold_gradient",
            Shape::blocks([of.first.len(), 1, 1], 256)?,
            arguments![
                &sums,
                own.as_ref().map_or(0u64.into(), Argument::from),
                count(of.levels)?,
                count(of.share)?,
                &dfirst,
                dgaps.as_ref().map_or(0u64.into(), Argument::from),
            ],
        )?;
        give(first, dfirst);
        if let (Some(gaps), Some(dgaps)) = (&mut gaps, dgaps) {
            give(&mut **gaps, dgaps);
        }
        Ok(())
    }
}
