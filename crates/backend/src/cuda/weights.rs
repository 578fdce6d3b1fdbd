//! Forms of weights.

use lutweave_kernels::WEIGHTS;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments, joined};
use super::operands::give;
use crate::weights::{WeightKernels, check_form};
use crate::{Form, Result};

/// Threads of a block, a number each.
const THREADS: u32 = 256;

/// A form as kernels take it.
pub(super) fn of_numbers(form: Form) -> [Argument; 4] {
    let (kind, (step, low, high)) = match form {
        Form::Real => (0u32, (1.0, 0.0, 0.0)),
        Form::Sign => (1, (1.0, 0.0, 0.0)),
        Form::Rounded(to) => (2, to.limits()),
        Form::Bit => (3, (1.0, 0.0, 0.0)),
    };
    *arguments![kind, step, low, high]
}

/// The form of rows, which may be of bits.
pub(super) fn of_rows(form: Form, x: &FrameBuffer) -> [Argument; 4] {
    if x.dtype() == DType::F32 {
        return of_numbers(form);
    }
    *arguments![4u32, 1.0f32, form.of_bit(false), form.of_bit(true)]
}

impl WeightKernels for Cuda {
    fn form_weights(
        &self,
        weights: &Array,
        form: Form,
        factor: f32,
        out: &mut Array,
    ) -> Result<()> {
        check_form(weights, out)?;
        if weights.is_empty() {
            return Ok(());
        }
        let (there, formed) = (self.input(weights)?, self.output(&*out)?);
        let (kernel, shape) = ("form_weights", each(weights)?);
        let operands = joined(&[
            arguments![&there, weights.len() as u64],
            &of_numbers(form),
            arguments![factor, &formed],
        ]);
        self.launch(&WEIGHTS, kernel, shape, &operands)?;
        give(out, formed);
        Ok(())
    }
}

/// A thread for each number.
fn each(weights: &Array) -> Result<Shape> {
    Shape::blocks([weights.len().div_ceil(THREADS as usize), 1, 1], THREADS)
}

#[cfg(feature = "cublas")]
impl Cuda {
    /// The straight-through gradient of signs: `gradient += of_form` where a weight is from −1 to 1.
    pub(super) fn pass_gradient(
        &self,
        weights: &Array,
        of_form: &super::memory::Buffer,
        gradient: &super::memory::Buffer,
    ) -> Result<()> {
        let (there, count) = (self.input(weights)?, weights.len() as u64);
        let all = arguments![&there, of_form, count, gradient];
        self.launch(&WEIGHTS, "pass_gradient", each(weights)?, all)
    }
}
