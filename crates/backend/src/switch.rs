//! The kernel of coordinate descent: what each input would add to what a node already sees.

use crate::check::check_size;
use crate::{Error, Result};

/// Most patterns of a node.
pub(crate) const PATTERNS: usize = 256;

/// Sums over the frames in which a node sees a pattern and an input is one.
pub trait SwitchKernels {
    /// Writes, for every pattern `k` and input `i`,
    ///
    /// ```text
    /// sums[k · inputs + i] = Σ_f values[f]        over frames f with patterns[f] = k and x_i[f] = 1
    /// ```
    ///
    /// `x` has the bits of the inputs frame after frame, each in whole words. `sums` is for so many
    /// patterns as it has rows, up to 256. Costs about as much as one addition for each frame and
    /// input.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] where sizes do not agree or a frame has a pattern that `sums` has no row for.
    fn switch_sums(
        &self,
        x: &[u64],
        inputs: usize,
        patterns: &[u8],
        values: &[f32],
        sums: &mut [f32],
    ) -> Result<()>;
}

/// Checks all operands; gives the number of patterns.
pub(crate) fn check_switch(
    x: &[u64],
    inputs: usize,
    patterns: &[u8],
    values: &[f32],
    sums: &[f32],
) -> Result<usize> {
    let op = "switch sums";
    check_size(op, "patterns", "frames", values.len(), patterns.len())?;
    check_size(op, "x", "words", values.len().saturating_mul(inputs.div_ceil(64)), x.len())?;
    let rows = sums.len().checked_div(inputs).unwrap_or(0);
    check_size(op, "sums", "values", rows * inputs, sums.len())?;
    let most = patterns.iter().max().map_or(0, |&most| usize::from(most) + 1);
    if (most..=PATTERNS).contains(&rows) || inputs == 0 {
        return Ok(rows);
    }
    Err(Error::Size { op, operand: "sums", unit: "patterns", expected: most, got: rows })
}
