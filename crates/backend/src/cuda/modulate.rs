//! Modulation, integration, codes and bit errors.

use lutweave_kernels::{BITS, MODULATE};
use lutweave_tensor::{DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::check::check_dtype;
use crate::modulate::{
    ErrorEffect, Levels, ModulateKernels, Modulation, check_bit_encode, check_errors,
    check_integrate, check_modulate, rate_limit,
};

/// The kernel for numbers of the type of `x`.
fn of(kernel: &str, x: &FrameBuffer) -> String {
    let kind = match x.dtype() {
        DType::U8 => "bytes",
        DType::Bit => "bits",
        _ => "reals",
    };
    format!("{kernel}_{kind}")
}

impl ModulateKernels for Cuda {
    fn modulate(
        &self,
        x: &FrameBuffer,
        modulation: &Modulation,
        levels: Levels<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let points = check_modulate(x, modulation, levels, y)?;
        let Modulation { frames, depth, low, high } = *modulation;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let (x_frames, frames, depth) = (count(x.frames())?, count(frames)?, count(depth)?);
        let (points, rows) = (count(points)?, count(y.nodes())?);
        let shape = Shape::rows(y.nodes(), stride(y)? as usize)?;
        if y.dtype() == DType::F32 {
            let arguments = arguments![
                &there,
                stride(x)?,
                x_frames,
                frames,
                depth,
                points,
                low,
                high,
                rows,
                &out,
                stride(y)?,
            ];
            self.launch(&MODULATE, &of("ramps", x), shape, arguments)?;
        } else {
            let (kind, values, per_node, per_frame) = match levels {
                Levels::Ramp => (0u32, &[][..], false, false),
                Levels::Given(given) => (1, given.values, given.per_node, given.per_frame),
                Levels::Diffusion => (2, &[][..], false, false),
            };
            let thresholds = self.memory.send(values)?;
            let node_step = if per_node { values.len() / x.nodes() } else { 0 };
            let arguments = arguments![
                &there,
                stride(x)?,
                x_frames,
                frames,
                depth,
                points,
                low,
                high,
                kind,
                &thresholds,
                node_step as u64,
                u32::from(per_frame),
                rows,
                &out,
                stride(y)?,
            ];
            self.launch(&MODULATE, &of("modulate", x), shape, arguments)?;
        }
        give(y, out);
        Ok(())
    }

    fn integrate(&self, x: &FrameBuffer, frames: usize, y: &mut FrameBuffer) -> Result<()> {
        if x.dtype() != DType::Bit {
            check_dtype("integrate", "x", x, DType::F32)?;
        }
        check_integrate("integrate", x, frames, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        self.launch(
            &MODULATE,
            &of("integrate", x),
            Shape::rows(y.nodes(), y.stride())?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                count(frames)?,
                count(y.nodes())?,
                count(y.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
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
        let (there, out) = (self.input(dy)?, self.output(dx)?);
        self.launch(
            &MODULATE,
            "integrate_backward",
            Shape::rows(dx.nodes(), dx.stride())?,
            arguments![
                &there,
                stride(dy)?,
                count(dy.nodes())?,
                count(dy.frames())?,
                count(frames)?,
                (group * frames) as f32,
                count(dx.nodes())?,
                &out,
                stride(dx)?,
            ],
        )?;
        give(dx, out);
        Ok(())
    }

    fn bit_encode(&self, x: &FrameBuffer, bits: usize, y: &mut FrameBuffer) -> Result<()> {
        check_bit_encode(x, bits, y)?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        self.launch(
            &BITS,
            &of("bit_encode", x),
            Shape::rows(x.nodes(), stride(y)? as usize * 32)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                count(x.frames())?,
                count(bits)?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn bit_errors(&self, seed: u64, rate: f64, errors: &mut FrameBuffer) -> Result<()> {
        check_dtype("bit errors", "errors", errors, DType::Bit)?;
        let out = self.output(errors)?;
        let words = errors.stride(); // of 64 frames here
        self.launch(
            &BITS,
            "bit_errors",
            Shape::rows(errors.nodes(), words)?,
            arguments![
                seed,
                rate_limit(rate),
                count(errors.nodes())?,
                count(errors.frames())?,
                &out,
                count(words)?,
            ],
        )?;
        give(errors, out);
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
        let (there, wrong, out) = (self.input(x)?, self.input(errors)?, self.output(y)?);
        let clear = u32::from(effect == ErrorEffect::Clear);
        self.launch(
            &BITS,
            "apply_errors",
            Shape::rows(y.nodes(), stride(y)? as usize)?,
            arguments![&there, &wrong, clear, count(y.nodes())?, &out, stride(y)?],
        )?;
        give(y, out);
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
        let (there, wrong, out) = (self.input(dy)?, self.input(errors)?, self.output(dx)?);
        let clear = u32::from(effect == ErrorEffect::Clear);
        self.launch(
            &BITS,
            "apply_errors_backward",
            Shape::rows(dx.nodes(), dx.stride())?,
            arguments![
                &there,
                &wrong,
                stride(errors)?,
                clear,
                count(dx.nodes())?,
                count(dx.frames())?,
                &out,
                stride(dx)?,
            ],
        )?;
        give(dx, out);
        Ok(())
    }
}
