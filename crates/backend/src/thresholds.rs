//! Thresholds that are learned.

use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// Thresholds of groups of inputs that rise whatever their parameters are: with the width `w`,
///
/// ```text
/// t_1 = w · p_1        t_l = t_(l−1) + w · softplus(p_l)        softplus(p) = ln(1 + e^p)
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RisingThresholds<'a> {
    /// In units of the input.
    pub width: f32,
    /// Thresholds of an input, at least one.
    pub levels: usize,
    /// Inputs of a group, which follow one another.
    pub share: usize,
    /// `p_1`: `[groups]`.
    pub first: &'a Array,
    /// The other `p`: `[groups][levels − 1]`; none for one level.
    pub gaps: Option<&'a Array>,
}

/// The gradient of their parameters, added to.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ThresholdGradient<'a> {
    pub first: &'a mut Array,
    pub gaps: Option<&'a mut Array>,
}

/// Learned thresholds, and their gradient by a window.
///
/// The methods here compute on the host. Exponentials may differ in the last bit of f64, and so a threshold
/// in that of f32, which shows where a number lies on it.
pub trait ThresholdKernels {
    /// Writes the thresholds of all inputs, `[inputs][levels]`.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn make_thresholds(&self, of: RisingThresholds<'_>, thresholds: &mut Array) -> Result<()> {
        check_thresholds(of, thresholds)?;
        let (width, count) = (f64::from(of.width), of.levels - 1);
        let own = thresholds.chunks_mut(of.levels * of.share);
        for (number, (all, &first)) in own.zip(&**of.first).enumerate() {
            let (one, others) = all.split_at_mut(of.levels);
            let mut widths = f64::from(first);
            one[0] = (width * widths) as f32;
            let gaps = of.gaps.map_or(&[][..], |gaps| &gaps[number * count..][..count]);
            for (threshold, &gap) in one[1..].iter_mut().zip(gaps) {
                widths += softplus(f64::from(gap));
                *threshold = (width * widths) as f32;
            }
            others.chunks_mut(of.levels).for_each(|other| other.copy_from_slice(one));
        }
        Ok(())
    }

    /// Adds the gradient of the parameters, given the input (u8 or f32, shape `[c, points..]`), the thresholds
    /// it was compared with, and the gradient of the bits, laid out as by
    /// [`threshold`](crate::EncodeKernels::threshold): with `z = (x − t) / w`, and sums over the frames and
    /// the inputs of a group,
    ///
    /// ```text
    /// s_l = Σ dy · max(0, 1 − |z|)      dp_1 −= Σ_l s_l      dp_j −= sigmoid(p_j) · Σ_(l ≥ j) s_l
    /// ```
    ///
    /// Costs a multiplication and a few additions for each frame and threshold.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) for other types,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn threshold_backward(
        &self,
        x: &FrameBuffer,
        thresholds: &Array,
        dy: &FrameBuffer,
        of: RisingThresholds<'_>,
        gradient: ThresholdGradient<'_>,
    ) -> Result<()> {
        check_threshold_backward(x, thresholds, dy, of, &gradient)?;
        let (levels, points) = (of.levels, x.nodes() / x.shape()[0]);
        let mut sums = vec![0f64; thresholds.len()];
        let each = sums.par_chunks_mut(levels).zip(thresholds.par_chunks(levels)).enumerate();
        each.try_for_each(|(node, (sums, thresholds))| -> Result<()> {
            let bytes: Vec<f32>;
            let row = if x.dtype() == DType::U8 {
                bytes = x.row::<u8>(node)?.iter().map(|&byte| f32::from(byte)).collect();
                &bytes
            } else {
                x.row::<f32>(node)?
            };
            let (channel, point) = (node / points, node % points);
            for (level, (sum, &threshold)) in sums.iter_mut().zip(thresholds).enumerate() {
                let dy = dy.row::<f32>((channel * levels + level) * points + point)?;
                *sum = window_sum(row, dy, threshold, of.width);
            }
            Ok(())
        })?;
        let ThresholdGradient { first, gaps: mut dgaps } = gradient;
        let groups = sums.chunks(levels * of.share);
        for (number, (inputs, first)) in groups.zip(&mut **first).enumerate() {
            // Each level moves all above it, so sums run down from the last.
            let mut above = 0.0;
            for level in (0..levels).rev() {
                above += inputs.iter().skip(level).step_by(levels).sum::<f64>();
                if let (Some(gaps), Some(dgaps), 1..) = (of.gaps, &mut dgaps, level) {
                    let place = number * (levels - 1) + level - 1;
                    dgaps[place] -= (sigmoid(f64::from(gaps[place])) * above) as f32;
                }
            }
            *first -= above as f32;
        }
        Ok(())
    }
}

/// `Σ dy · max(0, 1 − |x − t| / w)` over the frames.
fn window_sum(x: &[f32], dy: &[f32], threshold: f32, width: f32) -> f64 {
    let scale = 1.0 / width;
    let window = |x: f32| (1.0 - ((x - threshold) * scale).abs()).max(0.0);
    x.iter().zip(dy).map(|(&x, &dy)| f64::from(dy * window(x))).sum()
}

/// `ln(1 + e^p)`.
pub fn softplus(p: f64) -> f64 {
    p.max(0.0) + libm::log1p(libm::exp(-p.abs()))
}

fn sigmoid(p: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-p))
}

pub(crate) fn check_thresholds(of: RisingThresholds<'_>, thresholds: &Array) -> Result<()> {
    let op = "thresholds";
    check_size(op, "an input", "levels", of.levels.max(1), of.levels)?;
    check_size(op, "a group", "inputs", of.share.max(1), of.share)?;
    let groups = of.first.len();
    let gaps = groups.saturating_mul(of.levels - 1);
    check_size(op, "gaps", "values", gaps, of.gaps.map_or(0, Array::len))?;
    let all = groups.saturating_mul(of.share).saturating_mul(of.levels);
    check_size(op, "thresholds", "values", all, thresholds.len())
}

pub(crate) fn check_threshold_backward(
    x: &FrameBuffer,
    thresholds: &Array,
    dy: &FrameBuffer,
    of: RisingThresholds<'_>,
    gradient: &ThresholdGradient<'_>,
) -> Result<()> {
    let op = "threshold backward";
    check_thresholds(of, thresholds)?;
    if x.dtype() != DType::U8 {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_size(op, "x", "nodes", of.first.len() * of.share, x.nodes())?;
    check_rows(op, "dy", dy, DType::F32, thresholds.len(), x)?;
    check_size(op, "first", "gradients", of.first.len(), gradient.first.len())?;
    let gaps = gradient.gaps.as_ref().map_or(0, |gaps| gaps.len());
    check_size(op, "gaps", "gradients", of.gaps.map_or(0, Array::len), gaps)
}
