//! The multilinear LUT and BinaryBrain's DifferentiableLut, frame by frame.
//!
//! These are the formulas from which everything about that node is derived; the table kernels give
//! the same numbers in another order. Behaviour: `StochasticLutN` and `DifferentiableLutN` of
//! BinaryBrain 4.3, CPU form, with the sums in f64.

/// Smallest batch variance: part of the numeric contract.
const MIN_VARIANCE: f64 = 1e-5;

/// The value of a LUT at real inputs: `Σ_k W[k] Π_i (k_i ? x_i : 1 − x_i)`.
///
/// `table` has `2^x.len()` entries; input 0 is bit 0 of `k`.
///
/// # Panics
///
/// If the table has another length.
pub fn multilinear(table: &[f64], x: &[f64]) -> f64 {
    assert_eq!(table.len(), 1 << x.len(), "entries of a LUT of {} inputs", x.len());
    table.iter().enumerate().map(|(k, w)| w * weight(k, x, None)).sum()
}

/// The gradient of [`multilinear`]: with respect to the table, and to the inputs.
///
/// `dW[k] = Π_i (k_i ? x_i : 1 − x_i)`;
/// `dx_j = Σ_k (k_j ? W[k] : −W[k]) Π_{i ≠ j} (k_i ? x_i : 1 − x_i)`.
///
/// # Panics
///
/// If the table has another length.
pub fn multilinear_gradient(table: &[f64], x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(table.len(), 1 << x.len(), "entries of a LUT of {} inputs", x.len());
    let dw = (0..table.len()).map(|k| weight(k, x, None)).collect();
    let slope = |j: usize| -> f64 {
        let signed = |k: usize, w: f64| if k >> j & 1 == 1 { w } else { -w };
        table.iter().enumerate().map(|(k, &w)| signed(k, w) * weight(k, x, Some(j))).sum()
    };
    (dw, (0..x.len()).map(slope).collect())
}

/// `Π_i (k_i ? x_i : 1 − x_i)`, leaving out one input.
fn weight(k: usize, x: &[f64], without: Option<usize>) -> f64 {
    let factor = |(i, &x): (usize, &f64)| if k >> i & 1 == 1 { x } else { 1.0 - x };
    x.iter().enumerate().filter(|&(i, _)| Some(i) != without).map(factor).product()
}

/// One node of BinaryBrain's DifferentiableLut in binary mode: a multilinear LUT that sees a bit as
/// 0.5 ± 0.25, batch norm over the frames with fixed γ and β, and a threshold at 0.5 whose gradient
/// is that of a clamp to `[0, 1]`.
#[derive(Debug, Clone)]
pub struct DifferentiableLut<'a> {
    /// The table `W`, `2^fan_in` entries.
    pub table: &'a [f64],
    /// γ of the batch norm; BinaryBrain's default is 0.3.
    pub gamma: f64,
    /// β of the batch norm; BinaryBrain's default is 0.5.
    pub beta: f64,
    /// How far a bit is from 0.5; BinaryBrain's default is 0.25.
    pub bias: f64,
}

/// What [`DifferentiableLut::backward`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeGradient {
    /// Gradient of the table.
    pub dtable: Vec<f64>,
    /// Gradient of the inputs: `[frame][input]`.
    pub dx: Vec<Vec<f64>>,
}

impl DifferentiableLut<'_> {
    /// The smoothed value `u` of every frame.
    fn smooth(&self, frames: &[Vec<bool>]) -> Vec<f64> {
        frames.iter().map(|frame| multilinear(self.table, &self.prepare(frame))).collect()
    }

    fn prepare(&self, frame: &[bool]) -> Vec<f64> {
        frame.iter().map(|&bit| if bit { 0.5 + self.bias } else { 0.5 - self.bias }).collect()
    }

    fn moments(u: &[f64]) -> (f64, f64) {
        let n = u.len() as f64;
        let mean = u.iter().sum::<f64>() / n;
        let variance = u.iter().map(|u| (u - mean) * (u - mean)).sum::<f64>() / n;
        (mean, variance.max(MIN_VARIANCE))
    }

    /// Output bit of every frame, from the statistics of these frames; and the mean and variance.
    pub fn forward(&self, frames: &[Vec<bool>]) -> (Vec<bool>, f64, f64) {
        let u = self.smooth(frames);
        let (mean, variance) = Self::moments(&u);
        let rstd = 1.0 / variance.sqrt();
        let y = u.iter().map(|u| (u - mean) * rstd * self.gamma + self.beta > 0.5).collect();
        (y, mean, variance)
    }

    /// Gradients, given that of every output:
    ///
    /// ```text
    /// v     = (u − mean)·rstd·γ + β        g = dy where 0 < v < 1, else 0
    /// dvar  = −rstd³ · Σ γ·g·(u − mean)
    /// dmean = (−rstd · Σ γ·g − mean·dvar) / frames
    /// du    = γ·g·rstd + dmean + u·dvar / frames
    /// ```
    pub fn backward(&self, frames: &[Vec<bool>], dy: &[f64]) -> NodeGradient {
        let u = self.smooth(frames);
        let n = u.len() as f64;
        let (mean, variance) = Self::moments(&u);
        let rstd = 1.0 / variance.sqrt();
        let gated = u.iter().zip(dy).map(|(u, &dy)| {
            let v = (u - mean) * rstd * self.gamma + self.beta;
            if v > 0.0 && v < 1.0 { self.gamma * dy } else { 0.0 }
        });
        let gated: Vec<f64> = gated.collect();
        let sum: f64 = gated.iter().sum();
        let product: f64 = gated.iter().zip(&u).map(|(g, u)| g * (u - mean)).sum();
        let dvar = -rstd.powi(3) * product;
        let dmean = (-rstd * sum - mean * dvar) / n;
        let mut gradient = NodeGradient { dtable: vec![0.0; self.table.len()], dx: Vec::new() };
        for ((frame, g), u) in frames.iter().zip(&gated).zip(&u) {
            let du = g * rstd + dmean + u * dvar / n;
            let (dw, dx) = multilinear_gradient(self.table, &self.prepare(frame));
            for (total, dw) in gradient.dtable.iter_mut().zip(dw) {
                *total += du * dw;
            }
            gradient.dx.push(dx.into_iter().map(|dx| dx * du).collect());
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    const CLOSE: f64 = 1e-6;

    #[test]
    fn gradient_is_the_slope_of_the_value() {
        let table: Vec<f64> = (0..16).map(|k| f64::from(k * 7 % 16) / 15.0).collect();
        let x = [0.2, 0.7, 0.4, 0.9];
        let (dw, dx) = multilinear_gradient(&table, &x);
        let slope = |value: &dyn Fn(f64) -> f64| (value(1e-5) - value(-1e-5)) / 2e-5;
        for k in 0..16 {
            let moved = |d: f64| {
                let mut table = table.clone();
                table[k] += d;
                multilinear(&table, &x)
            };
            assert_relative_eq!(dw[k], slope(&moved), max_relative = CLOSE, epsilon = 1e-9);
        }
        for j in 0..4 {
            let moved = |d: f64| {
                let mut x = x;
                x[j] += d;
                multilinear(&table, &x)
            };
            assert_relative_eq!(dx[j], slope(&moved), max_relative = CLOSE, epsilon = 1e-9);
        }
    }

    /// Numbers computed by hand from the formulas, with the defaults γ 0.3, β 0.5, bias 0.25.
    #[test]
    fn two_inputs_and_four_frames() {
        let node =
            DifferentiableLut { table: &[0.1, 0.4, 0.6, 0.9], gamma: 0.3, beta: 0.5, bias: 0.25 };
        let frames = [[false, false], [true, false], [false, true], [true, true]].map(Vec::from);
        let (y, mean, variance) = node.forward(&frames);
        assert_eq!(y, [false, false, true, true]);
        assert_relative_eq!(mean, 0.5, max_relative = CLOSE);
        assert_relative_eq!(variance, 0.02125, max_relative = CLOSE);
        let gradient = node.backward(&frames, &[1.0, 2.0, 3.0, 4.0]);
        let want = [0.030_264_46, -0.121_057_82, 0.121_057_82, -0.030_264_46];
        for (got, want) in gradient.dtable.iter().zip(want) {
            assert_relative_eq!(*got, want, max_relative = CLOSE);
        }
        let want = [
            [0.018_158_67, 0.030_264_46],
            [-0.072_634_69, -0.121_057_82],
            [0.072_634_69, 0.121_057_82],
            [-0.018_158_67, -0.030_264_46],
        ];
        for (got, want) in gradient.dx.iter().zip(want) {
            for (got, want) in got.iter().zip(want) {
                assert_relative_eq!(*got, want, max_relative = CLOSE);
            }
        }
    }
}
