//! The table kernels: one node at a time, nodes or frames over threads.

use std::cell::RefCell;

use lutweave_lut::Wiring;
use lutweave_tensor::{DType, FrameBuffer, WORD};
use rayon::prelude::*;

use super::Cpu;
use super::node::{Node, Spread};
use crate::Result;
use crate::check::{check_rows, check_size};
use crate::real::frame_blocks;
use crate::table::{Slopes, TableKernels, check_input, check_slopes, table_words};

/// Most frames that one unit of backward work covers.
const BACKWARD_BLOCK: usize = 1024;
/// Fewest nodes a thread takes at once, so that small layers are not torn apart.
const MIN_NODES: usize = 16;

/// The nodes of a layer as the kernels of one node want them.
fn nodes<'a>(x: &'a FrameBuffer, wiring: &'a Wiring) -> Result<impl Fn(usize) -> Node<'a>> {
    let (rows, stride) = (x.rows::<u64>()?, x.stride());
    Ok(move |node| Node::new(rows, stride, wiring.node(node)))
}

thread_local! {
    /// Rows of a block for [`apart`], kept from call to call.
    static ROWS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Works on a block's part of every row by way of a copy.
///
/// The parts of two blocks are neighbours in memory, and prefetching past the end of one takes cache
/// lines away from the thread that works on the next, once per node. Here each thread works on
/// memory of its own, and goes over the rows once before and once after.
fn apart(rows: &mut [&mut [f32]], work: impl FnOnce(&mut [&mut [f32]])) {
    let length = rows[0].len();
    let stride = length.next_multiple_of(WORD) + WORD / 4; // no power of two
    ROWS.with_borrow_mut(|own| {
        own.resize(rows.len() * stride, 0.0);
        let mut parts: Vec<&mut [f32]> =
            own.chunks_exact_mut(stride).map(|row| &mut row[..length]).collect();
        for (part, row) in parts.iter_mut().zip(rows.iter()) {
            part.copy_from_slice(row);
        }
        work(&mut parts);
        for (row, part) in rows.iter_mut().zip(&parts) {
            row.copy_from_slice(part);
        }
    });
}

impl TableKernels for Cpu {
    fn pattern_counts(&self, x: &FrameBuffer, wiring: &Wiring, counts: &mut [u32]) -> Result<()> {
        let op = "pattern counts";
        check_input(op, x, wiring)?;
        let entries = 1usize << wiring.fan_in();
        check_size(op, "counts", "values", wiring.nodes() * entries, counts.len())?;
        let node = nodes(x, wiring)?;
        let counts = counts.par_chunks_mut(entries).with_min_len(MIN_NODES).enumerate();
        counts.for_each(|(number, counts)| self.isa().counts(node(number), x.frames(), counts));
        Ok(())
    }

    fn table_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "table forward";
        check_input(op, x, wiring)?;
        check_rows(op, "y", y, DType::Bit, wiring.nodes(), x)?;
        let table_words = table_words(wiring.fan_in());
        check_size(op, "tables", "words", wiring.nodes() * table_words, tables.len())?;
        let node = nodes(x, wiring)?;
        let (stride, words) = (y.stride(), x.frames().div_ceil(WORD));
        let last = y.frame_mask(words - 1);
        let rows = y.rows_mut::<u64>()?.par_chunks_mut(stride).zip(tables.par_chunks(table_words));
        rows.with_min_len(MIN_NODES).enumerate().for_each(|(number, (y, table))| {
            self.isa().look_up(node(number), table, &mut y[..words]);
            y[words - 1] &= last;
        });
        Ok(())
    }

    fn value_forward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "value forward";
        check_input(op, x, wiring)?;
        check_rows(op, "y", y, DType::F32, wiring.nodes(), x)?;
        let entries = 1usize << wiring.fan_in();
        check_size(op, "values", "values", wiring.nodes() * entries, values.len())?;
        let node = nodes(x, wiring)?;
        let (stride, frames) = (y.stride(), x.frames());
        let rows = y.rows_mut::<f32>()?.par_chunks_mut(stride).zip(values.par_chunks(entries));
        rows.with_min_len(MIN_NODES).enumerate().for_each(|(number, (y, values))| {
            self.isa().values(node(number), values, &mut y[..frames]);
        });
        Ok(())
    }

    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()> {
        let op = "pattern sums";
        check_input(op, x, wiring)?;
        check_rows(op, "dy", dy, DType::F32, wiring.nodes(), x)?;
        let entries = 1usize << wiring.fan_in();
        check_size(op, "sums", "values", wiring.nodes() * entries, sums.len())?;
        let node = nodes(x, wiring)?;
        let padded = x.frames().next_multiple_of(WORD);
        let rows = dy.rows::<f32>()?.par_chunks(dy.stride());
        let sums = sums.par_chunks_mut(entries).zip(rows).with_min_len(MIN_NODES).enumerate();
        sums.for_each(|(number, (sums, dy))| self.isa().sums(node(number), &dy[..padded], sums));
        Ok(())
    }

    fn table_backward(
        &self,
        x: &FrameBuffer,
        wiring: &Wiring,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "table backward";
        check_input(op, x, wiring)?;
        check_rows(op, "dy", dy, DType::F32, wiring.nodes(), x)?;
        check_rows(op, "dx", dx, DType::F32, wiring.sources(), x)?;
        check_slopes(op, slopes, wiring)?;
        let node = nodes(x, wiring)?;
        let (fan_in, frames) = (wiring.fan_in(), x.frames());
        let (dy_rows, dy_stride) = (dy.rows::<f32>()?, dy.stride());
        let entries = 1usize << fan_in;
        // Threads take blocks of frames; a block holds its part of every row. Frames are
        // independent here, so the size of a block changes no result.
        let share = frames.div_ceil(rayon::current_num_threads()).next_multiple_of(WORD);
        let block = share.min(BACKWARD_BLOCK);
        let mut blocks = frame_blocks(dx, block)?;
        // Copying rows pays where each is written several times.
        let often = wiring.table().len() >= 4 * wiring.sources();
        let shared = often && blocks.len() > 1 && rayon::current_num_threads() > 1;
        let spread = |number: usize, rows: &mut [&mut [f32]]| {
            let first = number * block;
            let length = rows[0].len();
            for j in 0..wiring.nodes() {
                let spread = Spread {
                    first_word: first / WORD,
                    dy: &dy_rows[j * dy_stride + first..][..length],
                    scale: &slopes.scale[j * entries..][..entries],
                    offset: &slopes.offset[j * entries..][..entries],
                    slopes: &slopes.slopes[j * entries * fan_in..][..entries * fan_in],
                    folded: slopes.folded,
                };
                self.isa().spread(node(j), &spread, rows);
            }
        };
        blocks.par_iter_mut().enumerate().for_each(|(number, rows)| {
            if shared {
                apart(rows, |rows| spread(number, rows));
            } else {
                spread(number, rows);
            }
        });
        Ok(())
    }
}
