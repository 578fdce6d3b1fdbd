//! Pooling, one frame at a time.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer};

use super::Reference;
use super::window::{read, write};
use crate::Result;
use crate::check::check_dtype;
use crate::pool::{Divisor, PoolKernels, check_pool, check_pool_backward};

impl PoolKernels for Reference {
    fn max_pool(&self, x: &FrameBuffer, windows: &[u32], y: &mut FrameBuffer) -> Result<()> {
        let taps = check_pool("max pool", x, windows, y, x.dtype())?;
        for (output, window) in windows.chunks(taps).enumerate() {
            for frame in 0..x.frames() {
                let values = present(x, window, frame)?;
                write(y, output, frame, values[first_maximum(&values)].1)?;
            }
        }
        Ok(())
    }

    fn max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool_backward("max pool backward", x, windows, dy, dx)?;
        for (output, window) in windows.chunks(taps).enumerate() {
            for frame in 0..x.frames() {
                let values = present(x, window, frame)?;
                let (row, value) = values[first_maximum(&values)];
                if x.dtype() == DType::F32 || value > 0.0 {
                    dx.row_mut::<f32>(row)?[frame] += dy.row::<f32>(output)?[frame];
                }
            }
        }
        Ok(())
    }

    fn average_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        divisor: Divisor,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("average pool", x, windows, y, DType::F32)?;
        for (output, window) in windows.chunks(taps).enumerate() {
            for frame in 0..x.frames() {
                let values = present(x, window, frame)?;
                let sum: f64 = values.iter().map(|&(_, value)| f64::from(value)).sum();
                let divisor = match divisor {
                    Divisor::Taps => taps,
                    Divisor::Present => values.len(),
                };
                y.row_mut::<f32>(output)?[frame] = (sum / divisor as f64) as f32;
            }
        }
        Ok(())
    }

    fn average_pool_backward(
        &self,
        windows: &[u32],
        divisor: Divisor,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "average pool backward";
        check_dtype(op, "dx", dx, DType::F32)?;
        let taps = check_pool(op, dx, windows, dy, DType::F32)?;
        for (output, window) in windows.chunks(taps).enumerate() {
            let scale = divisor.scale(window);
            for &row in window.iter().filter(|&&row| row != NO_SOURCE) {
                let dy = dy.row::<f32>(output)?;
                for (dx, dy) in dx.row_mut::<f32>(row as usize)?.iter_mut().zip(dy) {
                    *dx += dy * scale;
                }
            }
        }
        Ok(())
    }

    fn stochastic_max_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let taps = check_pool("stochastic max pool", x, windows, y, x.dtype())?;
        for (output, window) in windows.chunks(taps).enumerate() {
            for frame in 0..x.frames() {
                let values = present(x, window, frame)?;
                write(y, output, frame, (1.0 - none(&values, None)) as f32)?;
            }
        }
        Ok(())
    }

    fn stochastic_max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "stochastic max pool backward";
        let taps = check_pool_backward(op, x, windows, dy, dx)?;
        for (output, window) in windows.chunks(taps).enumerate() {
            for frame in 0..x.frames() {
                let values = present(x, window, frame)?;
                let g = f64::from(dy.row::<f32>(output)?[frame]);
                for (tap, &(row, _)) in values.iter().enumerate() {
                    let dx = &mut dx.row_mut::<f32>(row)?[frame];
                    *dx = (f64::from(*dx) + g * none(&values, Some(tap))) as f32;
                }
            }
        }
        Ok(())
    }
}

/// The taps of a window that are there: row and value.
fn present(x: &FrameBuffer, window: &[u32], frame: usize) -> Result<Vec<(usize, f32)>> {
    let rows = window.iter().filter(|&&row| row != NO_SOURCE);
    rows.map(|&row| Ok((row as usize, read(x, row as usize, frame)?))).collect()
}

fn first_maximum(values: &[(usize, f32)]) -> usize {
    let mut best = 0;
    for (tap, (_, value)) in values.iter().enumerate() {
        if *value > values[best].1 {
            best = tap;
        }
    }
    best
}

/// The probability that no tap is 1, one of them left out.
fn none(values: &[(usize, f32)], without: Option<usize>) -> f64 {
    let others = values.iter().enumerate().filter(|(tap, _)| Some(*tap) != without);
    others.map(|(_, (_, value))| 1.0 - f64::from(*value)).product()
}
