//! The table kernels: one table at a time, tables or frames over threads.

use lutweave_lut::MAX_FAN_IN;
use lutweave_tensor::{DType, FrameBuffer, WORD};
use rayon::prelude::*;

use super::blocks::{Blocks, apart, with_spare};
use super::node::{Node, Spread};
use super::{Cpu, TableDispatch};
use crate::check::{check_rows, check_size};
use crate::sites::{Rows, bit_ones};
use crate::table::{
    Entries, MakeEntries, MakeGradient, Slopes, TableGradient, TableKernels, check_counts,
    check_gradient, check_input, check_parts, check_sums, check_table_backward,
    check_table_forward, check_value_forward, split, table_words,
};
use crate::{Result, Sites};

/// Most frames that one unit of backward work covers.
const BACKWARD_BLOCK: usize = 1024;
/// Places that are worked on together where tables are shared, so that the rows of `dx` that nearby
/// places write stay in the cache from one table to the next.
const TILE_PLACES: usize = 8;
/// Fewest places a thread takes at once, so that small layers are not torn apart.
const MIN_PLACES: usize = 16;

/// Most places that one kernel works on before the next does: so many that each runs on from row to
/// row, so few that what is made of them stays in the cache.
const MOST_PLACES: usize = 128;

/// Fewest tables a thread takes at once.
fn min_tables(sites: Sites<'_>) -> usize {
    MIN_PLACES.div_ceil(sites.share())
}

/// The packed rows of the input.
fn rows<'a>(x: &'a FrameBuffer, sites: Sites<'_>) -> Result<Rows<'a, u64>> {
    Rows::new(x, sites, bit_ones)
}

/// Arrays of some tables that lie next to each other.
trait Tables: Sized + Send {
    /// How many.
    fn len(&self) -> usize;

    /// The first `at`, and the others.
    fn split_at(self, at: usize) -> (Self, Self);
}

/// Does the work of all tables on as many threads as there are, [`MOST_PLACES`] or fewer at a time.
fn for_each<T: Tables>(all: T, sites: Sites<'_>, work: impl Fn(T) + Sync) {
    let (least, most) = (min_tables(sites), MOST_PLACES.div_ceil(sites.share()));
    let halve = |part: T| match part.len() / 2 {
        half if half < least => (part, None),
        half => {
            let (first, second) = part.split_at(half);
            (first, Some(second))
        }
    };
    rayon::iter::split(all, halve).for_each(|mut part| {
        while part.len() > most {
            let (some, others) = part.split_at(most);
            work(some);
            part = others;
        }
        work(part);
    });
}

/// The arrays of a forward pass.
struct Forward<'a> {
    first: usize,
    len: usize,
    counts: &'a mut [u32],
    state: &'a mut [f32],
    y: Output<'a>,
}

/// Rows of the output.
enum Output<'a> {
    Bits(&'a mut [u64]),
    Values(&'a mut [f32]),
}

impl Tables for Forward<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (first, len) = (self.first, self.len);
        let (counts, other_counts) = split(self.counts, at, len);
        let (state, other_state) = split(self.state, at, len);
        let (y, other_y) = match self.y {
            Output::Bits(y) => {
                let (y, other) = split(y, at, len);
                (Output::Bits(y), Output::Bits(other))
            }
            Output::Values(y) => {
                let (y, other) = split(y, at, len);
                (Output::Values(y), Output::Values(other))
            }
        };
        let (others, rest) = (first + at, len - at);
        (
            Self { first, len: at, counts, state, y },
            Self { first: others, len: rest, counts: other_counts, state: other_state, y: other_y },
        )
    }
}

/// The arrays of a backward pass.
struct Backward<'a> {
    first: usize,
    len: usize,
    arrays: TableGradient<'a>,
}

impl Tables for Backward<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (first, len) = (self.first, self.len);
        let (arrays, others) = self.arrays.split_at(at, len);
        (Self { first, len: at, arrays }, Self { first: first + at, len: len - at, arrays: others })
    }
}

impl TableKernels for Cpu {
    fn pattern_counts(&self, x: &FrameBuffer, sites: Sites<'_>, counts: &mut [u32]) -> Result<()> {
        check_counts(x, sites, counts)?;
        let rows = rows(x, sites)?;
        let counts =
            counts.par_chunks_mut(1 << sites.fan_in()).with_min_len(min_tables(sites)).enumerate();
        counts.for_each(|(table, counts)| {
            let node = Node::new(&rows, sites, table);
            self.isa().counts(node, x.frames(), counts);
        });
        Ok(())
    }

    fn table_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        tables: &[u64],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_forward(x, sites, tables, y)?;
        let table_words = table_words(sites.fan_in());
        let rows = rows(x, sites)?;
        let stride = y.stride() * sites.share();
        let places =
            y.rows_mut::<u64>()?.par_chunks_mut(stride).zip(tables.par_chunks(table_words));
        places.with_min_len(min_tables(sites)).enumerate().for_each(|(table, (y, entries))| {
            let node = Node::new(&rows, sites, table);
            self.look_up(node, entries, y, x);
        });
        Ok(())
    }

    fn value_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        values: &[f32],
        y: &mut FrameBuffer,
    ) -> Result<()> {
        check_value_forward(x, sites, values, y)?;
        let (rows, stride) = (rows(x, sites)?, y.stride());
        let places = y.rows_mut::<f32>()?.par_chunks_mut(stride * sites.share());
        let places = places.zip(values.par_chunks(1 << sites.fan_in()));
        places.with_min_len(min_tables(sites)).enumerate().for_each(|(table, (y, values))| {
            let node = Node::new(&rows, sites, table);
            self.isa().values(node, values, y, stride, x.frames());
        });
        Ok(())
    }

    fn pattern_sums(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        sums: &mut [f32],
    ) -> Result<()> {
        check_sums(x, sites, dy, sums)?;
        let (rows, stride) = (rows(x, sites)?, dy.stride());
        let places = dy.rows::<f32>()?.par_chunks(stride * sites.share());
        let sums = sums.par_chunks_mut(1 << sites.fan_in()).zip(places);
        sums.with_min_len(min_tables(sites)).enumerate().for_each(|(table, (sums, dy))| {
            let node = Node::new(&rows, sites, table);
            self.isa().sums(node, dy, stride, x.frames(), sums);
        });
        Ok(())
    }

    fn table_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        slopes: Slopes<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        check_table_backward(x, sites, dy, slopes, dx)?;
        let (threads, frames) = (rayon::current_num_threads(), x.frames());
        // Threads take blocks of frames; a block holds its part of every row. Frames are
        // independent here, so the size of a block changes no result.
        let block = frames.div_ceil(threads).next_multiple_of(WORD).min(BACKWARD_BLOCK);
        let input = rows(x, sites)?;
        let layer = Layer {
            rows: &input,
            sites,
            dy: dy.rows::<f32>()?,
            dy_stride: dy.stride(),
            slopes,
            sources: sites.sources(),
        };
        // Copying rows pays where each is written several times.
        let often = sites.share() == 1 && sites.slots() >= 4 * sites.sources();
        let separate = often && frames > block && threads > 1;
        let spare = if sites.constants() { sites.fan_in() } else { 0 };
        with_spare(|memory| {
            Blocks::of(dx, block, spare, memory)?.for_each(|number, rows| {
                let (first, length) = (number * block, block.min(frames - number * block));
                if separate {
                    apart(rows, length, |rows| self.spread(&layer, first, length, rows));
                } else {
                    self.spread(&layer, first, length, rows);
                }
            });
            Ok(())
        })
    }

    fn counted_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        counts: &mut [u32],
        state: &mut [f32],
        make: MakeEntries<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "counted forward";
        check_input(op, x, sites)?;
        check_size(op, "counts", "values", sites.entries(), counts.len())?;
        check_parts(op, "state", state.len(), sites.tables())?;
        let dtype = if y.dtype() == DType::F32 { DType::F32 } else { DType::Bit };
        check_rows(op, "y", y, dtype, sites.places(), x)?;
        let (rows, fan_in, stride) = (rows(x, sites)?, sites.fan_in(), y.stride());
        let y = match dtype {
            DType::F32 => Output::Values(y.rows_mut::<f32>()?),
            _ => Output::Bits(y.rows_mut::<u64>()?),
        };
        let all = Forward { first: 0, len: sites.tables(), counts, state, y };
        let (entries, row) = (1usize << fan_in, stride * sites.share());
        for_each(all, sites, |Forward { first, len, counts, state, y }| {
            let node = |table: usize| Node::new(&rows, sites, first + table);
            for (table, counts) in counts.chunks_exact_mut(entries).enumerate() {
                self.isa().counts(node(table), x.frames(), counts);
            }
            let part = state.len() / len;
            let mut make = |table: usize, own: Entries<'_>| {
                let counts = &counts[table * entries..][..entries];
                make(first + table, counts, &mut state[table * part..][..part], own);
            };
            match y {
                Output::Bits(y) => {
                    let mut bits = [[0u64; table_words(MAX_FAN_IN)]; MOST_PLACES];
                    let bits = &mut bits[..len];
                    for (table, bits) in bits.iter_mut().enumerate() {
                        make(table, Entries::Bits(&mut bits[..table_words(fan_in)]));
                    }
                    for ((table, bits), y) in bits.iter().enumerate().zip(y.chunks_exact_mut(row)) {
                        self.look_up(node(table), &bits[..table_words(fan_in)], y, x);
                    }
                }
                Output::Values(y) => {
                    for (table, y) in y.chunks_exact_mut(row).enumerate() {
                        let mut values = [0f32; 1 << MAX_FAN_IN];
                        let values = &mut values[..entries];
                        make(table, Entries::Values(values));
                        self.isa().values(node(table), values, y, stride, x.frames());
                    }
                }
            }
        });
        Ok(())
    }

    fn summed_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        arrays: TableGradient<'_>,
        make: MakeGradient<'_>,
    ) -> Result<()> {
        let op = "summed backward";
        check_input(op, x, sites)?;
        check_rows(op, "dy", dy, DType::F32, sites.places(), x)?;
        check_gradient(op, &arrays, sites)?;
        let (rows, stride, share) = (rows(x, sites)?, dy.stride(), sites.share());
        let dy = dy.rows::<f32>()?;
        let all = Backward { first: 0, len: sites.tables(), arrays };
        for_each(all, sites, |Backward { first, len, mut arrays }| {
            for (table, sums) in arrays.sums.chunks_exact_mut(1 << sites.fan_in()).enumerate() {
                let (node, table) = (Node::new(&rows, sites, first + table), first + table);
                let dy = &dy[table * share * stride..][..share * stride];
                self.isa().sums(node, dy, stride, x.frames(), sums);
            }
            for table in 0..len {
                let (own, others) = arrays.split_at(1, len - table);
                make(first + table, own);
                arrays = others;
            }
        });
        Ok(())
    }
}

/// What the backward pass of all tables reads.
struct Layer<'a> {
    rows: &'a Rows<'a, u64>,
    sites: Sites<'a>,
    dy: &'a [f32],
    dy_stride: usize,
    slopes: Slopes<'a>,
    sources: usize,
}

impl Cpu {
    /// The output rows of one table, padding included.
    fn look_up(self, node: Node<'_>, table: &[u64], y: &mut [u64], x: &FrameBuffer) {
        let words = x.frames().div_ceil(WORD);
        self.isa().look_up(node, table, y, words);
        let last = x.frame_mask(words - 1);
        for place in 0..node.places() {
            y[place * node.stride() + words - 1] &= last;
        }
    }

    /// Spreads the gradients of all tables over one block of frames of `dx`.
    fn spread(self, layer: &Layer<'_>, block: usize, length: usize, rows: &mut [&mut [f32]]) {
        let sites = layer.sites;
        let (share, fan_in, entries) = (sites.share(), sites.fan_in(), 1usize << sites.fan_in());
        for place in (0..share).step_by(TILE_PLACES) {
            for table in 0..sites.tables() {
                let at = table * entries;
                let dy = &layer.dy[table * share * layer.dy_stride..];
                let spread = Spread {
                    places: place..share.min(place + TILE_PLACES),
                    first: block,
                    frames: length,
                    dy: &dy[..share * layer.dy_stride],
                    dy_stride: layer.dy_stride,
                    scale: &layer.slopes.scale[at..][..entries],
                    offset: &layer.slopes.offset[at..][..entries],
                    slopes: &layer.slopes.slopes[at * fan_in..][..entries * fan_in],
                    folded: layer.slopes.folded,
                    sources: layer.sources,
                };
                self.isa().spread(Node::new(layer.rows, sites, table), &spread, rows);
            }
        }
    }
}
