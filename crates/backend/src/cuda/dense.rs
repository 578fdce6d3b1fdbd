//! Affine maps.

use lutweave_kernels::AFFINE;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use crate::Result;
use crate::check::check_size;
use crate::dense::{DenseKernels, Group, check_affine};

/// Rows and columns of results that a block computes.
const TILE: usize = 64;

/// Blocks over tiles of `rows` × `columns` results in each group.
fn tiles(rows: usize, columns: usize, groups: usize) -> Result<Shape> {
    Shape::blocks([columns.div_ceil(TILE), rows.div_ceil(TILE), groups], 256)
}

impl DenseKernels for Cuda {
    fn affine_forward(
        &self,
        x: &FrameBuffer,
        weights: &Array,
        bias: &Array,
        groups: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "affine forward";
        let Group { inputs, outputs } = check_affine(op, ("x", x), ("y", y), weights, groups)?;
        check_size(op, "bias", "values", y.nodes(), bias.len())?;
        let (there, out) = (self.input(x)?, self.output(y)?);
        let (weights, bias) = (self.input(weights)?, self.input(bias)?);
        self.launch(
            &AFFINE,
            "affine_forward",
            tiles(outputs, y.stride(), groups)?,
            arguments![
                &there,
                stride(x)?,
                &weights,
                &bias,
                count(inputs)?,
                count(outputs)?,
                count(x.frames())?,
                &out,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn affine_backward_input(
        &self,
        dy: &FrameBuffer,
        weights: &Array,
        groups: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "affine backward input";
        let Group { inputs, outputs } = check_affine(op, ("dx", dx), ("dy", dy), weights, groups)?;
        let (there, out) = (self.input(dy)?, self.output(dx)?);
        let weights = self.input(weights)?;
        self.launch(
            &AFFINE,
            "affine_backward_input",
            tiles(inputs, dx.stride(), groups)?,
            arguments![
                &there,
                stride(dy)?,
                &weights,
                count(inputs)?,
                count(outputs)?,
                count(dy.frames())?,
                &out,
            ],
        )?;
        give(dx, out);
        Ok(())
    }

    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        groups: usize,
        dweights: &mut Array,
        dbias: &mut Array,
    ) -> Result<()> {
        let op = "affine backward weights";
        let Group { inputs, outputs } = check_affine(op, ("x", x), ("dy", dy), dweights, groups)?;
        check_size(op, "dbias", "values", dy.nodes(), dbias.len())?;
        let (x_there, dy_there) = (self.input(x)?, self.input(dy)?);
        let (weights, bias) = (self.changed(dweights)?, self.changed(dbias)?);
        let frames = count(x.frames())?;
        self.launch(
            &AFFINE,
            "affine_backward_weights",
            tiles(outputs, inputs, groups)?,
            arguments![
                &x_there,
                &dy_there,
                stride(x)?,
                count(inputs)?,
                count(outputs)?,
                frames,
                &weights,
            ],
        )?;
        self.launch(
            &AFFINE,
            "affine_backward_bias",
            Shape::blocks([dy.nodes(), 1, 1], 32)?,
            arguments![&dy_there, stride(dy)?, frames, &bias],
        )?;
        give(dweights, weights);
        give(dbias, bias);
        Ok(())
    }
}
