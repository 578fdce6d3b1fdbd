//! The end of a network: which of several numbers is the largest.

use lutweave_lut::{Net, bits_for};

use super::cells::Cells;
use super::{Frozen, Values};
use crate::{Error, Result};

/// Most entries of a table from words to ranks.
const MAX_RANKED: usize = 1 << 14;

/// Fractions of a step that are closer than this count as the same, until all numbers are compared.
const SAME: f64 = 1e-4;

/// Unsigned words, all equally wide, whose order is that of the numbers that the nodes stand for.
///
/// # Errors
///
/// [`Error::Freeze`] where numbers of different scales have too many values to be ranked.
pub(crate) fn comparable(frozen: &Frozen, cells: &mut Cells<'_>) -> Result<Vec<Vec<Net>>> {
    let values = &frozen.values;
    let words = if values.is_empty() || is_one_scale(values) {
        frozen.words.clone()
    } else if let Some(offsets) = offsets(values) {
        shifted(&frozen.words, values, &offsets, cells)?
    } else {
        ranked(&frozen.words, values, cells)?
    };
    cells.equal_widths(words)
}

/// Whether all words stand for the same numbers, which rise.
fn is_one_scale(values: &[Values]) -> bool {
    let Some(longest) = values.iter().max_by_key(|values| values.len()) else { return true };
    let rises = longest.windows(2).all(|pair| pair[0] < pair[1]);
    rises && values.iter().all(|values| **values == longest[..values.len()])
}

/// A shift of a word that makes it comparable with others: whole steps, and the place among the
/// nodes whose steps lie between.
#[derive(Debug, Clone, Copy)]
struct Offset {
    steps: u64,
    place: u64,
}

/// The shifts of numbers that rise by the same step from different beginnings; none where it is not
/// so, or where rounding has brought two numbers together or apart.
fn offsets(values: &[Values]) -> Option<Vec<Offset>> {
    let longest = values.iter().max_by_key(|values| values.len())?;
    let last = longest.len().checked_sub(1).filter(|&last| last > 0)?;
    let step = (f64::from(longest[last]) - f64::from(longest[0])) / last as f64;
    let lowest = values.iter().map(|values| f64::from(values[0])).reduce(f64::min)?;
    if step.is_nan() || step <= 0.0 {
        return None;
    }
    let at: Vec<f64> = values.iter().map(|v| (f64::from(v[0]) - lowest) / step).collect();
    let fraction = |at: &f64| if 1.0 - at.fract() < SAME { 0.0 } else { at.fract() };
    let mut places: Vec<f64> = at.iter().map(fraction).collect();
    places.sort_by(f64::total_cmp);
    places.dedup_by(|a, b| *a - *b < SAME);
    if at.iter().any(|&at| at > f64::from(u32::MAX)) {
        return None;
    }
    let offset = |at: &f64| {
        let steps = (at + SAME).floor() as u64;
        let place = places.partition_point(|place| *place <= fraction(at) - SAME) as u64;
        Offset { steps, place }
    };
    let offsets: Vec<Offset> = at.iter().map(offset).collect();
    let count = places.len() as u64;
    let mut all: Vec<(f32, u64)> = Vec::new();
    for (values, offset) in values.iter().zip(&offsets) {
        let code = |k: usize| (k as u64 + offset.steps) * count + offset.place;
        all.extend(values.iter().enumerate().map(|(k, &value)| (value, code(k))));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let agree =
        |pair: &[(f32, u64)]| pair[0].0.partial_cmp(&pair[1].0) == Some(pair[0].1.cmp(&pair[1].1));
    all.windows(2).all(agree).then_some(offsets)
}

/// Words that count from a common beginning, with the place of each between two steps below them.
fn shifted(
    words: &[Vec<Net>],
    values: &[Values],
    offsets: &[Offset],
    cells: &mut Cells<'_>,
) -> Result<Vec<Vec<Net>>> {
    let places = offsets.iter().map(|offset| offset.place).max().unwrap_or(0);
    let digits = if places == 0 { 0 } else { bits_for(places as usize) };
    let mut all = Vec::with_capacity(words.len());
    for ((word, values), offset) in words.iter().zip(values).zip(offsets) {
        let mut own = Vec::new();
        for digit in 0..digits {
            own.push(cells.constant(offset.place >> digit & 1 == 1)?);
        }
        let most = values.len() as u64 - 1 + offset.steps;
        own.extend(cells.add_number(word, offset.steps, most)?);
        all.push(own);
    }
    Ok(all)
}

/// The rank of each number among all that any node can be.
fn ranked(words: &[Vec<Net>], values: &[Values], cells: &mut Cells<'_>) -> Result<Vec<Vec<Net>>> {
    let most = values.iter().map(|values| values.len()).max().unwrap_or(0);
    if most > MAX_RANKED {
        let why = format!(
            "its scores have scales of their own and {most} values, at most {MAX_RANKED} can be \
             ranked: end with scores of one scale, without a batch norm behind the last sums"
        );
        return Err(Error::Freeze { layer: "network".to_owned(), why });
    }
    let mut all: Vec<f32> = values.iter().flat_map(|values| values.iter().copied()).collect();
    all.sort_by(f32::total_cmp);
    all.dedup_by(|a, b| (*a).partial_cmp(b) == Some(std::cmp::Ordering::Equal));
    let rank = |value: &f32| all.partition_point(|other| other < value) as u64;
    let ranks = |values: &Values| values.iter().map(rank).collect::<Vec<_>>();
    words.iter().zip(values).map(|(word, values)| cells.recode(word, &ranks(values))).collect()
}
