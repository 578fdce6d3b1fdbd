//! Comparing, and remembering the worst that was seen.

use std::fmt;

use serde::Deserialize;

use crate::case::Tensor;
use crate::{Outcome, fail};

/// `|got − want| ≤ abs + rel · |want|`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "RawTolerance")]
pub(crate) struct Tolerance {
    abs: f64,
    rel: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTolerance {
    abs: f64,
    rel: f64,
}

impl TryFrom<RawTolerance> for Tolerance {
    type Error = String;

    fn try_from(RawTolerance { abs, rel }: RawTolerance) -> Result<Self, String> {
        // A tolerance that accepts anything would pass silently.
        if (0.0..=1.0).contains(&abs) && (0.0..=1.0).contains(&rel) {
            return Ok(Self { abs, rel });
        }
        Err(format!("a tolerance is from 0 to 1, got {abs} and {rel}"))
    }
}

/// Bit for bit (but for the sign of zero).
const EXACT: Tolerance = Tolerance { abs: 0.0, rel: 0.0 };
/// Running statistics of a case without tolerance.
const STATISTICS: Tolerance = Tolerance { abs: 1e-6, rel: 1e-5 };

/// What a case's comparisons have come to.
#[derive(Debug)]
pub(crate) struct Check {
    tolerance: Tolerance,
    compared: usize,
    worst: Option<Worst>,
    notes: Vec<String>,
}

/// The difference that takes up most of its tolerance.
#[derive(Debug)]
struct Worst {
    difference: f64,
    limit: f64,
    what: String,
}

impl Check {
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, compared: 0, worst: None, notes: Vec::new() }
    }

    /// Says what was not compared, and why.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Compares numbers: exactly where the recorded ones are two values, else within the tolerance.
    pub(crate) fn tensor(&mut self, what: &str, got: &[f32], want: &Tensor) -> Outcome<()> {
        let tolerance = if want.binary_values.is_some() { EXACT } else { self.tolerance };
        self.numbers(what, got, want, tolerance)
    }

    /// Compares running statistics.
    pub(crate) fn statistics(&mut self, what: &str, got: &[f32], want: &Tensor) -> Outcome<()> {
        let tolerance = if self.tolerance == EXACT { STATISTICS } else { self.tolerance };
        self.numbers(what, got, want, tolerance)
    }

    /// Compares bits, which are recorded as one of two values.
    pub(crate) fn bits(&mut self, what: &str, got: &[bool], want: &Tensor) -> Outcome<()> {
        let Some(pair) = want.binary_values else {
            return fail(format!("{what}: lutweave gives bits, and no binary_values are recorded"));
        };
        let got: Vec<f32> = got.iter().map(|&bit| pair[usize::from(bit)]).collect();
        self.numbers(what, &got, want, EXACT)
    }

    /// Compares truth tables.
    pub(crate) fn tables(
        &mut self,
        what: &str,
        got: &[Vec<bool>],
        want: &[Vec<u8>],
    ) -> Outcome<()> {
        for (node, (got, want)) in got.iter().zip(want).enumerate() {
            let differs = got.iter().zip(want).position(|(&got, &want)| u8::from(got) != want);
            if let Some(entry) = differs {
                let (got, want) = (u8::from(got[entry]), want[entry]);
                return fail(format!("{what}[{node}, {entry}]: got {got}, wanted {want}"));
            }
        }
        self.compared += 1;
        Ok(())
    }

    /// Compares one number.
    pub(crate) fn number(&mut self, what: &str, got: f64, want: f64) -> Outcome<()> {
        self.compared += 1;
        self.one(got, want, self.tolerance, || what.to_owned())
    }

    fn numbers(
        &mut self,
        what: &str,
        got: &[f32],
        want: &Tensor,
        tolerance: Tolerance,
    ) -> Outcome<()> {
        let (length, expected) = (got.len(), want.data.len());
        if length != expected {
            return fail(format!("{what}: got {length} numbers, wanted {expected}"));
        }
        for (i, (&got, &want_value)) in got.iter().zip(&want.data).enumerate() {
            let at = || format!("{what}{:?}", position(i, &want.shape));
            self.one(f64::from(got), f64::from(want_value), tolerance, at)?;
        }
        self.compared += 1;
        Ok(())
    }

    fn one(
        &mut self,
        got: f64,
        want: f64,
        tolerance: Tolerance,
        what: impl Fn() -> String,
    ) -> Outcome<()> {
        let difference = (got - want).abs();
        let limit = tolerance.abs + tolerance.rel * want.abs();
        if difference.is_nan() || difference > limit {
            let (got, want) = (got as f32, want as f32);
            let what = what();
            return fail(format!("{what}: got {got}, wanted {want} (within {limit:.1e})"));
        }
        let worse = |worst: &Worst| difference * worst.limit > worst.difference * limit;
        if difference > 0.0 && self.worst.as_ref().is_none_or(worse) {
            self.worst = Some(Worst { difference, limit, what: what() });
        }
        Ok(())
    }

    /// The check, if anything was compared at all.
    pub(crate) fn finish(self) -> Outcome<Self> {
        if self.compared == 0 { fail("records nothing to compare") } else { Ok(self) }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.worst {
            None => write!(f, "exact")?,
            Some(Worst { difference, limit, what }) => {
                write!(f, "worst difference {difference:.1e} ({what}) of tolerance {limit:.1e}")?;
            }
        }
        self.notes.iter().try_for_each(|note| write!(f, "; not compared: {note}"))
    }
}

/// The indices of element `i` of a shape.
fn position(i: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = i;
    let mut indices: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&axis| {
            let index = rest % axis;
            rest /= axis;
            index
        })
        .collect();
    indices.reverse();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(binary_values: Option<[f32; 2]>, data: &[f32]) -> Tensor {
        Tensor { shape: vec![1, data.len()], binary_values, data: data.to_vec() }
    }

    #[test]
    fn the_first_bad_element_is_named() {
        let mut check = Check::new(Tolerance { abs: 0.1, rel: 0.0 });
        let want = tensor(None, &[1.0, 2.0, 3.0]);
        check.tensor("y", &[1.05, 2.0, 3.0], &want).unwrap();
        assert_eq!(check.to_string(), "worst difference 5.0e-2 (y[0, 0]) of tolerance 1.0e-1");
        for bad in [2.5, f32::NAN] {
            let error = check.tensor("y", &[1.0, bad, 9.0], &want).unwrap_err().to_string();
            assert_eq!(error, format!("y[0, 1]: got {bad}, wanted 2 (within 1.0e-1)"));
        }
        assert!(check.tensor("y", &[1.0], &want).is_err());
    }

    #[test]
    fn two_values_are_compared_exactly() {
        let mut check = Check::new(Tolerance { abs: 1.0, rel: 1.0 });
        let want = tensor(Some([-1.0, 1.0]), &[1.0, -1.0]);
        check.bits("y", &[true, false], &want).unwrap();
        assert!(check.bits("y", &[true, true], &want).is_err());
        assert!(check.tensor("y", &[1.0, -0.99], &want).is_err());
        assert!(check.bits("y", &[true, false], &tensor(None, &[1.0, 0.0])).is_err());
    }

    #[test]
    fn nothing_compared_is_no_success() {
        assert!(Check::new(EXACT).finish().is_err());
    }
}
