//! The kernel of learned wiring: how well each candidate would serve as an input.

use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_rows, check_size};
use crate::table::{Slopes, check_input, check_slopes};
use crate::{Error, Result};

/// Gradients of the scores of candidate sources.
///
/// Every node has a table of its own here: wiring that is learned is not shared over places. Every
/// slot (node and input) has as many candidates, `[nodes][fan_in][count]`. With `g` the
/// gradient that reaches the slot in frame `f`, and `x_c` the bit of candidate `c`, its sum is
///
/// ```text
/// Σ_f g[f] · (2·x_c[f] − 1)      g[f] = slope_i[k] · (scale[k] · dy[f] + offset[k]),  k = k(f)
/// ```
pub trait CandidateKernels {
    /// Adds the sum of each candidate to `sums`, which is laid out as `candidates`; `wiring` has
    /// the sources that the nodes read in this step.
    ///
    /// Costs about as much as one addition for each frame and candidate.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] unless `x` is of bits and `dy` of f32, [`Error::Size`] where sizes do not
    /// agree or slots do not have equally many candidates, [`Error::Tensor`] for a candidate that
    /// is no source.
    fn candidate_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        candidates: &[u32],
        sums: &mut Array,
    ) -> Result<()>;
}

/// Checks all operands; gives the number of candidates of a slot.
pub(crate) fn check_candidates(
    x: &FrameBuffer,
    wiring: &Wiring,
    dy: &FrameBuffer,
    slopes: Slopes<'_>,
    candidates: &[u32],
    sums: &Array,
) -> Result<usize> {
    let op = "candidate sums";
    check_input(op, x, wiring.into())?;
    check_rows(op, "dy", dy, DType::F32, wiring.nodes(), x)?;
    check_slopes(op, slopes, wiring.into())?;
    let slots = wiring.table().len();
    let count = candidates.len() / slots;
    check_size(op, "candidates", "sources", count * slots, candidates.len())?;
    check_size(op, "sums", "values", candidates.len(), sums.len())?;
    let len = x.nodes();
    if let Some(&index) = candidates.iter().find(|&&candidate| candidate as usize >= len) {
        let index = index as usize;
        return Err(Error::Tensor(lutweave_tensor::Error::Index { op, index, len }));
    }
    Ok(count)
}
