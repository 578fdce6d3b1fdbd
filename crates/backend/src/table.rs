//! The table kernels: what every layer of look-up tables on bits trains through.

use lutweave_tensor::{Array, DType, FrameBuffer};

use crate::check::{check_dtype, check_rows, check_size};
use crate::{Result, Sites};

/// Training of look-up tables on packed bits.
///
/// A node with `n` inputs only ever sees `2^n` input patterns, so whatever its model is, four
/// kernels connect its values with the frames of a batch:
///
/// | | per table |
/// |---|---|
/// | [`pattern_counts`](Self::pattern_counts) | how many frames show pattern `k` |
/// | [`table_forward`](Self::table_forward) | output bit of every frame from a truth table |
/// | [`pattern_sums`](Self::pattern_sums) | the sum of `dy` over the frames with pattern `k` |
/// | [`table_backward`](Self::table_backward) | `dx` of every input from a table of slopes |
///
/// Pattern `k` has input 0 in bit 0. Arrays over tables and patterns are `[tables][2^fan_in]`.
/// Where tables are used is said by [`Sites`]: in a plain layer at one node each, in a convolution
/// at many positions, whose rows are read in place and over which counts and sums go.
pub trait TableKernels {
    /// Counts the frames in which each table sees each pattern: `counts[table * 2^fan_in + k]`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of bits,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree,
    /// [`Error::Tensor`](crate::Error::Tensor) where a count might need more than 32 bits.
    fn pattern_counts(&self, x: &FrameBuffer, sites: Sites<'_>, counts: &mut [u32]) -> Result<()>;

    /// Looks up the output of every place and frame: `y[place, f] = tables[table][k(f)]`.
    ///
    /// `tables` holds [`table_words`]`(fan_in)` words a table, entry `k` in bit `k % 64` of word
    /// `k / 64`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `y` too.
    fn table_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Looks up a number for every place and frame: `y[place, f] = values[table * 2^fan_in + k(f)]`,
    /// `y` of f32.
    ///
    /// # Errors
    ///
    /// As [`table_forward`](Self::table_forward).
    fn value_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// Sums `dy` (f32, one row a place) over the frames with each pattern:
    /// `sums[table * 2^fan_in + k]`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `dy` too.
    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()>;

    /// Adds the gradient of the sources to `dx` (f32, one row a source, none for constants):
    /// `dx[source(place, i), f] += slope_i[k] * (scale[k] * dy[place, f] + offset[k])`, `k = k(f)`.
    ///
    /// # Errors
    ///
    /// As [`pattern_counts`](Self::pattern_counts), for `dy`, `dx` and the slopes too.
    fn table_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Counts the patterns of each table, has `make` write its entries from them, and looks these
    /// up: what a layer in training does, without a pause between the three.
    ///
    /// `make` is given the number of the table, its counts, its part of `state` (which is cut into
    /// as many equal parts as there are tables; it may be empty) and its [`Entries`]: bits for `y`
    /// of bits, numbers for `y` of f32. It may be called on any thread, once for each table.
    ///
    /// # Errors
    ///
    /// As [`table_forward`](Self::table_forward).
    fn counted_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        counts: &mut [u32],
        state: &mut [f32],
        make: MakeEntries<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let (tables, entries) = (sites.tables(), 1usize << sites.fan_in());
        check_parts("counted forward", "state", state.len(), tables)?;
        self.pattern_counts(x, sites, counts)?;
        let (words, share) = (table_words(sites.fan_in()), state.len() / tables);
        let (mut bits, mut values) = (vec![0u64; tables * words], vec![0f32; tables * entries]);
        let to_bits = y.dtype() == DType::Bit;
        for (table, counts) in counts.chunks(entries).enumerate() {
            let own = if to_bits {
                Entries::Bits(&mut bits[table * words..][..words])
            } else {
                Entries::Values(&mut values[table * entries..][..entries])
            };
            make(table, counts, &mut state[table * share..][..share], own);
        }
        if to_bits {
            self.table_forward(x, sites, &bits, y)
        } else {
            self.value_forward(x, sites, &values, y)
        }
    }

    /// Sums `dy` by pattern for each table and has `make` go on from there: the first half of the
    /// backward pass of a layer, before [`table_backward`](Self::table_backward).
    ///
    /// `make` is given the number of the table and its part of each array, see [`TableGradient`].
    /// It may be called on any thread, once for each table.
    ///
    /// # Errors
    ///
    /// As [`pattern_sums`](Self::pattern_sums), for the other arrays too.
    fn summed_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        arrays: TableGradient<'_>,
        make: MakeGradient<'_>,
    ) -> Result<()> {
        check_gradient("summed backward", &arrays, sites)?;
        self.pattern_sums(x, sites, dy, &mut *arrays.sums)?;
        let mut rest = arrays;
        for table in 0..sites.tables() {
            let (own, others) = rest.split_at(1, sites.tables() - table);
            make(table, own);
            rest = others;
        }
        Ok(())
    }
}

/// Writes the entries of a table from its counts; see [`TableKernels::counted_forward`].
pub type MakeEntries<'a> = &'a (dyn Fn(usize, &[u32], &mut [f32], Entries<'_>) + Sync);

/// Goes on from the sums of a table; see [`TableKernels::summed_backward`].
pub type MakeGradient<'a> = &'a (dyn Fn(usize, TableGradient<'_>) + Sync);

/// The entries of one table, to be written.
#[derive(Debug)]
pub enum Entries<'a> {
    /// [`table_words`]`(fan_in)` packed words, all zero.
    Bits(&'a mut [u64]),
    /// `2^fan_in` numbers, all zero.
    Values(&'a mut [f32]),
}

/// The arrays of a backward pass, of all tables or of one. Each is cut into as many equal parts as
/// there are tables.
#[derive(Debug)]
pub struct TableGradient<'a> {
    /// Written by the kernel before `make` is called: the sums by pattern, `[2^fan_in]`.
    pub sums: &'a mut [f32],
    /// For `make` to write, of any size: [`Slopes::scale`].
    pub scale: &'a mut [f32],
    /// Likewise: [`Slopes::offset`].
    pub offset: &'a mut [f32],
    /// Likewise: [`Slopes::slopes`].
    pub slopes: &'a mut [f32],
    /// Likewise: the gradient of the parameters.
    pub parameters: &'a mut [f32],
}

impl TableGradient<'_> {
    /// The arrays of the first `at` of `tables` tables, and of the others.
    pub(crate) fn split_at(self, at: usize, tables: usize) -> (Self, Self) {
        let (sums, other_sums) = split(self.sums, at, tables);
        let (scale, other_scale) = split(self.scale, at, tables);
        let (offset, other_offset) = split(self.offset, at, tables);
        let (slopes, other_slopes) = split(self.slopes, at, tables);
        let (parameters, other_parameters) = split(self.parameters, at, tables);
        let others = Self {
            sums: other_sums,
            scale: other_scale,
            offset: other_offset,
            slopes: other_slopes,
            parameters: other_parameters,
        };
        (Self { sums, scale, offset, slopes, parameters }, others)
    }
}

/// The parts of the first `at` of `tables` tables, and of the others.
pub(crate) fn split<T>(array: &mut [T], at: usize, tables: usize) -> (&mut [T], &mut [T]) {
    array.split_at_mut(array.len() / tables * at)
}

/// How `dy` of a node becomes the gradient of its inputs, for each pattern.
#[derive(Debug, Clone, Copy)]
pub struct Slopes<'a> {
    /// Factor of `dy`: `[tables][2^fan_in]`.
    pub scale: &'a Array,
    /// Added after it: `[tables][2^fan_in]`.
    pub offset: &'a Array,
    /// Slope of the output with respect to input `i`: `[tables][fan_in][2^fan_in]`.
    pub slopes: &'a Array,
    /// Promises that the slope along an input is the same for both values of that input, which
    /// makes looking it up cheaper. True of functions that are linear in each input.
    pub folded: bool,
}

/// Words of one packed truth table.
pub const fn table_words(fan_in: usize) -> usize {
    (1usize << fan_in).div_ceil(64)
}

/// Checks that a packed input has the rows that are read.
pub(crate) fn check_input(op: &'static str, x: &FrameBuffer, sites: Sites<'_>) -> Result<()> {
    check_dtype(op, "x", x, DType::Bit)?;
    sites.check(op, x)
}

/// Checks the operands of [`TableKernels::pattern_counts`].
pub(crate) fn check_counts(x: &FrameBuffer, sites: Sites<'_>, counts: &[u32]) -> Result<()> {
    let op = "pattern counts";
    check_input(op, x, sites)?;
    check_size(op, "counts", "values", sites.entries(), counts.len())
}

/// Checks the operands of [`TableKernels::table_forward`].
pub(crate) fn check_table_forward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    tables: &[u64],
    y: &FrameBuffer,
) -> Result<()> {
    let op = "table forward";
    check_input(op, x, sites)?;
    check_rows(op, "y", y, DType::Bit, sites.places(), x)?;
    check_size(op, "tables", "words", sites.tables() * table_words(sites.fan_in()), tables.len())
}

/// Checks the operands of [`TableKernels::value_forward`].
pub(crate) fn check_value_forward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    values: &[f32],
    y: &FrameBuffer,
) -> Result<()> {
    let op = "value forward";
    check_input(op, x, sites)?;
    check_rows(op, "y", y, DType::F32, sites.places(), x)?;
    check_size(op, "values", "values", sites.entries(), values.len())
}

/// Checks the operands of [`TableKernels::pattern_sums`].
pub(crate) fn check_sums(
    x: &FrameBuffer,
    sites: Sites<'_>,
    dy: &FrameBuffer,
    sums: &[f32],
) -> Result<()> {
    let op = "pattern sums";
    check_input(op, x, sites)?;
    check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
    check_size(op, "sums", "values", sites.entries(), sums.len())
}

/// Checks the operands of [`TableKernels::table_backward`].
pub(crate) fn check_table_backward(
    x: &FrameBuffer,
    sites: Sites<'_>,
    dy: &FrameBuffer,
    slopes: Slopes<'_>,
    dx: &FrameBuffer,
) -> Result<()> {
    let op = "table backward";
    check_input(op, x, sites)?;
    check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
    check_rows(op, "dx", dx, DType::F32, sites.sources(), x)?;
    check_slopes(op, slopes, sites)
}

/// Checks the arrays of [`Slopes`].
pub(crate) fn check_slopes(op: &'static str, slopes: Slopes<'_>, sites: Sites<'_>) -> Result<()> {
    let values = sites.entries();
    check_size(op, "scale", "values", values, slopes.scale.len())?;
    check_size(op, "offset", "values", values, slopes.offset.len())?;
    check_size(op, "slopes", "values", values * sites.fan_in(), slopes.slopes.len())
}

/// Checks that an array can be cut into equal parts, one a table.
pub(crate) fn check_parts(
    op: &'static str,
    operand: &'static str,
    length: usize,
    tables: usize,
) -> Result<()> {
    check_size(op, operand, "values", length.next_multiple_of(tables), length)
}

/// Checks the arrays of [`TableGradient`].
pub(crate) fn check_gradient(
    op: &'static str,
    arrays: &TableGradient<'_>,
    sites: Sites<'_>,
) -> Result<()> {
    check_size(op, "sums", "values", sites.entries(), arrays.sums.len())?;
    check_parts(op, "scale", arrays.scale.len(), sites.tables())?;
    check_parts(op, "offset", arrays.offset.len(), sites.tables())?;
    check_parts(op, "slopes", arrays.slopes.len(), sites.tables())?;
    check_parts(op, "parameters", arrays.parameters.len(), sites.tables())
}
