//! Checks of layers that read several signals and give one.

use lutweave_tensor::FrameBuffer;

use crate::layer::Base;
use crate::{Error, Result, Site};

/// An error about one of the inputs.
pub(super) fn input_error(site: &Site<'_>, number: usize, expected: String) -> Error {
    let input = &site.inputs[number];
    Error::Input {
        layer: site.path.clone(),
        expected,
        got_dtype: input.dtype,
        got_shape: input.shape.clone(),
    }
}

/// Checks that batches are what a layer was built for, all of as many frames.
pub(super) fn check(base: &Base, x: &[&FrameBuffer]) -> Result<()> {
    if x.len() != base.inputs().len() {
        let what = format!("expected {} inputs, got {}", base.inputs().len(), x.len());
        return Err(base.state_error(what));
    }
    for (input, x) in base.inputs().iter().zip(x) {
        input.check(base.path(), x)?;
    }
    match x.iter().find(|other| other.frames() != x[0].frames()) {
        None => Ok(()),
        Some(other) => {
            let (expected, got) = (x[0].frames().to_string(), other.frames());
            Err(lutweave_tensor::Error::Frames { op: base.spec().kind(), expected, got }.into())
        }
    }
}

/// The gradient of the only output, if something learns from it.
pub(super) fn gradient<'a>(
    base: &Base,
    dy: &'a [Option<FrameBuffer>],
) -> Result<Option<&'a FrameBuffer>> {
    let [dy] = dy else {
        return Err(base.state_error(format!("expected one gradient, got {}", dy.len())));
    };
    if let Some(dy) = dy {
        base.check_gradient(dy)?;
    }
    Ok(dy.as_ref())
}
