//! Affine maps.

use lutweave_kernels::AFFINE;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
#[cfg(feature = "cublas")]
use super::cublas::{Matrices, Product};
use super::device::{Shape, arguments};
#[cfg(feature = "cublas")]
use super::memory::Buffer;
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

/// The sizes of a group, and how far apart rows of frames are.
#[cfg(feature = "cublas")]
struct Rows {
    inputs: usize,
    outputs: usize,
    stride: usize,
}

#[cfg(feature = "cublas")]
impl Rows {
    /// Rows of frames, as columns.
    fn of<'a>(&self, buffer: &'a Buffer, nodes: usize) -> Matrices<'a> {
        let leading = self.stride;
        Matrices { buffer, leading, group: nodes * leading, turned: false }
    }

    /// The weights of an output, as a column.
    fn weights<'a>(&self, buffer: &'a Buffer, turned: bool) -> Matrices<'a> {
        let leading = self.inputs;
        Matrices { buffer, leading, group: self.outputs * leading, turned }
    }
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
        #[cfg(feature = "cublas")]
        if let Some(products) = &self.products {
            self.launch(
                &AFFINE,
                "fill_bias",
                Shape::rows(y.nodes(), y.stride())?,
                arguments![&bias, count(y.nodes())?, count(y.frames())?, &out, stride(y)?],
            )?;
            let (rows, weights) = (Rows { inputs, outputs, stride: y.stride() }, &*weights);
            let product = Product {
                rows: x.frames(),
                columns: outputs,
                depth: inputs,
                a: rows.of(&there, inputs),
                b: rows.weights(weights, false),
                c: rows.of(&out, outputs),
                adds: true,
                groups,
            };
            products.multiply(self.memory.device(), &product)?;
            give(y, out);
            return Ok(());
        }
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
        let weights = self.input(weights)?;
        #[cfg(feature = "cublas")]
        if let Some(products) = &self.products {
            let (there, out) = (self.input(dy)?, self.memory.zeroed(dx.bytes())?);
            let rows = Rows { inputs, outputs, stride: dx.stride() };
            let product = Product {
                rows: dx.frames(),
                columns: inputs,
                depth: outputs,
                a: rows.of(&there, outputs),
                b: rows.weights(&weights, true),
                c: rows.of(&out, inputs),
                adds: false,
                groups,
            };
            products.multiply(self.memory.device(), &product)?;
            give(dx, out);
            return Ok(());
        }
        let (there, out) = (self.input(dy)?, self.output(dx)?);
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
        let by_library = {
            #[cfg(feature = "cublas")]
            {
                let rows = Rows { inputs, outputs, stride: x.stride() };
                let product = Product {
                    rows: inputs,
                    columns: outputs,
                    depth: x.frames(),
                    a: Matrices { turned: true, ..rows.of(&x_there, inputs) },
                    b: rows.of(&dy_there, outputs),
                    c: rows.weights(&weights, false),
                    adds: true,
                    groups,
                };
                let products = self.products.as_ref();
                let done = products.map(|by| by.multiply(self.memory.device(), &product));
                done.transpose()?.is_some()
            }
            #[cfg(not(feature = "cublas"))]
            false
        };
        if !by_library {
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
        }
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
