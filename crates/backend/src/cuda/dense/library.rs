//! The products of affine maps by cuBLAS: numbers get their forms before, and sums theirs after.

use lutweave_kernels::AFFINE;
use lutweave_tensor::{Array, FrameBuffer};

use super::NONE;
use crate::Result;
use crate::activation::{ActivationKernels, Window};
use crate::cuda::Cuda;
use crate::cuda::cublas::{Matrices, Product, Products};
use crate::cuda::device::{Shape, arguments, joined};
use crate::cuda::memory::Buffer;
use crate::cuda::operands::{count, give, stride};
use crate::cuda::weights::of_numbers;
use crate::dense::{Affine, Group};

/// Where gradients pass: from −1 to 1, both included.
const WINDOW: Window = Window { low: -1.0 - f32::EPSILON, high: 1.0 + f32::EPSILON, slope: 1.0 };

/// Rows of frames, as columns.
fn rows(buffer: &Buffer, nodes: usize, leading: usize) -> Matrices<'_> {
    Matrices { buffer, leading, group: nodes * leading, turned: false }
}

/// The weights of an output, as a column.
fn weights(buffer: &Buffer, group: Group, turned: bool) -> Matrices<'_> {
    Matrices { buffer, leading: group.inputs, group: group.outputs * group.inputs, turned }
}

impl Cuda {
    pub(super) fn forward_by(
        &self,
        products: &Products,
        x: &FrameBuffer,
        (map, group): (Affine<'_>, Group),
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let x = map.forms.inputs.of_rows(x, self)?;
        let formed = map.forms.weights.of_weights(map.weights, 1.0, self)?;
        let (there, out, own) = (self.input(&*x)?, self.output(y)?, self.input(&*formed)?);
        let product = Product {
            rows: x.frames(),
            columns: group.outputs,
            depth: group.inputs,
            a: rows(&there, group.inputs, y.stride()),
            b: weights(&own, group, false),
            c: rows(&out, group.outputs, y.stride()),
            adds: false,
            groups: map.groups,
        };
        products.multiply(self.memory.device(), &product)?;
        let bias = map.bias.map(|bias| self.input(bias)).transpose()?;
        let operands = joined(&[
            &[bias.as_ref().map_or(NONE.into(), Into::into)],
            &of_numbers(map.forms.bias()),
            &of_numbers(map.forms.outputs),
            arguments![count(y.nodes())?, count(y.frames())?, &out, stride(y)?],
        ]);
        let shape = Shape::rows(y.nodes(), y.stride())?;
        self.launch(&AFFINE, "affine_finish", shape, &operands)?;
        give(y, out);
        Ok(())
    }

    pub(super) fn backward_input_by(
        &self,
        products: &Products,
        (x, dy): (&FrameBuffer, &FrameBuffer),
        (map, group): (Affine<'_>, Group),
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let formed = map.forms.weights.of_weights(map.weights, map.forms.slope(x), self)?;
        // Padding, which the product leaves as it is, is zero.
        let (there, own) = (self.input(dy)?, self.input(&*formed)?);
        let out = self.memory.zeroed(dx.bytes())?;
        let product = Product {
            rows: dx.frames(),
            columns: group.inputs,
            depth: group.outputs,
            a: rows(&there, group.outputs, dx.stride()),
            b: weights(&own, group, true),
            c: rows(&out, group.inputs, dx.stride()),
            adds: false,
            groups: map.groups,
        };
        products.multiply(self.memory.device(), &product)?;
        give(dx, out);
        if !map.forms.has_input_window(x) {
            return Ok(());
        }
        let all = dx.clone();
        self.window_backward(x, &all, WINDOW, dx)
    }

    pub(super) fn backward_weights_by(
        &self,
        products: &Products,
        (x, dy): (&FrameBuffer, &FrameBuffer),
        (map, group): (Affine<'_>, Group),
        dweights: &mut Array,
    ) -> Result<()> {
        let x = map.forms.inputs.of_rows(x, self)?;
        let (there, dy_there) = (self.input(&*x)?, self.input(dy)?);
        let gradient = self.changed(&*dweights)?;
        let signs = map.forms.weights.has_window();
        let through = signs.then(|| self.output(&*dweights)).transpose()?;
        let out = through.as_ref().unwrap_or(&gradient);
        let product = Product {
            rows: group.inputs,
            columns: group.outputs,
            depth: x.frames(),
            a: Matrices { turned: true, ..rows(&there, group.inputs, x.stride()) },
            b: rows(&dy_there, group.outputs, x.stride()),
            c: weights(out, group, false),
            adds: through.is_none(),
            groups: map.groups,
        };
        products.multiply(self.memory.device(), &product)?;
        if let Some(of_signs) = &through {
            self.pass_gradient(map.weights, of_signs, &gradient)?;
        }
        give(dweights, gradient);
        Ok(())
    }
}
