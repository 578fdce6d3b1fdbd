//! Real numbers brought to bytes or to 0 to 1, with the way back.

use lutweave_tensor::{Dataset, Targets, Values};

use crate::{Error, Result};

/// The smallest and the largest value at each place of a sample or target.
///
/// Hardware reads whole numbers, and many networks answer between 0 and 1. Ranges are taken from the
/// samples to train with and applied to all others; what lies outside is brought to the nearest
/// end. A place whose values are all equal becomes 0.
///
/// ```
/// use lutweave_data::Ranges;
/// use lutweave_tensor::{Dataset, Targets, Values};
///
/// let targets = Targets::Real { shape: vec![1], values: vec![10.0, 30.0] };
/// let train = Dataset::new("t", &[2], Values::F32(vec![0.0, -1.0, 0.5, 1.0]), targets)?;
/// let ranges = Ranges::of_values(&train)?;
/// assert_eq!(ranges.bytes(&train)?.values(), &Values::U8(vec![0, 0, 255, 255]));
/// let targets = Ranges::of_targets(&train)?;
/// assert_eq!(targets.restore(0, 0.25), Some(15.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    minimum: Vec<f32>,
    maximum: Vec<f32>,
}

impl Ranges {
    /// The ranges of the values of a data set.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no sample, or a value that is not finite.
    pub fn of_values(data: &Dataset) -> Result<Self> {
        let op = "ranges of values";
        match data.values() {
            Values::U8(values) => {
                Self::of(op, values.iter().map(|&v| v.into()), data.sample_size())
            }
            Values::F32(values) => Self::of(op, values.iter().copied(), data.sample_size()),
            _ => Err(Error::Unsupported { op, what: "this type of values".to_owned() }),
        }
    }

    /// The ranges of the numbers to predict.
    ///
    /// # Errors
    ///
    /// As [`of_values`](Self::of_values), and for targets that are no numbers.
    pub fn of_targets(data: &Dataset) -> Result<Self> {
        let op = "ranges of targets";
        let (values, size) = real(op, data)?;
        Self::of(op, values.iter().copied(), size)
    }

    fn of(op: &'static str, values: impl Iterator<Item = f32>, size: usize) -> Result<Self> {
        let (mut minimum, mut maximum) = (vec![f32::INFINITY; size], vec![f32::NEG_INFINITY; size]);
        for (index, value) in values.enumerate() {
            if !value.is_finite() {
                let (expected, got) = ("finite numbers", value.to_string());
                return Err(Error::Argument { op, expected, got });
            }
            let place = index % size;
            minimum[place] = minimum[place].min(value);
            maximum[place] = maximum[place].max(value);
        }
        if maximum.first().is_none_or(|value| !value.is_finite()) {
            return Err(Error::Argument { op, expected: "a sample or more", got: "none".into() });
        }
        Ok(Self { minimum, maximum })
    }

    /// The smallest values, one a place.
    pub fn minimum(&self) -> &[f32] {
        &self.minimum
    }

    /// The largest values, one a place.
    pub fn maximum(&self) -> &[f32] {
        &self.maximum
    }

    /// `(value − minimum) / (maximum − minimum)` at a place, from 0 to 1; in f64, so that no
    /// difference overflows.
    fn unit(&self, place: usize, value: f32) -> f64 {
        let (low, high) = (f64::from(self.minimum[place]), f64::from(self.maximum[place]));
        if high > low { ((f64::from(value) - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The number at `place` that 0 to 1 stands for, the reverse of [`targets`](Self::targets); `None`
    /// past the last place.
    pub fn restore(&self, place: usize, unit: f32) -> Option<f32> {
        let (low, high) = (*self.minimum.get(place)?, *self.maximum.get(place)?);
        let (low, high) = (f64::from(low), f64::from(high));
        Some((low + f64::from(unit) * (high - low)) as f32)
    }

    /// The data set with its values as bytes, 0 for the minimum and 255 for the maximum, rounded to
    /// the nearest.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] for samples of another size.
    pub fn bytes(&self, data: &Dataset) -> Result<Dataset> {
        let op = "values to bytes";
        self.check(op, data.sample_size())?;
        let size = data.sample_size();
        let byte = |(index, value)| (255.0 * self.unit(index % size, value) + 0.5) as u8;
        let values = match data.values() {
            Values::U8(values) => {
                values.iter().map(|&v| f32::from(v)).enumerate().map(byte).collect()
            }
            Values::F32(values) => values.iter().copied().enumerate().map(byte).collect(),
            _ => return Err(Error::Unsupported { op, what: "this type of values".to_owned() }),
        };
        Ok(Dataset::new(data.name(), data.shape(), Values::U8(values), data.targets().clone())?)
    }

    /// The data set with the numbers to predict between 0 and 1.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] for targets of another size, [`Error::Argument`] for others than numbers.
    pub fn targets(&self, data: &Dataset) -> Result<Dataset> {
        let op = "targets to 0 to 1";
        let (values, size) = real(op, data)?;
        self.check(op, size)?;
        let values = values.iter().enumerate();
        let values = values.map(|(index, &value)| self.unit(index % size, value) as f32).collect();
        let Targets::Real { shape, .. } = data.targets().own() else { return Err(no_numbers(op)) };
        let targets = Targets::Real { shape: shape.clone(), values };
        Ok(Dataset::new(data.name(), data.shape(), data.values().clone(), targets)?)
    }

    fn check(&self, op: &'static str, size: usize) -> Result<()> {
        if size == self.minimum.len() {
            return Ok(());
        }
        let expected = format!("{} numbers a sample", self.minimum.len());
        Err(Error::Mismatch { op, expected, got: size.to_string() })
    }
}

/// The numbers to predict, and how many there are a sample.
fn real<'a>(op: &'static str, data: &'a Dataset) -> Result<(&'a [f32], usize)> {
    match data.targets().own() {
        Targets::Real { shape, values } => Ok((values, shape.iter().product())),
        _ => Err(no_numbers(op)),
    }
}

fn no_numbers(op: &'static str) -> Error {
    Error::Argument { op, expected: "numbers to predict", got: "classes".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: Vec<f32>, targets: Vec<f32>) -> Dataset {
        let targets = Targets::Real { shape: vec![1], values: targets };
        Dataset::new("t", &[2], Values::F32(values), targets).unwrap()
    }

    #[test]
    fn others_are_scaled_as_the_first() {
        let train = set(vec![0.0, 5.0, 10.0, 5.0], vec![-1.0, 1.0]);
        let test = set(vec![2.0, 4.0, 99.0, f32::MAX], vec![0.5, 7.0]);
        let ranges = Ranges::of_values(&train).unwrap();
        assert_eq!((ranges.minimum(), ranges.maximum()), (&[0.0, 5.0][..], &[10.0, 5.0][..]));
        assert_eq!(ranges.bytes(&test).unwrap().values(), &Values::U8(vec![51, 0, 255, 0]));
        let ranges = Ranges::of_targets(&train).unwrap();
        let scaled = ranges.targets(&test).unwrap();
        assert_eq!(scaled.targets(), &Targets::Real { shape: vec![1], values: vec![0.75, 1.0] });
        assert_eq!((ranges.restore(0, 0.75), ranges.restore(1, 0.0)), (Some(0.5), None));
        assert_eq!(scaled.values(), test.values());
        let wide = set(vec![f32::MIN, 0.0, f32::MAX, 1.0], vec![0.0; 2]);
        let wide = Ranges::of_values(&wide).unwrap().bytes(&wide).unwrap();
        assert_eq!(wide.values(), &Values::U8(vec![0, 0, 255, 255]));
    }

    #[test]
    fn refuses_what_has_no_range() {
        assert!(Ranges::of_values(&set(vec![], vec![])).is_err());
        assert!(Ranges::of_values(&set(vec![f32::NAN, 0.0], vec![0.0])).is_err());
        let classes = Targets::Classes { count: 1, labels: vec![0] };
        let other = Dataset::new("t", &[1], Values::U8(vec![0]), classes).unwrap();
        assert!(Ranges::of_targets(&other).is_err());
        assert!(Ranges::of_values(&set(vec![0.0; 2], vec![0.0])).unwrap().bytes(&other).is_err());
    }
}
