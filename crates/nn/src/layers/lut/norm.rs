//! From the values of a node to its bits, and from pattern sums back to values: batch norm and the
//! window of the straight-through estimator, on `2^fan_in` numbers instead of frames.

use lutweave_backend::{Isa, Kernel};
use serde::{Deserialize, Serialize};

/// Smallest variance; part of the numeric contract.
const MIN_VARIANCE: f64 = 1e-5;
/// Partial sums of every sum over patterns; part of the numeric contract.
const LANES: usize = 8;

/// Batch norm of a LUT layer: fixed scale and shift, the same for all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// γ, positive.
    pub gamma: f32,
    /// β.
    pub beta: f32,
    /// How much of the running averages a batch keeps, in `[0, 1)`.
    pub momentum: f32,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { gamma: 0.3, beta: 0.5, momentum: 0.9 }
    }
}

/// The affine map of one node from `V` to `v`, and the batch statistics behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) mean: f32,
    pub(super) variance: f32,
    rstd: f32,
    gamma: f32,
    beta: f32,
}

impl Norm {
    pub(super) fn new(mean: f32, variance: f32, settings: BatchNorm) -> Self {
        let rstd = (1.0 / f64::from(variance).sqrt()) as f32;
        Self { mean, variance, rstd, gamma: settings.gamma, beta: settings.beta }
    }

    /// Mean and variance of the values over the frames: a sum over patterns.
    pub(super) fn of_patterns(values: &[f32], counts: &[u32], settings: BatchNorm) -> Self {
        let (mean, variance) = Isa::best().run(Moments { values, counts });
        Self::new(mean as f32, variance.max(MIN_VARIANCE) as f32, settings)
    }

    /// Mean and variance of the values of one node in all frames.
    pub(super) fn of_frames(values: &[f32], settings: BatchNorm) -> Self {
        let frames = values.len() as f64;
        let mean = sum(values.len(), |f| f64::from(values[f])) / frames;
        let squares = sum(values.len(), |f| {
            let centred = f64::from(values[f]) - mean;
            centred * centred
        });
        Self::new(mean as f32, (squares / frames).max(MIN_VARIANCE) as f32, settings)
    }

    #[inline(always)]
    fn apply(&self, value: f32) -> f32 {
        (value - self.mean) * self.rstd * self.gamma + self.beta
    }
}

/// Sums `f(k)` over `0..length` in [`LANES`] partial sums.
#[inline(always)]
fn sum(length: usize, f: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0f64; LANES];
    let whole = length / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += f(start + lane);
        }
    }
    for k in whole..length {
        lanes[k - whole] += f(k);
    }
    lanes.iter().sum()
}

struct Moments<'a> {
    values: &'a [f32],
    counts: &'a [u32],
}

impl Kernel for Moments<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let length = self.values.len();
        let (values, counts) = (&self.values[..length], &self.counts[..length]);
        let frames = f64::from(counts.iter().sum::<u32>());
        let mean = sum(length, |k| f64::from(counts[k]) * f64::from(values[k])) / frames;
        let squares = sum(length, |k| {
            let centred = f64::from(values[k]) - mean;
            f64::from(counts[k]) * (centred * centred)
        });
        (mean, squares / frames)
    }
}

/// The output bits of one node for every pattern, as a packed table.
pub(super) fn pack(values: &[f32], norm: Option<&Norm>, table: &mut [u64]) {
    Isa::best().run(Pack { values, norm, table });
}

struct Pack<'a> {
    values: &'a [f32],
    norm: Option<&'a Norm>,
    table: &'a mut [u64],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // Without batch norm the same expression passes a value through: x − 0, times 1, plus 0.
        let identity = Norm { mean: 0.0, variance: 1.0, rstd: 1.0, gamma: 1.0, beta: 0.0 };
        let norm = self.norm.copied().unwrap_or(identity);
        for (table, values) in self.table.iter_mut().zip(self.values.chunks(64)) {
            *table = values
                .iter()
                .enumerate()
                .fold(0, |bits, (k, &value)| bits | u64::from(norm.apply(value) > 0.5) << k);
        }
    }
}

/// From the sums of `dy` by pattern, for one node: `e = scale·dy + offset` per pattern, and in place
/// of the sums the gradient of each value.
///
/// ```text
/// g      = dy where 0 < v < 1                       G = its sum by pattern
/// dvar   = −rstd³ Σ γ·G·(V − mean)                  dmean = (−rstd Σ γ·G − mean·dvar) / frames
/// du     = γ·rstd·g + dmean + V·dvar / frames       dV = γ·rstd·G + C·(dmean + V·dvar / frames)
/// ```
pub(super) fn backward(
    norm: Option<&Norm>,
    values: &[f32],
    counts: &[u32],
    sums: &mut [f32],
    scale: &mut [f32],
    offset: &mut [f32],
) {
    let Some(&norm) = norm else {
        scale.fill(1.0);
        offset.fill(0.0);
        return;
    };
    Isa::best().run(Backward { norm, values, counts, sums, scale, offset });
}

struct Backward<'a> {
    norm: Norm,
    values: &'a [f32],
    counts: &'a [u32],
    sums: &'a mut [f32],
    scale: &'a mut [f32],
    offset: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (norm, length) = (self.norm, self.values.len());
        let (values, counts) = (&self.values[..length], &self.counts[..length]);
        let (sums, scale) = (&mut self.sums[..length], &mut self.scale[..length]);
        let offset = &mut self.offset[..length];
        let frames = f64::from(counts.iter().sum::<u32>());
        let (mean, rstd) = (f64::from(norm.mean), f64::from(norm.rstd));
        let open = norm.gamma * norm.rstd;
        for ((sum, scale), &value) in sums.iter_mut().zip(scale.iter_mut()).zip(values) {
            let v = norm.apply(value);
            let inside = v > 0.0 && v < 1.0;
            *scale = if inside { open } else { 0.0 };
            *sum = if inside { *sum } else { 0.0 };
        }
        let gamma = f64::from(norm.gamma);
        let total = gamma * sum(length, |k| f64::from(sums[k]));
        let product = gamma * sum(length, |k| f64::from(sums[k]) * (f64::from(values[k]) - mean));
        let dvar = -rstd * rstd * rstd * product;
        let constant = (-rstd * total - mean * dvar) / frames;
        let slope = dvar / frames;
        for k in 0..length {
            let shift = constant + f64::from(values[k]) * slope;
            offset[k] = shift as f32;
            sums[k] =
                (f64::from(scale[k]) * f64::from(sums[k]) + shift * f64::from(counts[k])) as f32;
        }
    }
}

/// Maps values to `v`, in place.
pub(super) fn apply(values: &mut [f32], norm: Option<&Norm>) {
    if let Some(norm) = norm {
        for value in values {
            *value = norm.apply(*value);
        }
    }
}

/// Maps values to `v` clamped to `[0, 1]`, in place.
pub(super) fn clamp(values: &mut [f32], norm: Option<&Norm>) {
    apply(values, norm);
    for value in values {
        *value = value.clamp(0.0, 1.0);
    }
}

/// The gradient of the values from that of the outputs, in place, frame by frame; the formulas are
/// those of [`backward`].
pub(super) fn backward_frames(norm: Option<&Norm>, u: &[f32], dy: &mut [f32]) {
    let Some(norm) = norm else { return };
    for (dy, &u) in dy.iter_mut().zip(u) {
        let v = norm.apply(u);
        if v <= 0.0 || v >= 1.0 {
            *dy = 0.0;
        }
    }
    let (frames, mean, rstd) = (u.len() as f64, f64::from(norm.mean), f64::from(norm.rstd));
    let gamma = f64::from(norm.gamma);
    let total = gamma * sum(u.len(), |f| f64::from(dy[f]));
    let product = gamma * sum(u.len(), |f| f64::from(dy[f]) * (f64::from(u[f]) - mean));
    let dvar = -rstd * rstd * rstd * product;
    let dmean = (-rstd * total - mean * dvar) / frames;
    for (dy, &u) in dy.iter_mut().zip(u) {
        *dy = (gamma * rstd * f64::from(*dy) + dmean + f64::from(u) * dvar / frames) as f32;
    }
}
