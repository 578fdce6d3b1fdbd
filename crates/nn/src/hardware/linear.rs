//! Sums of numbers that words stand for, in whole steps.
//!
//! Numbers that are whole multiples of a power of two, and whose sums have no more than the 24 bits
//! of an f32, are added without rounding, in whatever order. So software and hardware agree, though
//! one adds f32 and the other counts bits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lutweave_lut::{Net, NetlistBuilder, Role};

use super::cells::Cells;
use super::{Frozen, Values, check_count};
use crate::Result;
use crate::layer::Base;

/// Largest sum, in steps: whole numbers up to here are exact in f32.
const MAX_STEPS: i64 = 1 << 24;

/// Steps of different height that are made of comparators, rather than a code of the number.
const MAX_JUMPS: usize = 12;

/// `constant + Σ factor · net`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Linear {
    pub(crate) constant: i64,
    pub(crate) terms: Vec<(Net, i64)>,
}

/// An unsigned word for each of several sums, and how to read it: `(word · unit + least) · 2^exponent`.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) words: Vec<Vec<Net>>,
    /// The least value of each, in steps.
    pub(crate) least: Vec<i64>,
    /// The largest word of each.
    pub(crate) most: Vec<u64>,
    /// Steps of one count.
    pub(crate) unit: i64,
}

impl Sums {
    /// Checks that what they stand for fits into memory.
    pub(crate) fn check(&self, base: &Base) -> Result<()> {
        let count = self.most.iter().map(|&most| most as usize + 1).sum();
        check_count(base, count)
    }

    /// What words stand for, given the height of a step.
    pub(crate) fn values(&self, node: usize, step: f64) -> impl Iterator<Item = f32> + use<> {
        let (least, unit) = (self.least[node], self.unit);
        // Whole numbers below 2^24 times a power of two: exact.
        (0..=self.most[node]).map(move |k| ((least + unit * k.cast_signed()) as f64 * step) as f32)
    }
}

/// The exponent of the largest power of two that all numbers are whole multiples of; none where all
/// are zero.
pub(crate) fn exponent<'v>(numbers: impl IntoIterator<Item = &'v f32>) -> Option<i32> {
    let of = |number: &f32| {
        let bits = number.to_bits();
        let (field, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
        let (exponent, mantissa) = if field == 0 {
            (-149, fraction)
        } else {
            (field.cast_signed() - 150, fraction | 0x80_0000)
        };
        exponent + mantissa.trailing_zeros().cast_signed()
    };
    numbers.into_iter().filter(|&&number| number != 0.0).map(of).min()
}

/// Numbers as whole multiples of a power of two; none where one is too large to be added exactly.
pub(crate) fn steps(numbers: &[f32], exponent: i32) -> Option<Vec<i64>> {
    let step = 2f64.powi(exponent);
    let whole = |&number: &f32| {
        let steps = f64::from(number) / step;
        (steps.abs() <= MAX_STEPS as f64).then_some(steps as i64)
    };
    numbers.iter().map(whole).collect()
}

/// Numbers that words stand for, in whole steps of one power of two.
#[derive(Debug)]
pub(crate) struct Whole {
    /// `[nodes][words]`.
    pub(crate) numbers: Vec<Vec<i64>>,
    pub(crate) exponent: i32,
}

impl Whole {
    /// Of all nodes of a layer's input.
    pub(crate) fn new(base: &Base, values: &[Values]) -> Result<Self> {
        let exponent = exponent(values.iter().flat_map(|values| values.iter())).unwrap_or(0);
        let numbers: Option<Vec<_>> = values.iter().map(|v| steps(v, exponent)).collect();
        match numbers {
            Some(numbers) => Ok(Self { numbers, exponent }),
            None => Err(inexact(base)),
        }
    }

    /// The largest number of a node, signs left out.
    pub(crate) fn largest(&self, node: usize) -> i64 {
        self.numbers[node].iter().map(|n| n.abs()).max().unwrap_or(0)
    }
}

/// An error about sums that f32 rounds.
pub(crate) fn inexact(base: &Base) -> crate::Error {
    base.freeze_error(
        "it adds real numbers that are no whole multiples of one power of two, or whose sums need \
         more than 24 bits, so that f32 rounds them: binarize or quantise what it reads (and its \
         weights), with a step that is a power of two",
    )
}

/// Checks that a sum of numbers that are at most so large is exact in f32.
pub(crate) fn check_sum(base: &Base, largest: impl Iterator<Item = i64>) -> Result<()> {
    let mut sum = 0i64;
    for largest in largest {
        sum = sum.saturating_add(largest);
    }
    if sum <= MAX_STEPS { Ok(()) } else { Err(inexact(base)) }
}

/// The number `numbers[word]` as a sum of bits: those of the word where it rises evenly, else a
/// comparator for each jump, or bits of a code where there are many.
pub(crate) fn linear(cells: &mut Cells<'_>, word: &[Net], numbers: &[i64]) -> Result<Linear> {
    let constant = numbers[0];
    let jump = |k: usize| numbers[k] - numbers[k - 1];
    let jumps: Vec<usize> = (1..numbers.len()).filter(|&k| jump(k) != 0).collect();
    if jumps.is_empty() {
        return Ok(Linear { constant, terms: Vec::new() });
    }
    let even = (2..numbers.len()).all(|k| jump(k) == jump(1));
    if even {
        let bits = word.iter().take(lutweave_lut::bits_for(numbers.len() - 1)).enumerate();
        let terms = bits.map(|(bit, &net)| (net, jump(1) << bit)).collect();
        return Ok(Linear { constant, terms });
    }
    let mut terms = Vec::new();
    if jumps.len() <= MAX_JUMPS {
        for k in jumps {
            let table: Vec<bool> = (0..numbers.len()).map(|word| word >= k).collect();
            terms.push((cells.function(word, &table)?, jump(k)));
        }
        return Ok(Linear { constant, terms });
    }
    let least = numbers.iter().copied().min().unwrap_or(0);
    let above: Vec<u64> = numbers.iter().map(|n| (n - least) as u64).collect();
    let code = cells.recode(word, &above)?;
    terms.extend(code.into_iter().enumerate().map(|(bit, net)| (net, 1 << bit)));
    Ok(Linear { constant: least, terms })
}

/// Adds several sums to a netlist. Factors of all of them may have a common divisor, and bits with
/// factors below zero count where they are not set, so that words are unsigned and small.
pub(crate) fn sums(cells: &mut Cells<'_>, sums: &[Linear]) -> Result<Sums> {
    added(cells, sums, |cells, terms| {
        let mut bits = Vec::with_capacity(terms.len());
        for &(net, factor) in terms {
            let net = if factor < 0 { cells.not(net)? } else { net };
            bits.push((net, factor.unsigned_abs()));
        }
        cells.sum(&bits)
    })
}

/// The same with `add` for `Σ factor · net`, where nets with factors below zero count inverted.
fn added(
    cells: &mut Cells<'_>,
    sums: &[Linear],
    add: impl Fn(&mut Cells<'_>, &[(Net, i64)]) -> Result<Vec<Net>>,
) -> Result<Sums> {
    let gcd = |a: u64, b: u64| {
        let (mut a, mut b) = (a, b);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let factors = sums.iter().flat_map(|sum| sum.terms.iter().map(|term| term.1.unsigned_abs()));
    let unit = factors.fold(0, gcd).max(1);
    let mut made = Sums {
        words: Vec::with_capacity(sums.len()),
        least: Vec::with_capacity(sums.len()),
        most: Vec::with_capacity(sums.len()),
        unit: unit.cast_signed(),
    };
    for sum in sums {
        let (mut least, mut terms) = (sum.constant, Vec::with_capacity(sum.terms.len()));
        for &(net, factor) in sum.terms.iter().filter(|term| term.1 != 0) {
            least += factor.min(0);
            terms.push((net, factor / made.unit));
        }
        made.words.push(add(cells, &terms)?);
        made.least.push(least);
        made.most.push(terms.iter().map(|term| term.1.unsigned_abs()).sum());
    }
    Ok(made)
}

/// Sums of a layer's input nodes with whole weights, as words of ripple adders in the group that is
/// begun, and the height of a step.
pub(crate) fn weighted(
    base: &Base,
    name: &str,
    input: &Frozen,
    groups: impl Iterator<Item = Vec<(usize, i64)>>,
    build: &mut NetlistBuilder,
) -> Result<(Sums, f64)> {
    let whole = Whole::new(base, input.reals(base.path())?)?;
    let mut cells = Cells::new(name, build);
    let mut parts: BTreeMap<usize, Linear> = BTreeMap::new();
    let mut all = Vec::new();
    for group in groups {
        let largest = |&(node, weight): &(usize, i64)| {
            whole.largest(node).saturating_mul(weight.saturating_abs())
        };
        check_sum(base, group.iter().map(largest))?;
        let mut sum = Linear::default();
        for (node, weight) in group {
            if let Entry::Vacant(part) = parts.entry(node) {
                part.insert(linear(&mut cells, &input.words[node], &whole.numbers[node])?);
            }
            let part = &parts[&node];
            sum.constant += weight * part.constant;
            sum.terms.extend(part.terms.iter().map(|&(net, factor)| (net, weight * factor)));
        }
        all.push(sum);
    }
    // The method itself is of one lifetime only.
    #[allow(clippy::redundant_closure_for_method_calls)]
    let made = added(&mut cells, &all, |cells, terms| cells.ripple(terms))?;
    made.check(base)?;
    Ok((made, 2f64.powi(whole.exponent)))
}

/// Sums of groups of a layer's input nodes, as words. `value(group, sum)` is what the layer makes of
/// a sum.
pub(crate) fn freeze(
    base: &Base,
    name: &str,
    input: &Frozen,
    groups: impl Iterator<Item = Vec<usize>>,
    value: impl Fn(usize, f32) -> f32,
    build: &mut NetlistBuilder,
) -> Result<Frozen> {
    let whole = Whole::new(base, input.reals(base.path())?)?;
    build.group(name, Role::Core)?;
    let mut cells = Cells::new(name, build);
    let mut parts: Vec<Option<Linear>> = vec![None; input.words.len()];
    let mut all = Vec::new();
    for group in groups {
        check_sum(base, group.iter().map(|&node| whole.largest(node)))?;
        let mut sum = Linear::default();
        for node in group {
            let part = match parts[node].take() {
                Some(part) => part,
                None => linear(&mut cells, &input.words[node], &whole.numbers[node])?,
            };
            sum.constant += part.constant;
            sum.terms.extend_from_slice(&part.terms);
            parts[node] = Some(part);
        }
        all.push(sum);
    }
    let made = sums(&mut cells, &all)?;
    made.check(base)?;
    let step = 2f64.powi(whole.exponent);
    let values =
        (0..all.len()).map(|group| made.values(group, step).map(|sum| value(group, sum)).collect());
    let values = values.collect();
    Ok(input.with_values(made.words, values))
}
