//! What is done to gradients between a backward pass and an update: clipping, and terms of the loss
//! that depend on parameters alone.

use lutweave_tensor::Array;

use crate::candidate::check_sources;
use crate::check::check_size;
use crate::{Candidates, Result};

/// Most entries of a table: those of eight inputs.
const MOST_ENTRIES: usize = 256;

/// Gradients changed where they are.
pub trait GradientKernels {
    /// Scales all gradients by the same factor where their Euclidean norm over all arrays is above
    /// `limit`; gives the norm where the host knows it. One that is not finite changes nothing.
    ///
    /// Summed in f64 over blocks that depend on the sizes alone: the same bits for any number of
    /// threads. On a device the norm stays there, since asking for it would be waiting: `None`.
    ///
    /// # Errors
    ///
    /// What a device says.
    fn clip_norm(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<Option<f64>>;

    /// Clamps each gradient to `−limit` to `limit`; NaN stays. The same bits for every backend.
    ///
    /// # Errors
    ///
    /// What a device says.
    fn clip_value(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<()>;

    /// Adds the gradient of `λ Σ |S| · Ŵ_S²`, over the Walsh coefficients `Ŵ_S` of all tables of
    /// `entries` parameters each; with `coefficients` the parameters are `Ŵ_S` themselves. The same bits
    /// for every backend but the reference, which computes in f64 from the definition.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless both arrays are of the same whole number of tables,
    /// and these have 2, 4, … 256 entries.
    fn walsh_penalty(
        &self,
        values: &Array,
        entries: usize,
        coefficients: bool,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()>;

    /// Adds to the gradient of each score `λ / r`, with `r` the slots that would read the candidate's
    /// source if its slot did; a slot reads the candidate with its best score, the first of equals. The
    /// same bits for every backend; the candidates of a slot are distinct.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree, [`Error::Tensor`](crate::Error::Tensor)
    /// for a candidate that is no source.
    fn encoder_cost(
        &self,
        candidates: Candidates<'_>,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()>;
}

pub(crate) fn check_walsh(values: &Array, entries: usize, gradient: &Array) -> Result<()> {
    let op = "walsh penalty";
    let power = entries.clamp(2, MOST_ENTRIES).next_power_of_two();
    check_size(op, "a table", "entries", power, entries)?;
    let whole = values.len() / entries * entries;
    check_size(op, "values", "values", whole, values.len())?;
    check_size(op, "gradient", "values", values.len(), gradient.len())
}

/// Gives the number of slots.
pub(crate) fn check_cost(candidates: Candidates<'_>, gradient: &Array) -> Result<usize> {
    let op = "encoder cost";
    let Candidates { sources, count, of_slots, scores, .. } = candidates;
    check_size(op, "a slot", "candidates", count.max(1), count)?;
    check_size(op, "candidates", "sources", of_slots.len() / count * count, of_slots.len())?;
    check_size(op, "scores", "values", of_slots.len(), scores.len())?;
    check_size(op, "gradient", "values", of_slots.len(), gradient.len())?;
    check_sources(op, of_slots, sources)?;
    Ok(of_slots.len() / count)
}
