//! From the values of a node to its bits, and from pattern sums back to values: batch norm and the
//! window of the straight-through estimator, on `2^fan_in` numbers instead of frames.

use lutweave_backend::{Dispatch, Entries, Isa, Kernel, lane_sum};
use serde::{Deserialize, Serialize};

/// Smallest variance; part of the numeric contract.
const MIN_VARIANCE: f64 = 1e-5;

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

/// Mean and variance of the values of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) mean: f32,
    pub(super) variance: f32,
}

/// The affine map of one node from `V` to `v`, and the statistics behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) moments: Moments,
    rstd: f32,
    gamma: f32,
    beta: f32,
}

impl Norm {
    pub(super) fn new(moments: Moments, settings: BatchNorm) -> Self {
        let rstd = (1.0 / f64::from(moments.variance).sqrt()) as f32;
        Self { moments, rstd, gamma: settings.gamma, beta: settings.beta }
    }

    /// From exact sums.
    fn of(mean: f64, variance: f64, settings: BatchNorm) -> Self {
        let (mean, variance) = (mean as f32, variance.max(MIN_VARIANCE) as f32);
        Self::new(Moments { mean, variance }, settings)
    }

    /// Mean and variance of the values over the frames: a sum over patterns.
    pub(super) fn of_patterns(values: &[f32], counts: &[u32], settings: BatchNorm) -> Self {
        let (mean, variance) = Isa::best().run(OfPatterns { values, counts });
        Self::of(mean, variance, settings)
    }

    /// What a gradient at this value is multiplied with on its way through the window and the map.
    pub(super) fn slope(&self, value: f32) -> f32 {
        let v = self.apply(value);
        if v > 0.0 && v < 1.0 { self.gamma * self.rstd } else { 0.0 }
    }

    #[inline(always)]
    fn apply(&self, value: f32) -> f32 {
        (value - self.moments.mean) * self.rstd * self.gamma + self.beta
    }
}

struct OfPatterns<'a> {
    values: &'a [f32],
    counts: &'a [u32],
}

impl Kernel for OfPatterns<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let length = self.values.len();
        let (values, counts) = (&self.values[..length], &self.counts[..length]);
        let frames = f64::from(counts.iter().sum::<u32>());
        let mean = lane_sum(length, |k| f64::from(counts[k]) * f64::from(values[k])) / frames;
        let squares = lane_sum(length, |k| {
            let centred = f64::from(values[k]) - mean;
            f64::from(counts[k]) * (centred * centred)
        });
        (mean, squares / frames)
    }
}

/// The output of one node for every pattern: bits, or `v` clamped to `[0, 1]`.
pub(super) fn output(values: &[f32], norm: Option<&Norm>, entries: Entries<'_>) {
    match entries {
        Entries::Bits(table) => pack(values, norm, table),
        Entries::Values(own) => {
            own.copy_from_slice(values);
            for value in own {
                *value = norm.map_or(*value, |norm| norm.apply(*value)).clamp(0.0, 1.0);
            }
        }
    }
}

/// The output bits of one node for every pattern, as a packed table.
fn pack(values: &[f32], norm: Option<&Norm>, table: &mut [u64]) {
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
        let moments = Moments { mean: 0.0, variance: 1.0 };
        let identity = Norm { moments, rstd: 1.0, gamma: 1.0, beta: 0.0 };
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
        let (mean, rstd) = (f64::from(norm.moments.mean), f64::from(norm.rstd));
        let open = norm.gamma * norm.rstd;
        for ((sum, scale), &value) in sums.iter_mut().zip(scale.iter_mut()).zip(values) {
            let v = norm.apply(value);
            let inside = v > 0.0 && v < 1.0;
            *scale = if inside { open } else { 0.0 };
            *sum = if inside { *sum } else { 0.0 };
        }
        let gamma = f64::from(norm.gamma);
        let total = gamma * lane_sum(length, |k| f64::from(sums[k]));
        let product =
            gamma * lane_sum(length, |k| f64::from(sums[k]) * (f64::from(values[k]) - mean));
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
