//! The table kernels: what every layer of look-up tables on bits trains through.

use lutweave_lut::Wiring;
use lutweave_tensor::{DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_size};

/// Training of look-up tables on packed bits.
///
/// A node with `n` inputs only ever sees `2^n` input patterns, so whatever its model is, four
/// kernels connect its values with the frames of a batch:
///
/// | | per node |
/// |---|---|
/// | [`pattern_counts`](Self::pattern_counts) | how many frames show pattern `k` |
/// | [`table_forward`](Self::table_forward) | output bit of every frame from a truth table |
/// | [`pattern_sums`](Self::pattern_sums) | the sum of `dy` over the frames with pattern `k` |
/// | [`table_backward`](Self::table_backward) | `dx` of every input from a table of slopes |
///
/// Pattern `k` has input 0 in bit 0. Arrays over nodes and patterns are
/// `[nodes][2^fan_in]`.
pub trait TableKernels {
    /// Counts the frames in which each node sees each pattern: `counts[node * 2^fan_in + k]`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of bits,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn pattern_counts(&self, x: &FrameBuffer, wiring: &Wiring, counts: &mut [u32]) -> Result<()>;

    /// Looks up the output of every node and frame: `y[node, f] = tables[node][k(f)]`.
    ///
    /// `tables` holds [`table_words`]`(fan_in)` words a node, entry `k` in bit `k % 64` of word
    /// `k / 64`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `y` too.
    fn table_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Looks up a number for every node and frame: `y[node, f] = values[node * 2^fan_in + k(f)]`,
    /// `y` of f32.
    ///
    /// # Errors
    ///
    /// As [`table_forward`](Self::table_forward).
    fn value_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Sums `dy` (f32, one row a node) over the frames with each pattern:
    /// `sums[node * 2^fan_in + k]`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `dy` too.
    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()>;

    /// Adds the gradient of the sources to `dx` (f32, one row a source):
    /// `dx[source(node, i), f] += slope_i[k] * (scale[k] * dy[node, f] + offset[k])`, `k = k(f)`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `dy`, `dx` and the slopes too.
    fn table_backward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()>;
}

/// How `dy` of a node becomes the gradient of its inputs, for each pattern.
#[derive(Debug, Clone, Copy)]
pub struct Slopes<'a> {
    /// Factor of `dy`: `[nodes][2^fan_in]`.
    pub scale: &'a [f32],
    /// Added after it: `[nodes][2^fan_in]`.
    pub offset: &'a [f32],
    /// Slope of the output with respect to input `i`: `[nodes][fan_in][2^fan_in]`.
    pub slopes: &'a [f32],
    /// Promises that the slope along an input is the same for both values of that input, which
    /// makes looking it up cheaper. True of functions that are linear in each input.
    pub folded: bool,
}

/// Words of the packed truth table of one node.
pub fn table_words(fan_in: usize) -> usize {
    (1usize << fan_in).div_ceil(64)
}

/// Checks that a packed input has the rows a wiring reads.
pub(crate) fn check_input(op: &'static str, x: &FrameBuffer, wiring: &Wiring) -> Result<()> {
    check_dtype(op, "x", x, DType::Bit)?;
    check_size(op, "x", "nodes", wiring.sources(), x.nodes())
}

/// Checks the arrays of [`Slopes`].
pub(crate) fn check_slopes(op: &'static str, slopes: Slopes<'_>, wiring: &Wiring) -> Result<()> {
    let values = wiring.nodes() << wiring.fan_in();
    check_size(op, "scale", "values", values, slopes.scale.len())?;
    check_size(op, "offset", "values", values, slopes.offset.len())?;
    check_size(op, "slopes", "values", values * wiring.fan_in(), slopes.slopes.len())
}
