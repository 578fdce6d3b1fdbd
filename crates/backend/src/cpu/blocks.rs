//! Rows of gradients cut into blocks of frames, so that each thread writes to a part of every row.

use std::cell::{Cell, RefCell};

use lutweave_tensor::{FrameBuffer, WORD};
use rayon::prelude::*;

use crate::Result;

/// For each block of frames its part of every row, and after these the parts of rows that nobody
/// reads.
pub(super) struct Blocks<'a> {
    /// `[blocks][rows]`.
    parts: Vec<&'a mut [f32]>,
    /// Rows of a block.
    rows: usize,
}

thread_local! {
    /// The vectors of [`Blocks`] and of [`apart`], kept from call to call.
    static PARTS: Cell<Vec<&'static mut [f32]>> = const { Cell::new(Vec::new()) };
    static OWN: Cell<Vec<&'static mut [f32]>> = const { Cell::new(Vec::new()) };
    /// Rows of a block for [`apart`], and those that nobody reads, kept likewise.
    static ROWS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static SPARE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// The memory of a vector of slices for slices of another lifetime.
fn emptied<'a>(mut slices: Vec<&mut [f32]>) -> Vec<&'a mut [f32]> {
    slices.clear();
    slices.into_iter().map(|_| -> &'a mut [f32] { &mut [] }).collect()
}

impl<'a> Blocks<'a> {
    /// The blocks of a buffer of f32, each of `block` frames or what is left, with `spare` rows more
    /// in each, which are on the memory given.
    pub(super) fn of(
        buffer: &'a mut FrameBuffer,
        block: usize,
        spare: usize,
        memory: &'a mut Vec<f32>,
    ) -> Result<Self> {
        let (nodes, frames, stride) = (buffer.nodes(), buffer.frames(), buffer.stride());
        let (rows, count) = (nodes + spare, frames.div_ceil(block));
        memory.resize(spare * count * block, 0.0);
        let mut parts = emptied(PARTS.take());
        parts.resize_with(count * rows, || &mut []);
        for (row, values) in buffer.rows_mut::<f32>()?.chunks_mut(stride).enumerate() {
            for (number, part) in values[..frames].chunks_mut(block).enumerate() {
                parts[number * rows + row] = part;
            }
        }
        for (at, part) in memory.chunks_mut(block).enumerate() {
            let (number, row) = (at / spare, nodes + at % spare);
            parts[number * rows + row] = &mut part[..block.min(frames - number * block)];
        }
        Ok(Self { parts, rows })
    }

    /// Does the work of each block, given its number and parts, on as many threads as there are.
    pub(super) fn for_each(&mut self, work: impl Fn(usize, &mut [&mut [f32]]) + Sync) {
        let blocks = self.parts.par_chunks_exact_mut(self.rows).enumerate();
        blocks.for_each(|(number, rows)| work(number, rows));
    }
}

/// Lends memory for the rows that nobody reads.
pub(super) fn with_spare<T>(work: impl FnOnce(&mut Vec<f32>) -> T) -> T {
    let mut memory = SPARE.take();
    let done = work(&mut memory);
    SPARE.set(memory);
    done
}

impl Drop for Blocks<'_> {
    fn drop(&mut self) {
        PARTS.set(emptied(std::mem::take(&mut self.parts)));
    }
}

/// Works on a block's part of every row by way of a copy.
///
/// The parts of two blocks are neighbours in memory, and prefetching past the end of one takes cache
/// lines away from the thread that works on the next, once per node. Here each thread works on
/// memory of its own, and goes over the rows once before and once after.
pub(super) fn apart(rows: &mut [&mut [f32]], length: usize, work: impl FnOnce(&mut [&mut [f32]])) {
    let stride = length.next_multiple_of(WORD) + WORD / 4; // no power of two
    ROWS.with_borrow_mut(|own| {
        own.resize(rows.len() * stride, 0.0);
        let mut parts = emptied(OWN.take());
        parts.extend(own.chunks_exact_mut(stride).map(|row| &mut row[..length]));
        for (part, row) in parts.iter_mut().zip(rows.iter()) {
            part.copy_from_slice(row);
        }
        work(&mut parts);
        for (row, part) in rows.iter_mut().zip(&parts) {
            row.copy_from_slice(part);
        }
        OWN.set(emptied(parts));
    });
}
