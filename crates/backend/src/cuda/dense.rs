//! Affine maps.

#[cfg(feature = "cublas")]
mod library;

use lutweave_kernels::AFFINE;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments, joined};
use super::operands::{count, give, stride};
use super::weights::{of_numbers, of_rows};
use crate::Result;
use crate::dense::{
    Affine, DenseKernels, Group, check_backward_input, check_backward_weights, check_forward,
};

/// Rows and columns of results that a block computes.
const TILE: usize = 64;
/// No pointer.
const NONE: u64 = 0;

/// Blocks over tiles of `rows` × `columns` results in each group.
fn tiles(rows: usize, columns: usize, groups: usize) -> Result<Shape> {
    Shape::blocks([columns.div_ceil(TILE), rows.div_ceil(TILE), groups], 256)
}

impl DenseKernels for Cuda {
    fn affine_forward(&self, x: &FrameBuffer, map: Affine<'_>, y: &mut FrameBuffer) -> Result<()> {
        let group = check_forward(x, map, y)?;
        #[cfg(feature = "cublas")]
        if let Some(products) = &self.products {
            return self.forward_by(products, x, (map, group), y);
        }
        let Group { inputs, outputs } = group;
        let (there, out, weights) = (self.input(x)?, self.output(y)?, self.input(map.weights)?);
        let bias = map.bias.map(|bias| self.input(bias)).transpose()?;
        let forms = map.forms;
        let operands = joined(&[
            arguments![&there, stride(x)?],
            &of_rows(forms.inputs, x),
            arguments![&weights],
            &of_numbers(forms.weights),
            &[bias.as_ref().map_or(NONE.into(), Into::into)],
            &of_numbers(forms.bias()),
            &of_numbers(forms.outputs),
            arguments![count(inputs)?, count(outputs)?, count(x.frames())?, &out, stride(y)?],
        ]);
        let shape = tiles(outputs, y.stride(), map.groups)?;
        self.launch(&AFFINE, "affine_forward", shape, &operands)?;
        give(y, out);
        Ok(())
    }

    fn affine_backward_input(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let group = check_backward_input(x, dy, map, dx)?;
        #[cfg(feature = "cublas")]
        if let Some(products) = &self.products {
            return self.backward_input_by(products, (x, dy), (map, group), dx);
        }
        let Group { inputs, outputs } = group;
        let (there, out, weights) = (self.input(dy)?, self.output(dx)?, self.input(map.weights)?);
        let window = map.forms.has_input_window(x).then(|| self.input(x)).transpose()?;
        let operands = joined(&[
            arguments![&there, stride(dy)?, &weights],
            &of_numbers(map.forms.weights),
            arguments![map.forms.slope(x)],
            &[window.as_ref().map_or(NONE.into(), Into::into)],
            arguments![count(inputs)?, count(outputs)?, count(dy.frames())?, &out],
        ]);
        let shape = tiles(inputs, dx.stride(), map.groups)?;
        self.launch(&AFFINE, "affine_backward_input", shape, &operands)?;
        give(dx, out);
        Ok(())
    }

    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dweights: &mut Array,
        dbias: Option<&mut Array>,
    ) -> Result<()> {
        let group = check_backward_weights(x, dy, map, dweights, dbias.as_deref())?;
        let dy_there = self.input(dy)?;
        if let Some(dbias) = dbias {
            let out = self.changed(&*dbias)?;
            let all = arguments![&dy_there, stride(dy)?, count(dy.frames())?, &out];
            let shape = Shape::blocks([dy.nodes(), 1, 1], 32)?;
            self.launch(&AFFINE, "affine_backward_bias", shape, all)?;
            give(dbias, out);
        }
        #[cfg(feature = "cublas")]
        if let Some(products) = &self.products {
            return self.backward_weights_by(products, (x, dy), (map, group), dweights);
        }
        let Group { inputs, outputs } = group;
        let (there, out) = (self.input(x)?, self.changed(&*dweights)?);
        let window = map.forms.weights.has_window().then(|| self.input(map.weights)).transpose()?;
        let operands = joined(&[
            arguments![&there, stride(x)?],
            &of_rows(map.forms.inputs, x),
            arguments![&dy_there, stride(dy)?],
            &[window.as_ref().map_or(NONE.into(), Into::into)],
            arguments![count(inputs)?, count(outputs)?, count(x.frames())?, &out],
        ]);
        let shape = tiles(outputs, inputs, map.groups)?;
        self.launch(&AFFINE, "affine_backward_weights", shape, &operands)?;
        give(dweights, out);
        Ok(())
    }
}
