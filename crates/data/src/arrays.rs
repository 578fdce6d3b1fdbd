//! From arrays of NumPy to data sets.
//!
//! Arrays are found by name: `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y` alone.
//! The first axis of each counts samples. Samples of one axis or more keep their shape; grey images
//! `[height, width]` get the channel that they lack, `[1, height, width]`; images of several channels
//! have them first. Values are u8 where the array is of `uint8` or `bool`, else f32, and integers
//! must then be small enough to be exact.
//!
//! Targets of integers are classes from 0: one a sample, or, with more axes, one a position. Targets
//! of floats are numbers to predict.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use lutweave_tensor::{Dataset, Targets, Values};

use crate::csv::MAX_CLASSES;
use crate::npy::{self, Array, Elements};
use crate::{Error, Result, source};

/// Integers up to it are exact as f32.
const EXACT: i64 = 1 << 24;

const OP: &str = "data set of arrays";

/// The arrays in the files `NAME.npy`, plain or with `.gz`, of a folder, for the names above.
pub(crate) fn read_folder(folder: &Path) -> Result<BTreeMap<String, Array>> {
    let names: &[&str] = if folder_has(folder, "x_train") {
        &["x_train", "y_train", "x_test", "y_test"]
    } else {
        &["x", "y"]
    };
    let read = |name: &&str| {
        let path = source::find("arrays", folder, &[&format!("{name}.npy")])?;
        Ok(((*name).to_owned(), npy::read_array(path)?))
    };
    names.iter().map(read).collect()
}

/// Whether a folder has an array of this name.
pub(crate) fn folder_has(folder: &Path, name: &str) -> bool {
    source::find("arrays", folder, &[&format!("{name}.npy")]).is_ok()
}

/// One data set of `x` and `y`, or two: those to train and to test with.
///
/// # Errors
///
/// [`Error::Mismatch`] when an array is missing or does not fit the others, [`Error::Unsupported`]
/// for numbers that cannot be kept.
pub fn datasets(name: &str, mut arrays: BTreeMap<String, Array>) -> Result<Vec<Dataset>> {
    let parts: &[[&str; 2]] = if arrays.contains_key("x_train") {
        &[["x_train", "y_train"], ["x_test", "y_test"]]
    } else {
        &[["x", "y"]]
    };
    let mut taken = Vec::new();
    for names in parts {
        let mut take = |name: &str| {
            arrays.remove(name).ok_or_else(|| {
                let expected = format!(
                    "arrays `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y`; \
                     `{name}` is missing"
                );
                mismatch(expected, format!("{:?}", arrays.keys().collect::<Vec<_>>()))
            })
        };
        taken.push((take(names[0])?, take(names[1])?, names));
    }
    if let Some(other) = arrays.keys().next() {
        let (expected, got) = ("no array beside the inputs and targets".to_owned(), other.clone());
        return Err(Error::Mismatch { op: OP, expected, got });
    }
    let classes = taken.iter().map(|(_, y, names)| classes(y, names[1]));
    let classes = classes.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    let mut sets: Vec<Dataset> = Vec::new();
    for (x, y, names) in taken {
        let samples = count(&x, names[0])?;
        if count(&y, names[1])? != samples {
            let expected = format!("as many in `{}` as the {samples} in `{}`", names[1], names[0]);
            return Err(mismatch(expected, count(&y, names[1])?));
        }
        let targets = targets(y, classes);
        let set =
            Dataset::new(name, &sample_shape(&x.shape), values(x.elements, names[0])?, targets)?;
        if let Some(first) = sets.first()
            && first.shape() != set.shape()
        {
            return Err(mismatch(
                format!("samples of shape {:?} in `{}`", first.shape(), names[0]),
                format!("{:?}", set.shape()),
            ));
        }
        sets.push(set);
    }
    Ok(sets)
}

fn mismatch(expected: String, got: impl Display) -> Error {
    Error::Mismatch { op: OP, expected, got: got.to_string() }
}

/// Number of samples.
fn count(array: &Array, name: &str) -> Result<usize> {
    let count = array.shape.first().copied();
    count.ok_or_else(|| mismatch(format!("an axis of samples in `{name}`"), "a single number"))
}

fn sample_shape(shape: &[usize]) -> Vec<usize> {
    match shape {
        [_] => vec![1],
        &[_, height, width] => vec![1, height, width],
        _ => shape.get(1..).unwrap_or_default().to_vec(),
    }
}

fn values(elements: Elements, name: &str) -> Result<Values> {
    Ok(match elements {
        Elements::U8(values) => Values::U8(values),
        Elements::F32(values) => match values.iter().find(|value| !value.is_finite()) {
            Some(value) => return Err(mismatch(format!("finite numbers in `{name}`"), value)),
            None => Values::F32(values),
        },
        Elements::I64(values) => match values.iter().find(|value| value.abs_diff(0) > EXACT as u64)
        {
            Some(value) => {
                let expected = format!("integers of {EXACT} at most in `{name}`");
                return Err(mismatch(expected, value));
            }
            None => Values::F32(values.into_iter().map(|value| value as f32).collect()),
        },
    })
}

/// One more than the largest class in an array; 0 for numbers.
fn classes(array: &Array, name: &str) -> Result<usize> {
    let (smallest, largest) = match &array.elements {
        Elements::F32(_) => return Ok(0),
        Elements::U8(labels) => (0, labels.iter().copied().max().unwrap_or(0).into()),
        Elements::I64(labels) => {
            let smallest = labels.iter().copied().min().unwrap_or(0);
            (smallest, labels.iter().copied().max().unwrap_or(0))
        }
    };
    if smallest < 0 || largest.unsigned_abs() >= MAX_CLASSES as u64 {
        let got = if smallest < 0 { smallest } else { largest };
        return Err(mismatch(format!("classes from 0 to {} in `{name}`", MAX_CLASSES - 1), got));
    }
    Ok(largest as usize + 1)
}

/// Targets of an array whose integers are below `count`.
fn targets(array: Array, count: usize) -> Targets {
    let mut shape = array.shape.get(1..).unwrap_or_default().to_vec();
    // One number a sample may have an axis of its own.
    let single = shape.is_empty() || shape == [1];
    let labels: Vec<u32> = match array.elements {
        Elements::F32(values) => {
            if shape.is_empty() {
                shape.push(1);
            }
            return Targets::Real { shape, values };
        }
        Elements::U8(labels) => labels.into_iter().map(u32::from).collect(),
        Elements::I64(labels) => labels.into_iter().map(|label| label as u32).collect(),
    };
    if single {
        Targets::Classes { count, labels }
    } else {
        Targets::Pixels { count, shape, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], elements: Elements) -> Array {
        Array { shape: shape.to_vec(), elements }
    }

    fn pair(x: Array, y: Array) -> Result<Dataset> {
        let arrays = [("x".to_owned(), x), ("y".to_owned(), y)];
        Ok(datasets("t", arrays.into_iter().collect())?.remove(0))
    }

    fn labels(labels: &[i64]) -> Array {
        array(&[labels.len()], Elements::I64(labels.to_vec()))
    }

    #[test]
    fn every_kind_of_sample_and_target() {
        let grey = array(&[2, 1, 2], Elements::U8(vec![1, 2, 3, 4]));
        let set = pair(grey.clone(), labels(&[2, 0])).unwrap();
        assert_eq!((set.shape(), set.classes()), (&[1, 1, 2][..], Some((3, &[2, 0][..]))));
        let plain = array(&[2], Elements::I64(vec![-5, 1 << 24]));
        let set = pair(plain, array(&[2, 1], Elements::F32(vec![0.5, 1.0]))).unwrap();
        assert_eq!((set.shape(), set.values()), (&[1][..], &Values::F32(vec![-5.0, 16_777_216.0])));
        assert!(matches!(set.targets(), Targets::Real { shape, .. } if shape == &[1]));
        let map = array(&[2, 1, 2], Elements::U8(vec![0, 1, 1, 0]));
        let set = pair(grey, map).unwrap();
        assert!(
            matches!(set.targets(), Targets::Pixels { count: 2, shape, .. } if shape == &[1, 2])
        );
    }

    #[test]
    fn both_parts_have_the_same_classes() {
        let x = || array(&[1, 2], Elements::F32(vec![0.0, 1.0]));
        let make = |last: (&str, Array)| {
            let arrays = [("x_train", x()), ("y_train", labels(&[4])), ("x_test", x()), last];
            datasets("t", arrays.into_iter().map(|(name, a)| (name.to_owned(), a)).collect())
        };
        let sets = make(("y_test", labels(&[1]))).unwrap();
        assert_eq!((sets.len(), sets[1].classes()), (2, Some((5, &[1][..]))));
        let error = make(("y", labels(&[1]))).unwrap_err().to_string();
        assert!(error.contains("`y_test` is missing, got [\"y\"]"), "{error}");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let x = || array(&[2, 1], Elements::U8(vec![0, 1]));
        let real = |value| array(&[2], Elements::F32(vec![0.0, value]));
        let cases = [
            (x(), labels(&[1])),
            (x(), labels(&[-1, 0])),
            (x(), labels(&[0, i64::MAX])),
            (x(), real(f32::NAN)),
            (real(f32::INFINITY), labels(&[0, 0])),
            (array(&[2], Elements::I64(vec![i64::MIN, 0])), labels(&[0, 0])),
            (array(&[], Elements::U8(vec![0])), labels(&[0])),
            (array(&[2, 0], Elements::U8(vec![])), labels(&[0, 0])),
        ];
        for (x, y) in cases {
            assert!(pair(x, y).is_err());
        }
    }
}
