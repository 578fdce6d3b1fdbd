//! Modulation, one frame at a time.

use lutweave_tensor::{DType, FrameBuffer, rng};

use super::Reference;
use crate::Result;
use crate::check::check_dtype;
use crate::modulate::{
    ErrorEffect, Levels, ModulateKernels, Modulation, byte_code, check_bit_encode, check_errors,
    check_integrate, check_modulate, rate_limit, real_code, unit,
};

impl ModulateKernels for Reference {
    fn modulate(
        &self,
        x: &FrameBuffer,
        modulation: &Modulation,
        levels: Levels<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_modulate(x, modulation, levels, y)?;
        let (frames, depth) = (modulation.frames, modulation.depth);
        for node in 0..x.nodes() {
            let (channel, point) = (node / points, node % points);
            for d in 0..depth {
                let row = (channel * depth + d) * points + point;
                for frame in 0..x.frames() {
                    let value = match x.dtype() {
                        DType::U8 => f32::from(x.row::<u8>(node)?[frame]),
                        _ => x.row::<f32>(node)?[frame],
                    };
                    let part = modulation.part(value, d);
                    let mut error = 0.0;
                    for k in 0..frames {
                        let to = frame * frames + k;
                        if y.dtype() == DType::F32 {
                            y.row_mut::<f32>(row)?[to] = modulation.ramp(part, k);
                            continue;
                        }
                        let bit = match levels {
                            Levels::Ramp => modulation.ramp(part, k) > 0.5,
                            Levels::Given(given) => part > given.frame(x, frames, node, frame)[k],
                            Levels::Diffusion => {
                                let sum = unit(part) + error;
                                error = if sum > 0.5 { sum - 1.0 } else { sum };
                                sum > 0.5
                            }
                        };
                        set_bit(y, row, to, bit)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn integrate(&self, x: &FrameBuffer, frames: usize, y: &mut FrameBuffer) -> Result<()> {
        if x.dtype() != DType::Bit {
            check_dtype("integrate", "x", x, DType::F32)?;
        }
        let group = check_integrate("integrate", x, frames, y)?;
        let outputs = y.nodes();
        for output in 0..outputs {
            for frame in 0..y.frames() {
                let mut sum = 0f64;
                for node in (output..x.nodes()).step_by(outputs) {
                    for from in frame * frames..(frame + 1) * frames {
                        sum += match x.dtype() {
                            DType::Bit => f64::from(x.bit(node, from)?),
                            _ => f64::from(x.row::<f32>(node)?[from]),
                        };
                    }
                }
                y.row_mut::<f32>(output)?[frame] = (sum / (group * frames) as f64) as f32;
            }
        }
        Ok(())
    }

    fn integrate_backward(
        &self,
        dy: &FrameBuffer,
        frames: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "integrate backward";
        let group = check_integrate(op, dx, frames, dy)?;
        check_dtype(op, "dx", dx, DType::F32)?;
        for node in 0..dx.nodes() {
            for frame in 0..dx.frames() {
                let gradient = dy.row::<f32>(node % dy.nodes())?[frame / frames];
                dx.row_mut::<f32>(node)?[frame] = gradient / (group * frames) as f32;
            }
        }
        Ok(())
    }

    fn bit_encode(&self, x: &FrameBuffer, bits: usize, y: &mut FrameBuffer) -> Result<()> {
        check_bit_encode(x, bits, y)?;
        for node in 0..x.nodes() {
            for frame in 0..x.frames() {
                let code = match x.dtype() {
                    DType::U8 => byte_code(x.row::<u8>(node)?[frame], bits),
                    _ => real_code(x.row::<f32>(node)?[frame], bits),
                };
                for bit in 0..bits {
                    set_bit(y, bit * x.nodes() + node, frame, code >> bit & 1 == 1)?;
                }
            }
        }
        Ok(())
    }

    fn bit_errors(&self, seed: u64, rate: f64, errors: &mut FrameBuffer) -> Result<()> {
        check_dtype("bit errors", "errors", errors, DType::Bit)?;
        for node in 0..errors.nodes() {
            for frame in 0..errors.frames() {
                let mut stream = rng::stream(seed, &[node as u64, frame as u64 / 64]);
                let digits = (0..32).map(|_| rng::word(&mut stream) >> (frame % 64) & 1);
                let draw = digits.fold(0, |draw, digit| draw << 1 | digit);
                set_bit(errors, node, frame, draw < rate_limit(rate))?;
            }
        }
        Ok(())
    }

    fn apply_errors(
        &self,
        x: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_errors("apply errors", DType::Bit, x, errors, y)?;
        for node in 0..x.nodes() {
            for frame in 0..x.frames() {
                let bit = match (errors.bit(node, frame)?, effect) {
                    (false, _) => x.bit(node, frame)?,
                    (true, ErrorEffect::Flip) => !x.bit(node, frame)?,
                    (true, ErrorEffect::Clear) => false,
                };
                set_bit(y, node, frame, bit)?;
            }
        }
        Ok(())
    }

    fn apply_errors_backward(
        &self,
        dy: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        check_errors("apply errors backward", DType::F32, dy, errors, dx)?;
        for node in 0..dy.nodes() {
            for frame in 0..dy.frames() {
                let gradient = dy.row::<f32>(node)?[frame];
                dx.row_mut::<f32>(node)?[frame] = match (errors.bit(node, frame)?, effect) {
                    (false, _) => gradient,
                    (true, ErrorEffect::Flip) => -gradient,
                    (true, ErrorEffect::Clear) => 0.0,
                };
            }
        }
        Ok(())
    }
}

/// Writes one bit.
fn set_bit(y: &mut FrameBuffer, node: usize, frame: usize, bit: bool) -> Result<()> {
    let at = node * y.stride() + frame / 64;
    let word = &mut y.rows_mut::<u64>()?[at];
    *word = *word & !(1 << (frame % 64)) | u64::from(bit) << (frame % 64);
    Ok(())
}
