//! How much of a network's truth tables training still changes.

use std::collections::BTreeMap;

use lutweave_lut::{Netlist, Op};

use crate::{Error, Result};

/// Truth tables by name, as they were at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    tables: BTreeMap<String, Vec<bool>>,
}

impl Snapshot {
    /// The tables of all LUT cells of a netlist, by the names of the cells.
    pub fn of(netlist: &Netlist) -> Self {
        let tables = netlist.cells().iter().filter_map(|cell| match &cell.op {
            Op::Lut(table) => {
                let bits = (0..table.entries()).map(|entry| table.get(entry)).collect();
                Some((cell.name.clone(), bits))
            }
            _ => None,
        });
        Self { tables: tables.collect() }
    }

    /// Tables that are known otherwise; a name that comes again replaces the earlier one.
    pub fn from_tables(tables: impl IntoIterator<Item = (String, Vec<bool>)>) -> Self {
        Self { tables: tables.into_iter().collect() }
    }

    /// Number of tables.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// What has changed since an earlier snapshot of the same network. Tables that are in one
    /// of them only, as of cells that nothing reads any more, do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when tables of the same name have other sizes.
    pub fn since(&self, before: &Self) -> Result<Flips> {
        let mut flips = Flips::default();
        for (name, now) in &self.tables {
            let Some(then) = before.tables.get(name) else { continue };
            if now.len() != then.len() {
                let got = format!("`{name}` of {} and {} entries", then.len(), now.len());
                let (option, expected) = ("snapshots", "of the same network");
                return Err(Error::Option { option, expected, got });
            }
            let changed = now.iter().zip(then).filter(|(now, then)| now != then).count();
            flips.tables += 1;
            flips.entries += now.len() as u64;
            flips.flipped += changed as u64;
            flips.tables_changed += u64::from(changed > 0);
        }
        Ok(flips)
    }
}

/// What has changed between two [`Snapshot`]s: the flip ratio is the one training figure that is
/// particular to networks of bits (Helwegen et al. 2019 log it for each layer). It falls as
/// training settles; one near 1/2 says that the step is far too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flips {
    /// Tables compared.
    pub tables: u64,
    /// Tables with at least one changed entry.
    pub tables_changed: u64,
    /// Entries compared.
    pub entries: u64,
    /// Entries changed.
    pub flipped: u64,
}

impl Flips {
    /// The share of entries that changed; 0 of none.
    pub fn ratio(self) -> f64 {
        super::share(self.flipped, self.entries)
    }
}
