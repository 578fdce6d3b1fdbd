//! Thresholds that training moves.
//!
//! Inputs that share thresholds make a group: all of them, those of a channel, or one alone. With
//! levels `1…L` and the width `w`, in units of the input, a group has
//!
//! ```text
//! t_1 = w · p_1        t_l = t_(l−1) + w · softplus(p_l)        softplus(p) = ln(1 + e^p)
//! ```
//!
//! so that thresholds rise whatever the parameters `p` are: `first`, `[groups]`, and `gaps`,
//! `[groups][levels − 1]`, which one level has not. They are numbers near 1, whatever the input's
//! unit, so that learning rates of other parameters suit them.
//!
//! The bit is `x > t` while training as after it. Its gradient is that of a smooth step `h` of half
//! width `w` in its place:
//!
//! ```text
//! z = (x − t) / w        h'(z) = max(0, 1 − |z|)        dL/dt = −Σ dy · h'(z) / w   over the frames
//! dL/dp_1 = −Σ_l s_l     dL/dp_j = −sigmoid(p_j) · Σ_(l ≥ j) s_l     with s_l = Σ dy · h'(z)
//! ```
//!
//! with sums over the frames and the inputs of the group: a sample has a say where it lies within
//! `w` of a threshold.
//!
//! For numbers of u8 a threshold `t` begins at `floor(t) + 1/2`, which tells the same bytes apart and
//! lies between them; in hardware it is a comparison with `floor(t) + 1`, and those of an input that
//! lie between the same bytes are one.
//!
//! Costs a multiplication and a few additions for each frame and threshold, on the host.
//!
//! Source: the form of thresholds is that of the WARP logic gate networks, whose step is a sigmoid;
//! the triangular window is the surrogate of Esser et al., "Convolutional networks for fast,
//! energy-efficient neuromorphic computing" (PNAS 2016).

use lutweave_tensor::{DType, FrameBuffer};
use rayon::prelude::*;

use crate::layer::state_f32;
use crate::{Error, Parameter, Result, Site, StateTensor};

/// The smallest parameter of a gap: 5·10⁻⁵ of the width, from which there is a way back.
const LEAST: f32 = -10.0;
/// The gap of thresholds that begin as equals.
const EQUAL: f64 = -9.0;
/// The largest parameter, in widths.
const MOST: f32 = 1e6;

/// The parameters of an encoder whose thresholds are learned.
#[derive(Debug)]
pub(super) struct Learned {
    width: f32,
    levels: usize,
    /// Inputs of a group.
    share: usize,
    /// `[groups]`.
    first: Parameter,
    /// `[groups][levels − 1]`; none for one level.
    gaps: Option<Parameter>,
}

impl Learned {
    /// Begins with the thresholds of each input, `[inputs][levels]`, of which `share` inputs that
    /// follow one another have the same.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless the width is positive and not tiny, and thresholds rise.
    pub(super) fn new(
        width: f32,
        thresholds: &[f32],
        levels: usize,
        share: usize,
        site: &Site<'_>,
    ) -> Result<Self> {
        if !(width.is_finite() && width > 0.0) {
            return Err(site.option_error(
                "learn",
                "a positive width, in units of the input",
                width,
            ));
        }
        let farthest = thresholds.iter().fold(0f32, |most, value| most.max(value.abs()));
        if farthest / width >= MOST || !(width * MOST).is_finite() {
            let expected = format!("a width from {:e} to {:e}", farthest / MOST, f32::MAX / MOST);
            return Err(site.option_error("learn", expected, width));
        }
        let w = f64::from(width);
        let whole = site.input().dtype == DType::U8;
        let (mut first, mut gaps) = (Vec::new(), Vec::new());
        for group in thresholds.chunks(levels).step_by(share) {
            if !group.is_sorted() {
                return Err(site.option_error("thresholds", "rising numbers to learn from", group));
            }
            let start = |t: f32| if whole { f64::from(t.floor()) + 0.5 } else { f64::from(t) };
            let mut last = start(group[0]);
            first.push((last / w) as f32);
            for &next in &group[1..] {
                let gap = ((start(next) - last) / w).max(softplus(EQUAL));
                gaps.push(inverse_softplus(gap) as f32);
                last += gap * w;
            }
        }
        let gaps = (levels > 1).then(|| Parameter::new("gaps", gaps, Some((LEAST, MOST))));
        let first = Parameter::new("first", first, Some((-MOST, MOST)));
        Ok(Self { width, levels, share, first, gaps })
    }

    /// The parameters of the gaps of a group.
    fn gaps_of(&self, group: usize) -> &[f32] {
        let count = self.levels - 1;
        self.gaps.as_ref().map_or(&[], |gaps| &gaps.values[group * count..][..count])
    }

    /// The thresholds as they are now, `[inputs][levels]`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] in the name of `layer` where parameters are not.
    pub(super) fn thresholds(&self, layer: &str) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.first.values.len() * self.share * self.levels);
        let mut group = Vec::with_capacity(self.levels);
        for (number, &first) in self.first.values.iter().enumerate() {
            let mut widths = f64::from(first);
            group.clear();
            group.push((f64::from(self.width) * widths) as f32);
            for &gap in self.gaps_of(number) {
                widths += softplus(f64::from(gap));
                group.push((f64::from(self.width) * widths) as f32);
            }
            for _ in 0..self.share {
                all.extend_from_slice(&group);
            }
        }
        if all.iter().all(|value| value.is_finite()) {
            return Ok(all);
        }
        Err(Error::NotFinite { layer: layer.to_owned(), what: "learned thresholds".to_owned() })
    }

    /// Adds the gradient of the parameters, given the input, the thresholds of `forward` and the
    /// gradient of the bits.
    pub(super) fn backward(
        &mut self,
        x: &FrameBuffer,
        thresholds: &[f32],
        dy: &FrameBuffer,
    ) -> Result<()> {
        let (levels, points) = (self.levels, x.nodes() / x.shape()[0]);
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
                *sum = window_sum(row, dy, threshold, self.width);
            }
            Ok(())
        })?;
        let Self { share, first, gaps, .. } = self;
        let groups = sums.chunks(levels * *share);
        for (number, (inputs, first)) in groups.zip(&mut *first.gradient).enumerate() {
            // Each level moves all above it, so sums run down from the last.
            let mut above = 0.0;
            for level in (0..levels).rev() {
                above += inputs.iter().skip(level).step_by(levels).sum::<f64>();
                if let (Some(gaps), 1..) = (gaps.as_mut(), level) {
                    let place = number * (levels - 1) + level - 1;
                    let slope = sigmoid(f64::from(gaps.values[place]));
                    gaps.gradient[place] -= (slope * above) as f32;
                }
            }
            *first -= above as f32;
        }
        Ok(())
    }

    pub(super) fn parameters(&self) -> Vec<&Parameter> {
        [Some(&self.first), self.gaps.as_ref()].into_iter().flatten().collect()
    }

    pub(super) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        [Some(&mut self.first), self.gaps.as_mut()].into_iter().flatten().collect()
    }

    pub(super) fn state(&self) -> Vec<StateTensor> {
        let tensor = |p: &Parameter| StateTensor::f32(p.name, &p.values);
        self.parameters().into_iter().map(tensor).collect()
    }

    pub(super) fn restore(&mut self, state: &[StateTensor], layer: &str) -> Result<()> {
        let mut all = Vec::new();
        for parameter in self.parameters() {
            all.push(state_f32(state, parameter.name, parameter.values.len(), layer)?.to_vec());
        }
        for (parameter, values) in self.parameters_mut().into_iter().zip(all) {
            parameter.values = values.into();
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

fn softplus(p: f64) -> f64 {
    p.max(0.0) + libm::log1p(libm::exp(-p.abs()))
}

/// The `p` of a positive `softplus(p)`.
fn inverse_softplus(y: f64) -> f64 {
    y + libm::log(-libm::expm1(-y))
}

fn sigmoid(p: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-p))
}

#[cfg(test)]
mod tests;
