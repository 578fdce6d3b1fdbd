//! Lowering of images and its inverse.

use std::ops::Range;

use lutweave_kernels as kernels;
use lutweave_tensor::{DType, FrameBuffer, THRESHOLD};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give, stride};
use super::tables::Kind;
use crate::Result;
use crate::window::{WindowKernels, check_gradient, check_lower, check_raise};

impl WindowKernels for Cuda {
    fn lower(
        &self,
        x: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        border: f32,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let all = check_lower("lower", x, sources, &positions, y)?;
        let (table, there, out) = (self.table(sources)?, self.input(x)?, self.output(y)?);
        let (kernel, border): (_, Argument) = match x.dtype() {
            DType::Bit => ("lower_bits", u32::from(f64::from(border) > THRESHOLD).into()),
            _ => ("lower_reals", border.into()),
        };
        self.launch(
            &kernels::WINDOW,
            kernel,
            Shape::rows(y.nodes(), stride(y)? as usize)?,
            arguments![
                &there,
                stride(x)?,
                count(x.frames())?,
                &table.first,
                count(all)?,
                count(positions.start)?,
                count(positions.len())?,
                border,
                count(y.nodes())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn lower_backward(
        &self,
        dy: &FrameBuffer,
        sources: &[u32],
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "lower backward";
        check_gradient(op, dx)?;
        let all = check_lower(op, dx, sources, &positions, dy)?;
        count(dy.frames())?;
        let (start, end) = (positions.start, positions.end);
        let kind = Kind::Entries { sources: dx.nodes(), parts: all, step: dx.frames(), start, end };
        let (readers, there) = (self.prepared(sources, kind)?, self.input(dy)?);
        self.gather_gradients(&readers, None, (&there, stride(dy)?), dx)
    }

    fn raise(&self, x: &FrameBuffer, positions: Range<usize>, y: &mut FrameBuffer) -> Result<()> {
        let all = check_raise("raise", x, &positions, y)?;
        // The rows of other positions stay.
        let there = self.input(x)?;
        let out = if positions.len() == all { self.output(y)?.into() } else { self.changed(y)? };
        let kernel = if x.dtype() == DType::Bit { "raise_bits" } else { "raise_reals" };
        let rows = x.nodes() * positions.len();
        self.launch(
            &kernels::WINDOW,
            kernel,
            Shape::rows(rows, stride(y)? as usize)?,
            arguments![
                &there,
                stride(x)?,
                count(y.frames())?,
                count(all)?,
                count(positions.start)?,
                count(positions.len())?,
                count(rows)?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn raise_backward(
        &self,
        dy: &FrameBuffer,
        positions: Range<usize>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "raise backward";
        check_gradient(op, dy)?;
        let all = check_raise(op, dx, &positions, dy)?;
        let (there, out) = (self.input(dy)?, self.output(dx)?);
        self.launch(
            &kernels::WINDOW,
            "raise_backward",
            Shape::rows(dx.nodes(), dx.stride())?,
            arguments![
                &there,
                stride(dy)?,
                count(dy.frames())?,
                count(all)?,
                count(positions.start)?,
                count(positions.len())?,
                count(dx.nodes())?,
                &out,
                stride(dx)?,
            ],
        )?;
        give(dx, out);
        Ok(())
    }
}
