//! Activations, one element at a time.

use lutweave_tensor::{DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::activation::{
    ActivationKernels, FixedPoint, TwoLevels, Window, check_clamp, check_dropout, check_levels,
    check_same,
};

/// Writes a function of each element of two buffers.
fn each(
    a: &FrameBuffer,
    b: &FrameBuffer,
    y: &mut FrameBuffer,
    f: impl Fn(f32, f32) -> f32,
) -> Result<()> {
    for node in 0..y.nodes() {
        let pairs = a.row::<f32>(node)?.iter().zip(b.row::<f32>(node)?);
        for (y, (&a, &b)) in y.row_mut::<f32>(node)?.iter_mut().zip(pairs) {
            *y = f(a, b);
        }
    }
    Ok(())
}

/// Writes, for each point and frame, a function of its channels of two buffers.
fn each_point(
    a: &FrameBuffer,
    b: &FrameBuffer,
    y: &mut FrameBuffer,
    f: impl Fn(&[f64], &[f64]) -> Vec<f64>,
) -> Result<()> {
    let channels = a.shape()[0];
    let points = a.nodes() / channels;
    for point in 0..points {
        let nodes = || (point..a.nodes()).step_by(points);
        for frame in 0..a.frames() {
            let column = |x: &FrameBuffer| -> Result<Vec<f64>> {
                nodes().map(|node| Ok(f64::from(x.row::<f32>(node)?[frame]))).collect()
            };
            for (node, value) in nodes().zip(f(&column(a)?, &column(b)?)) {
                y.row_mut::<f32>(node)?[frame] = value as f32;
            }
        }
    }
    Ok(())
}

impl ActivationKernels for Reference {
    fn binarize(&self, x: &FrameBuffer, threshold: f32, y: &mut FrameBuffer) -> Result<()> {
        check_same("binarize", ("x", x), &[("y", y, DType::Bit)])?;
        let stride = y.stride();
        y.rows_mut::<u64>()?.fill(0);
        for node in 0..x.nodes() {
            for (frame, &value) in x.row::<f32>(node)?.iter().enumerate() {
                let bit = u64::from(value > threshold);
                y.rows_mut::<u64>()?[node * stride + frame / 64] |= bit << (frame % 64);
            }
        }
        Ok(())
    }

    fn levels(&self, x: &FrameBuffer, levels: TwoLevels, y: &mut FrameBuffer) -> Result<()> {
        check_levels(x, y)?;
        for node in 0..x.nodes() {
            for frame in 0..x.frames() {
                let above = match x.dtype() {
                    DType::Bit => x.bit(node, frame)?,
                    _ => x.row::<f32>(node)?[frame] > levels.threshold,
                };
                y.row_mut::<f32>(node)?[frame] = if above { levels.high } else { levels.low };
            }
        }
        Ok(())
    }

    fn clamp(&self, x: &FrameBuffer, low: f32, high: f32, y: &mut FrameBuffer) -> Result<()> {
        check_clamp(x, low, high, y)?;
        each(x, x, y, |x, _| x.clamp(low, high))
    }

    fn window_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        window: Window,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("window backward", ("x", x), &others)?;
        let Window { low, high, slope } = window;
        each(x, dy, dx, |x, dy| if x > low && x < high { slope * dy } else { 0.0 })
    }

    fn sigmoid(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("sigmoid", ("x", x), &[("y", y, DType::F32)])?;
        each(x, x, y, |x, _| (1.0 / (1.0 + (-f64::from(x)).exp())) as f32)
    }

    fn sigmoid_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("sigmoid backward", ("y", y), &others)?;
        each(y, dy, dx, |y, dy| dy * (1.0 - y) * y)
    }

    fn softmax(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()> {
        check_same("softmax", ("x", x), &[("y", y, DType::F32)])?;
        each_point(x, x, y, |x, _| {
            let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = x.iter().map(|x| (x - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        })
    }

    fn softmax_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let others = [("dy", dy, DType::F32), ("dx", &*dx, DType::F32)];
        check_same("softmax backward", ("y", y), &others)?;
        each_point(y, dy, dx, |y, dy| {
            let mean: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            y.iter().zip(dy).map(|(y, dy)| (dy - mean) * y).collect()
        })
    }

    fn quantise(&self, x: &FrameBuffer, to: FixedPoint, y: &mut FrameBuffer) -> Result<()> {
        check_same("quantise", ("x", x), &[("y", y, DType::F32)])?;
        each(x, x, y, |x, _| to.round(x))
    }

    fn dropout(
        &self,
        x: &FrameBuffer,
        dropped: &FrameBuffer,
        scale: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let each_frame = check_dropout(x, dropped, y)?;
        for node in 0..x.nodes() {
            for frame in 0..x.frames() {
                let gone = dropped.bit(node, if each_frame { frame } else { 0 })?;
                let value = scale * x.row::<f32>(node)?[frame];
                y.row_mut::<f32>(node)?[frame] = if gone { 0.0 } else { value };
            }
        }
        Ok(())
    }
}
