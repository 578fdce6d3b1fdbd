//! Targets that are made of the samples themselves.

use lutweave_tensor::{Dataset, Targets, Values};

use crate::{Error, Result};

/// The same samples, each to be answered by itself: targets of an auto-encoder.
///
/// Every value `v` becomes the number `(v − least) / (largest − least)`, brought to 0 to 1, in the shape
/// of the sample. `range` is `[least, largest]`, of the samples to train with ([`value_range`]), so that
/// those to test with are scaled alike. Samples that are changed at random afterwards, by noise for
/// instance, keep their target: a denoising auto-encoder (Vincent et al. 2008).
///
/// ```
/// use lutweave_data::{auto_encoding, value_range};
///
/// let (train, test) = lutweave_data::digits()?;
/// let range = value_range(&train)?;
/// assert_eq!(range, [0.0, 16.0]);
/// let target = auto_encoding(&test, range)?.target(&[0])?;
/// assert_eq!(target.labelled(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Argument`] when the range holds nothing or is not finite, [`Error::Unsupported`] for other
/// values than bytes and real numbers.
pub fn auto_encoding(data: &Dataset, [least, largest]: [f32; 2]) -> Result<Dataset> {
    let op = "targets of an auto-encoder";
    if !(least < largest && (largest - least).is_finite()) {
        let expected = "a range of values that differ";
        return Err(Error::Argument { op, expected, got: format!("{least} to {largest}") });
    }
    let share = |value: f32| ((value - least) / (largest - least)).clamp(0.0, 1.0);
    let values = numbers(op, data)?.map(share).collect();
    with_targets(data, Targets::Real { shape: data.shape().to_vec(), values })
}

/// The same images, a class for each of their pixels: 1 where the mean of its channels is `threshold`
/// or more, 0 elsewhere.
///
/// Images are `[channels, height, width]`; masks are `[height, width]`. As with [`auto_encoding`],
/// the targets are of the images before noise is put on them.
///
/// ```
/// use lutweave_tensor::{Dataset, Targets, Values};
///
/// let labels = Targets::Classes { count: 1, labels: vec![0] };
/// let image = Dataset::new("i", &[1, 1, 3], Values::U8(vec![9, 3, 7]), labels)?;
/// let masks = lutweave_data::masks(&image, 7.0)?;
/// let want = Targets::Pixels { count: 2, shape: vec![1, 3], labels: vec![1, 0, 1] };
/// assert_eq!(masks.targets(), &want);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Argument`] when samples are no images or the threshold is not finite,
/// [`Error::Unsupported`] for other values than bytes and real numbers.
pub fn masks(data: &Dataset, threshold: f32) -> Result<Dataset> {
    let op = "masks of images";
    let &[channels, height, width] = data.shape() else {
        let (expected, got) = ("images, [channels, height, width]", format!("{:?}", data.shape()));
        return Err(Error::Argument { op, expected, got });
    };
    if !threshold.is_finite() {
        let (expected, got) = ("a threshold that is finite", threshold.to_string());
        return Err(Error::Argument { op, expected, got });
    }
    let values: Vec<f32> = numbers(op, data)?.collect();
    let (pixels, whole) = (height * width, threshold * channels as f32);
    let mut labels = Vec::with_capacity(data.len() * pixels);
    for image in values.chunks_exact(channels * pixels) {
        let sum = |pixel: usize| image[pixel..].iter().step_by(pixels).sum::<f32>();
        labels.extend((0..pixels).map(|pixel| u32::from(sum(pixel) >= whole)));
    }
    with_targets(data, Targets::Pixels { count: 2, shape: vec![height, width], labels })
}

/// The least and the largest of all values of a data set.
///
/// # Errors
///
/// [`Error::Argument`] when there is none, or one that is not finite; [`Error::Unsupported`] for other
/// values than bytes and real numbers.
pub fn value_range(data: &Dataset) -> Result<[f32; 2]> {
    let op = "range of all values";
    let mut range = [f32::INFINITY, f32::NEG_INFINITY];
    for value in numbers(op, data)? {
        if !value.is_finite() {
            let (expected, got) = ("finite numbers", value.to_string());
            return Err(Error::Argument { op, expected, got });
        }
        range = [range[0].min(value), range[1].max(value)];
    }
    if range[0] > range[1] {
        return Err(Error::Argument { op, expected: "a value or more", got: "none".into() });
    }
    Ok(range)
}

/// All values as real numbers, in order.
fn numbers<'d>(op: &'static str, data: &'d Dataset) -> Result<Box<dyn Iterator<Item = f32> + 'd>> {
    match data.values() {
        Values::U8(values) => Ok(Box::new(values.iter().map(|&value| value.into()))),
        Values::F32(values) => Ok(Box::new(values.iter().copied())),
        _ => Err(Error::Unsupported { op, what: "this type of values".to_owned() }),
    }
}

fn with_targets(data: &Dataset, targets: Targets) -> Result<Dataset> {
    Ok(Dataset::new(data.name(), data.shape(), data.values().clone(), targets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(shape: &[usize], values: Values) -> Dataset {
        let len = values.len() / shape.iter().product::<usize>();
        let labels = Targets::Classes { count: 1, labels: vec![0; len] };
        Dataset::new("t", shape, values, labels).unwrap()
    }

    #[test]
    fn samples_are_their_own_targets() {
        let train = images(&[1, 1, 2], Values::F32(vec![-1.0, 3.0, 1.0, 0.0]));
        let range = value_range(&train).unwrap();
        assert_eq!(range.map(|end| end as i32), [-1, 3]);
        let values = |data: &Dataset| match auto_encoding(data, range).unwrap().targets() {
            Targets::Real { shape, values } => (shape.clone(), values.clone()),
            other => panic!("{other:?}"),
        };
        assert_eq!(values(&train), (vec![1, 1, 2], vec![0.0, 1.0, 0.5, 0.25]));
        let test = images(&[1, 1, 2], Values::F32(vec![-2.0, 9.0]));
        assert_eq!(values(&test).1, [0.0, 1.0], "brought to the ends");
        for range in [[1.0, 1.0], [2.0, 1.0], [f32::NAN, 1.0], [f32::MIN, f32::MAX]] {
            assert!(auto_encoding(&train, range).is_err(), "{range:?}");
        }
        assert!(value_range(&images(&[1], Values::F32(vec![f32::NAN]))).is_err());
        assert!(value_range(&images(&[1], Values::U8(vec![]))).is_err());
    }

    #[test]
    fn masks_are_of_the_mean_of_channels() {
        let data = images(&[2, 1, 3], Values::U8(vec![0, 10, 20, 9, 10, 0]));
        let masks = masks(&data, 10.0).unwrap();
        let want = Targets::Pixels { count: 2, shape: vec![1, 3], labels: vec![0, 1, 1] };
        assert_eq!((masks.targets(), masks.values()), (&want, data.values()));
        assert!(super::masks(&data, f32::NAN).is_err());
        assert!(super::masks(&images(&[2], Values::U8(vec![1, 2])), 1.0).is_err());
    }
}
