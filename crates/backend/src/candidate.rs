//! The kernels of learned wiring: which candidates are read, and how well each would serve as an input.

use lutweave_lut::{MAX_FAN_IN, Wiring};
use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_rows, check_size};
use crate::table::{Slopes, TableKernels, check_input, check_slopes};
use crate::{Error, Result, Sites};

/// The sources that a layer's nodes read in one step, as scores of candidates choose them.
///
/// A wiring that may lie on a device: made once a step, by
/// [`choose`](CandidateKernels::choose), and never looked at by the host unless it computes there.
#[derive(Debug)]
pub struct Choice {
    sources: usize,
    fan_in: usize,
    table: Array<u32>,
    made: Made,
}

/// What a device has of a choice besides.
#[derive(Debug)]
pub(crate) enum Made {
    /// Nothing: it was made on the host.
    Nothing,
    /// For each slot the number of what was chosen among its candidates.
    Picked(Array<u32>),
    /// The choice turned around.
    Readers(Box<Readers>),
}

/// The choice turned around, where a device has it: the slots that read each source.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Where those of each source begin, and where they end.
    pub(crate) first: Array<u32>,
    pub(crate) end: Array<u32>,
    /// Two numbers each: node, slot.
    pub(crate) slots: Array<u32>,
}

impl From<Wiring> for Choice {
    fn from(wiring: Wiring) -> Self {
        let (sources, fan_in) = (wiring.sources(), wiring.fan_in());
        Self { sources, fan_in, table: Array::from(wiring.table()), made: Made::Nothing }
    }
}

impl Choice {
    /// From sources that are known to be below `sources`.
    pub(crate) fn of((sources, fan_in): (usize, usize), table: Array<u32>, made: Made) -> Self {
        Self { sources, fan_in, table, made }
    }

    /// Nodes that can be read.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Inputs of a node.
    pub fn fan_in(&self) -> usize {
        self.fan_in
    }

    /// Inputs of all nodes.
    pub fn slots(&self) -> usize {
        self.table.len()
    }

    /// The sources of all slots, node after node, on the host.
    ///
    /// # Errors
    ///
    /// What a device says that has them.
    pub fn fetch(&self) -> Result<&[u32]> {
        Ok(self.table.fetch()?)
    }

    /// The sources of all slots; on the host.
    pub(crate) fn table(&self) -> &[u32] {
        &self.table
    }

    /// The sources of all slots, wherever they are.
    pub(crate) fn array(&self) -> &Array<u32> {
        &self.table
    }

    pub(crate) fn made(&self) -> &Made {
        &self.made
    }
}

/// The candidates of all slots (node and input) of a layer: `[nodes][fan_in][count]`, and a score for
/// each.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// Nodes that can be read.
    pub sources: usize,
    /// Inputs of a node.
    pub fan_in: usize,
    /// Candidates of a slot, at least one.
    pub count: usize,
    /// The candidates: sources.
    pub of_slots: &'a [u32],
    /// Their scores.
    pub scores: &'a Array,
}

/// The gradients of a layer's scores.
#[derive(Debug)]
pub struct CandidateGradient<'a> {
    /// As in [`Candidates`].
    pub of_slots: &'a [u32],
    /// Added to: the sum of each candidate.
    pub sums: &'a mut Array,
}

/// Choices among candidate sources, and the gradients of their scores.
///
/// Every node has a table of its own here: wiring that is learned is not shared over places. Every
/// slot (node and input) has as many candidates, `[nodes][fan_in][count]`. With `g` the
/// gradient that reaches the slot in frame `f`, and `x_c` the bit of candidate `c`, its sum is
///
/// ```text
/// Σ_f g[f] · (2·x_c[f] − 1)      g[f] = slope_i[k] · (scale[k] · dy[f] + offset[k]),  k = k(f)
/// ```
pub trait CandidateKernels: TableKernels {
    /// The candidate with the best score for every slot, but no source twice in a node: the best score
    /// of the node is served first, and slots whose own was taken look for their next best. Ties go to the
    /// lower slot and the earlier candidate; a score that is NaN is best where it is the first that is free
    /// when the slot looks, and never else. Where all candidates of a slot are taken it has its first.
    ///
    /// The same for every backend. Costs about two comparisons a candidate.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] where sizes do not agree, [`Error::Tensor`] for a candidate that is no source.
    fn choose(&self, candidates: Candidates<'_>) -> Result<Choice>;

    /// Adds the sum of each candidate to `sums`, which is laid out as `candidates`; `sites` are
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
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        candidates: &[u32],
        sums: &mut Array,
    ) -> Result<()>;

    /// [`candidate_sums`](Self::candidate_sums), and where the gradient goes further down
    /// [`table_backward`](TableKernels::table_backward): in one, since both need the errors.
    ///
    /// # Errors
    ///
    /// As of the two.
    fn candidate_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        scores: CandidateGradient<'_>,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<()> {
        self.candidate_sums(x, sites, dy, slopes, scores.of_slots, scores.sums)?;
        dx.map_or(Ok(()), |dx| self.table_backward(x, sites, dy, slopes, dx))
    }
}

/// Checks all operands; gives the number of candidates of a slot.
pub(crate) fn check_candidates(
    x: &FrameBuffer,
    sites: Sites<'_>,
    dy: &FrameBuffer,
    slopes: Slopes<'_>,
    candidates: &[u32],
    sums: &Array,
) -> Result<usize> {
    let op = "candidate sums";
    check_input(op, x, sites)?;
    check_size(op, "a table", "places", 1, sites.share())?;
    check_size(op, "x", "nodes", sites.all_sources(), x.nodes())?;
    check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
    check_slopes(op, slopes, sites)?;
    let slots = sites.slots();
    let count = candidates.len() / slots;
    check_size(op, "candidates", "sources", count * slots, candidates.len())?;
    check_size(op, "sums", "values", candidates.len(), sums.len())?;
    check_sources(op, candidates, x.nodes())?;
    Ok(count)
}

/// Checks that all candidates are sources.
pub(crate) fn check_sources(op: &'static str, candidates: &[u32], len: usize) -> Result<()> {
    match candidates.iter().find(|&&candidate| candidate as usize >= len) {
        None => Ok(()),
        Some(&index) => {
            let index = index as usize;
            Err(Error::Tensor(lutweave_tensor::Error::Index { op, index, len }))
        }
    }
}

/// Checks what a choice is made of; gives the number of slots.
pub(crate) fn check_choice(candidates: Candidates<'_>) -> Result<usize> {
    let op = "choose";
    let Candidates { sources, fan_in, count, of_slots, scores } = candidates;
    check_size(op, "a node", "inputs", fan_in.clamp(1, MAX_FAN_IN), fan_in)?;
    check_size(op, "a slot", "candidates", count.max(1), count)?;
    let node = fan_in.saturating_mul(count);
    let whole = of_slots.len() / node * node;
    check_size(op, "candidates", "sources", whole.max(node), of_slots.len())?;
    check_size(op, "scores", "values", of_slots.len(), scores.len())?;
    check_sources(op, of_slots, sources)?;
    Ok(of_slots.len() / count)
}
