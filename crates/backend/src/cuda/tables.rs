//! Tables of sources on the device: sent once, found again by what they hold.

use std::sync::{Arc, Mutex, PoisonError};

use lutweave_lut::NO_SOURCE;

use super::Cuda;
use super::memory::Buffer;
use crate::candidate::Made;
use crate::{Result, Sites};

/// Most tables kept, the latest used first, and most entries of all of them: wiring that is learned
/// changes in the course of training.
const MOST: usize = 256;
const MOST_ENTRIES: usize = 1 << 26;

/// What the device has of a table.
#[derive(Debug)]
pub(super) struct OnDevice {
    /// For readers: where those of each source begin. Else the table itself.
    pub(super) first: Buffer,
    /// For readers: two numbers each.
    pub(super) readers: Option<Buffer>,
}

/// How a table was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// Which inputs read each source: place, then row of the slopes.
    Inputs { sources: usize, fan_in: usize, share: usize },
    /// Which candidates name each source: slot, then number in the slot.
    Candidates { sources: usize, count: usize },
    /// Which entries read each source: entry divided by `parts`, then the rest times `step`.
    Entries { sources: usize, parts: usize, step: usize, start: usize, end: usize },
}

/// The tables that a device has.
#[derive(Debug, Default)]
pub(super) struct Tables {
    kept: Mutex<Vec<Kept>>,
}

/// A table, how it was prepared, and what the device has of it.
#[derive(Debug)]
struct Kept {
    kind: Kind,
    table: Box<[u32]>,
    there: Arc<OnDevice>,
}

impl Cuda {
    /// A table on the device, as it is.
    pub(super) fn table(&self, table: &[u32]) -> Result<Arc<OnDevice>> {
        self.prepared(table, Kind::Plain)
    }

    /// A table on the device, prepared; compared in full with those that are there, which takes a
    /// small part of the time that a kernel takes to read it.
    pub(super) fn prepared(&self, table: &[u32], kind: Kind) -> Result<Arc<OnDevice>> {
        let mut kept = self.tables.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |kept: &Kept| kept.kind == kind && *kept.table == *table;
        if let Some(at) = kept.iter().position(same) {
            kept[..=at].rotate_right(1);
            return Ok(kept[0].there.clone());
        }
        let made = Arc::new(match kind {
            Kind::Plain => OnDevice { first: self.memory.send(table)?, readers: None },
            Kind::Inputs { sources, fan_in, share } => {
                // Constants come after the last source.
                let own = |index: usize| {
                    let (place, input) = (index / fan_in, index % fan_in);
                    [place as u32, (place / share * fan_in + input) as u32]
                };
                self.readers(table, sources, own)?
            }
            Kind::Candidates { sources, count } => {
                let own = |index: usize| [(index / count) as u32, (index % count) as u32];
                self.readers(table, sources, own)?
            }
            Kind::Entries { sources, parts, step, start, end } => {
                let inside = |index: usize| (start..end).contains(&(index % parts));
                let masked: Vec<u32> = table
                    .iter()
                    .enumerate()
                    .map(|(index, &source)| if inside(index) { source } else { NO_SOURCE })
                    .collect();
                let own = |index: usize| {
                    [(index / parts) as u32, ((index % parts - start) * step) as u32]
                };
                self.readers(&masked, sources, own)?
            }
        });
        kept.insert(0, Kept { kind, table: table.into(), there: made.clone() });
        let mut entries = 0usize;
        let fit = kept.iter().take_while(|kept| {
            entries += kept.table.len();
            entries <= MOST_ENTRIES
        });
        let fit = fit.count().clamp(1, MOST);
        kept.truncate(fit);
        Ok(made)
    }

    /// The entries that name each of the sources, in rising order, and what `own` makes of them.
    fn readers(
        &self,
        table: &[u32],
        sources: usize,
        own: impl Fn(usize) -> [u32; 2],
    ) -> Result<OnDevice> {
        let mut first = vec![0u32; sources + 1];
        let named = || table.iter().enumerate().filter(|&(_, &source)| (source as usize) < sources);
        for (_, &source) in named() {
            first[source as usize + 1] += 1;
        }
        for source in 0..sources {
            first[source + 1] += first[source];
        }
        let (mut next, mut readers) = (first.clone(), vec![[0u32; 2]; first[sources] as usize]);
        for (index, &source) in named() {
            let place = &mut next[source as usize];
            readers[*place as usize] = own(index);
            *place += 1;
        }
        let (first, readers) = (self.memory.send(&first)?, self.memory.send(&readers)?);
        Ok(OnDevice { first, readers: Some(readers) })
    }
}

/// The sources of all places on the device.
pub(super) enum Sources {
    /// Sent.
    Table(Arc<OnDevice>),
    /// Chosen by a kernel, or mirrored there.
    Array(Arc<Buffer>),
}

impl Sources {
    pub(super) fn first(&self) -> &Buffer {
        match self {
            Self::Table(table) => &table.first,
            Self::Array(array) => array,
        }
    }
}

impl Cuda {
    /// The sources of all places, where kernels find them.
    pub(super) fn sources_of(&self, sites: Sites<'_>) -> Result<Sources> {
        match sites.chosen() {
            Some(choice) => Ok(Sources::Array(self.input(choice.array())?)),
            None => Ok(Sources::Table(self.table(sites.table())?)),
        }
    }
}

/// Which inputs read each source: where those of each begin and end, and the inputs. The buffers that
/// they point to have to live until the kernel is launched.
pub(super) struct Inputs {
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) readers: u64,
    _table: Option<Arc<OnDevice>>,
    _arrays: Vec<Arc<Buffer>>,
}

impl Inputs {
    /// Those that lie where kernels wrote them: beginnings, ends, inputs.
    pub(super) fn of(arrays: [Arc<Buffer>; 3]) -> Self {
        let [first, end, readers] = [0, 1, 2].map(|at: usize| arrays[at].address_of::<u32>(0));
        Self { first, end, readers, _table: None, _arrays: arrays.into() }
    }
}

impl Cuda {
    /// What reads each source: of a choice, as it was turned around where it was made.
    pub(super) fn inputs_of(&self, sites: Sites<'_>) -> Result<Inputs> {
        if let Some(choice) = sites.chosen() {
            if let Made::Readers(readers) = choice.made() {
                let [first, end] = [self.input(&readers.first)?, self.input(&readers.end)?];
                return Ok(Inputs::of([first, end, self.input(&readers.slots)?]));
            }
            choice.fetch()?; // on the host then
        }
        let (sources, fan_in, share) = (sites.sources(), sites.fan_in(), sites.share());
        let table = self.prepared(sites.table(), Kind::Inputs { sources, fan_in, share })?;
        let (first, readers) = (&table.first, table.readers());
        let [first, end, readers] =
            [first.address_of::<u32>(0), first.address_of::<u32>(1), readers.address_of::<u32>(0)];
        Ok(Inputs { first, end, readers, _table: Some(table), _arrays: Vec::new() })
    }
}

impl OnDevice {
    /// Where the readers are, or the table itself.
    pub(super) fn readers(&self) -> &Buffer {
        self.readers.as_ref().unwrap_or(&self.first)
    }
}
