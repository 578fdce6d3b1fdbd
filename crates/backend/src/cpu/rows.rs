//! Rows moved by a table: copies, and sums over the rows that read the same one.

use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, Element, FrameBuffer, THRESHOLD};
use rayon::prelude::*;

use super::{Cpu, Dispatch, Kernel};
use crate::Result;
use crate::reference::Reference;
use crate::rows::{RowKernels, check_gather, check_scatter};

/// Bytes that one thread writes at a time: enough to be worth handing over, little enough to share
/// out evenly.
pub(super) const BLOCK_BYTES: usize = 1 << 15;

/// Calls `work(first, rows)` for blocks of whole rows, on all threads where there are several.
/// `first` is the number of the block's first row.
pub(super) fn for_row_blocks<T: Send>(
    rows: &mut [T],
    stride: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let count = (BLOCK_BYTES / (stride * size_of::<T>()).max(1)).max(1);
    if rows.len() <= count * stride {
        return work(0, rows);
    }
    let blocks = rows.par_chunks_mut(count * stride).enumerate();
    blocks.for_each(|(block, rows)| work(block * count, rows));
}

/// Which entries of a table name each source, in rising order.
pub(super) struct Readers {
    /// Where the entries of each source begin; one more at the end.
    first: Vec<u32>,
    entries: Vec<u32>,
}

impl Readers {
    /// Of a checked table of fewer than 2^32 entries; those without a source are left out.
    pub(super) fn new(sources: usize, table: impl Iterator<Item = u32> + Clone) -> Self {
        let mut first = vec![0u32; sources + 1];
        for source in table.clone().filter(|&source| source != NO_SOURCE) {
            first[source as usize + 1] += 1;
        }
        for source in 0..sources {
            first[source + 1] += first[source];
        }
        let mut next = first.clone();
        let mut entries = vec![0; first[sources] as usize];
        for (entry, source) in table.enumerate().filter(|(_, source)| *source != NO_SOURCE) {
            let place = &mut next[source as usize];
            entries[*place as usize] = entry as u32;
            *place += 1;
        }
        Self { first, entries }
    }

    /// The entries that name `source`.
    #[inline(always)]
    pub(super) fn of(&self, source: usize) -> &[u32] {
        &self.entries[self.first[source] as usize..self.first[source + 1] as usize]
    }
}

impl RowKernels for Cpu {
    fn gather_rows(
        &self,
        x: &FrameBuffer,
        table: &[u32],
        fill: f64,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_gather(x, table, y)?;
        match x.dtype() {
            DType::Bit => {
                let ones = |word| if fill > THRESHOLD { x.frame_mask(word) } else { 0 };
                let constant: Vec<u64> = (0..x.stride()).map(ones).collect();
                gather(x, table, &constant, y)
            }
            DType::U8 => gather(x, table, &constant::<u8>(x, fill), y),
            DType::F32 => gather(x, table, &constant::<f32>(x, fill), y),
            _ => Reference.gather_rows(x, table, fill, y),
        }
    }

    fn scatter_rows(&self, dy: &FrameBuffer, table: &[u32], dx: &mut FrameBuffer) -> Result<()> {
        check_scatter(dy, table, dx)?;
        let readers = Readers::new(dx.nodes(), table.iter().copied());
        let (dy, stride) = (dy.rows::<f32>()?, dx.stride());
        for_row_blocks(dx.rows_mut::<f32>()?, stride, |first, dx| {
            self.isa().run(Scatter { dy, stride, readers: &readers, first, dx });
        });
        Ok(())
    }
}

/// A row of one value, with its padding.
fn constant<T: Element>(x: &FrameBuffer, fill: f64) -> Vec<T> {
    let mut row = vec![T::zeroed(); x.stride()];
    row[..x.frames()].fill(T::from_f64(fill));
    row
}

/// Copies rows; those that follow one another in both buffers in one piece.
fn gather<T: Element>(
    x: &FrameBuffer,
    table: &[u32],
    constant: &[T],
    y: &mut FrameBuffer,
) -> Result<()> {
    let (x, stride) = (x.rows::<T>()?, constant.len());
    for_row_blocks(y.rows_mut::<T>()?, stride, |first, mut y| {
        let mut table = &table[first..][..y.len() / stride];
        while let Some(&source) = table.first() {
            let rows = if source == NO_SOURCE { 1 } else { run(table) };
            let from = match source {
                NO_SOURCE => constant,
                source => &x[source as usize * stride..][..rows * stride],
            };
            let (now, rest) = y.split_at_mut(from.len());
            now.copy_from_slice(from);
            (y, table) = (rest, &table[rows..]);
        }
    });
    Ok(())
}

/// How many sources at the beginning of a table follow one another.
fn run(table: &[u32]) -> usize {
    let next = |pair: &&[u32]| pair[1] == pair[0].wrapping_add(1) && pair[1] != NO_SOURCE;
    1 + table.windows(2).take_while(next).count()
}

/// Adds the rows of `dy` that belong to a block of rows of `dx`.
struct Scatter<'a> {
    dy: &'a [f32],
    stride: usize,
    readers: &'a Readers,
    first: usize,
    dx: &'a mut [f32],
}

impl Kernel for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, dx) in self.dx.chunks_exact_mut(self.stride).enumerate() {
            for &entry in self.readers.of(self.first + row) {
                let dy = &self.dy[entry as usize * self.stride..][..self.stride];
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx += dy;
                }
            }
        }
    }
}
