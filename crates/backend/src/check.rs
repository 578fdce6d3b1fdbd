//! Checks of operands, shared by all backends.

use lutweave_tensor::{DType, FrameBuffer};

use crate::{Error, Result};

/// Checks a buffer with one row per node and as many frames as `x`.
pub(crate) fn check_rows(
    op: &'static str,
    operand: &'static str,
    buffer: &FrameBuffer,
    dtype: DType,
    nodes: usize,
    x: &FrameBuffer,
) -> Result<()> {
    check_dtype(op, operand, buffer, dtype)?;
    check_size(op, operand, "nodes", nodes, buffer.nodes())?;
    check_size(op, operand, "frames", x.frames(), buffer.frames())
}

pub(crate) fn check_size(
    op: &'static str,
    operand: &'static str,
    unit: &'static str,
    expected: usize,
    got: usize,
) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Size { op, operand, unit, expected, got }) }
}

pub(crate) fn check_dtype(
    op: &'static str,
    operand: &'static str,
    buffer: &FrameBuffer,
    expected: DType,
) -> Result<()> {
    let got = buffer.dtype();
    if expected == got { Ok(()) } else { Err(Error::DType { op, operand, expected, got }) }
}
