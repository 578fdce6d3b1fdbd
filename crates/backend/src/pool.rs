//! Pooling: one output for a window of rows.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::rows::check_table;
use crate::{Error, Result};

/// Pooling over windows that are given as a table, `[outputs][taps]`: tap `k` of output `o` is row
/// `windows[o · taps + k]` of `x`, or is missing ([`NO_SOURCE`]). A row may be in any number of
/// windows. [`Window::taps`](lutweave_lut::Window::taps) gives those of an image.
///
/// Every backward kernel **adds** to `dx`, in the order of the outputs. Results of
/// [`max_pool`](Self::max_pool) and of anything on bits are the same for every backend.
pub trait PoolKernels {
    /// The largest value of each window; of bits, their OR.
    ///
    /// Of several that are largest the first counts. NaN is larger than nothing, and nothing than
    /// NaN: it is the result only where it is the first tap.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] unless `x` and `y` are both of bits or f32, [`Error::Size`] where sizes do
    /// not agree, [`Error::Row`] for a row that `x` does not have, [`Error::EmptyWindow`] for a
    /// window of which every tap is missing.
    fn max_pool(&self, x: &FrameBuffer, windows: &[u32], y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`max_pool`](Self::max_pool): `dy` goes to the tap that counted; of bits, to
    /// the first that is 1, and nowhere when there is none.
    ///
    /// # Errors
    ///
    /// As [`max_pool`](Self::max_pool), for f32 `dy` and `dx`.
    fn max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// The sum of each window over a [`Divisor`]; `x` is of f32 or of bits, which count as 0 and 1,
    /// `y` of f32.
    ///
    /// # Errors
    ///
    /// As [`max_pool`](Self::max_pool).
    fn average_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        divisor: Divisor,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of [`average_pool`](Self::average_pool): `dy` over the divisor, to every tap.
    ///
    /// # Errors
    ///
    /// As [`max_pool`](Self::max_pool), for f32.
    fn average_pool_backward(
        &self,
        windows: &[u32],
        divisor: Divisor,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// The probability that at least one of independent taps is 1: `1 − Π (1 − x)`; of bits, their
    /// OR.
    ///
    /// # Errors
    ///
    /// As [`max_pool`](Self::max_pool).
    fn stochastic_max_pool(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of [`stochastic_max_pool`](Self::stochastic_max_pool): `dy · Π (1 − x)` over
    /// the other taps of the window, for a bit as for the number 0 or 1.
    ///
    /// # Errors
    ///
    /// As [`max_pool`](Self::max_pool), for f32 `dy` and `dx`.
    fn stochastic_max_pool_backward(
        &self,
        x: &FrameBuffer,
        windows: &[u32],
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()>;
}

/// What the sum of a window is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Divisor {
    /// All its taps, also where some are missing.
    #[default]
    Taps,
    /// The taps that are there.
    Present,
}

impl Divisor {
    /// One over the divisor of a window, which has at least one tap.
    pub(crate) fn scale(self, window: &[u32]) -> f32 {
        let taps = match self {
            Self::Taps => window.len(),
            Self::Present => window.iter().filter(|&&row| row != NO_SOURCE).count(),
        };
        1.0 / taps as f32
    }
}

/// Checks the operands of pooling without backward; returns the taps of a window.
pub(crate) fn check_pool(
    op: &'static str,
    x: &FrameBuffer,
    windows: &[u32],
    y: &FrameBuffer,
    y_type: DType,
) -> Result<usize> {
    if x.dtype() != DType::Bit {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_rows(op, "y", y, y_type, y.nodes(), x)?;
    check_windows(op, windows, y.nodes(), x.nodes())
}

/// Checks the operands of a gradient of pooling; returns the taps of a window.
pub(crate) fn check_pool_backward(
    op: &'static str,
    x: &FrameBuffer,
    windows: &[u32],
    dy: &FrameBuffer,
    dx: &FrameBuffer,
) -> Result<usize> {
    check_rows(op, "dx", dx, DType::F32, x.nodes(), x)?;
    check_pool(op, x, windows, dy, DType::F32)
}

/// Checks windows; returns the taps of each.
pub(crate) fn check_windows(
    op: &'static str,
    windows: &[u32],
    outputs: usize,
    rows: usize,
) -> Result<usize> {
    let taps = (windows.len() / outputs).max(1);
    check_size(op, "windows", "entries", outputs.saturating_mul(taps), windows.len())?;
    check_table(op, windows, rows)?;
    let empty = |window: &[u32]| window.iter().all(|&row| row == NO_SOURCE);
    match windows.chunks_exact(taps).position(empty) {
        None => Ok(taps),
        Some(window) => Err(Error::EmptyWindow { op, window }),
    }
}
