//! The places where the tables of a layer are used.

use lutweave_lut::Wiring;
use lutweave_tensor::{Element, FrameBuffer};

use crate::check::check_size;
use crate::{Choice, Error, Result};

/// Rows of constants that follow those of the input, where there are any: zeros, then ones.
const CONSTANTS: usize = 2;

/// Where the tables of a layer are used: a wiring, and how many of its nodes share each table.
///
/// A plain layer has one place a table. In a convolution each table is used at `share` = `P`
/// positions: node `table · P + p` of the wiring is table `table` at position `p`. It reads the rows
/// of the input that lie in its window (row `(c, y + dy, x + dx)` for window element `(c, dy, dx)`),
/// so nothing is ever copied, and it writes row `table · P + p` of the output. Counts, sums, slopes
/// and values belong to a table, over the frames at all its places.
///
/// With constants, the last two sources of the wiring are no rows of the input but all zeros and
/// all ones: what a window sees past the border of an image. No gradient goes there.
#[derive(Debug, Clone, Copy)]
pub struct Sites<'a> {
    /// Those of the wiring, constants included.
    sources: usize,
    fan_in: usize,
    table: Table<'a>,
    share: usize,
    constants: bool,
}

/// The sources of all places, one after the other.
#[derive(Debug, Clone, Copy)]
enum Table<'a> {
    Fixed(&'a [u32]),
    /// Of this step, maybe on a device.
    Chosen(&'a Choice),
}

impl<'a> From<&'a Wiring> for Sites<'a> {
    /// Each node has a table of its own, and all sources are rows of the input.
    fn from(wiring: &'a Wiring) -> Self {
        let (sources, fan_in) = (wiring.sources(), wiring.fan_in());
        let table = Table::Fixed(wiring.table());
        Self { sources, fan_in, table, share: 1, constants: false }
    }
}

impl<'a> From<&'a Choice> for Sites<'a> {
    /// As of a wiring.
    fn from(choice: &'a Choice) -> Self {
        let (sources, fan_in) = (choice.sources(), choice.fan_in());
        Self { sources, fan_in, table: Table::Chosen(choice), share: 1, constants: false }
    }
}

impl<'a> Sites<'a> {
    /// Runs of `share` nodes with the same table; with `constants`, source `x.nodes()` is all zeros
    /// and source `x.nodes() + 1` all ones, where `x` is the input.
    ///
    /// # Errors
    ///
    /// [`Error::Share`] unless the nodes are a whole number of such runs, [`Error::Size`] when
    /// there is no source but the constants.
    pub fn shared(wiring: &'a Wiring, share: usize, constants: bool) -> Result<Self> {
        if share == 0 || !wiring.nodes().is_multiple_of(share) {
            return Err(Error::Share { nodes: wiring.nodes(), share });
        }
        if constants && wiring.sources() <= CONSTANTS {
            let (expected, got) = (CONSTANTS + 1, wiring.sources());
            let (op, operand, unit) = ("sites", "the wiring", "sources or more");
            return Err(Error::Size { op, operand, unit, expected, got });
        }
        Ok(Self { share, constants, ..Self::from(wiring) })
    }

    /// The sources of every place, one after the other; on the host.
    pub fn table(&self) -> &'a [u32] {
        match self.table {
            Table::Fixed(table) => table,
            Table::Chosen(choice) => choice.table(),
        }
    }

    /// The sources of one place.
    ///
    /// # Panics
    ///
    /// If there is no such place.
    pub fn node(&self, place: usize) -> &'a [u32] {
        &self.table()[place * self.fan_in..][..self.fan_in]
    }

    /// The choice of this step, where wiring is learned.
    pub(crate) fn chosen(&self) -> Option<&'a Choice> {
        match self.table {
            Table::Fixed(_) => None,
            Table::Chosen(choice) => Some(choice),
        }
    }

    /// Inputs of all places together.
    pub(crate) fn slots(&self) -> usize {
        match self.table {
            Table::Fixed(table) => table.len(),
            Table::Chosen(choice) => choice.slots(),
        }
    }

    /// Rows of the input, and those of the constants where there are any.
    pub(crate) fn all_sources(&self) -> usize {
        self.sources
    }

    /// Places of each table.
    pub fn share(&self) -> usize {
        self.share
    }

    /// Whether the last two sources are the rows of zeros and of ones.
    pub fn constants(&self) -> bool {
        self.constants
    }

    /// Inputs of each table.
    pub fn fan_in(&self) -> usize {
        self.fan_in
    }

    /// Number of tables.
    pub fn tables(&self) -> usize {
        self.places() / self.share
    }

    /// Rows of the output: one a place.
    pub fn places(&self) -> usize {
        self.slots() / self.fan_in
    }

    /// Rows of the input.
    pub fn sources(&self) -> usize {
        self.sources - if self.constants { CONSTANTS } else { 0 }
    }

    /// Numbers of all tables together: `2^fan_in` each.
    pub(crate) fn entries(&self) -> usize {
        self.tables() << self.fan_in()
    }

    /// The sources of all places of one table: `[share][fan_in]`.
    pub(crate) fn of_table(&self, table: usize) -> &'a [u32] {
        let length = self.share * self.fan_in();
        &self.table()[table * length..][..length]
    }

    /// Checks that the input has the rows that are read, and that counts fit 32 bits.
    pub(crate) fn check(&self, op: &'static str, x: &FrameBuffer) -> Result<()> {
        check_size(op, "x", "nodes", self.sources(), x.nodes())?;
        let most = u32::MAX as usize / self.share;
        if x.frames() > most {
            let expected = format!("at most {most}");
            return Err(lutweave_tensor::Error::Frames { op, expected, got: x.frames() }.into());
        }
        Ok(())
    }
}

/// The rows that the sources of a wiring stand for: those of a buffer, and the constants.
#[derive(Debug, Clone)]
pub(crate) struct Rows<'a, T> {
    values: &'a [T],
    stride: usize,
    count: usize,
    /// Zeros and ones, where the wiring has them.
    constants: Vec<T>,
}

impl<'a, T: Element> Rows<'a, T> {
    /// The rows of `x`; `ones` fills the row of ones given the frames, up to its padding.
    pub(crate) fn new(
        x: &'a FrameBuffer,
        sites: Sites<'_>,
        ones: impl FnOnce(&mut [T], &FrameBuffer),
    ) -> Result<Self> {
        let (values, stride) = (x.rows::<T>()?, x.stride());
        let mut constants = Vec::new(); // none of memory either, unless there are constants
        if sites.constants() {
            constants.resize(CONSTANTS * stride, T::zeroed());
            ones(&mut constants[stride..], x);
        }
        Ok(Self { values, stride, count: x.nodes(), constants })
    }

    /// Elements of a row, padding included.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// One row, padding included.
    #[inline(always)]
    pub(crate) fn row(&self, source: u32) -> &[T] {
        let source = source as usize;
        if source < self.count {
            &self.values[source * self.stride..][..self.stride]
        } else {
            &self.constants[(source - self.count) * self.stride..][..self.stride]
        }
    }
}

/// A row of ones, packed: zero in the padding.
pub(crate) fn bit_ones(row: &mut [u64], x: &FrameBuffer) {
    let words = x.frames().div_ceil(lutweave_tensor::WORD);
    for (word, ones) in row.iter_mut().enumerate().take(words) {
        *ones = x.frame_mask(word);
    }
}

/// A row of ones: zero in the padding.
pub(crate) fn real_ones(row: &mut [f32], x: &FrameBuffer) {
    row[..x.frames()].fill(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shared_is_refused() {
        let wiring = Wiring::serial(5, 6, 2).unwrap();
        let sites = Sites::shared(&wiring, 3, true).unwrap();
        assert_eq!((sites.tables(), sites.places(), sites.sources()), (2, 6, 3));
        assert_eq!(sites.of_table(1), &wiring.table()[6..]);
        let error = |share| Sites::shared(&wiring, share, false).unwrap_err().to_string();
        assert_eq!(error(4), "6 nodes cannot share tables by 4");
        assert_eq!(error(0), "6 nodes cannot share tables by 0");
        let two = Wiring::serial(2, 2, 2).unwrap();
        assert!(Sites::shared(&two, 1, true).is_err() && Sites::shared(&two, 1, false).is_ok());
    }
}
