//! What a study is: choices, and the network of each combination of them.

use std::path::Path;

use lutweave::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A choice that a study makes in all ways.
#[derive(Debug)]
pub(super) struct Factor {
    pub(super) name: &'static str,
    pub(super) levels: &'static [&'static str],
}

/// A study. All combinations of levels that exist are trained with all seeds, on equal terms.
pub(super) struct Study {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// The heading of its page.
    pub(super) title: &'static str,
    /// What the page says of the levels, in Markdown.
    pub(super) about: &'static str,
    /// The first of them is what is compared: its levels have winners.
    pub(super) factors: &'static [Factor],
    /// Whether a combination has a meaning.
    pub(super) exists: fn(&Cell) -> bool,
    /// The untrained network of a combination.
    pub(super) network: fn(&Cell, &Setting, &Dataset, u64) -> Result<Network>,
    /// How many of the first factors have learning rates of their own.
    pub(super) rated: usize,
    /// The levels of the other factors with which the rates are chosen.
    pub(super) rated_at: &'static [usize],
    /// The rates to choose among.
    pub(super) rates: &'static [f32],
    /// Samples of a step.
    pub(super) batch: usize,
}

/// Levels of all factors of a study, as their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell(pub(super) Vec<usize>);

impl Cell {
    /// The level of a factor by its place in the study; the first where there is no such factor.
    pub(super) fn level(&self, factor: usize) -> usize {
        self.0.get(factor).copied().unwrap_or(0)
    }

    /// The same with another level of a factor.
    pub(super) fn with(&self, factor: usize, level: usize) -> Self {
        let mut cell = self.clone();
        cell.0[factor] = level;
        cell
    }
}

impl Study {
    /// The combinations that exist, the last factor changing fastest.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut all = vec![Vec::new()];
        for factor in self.factors {
            let longer = |cell: &Vec<usize>| {
                let cell = cell.clone();
                (0..factor.levels.len()).map(move |level| [cell.clone(), vec![level]].concat())
            };
            all = all.iter().flat_map(longer).collect();
        }
        all.into_iter().map(Cell).filter(|cell| (self.exists)(cell)).collect()
    }

    /// The combination whose rate this one takes.
    pub(super) fn rated_cell(&self, cell: &Cell) -> Cell {
        Cell([&cell.0[..self.rated], self.rated_at].concat())
    }

    /// The levels of a combination by name.
    pub(super) fn names(&self, cell: &Cell) -> Vec<String> {
        let name = |(factor, &level): (&Factor, &usize)| factor.levels[level].to_owned();
        self.factors.iter().zip(&cell.0).map(name).collect()
    }

    /// The combination with levels of these names, if it exists.
    pub(super) fn cell(&self, names: &[String]) -> Option<Cell> {
        let place = |(factor, name): (&Factor, &String)| {
            factor.levels.iter().position(|level| level == name)
        };
        let levels: Option<Vec<usize>> = self.factors.iter().zip(names).map(place).collect();
        let cell = Cell(levels.filter(|_| names.len() == self.factors.len())?);
        (self.exists)(&cell).then_some(cell)
    }
}

impl std::fmt::Debug for Study {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Study").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What all trainings of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setting {
    pub(super) study: String,
    /// Name or path of the data set.
    pub(super) data: String,
    pub(super) seeds: u64,
    pub(super) nodes: usize,
    pub(super) epochs: usize,
    /// Training samples; all where none.
    pub(super) samples: Option<usize>,
}

impl Setting {
    /// The last part of the data set's name.
    pub(super) fn data_name(&self) -> String {
        let name = Path::new(&self.data).file_stem();
        name.map_or("data".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
