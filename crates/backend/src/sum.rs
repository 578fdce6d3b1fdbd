//! Sums of rows with fixed weights: filters whose taps are rows.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer};

use crate::check::{check_dtype, check_rows};
use crate::{Error, Result};

/// Which rows are added up, and how often: a sparse matrix, a list of terms for each row of the
/// output.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSums {
    /// Where the terms of each sum begin; one more at the end.
    first: Vec<u32>,
    sources: Vec<u32>,
    weights: Vec<f32>,
}

impl RowSums {
    /// From the terms of each sum: the row of the input and its weight. A sum without terms is 0.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] for 2^32 − 1 terms or more.
    pub fn new<T: IntoIterator<Item = (u32, f32)>>(
        sums: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        let mut made = Self { first: vec![0], sources: Vec::new(), weights: Vec::new() };
        for terms in sums {
            for (source, weight) in terms {
                made.sources.push(source);
                made.weights.push(weight);
            }
            made.first.push(count(made.sources.len())?);
        }
        Ok(made)
    }

    /// Number of sums.
    pub fn len(&self) -> usize {
        self.first.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Terms of all sums.
    pub fn terms(&self) -> usize {
        self.sources.len()
    }

    /// The terms of sum `row`: row of the input, and weight.
    ///
    /// # Panics
    ///
    /// If there is no such sum.
    #[inline]
    pub fn of(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let terms = self.first[row] as usize..self.first[row + 1] as usize;
        terms.map(|term| (self.sources[term] as usize, self.weights[term]))
    }

    /// The sums that send gradients back to an input of `rows` rows; terms are in the order of the
    /// sums that they come from.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] for a term of a row that there is not.
    pub fn transposed(&self, rows: usize) -> Result<Self> {
        check_sources("sum of rows, transposed", self, rows)?;
        let mut first = vec![0u32; rows + 1];
        for &source in &self.sources {
            first[source as usize + 1] += 1;
        }
        for row in 0..rows {
            first[row + 1] += first[row];
        }
        let mut next = first.clone();
        let (mut sources, mut weights) = (vec![0; self.terms()], vec![0.0; self.terms()]);
        for sum in 0..self.len() {
            let number = count(sum)?;
            for (source, weight) in self.of(sum) {
                let place = &mut next[source];
                (sources[*place as usize], weights[*place as usize]) = (number, weight);
                *place += 1;
            }
        }
        Ok(Self { first, sources, weights })
    }

    /// The parts: where the terms of each sum begin, and one more; source and weight of the terms.
    pub(crate) fn parts(&self) -> (&[u32], &[u32], &[f32]) {
        (&self.first, &self.sources, &self.weights)
    }
}

/// A number of terms, as tables count them.
fn count(terms: usize) -> Result<u32> {
    let most = NO_SOURCE as usize - 1;
    let (op, operand, unit) = ("sum of rows", "the table", "terms at most");
    u32::try_from(terms).ok().filter(|&terms| terms < NO_SOURCE).ok_or(Error::Size {
        op,
        operand,
        unit,
        expected: most,
        got: terms,
    })
}

/// Weighted sums of rows.
pub trait SumKernels {
    /// `y[o, f] = Σ weight · x[source, f]` over the terms of sum `o`, in their order and rounded as
    /// f32 rounds; `x` is of u8 or f32, `y` of f32. The results are the same bits for every backend.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for other types, [`Error::Size`] where sizes do not agree, [`Error::Row`]
    /// for a row that `x` does not have.
    fn sum_rows(&self, x: &FrameBuffer, sums: &RowSums, y: &mut FrameBuffer) -> Result<()>;
}

/// Checks the operands of weighted sums.
pub(crate) fn check_sums(x: &FrameBuffer, sums: &RowSums, y: &FrameBuffer) -> Result<()> {
    let op = "sum of rows";
    if x.dtype() != DType::U8 {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_rows(op, "y", y, DType::F32, sums.len(), x)?;
    check_sources(op, sums, x.nodes())
}

fn check_sources(op: &'static str, sums: &RowSums, rows: usize) -> Result<()> {
    match sums.sources.iter().position(|&source| source as usize >= rows) {
        None => Ok(()),
        Some(entry) => Err(Error::Row { op, entry, row: sums.sources[entry] as usize, rows }),
    }
}
