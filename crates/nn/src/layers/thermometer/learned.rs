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
//! Costs a multiplication and a few additions for each frame and threshold.
//!
//! Source: the form of thresholds is that of the WARP logic gate networks, whose step is a sigmoid;
//! the triangular window is the surrogate of Esser et al., "Convolutional networks for fast,
//! energy-efficient neuromorphic computing" (PNAS 2016).

use lutweave_backend::{Backend, RisingThresholds, ThresholdGradient, Watched, softplus};
use lutweave_tensor::{Array, DType, FrameBuffer};

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

    /// The parameters as backends take them.
    fn rising(&self) -> RisingThresholds<'_> {
        let gaps = self.gaps.as_ref().map(|gaps| &gaps.values);
        let Self { width, levels, share, first, .. } = self;
        let (width, levels, share) = (*width, *levels, *share);
        RisingThresholds { width, levels, share, first: &first.values, gaps }
    }

    /// The thresholds as they are now, `[inputs][levels]`, where the parameters are.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] in the name of `layer` where parameters are not; from a device it may come at the
    /// end of the step.
    pub(super) fn thresholds(&self, layer: &str, backend: &dyn Backend) -> Result<Array> {
        let mut all = Array::zeros(self.first.values.len() * self.share * self.levels)?;
        backend.make_thresholds(self.rising(), &mut all)?;
        let what = "learned thresholds";
        match backend.watch_all(&[Watched { numbers: &all, layer, what }])? {
            None => Ok(all),
            Some(_) => Err(Error::NotFinite { layer: layer.to_owned(), what: what.to_owned() }),
        }
    }

    /// Adds the gradient of the parameters, given the input, the thresholds of `forward` and the
    /// gradient of the bits.
    pub(super) fn backward(
        &mut self,
        x: &FrameBuffer,
        thresholds: &Array,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<()> {
        let Self { width, levels, share, first, gaps } = self;
        let (values, dfirst) = (&first.values, &mut first.gradient);
        let (gaps, dgaps) = match gaps {
            Some(gaps) => (Some(&gaps.values), Some(&mut gaps.gradient)),
            None => (None, None),
        };
        let (width, levels, share) = (*width, *levels, *share);
        let of = RisingThresholds { width, levels, share, first: values, gaps };
        let gradient = ThresholdGradient { first: dfirst, gaps: dgaps };
        Ok(backend.threshold_backward(x, thresholds, dy, of, gradient)?)
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

/// The `p` of a positive `softplus(p)`.
fn inverse_softplus(y: f64) -> f64 {
    y + libm::log(-libm::expm1(-y))
}

#[cfg(test)]
mod tests;
