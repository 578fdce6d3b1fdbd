//! Moving whole rows, that is, all frames of a node.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::{Error, Result};

/// Rows moved by a table: shuffling, up-sampling, slices, concatenation, cropping and padding are
/// tables for these two kernels.
///
/// `table[o]` is the row of the input that row `o` of the output reads, or [`NO_SOURCE`]. A row may
/// be read any number of times. The results are the same bits for every backend.
pub trait RowKernels {
    /// `y[o, f] = x[table[o], f]`, or `fill` where there is no source, for any element type.
    ///
    /// In bits, `fill` is 1 when above [`THRESHOLD`](lutweave_tensor::THRESHOLD); other types take
    /// the nearest value they have. Bits, u8 and f32 are moved by all threads, other types by one.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] unless `x` and `y` have one type, [`Error::Size`] where sizes do not agree,
    /// [`Error::Row`] for a row that `x` does not have.
    fn gather_rows(
        &self,
        x: &FrameBuffer,
        table: &[u32],
        fill: f64,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of [`gather_rows`](Self::gather_rows), added: `dx[table[o], f] += dy[o, f]`,
    /// in the order of `o`, for f32.
    ///
    /// # Errors
    ///
    /// As [`gather_rows`](Self::gather_rows).
    fn scatter_rows(&self, dy: &FrameBuffer, table: &[u32], dx: &mut FrameBuffer) -> Result<()>;
}

/// Checks rows of any type moved from one buffer to the other.
pub(crate) fn check_gather(x: &FrameBuffer, table: &[u32], y: &FrameBuffer) -> Result<()> {
    let op = "gather rows";
    check_rows(op, "y", y, x.dtype(), table.len(), x)?;
    check_table(op, table, x.nodes())
}

/// Checks gradients moved back.
pub(crate) fn check_scatter(dy: &FrameBuffer, table: &[u32], dx: &FrameBuffer) -> Result<()> {
    let op = "scatter rows";
    check_dtype(op, "dx", dx, DType::F32)?;
    check_rows(op, "dy", dy, DType::F32, table.len(), dx)?;
    check_table(op, table, dx.nodes())
}

/// Checks that a table has only rows there are, and few enough entries to number them.
pub(crate) fn check_table(op: &'static str, table: &[u32], rows: usize) -> Result<()> {
    check_size(op, "table", "entries", table.len().min(NO_SOURCE as usize), table.len())?;
    check_sources(op, table, 0, rows)
}

/// Checks part of a table that begins at entry `first`.
pub(crate) fn check_sources(
    op: &'static str,
    table: &[u32],
    first: usize,
    rows: usize,
) -> Result<()> {
    let limit = rows.min(NO_SOURCE as usize) as u32;
    let wrong = |&source: &u32| source >= limit && source != NO_SOURCE;
    // All entries without an early end, which is several times faster than a search.
    if !table.iter().fold(false, |any, source| any | wrong(source)) {
        return Ok(());
    }
    let entry = table.iter().position(wrong).unwrap_or_default();
    Err(Error::Row { op, entry: first + entry, row: table[entry] as usize, rows })
}
