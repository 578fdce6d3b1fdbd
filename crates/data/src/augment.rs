//! Augmentation: samples changed a little at random, anew in every epoch.
//!
//! An [`Augment`] changes one image of shape `[channels, height, width]`, of u8 or f32, in place. An
//! [`Augmentation`] is a row of them; its random numbers come from a stream of their own for each
//! epoch and sample, so results depend neither on the order of samples nor on threads, and are the
//! same bits on every machine.
//!
//! ```
//! use lutweave_data::augment::{Augmentation, Flip, Shift};
//!
//! let (train, _) = lutweave_data::digits()?;
//! let augmentation = Augmentation::new(7).with(Shift::new(1)).with(Flip::horizontal(0.5)?);
//! let first = augmentation.batch(&train, 0, &[3, 5])?;
//! assert_eq!(augmentation.batch(&train, 0, &[3, 5])?, first);
//! assert_ne!(augmentation.batch(&train, 1, &[3, 5])?, first); // another epoch
//! # Ok::<(), lutweave_data::Error>(())
//! ```

mod cut_out;
mod elastic;
mod flip;
mod image;
mod noise;
mod rotate;
mod scale;
mod shear;
mod shift;

use std::fmt;

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};
use lutweave_tensor::{Dataset, Values};
use rayon::prelude::*;

pub use cut_out::CutOut;
pub use elastic::Elastic;
pub use flip::Flip;
pub use image::{Image, Pixel, Pixels};
pub use noise::Noise;
pub use rotate::Rotate;
pub use scale::Scale;
pub use shear::Shear;
pub use shift::Shift;

use crate::{Error, Result};

/// A random change of an image.
///
/// The change must depend on the image and on what is drawn from `rng` alone.
pub trait Augment: fmt::Debug + Send + Sync {
    /// Changes `image` in place.
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus);
}

/// Changes one after the other, with a random stream for each epoch and sample.
#[derive(Debug, Default)]
pub struct Augmentation {
    seed: u64,
    steps: Vec<Box<dyn Augment>>,
}

impl Augmentation {
    /// No change yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, steps: Vec::new() }
    }

    /// One more change, after those there are.
    #[must_use]
    pub fn with(mut self, step: impl Augment + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// One more change, for a list of them that is only known at run time.
    pub fn push(&mut self, step: Box<dyn Augment>) {
        self.steps.push(step);
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Changes the sample numbered `sample` in place, as it is in `epoch`.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] when `shape` is not `[channels, height, width]` or the number of pixels is
    /// another.
    pub fn apply(
        &self,
        shape: &[usize],
        pixels: Pixels<'_>,
        epoch: u64,
        sample: u64,
    ) -> Result<()> {
        let mut image = Image::new(shape, pixels)?;
        let mut rng = rng::stream(self.seed, &[rng::AUGMENT, epoch, sample]);
        for step in &self.steps {
            step.apply(&mut image, &mut rng);
        }
        Ok(())
    }

    /// The samples numbered `indices`, in that order, as they are in `epoch`. Runs in the caller's
    /// thread pool, samples apart from each other.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), and an index error of the data set.
    pub fn batch(&self, data: &Dataset, epoch: u64, indices: &[usize]) -> Result<Values> {
        let mut values = data.select(indices)?.values().clone();
        if self.is_empty() || values.is_empty() {
            return Ok(values);
        }
        let (shape, size) = (data.shape(), data.sample_size());
        match &mut values {
            Values::U8(values) => self.each(values, size, shape, epoch, indices)?,
            Values::F32(values) => self.each(values, size, shape, epoch, indices)?,
            _ => {
                let what = "this type of values".to_owned();
                return Err(Error::Unsupported { op: "augment", what });
            }
        }
        Ok(values)
    }

    fn each<T: Pixel>(
        &self,
        values: &mut [T],
        size: usize,
        shape: &[usize],
        epoch: u64,
        indices: &[usize],
    ) -> Result<()> {
        let samples = values.par_chunks_mut(size).zip(indices);
        samples.try_for_each(|(pixels, &sample)| {
            self.apply(shape, T::pixels(pixels), epoch, sample as u64)
        })
    }
}

/// A probability, or an error that says what it should be.
fn probability(op: &'static str, value: f32) -> Result<f32> {
    within(op, "a probability of 0 to 1", value, 0.0, 1.0)
}

/// A number between two others, or an error that says what it should be.
fn within(
    op: &'static str,
    expected: &'static str,
    value: f32,
    low: f32,
    high: f32,
) -> Result<f32> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Error::Argument { op, expected, got: value.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::Targets;
    use proptest::prelude::*;

    use super::*;

    fn every(seed: u64) -> Augmentation {
        Augmentation::new(seed)
            .with(Shift::new(2))
            .with(Rotate::new(20.0).unwrap())
            .with(Flip::horizontal(0.5).unwrap())
            .with(Flip::vertical(0.5).unwrap())
            .with(CutOut::new(3))
            .with(Noise::new(5.0).unwrap())
    }

    #[test]
    fn a_sample_depends_on_seed_epoch_and_number_alone() {
        let (train, _) = crate::digits().unwrap();
        let batch =
            |seed, epoch, indices: &[usize]| every(seed).batch(&train, epoch, indices).unwrap();
        let Values::U8(both) = batch(1, 2, &[9, 4]) else { panic!("dtype changed") };
        let Values::U8(turned) = batch(1, 2, &[4, 9]) else { panic!("dtype changed") };
        assert_eq!((&both[..64], &both[64..]), (&turned[64..], &turned[..64]));
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let indices: Vec<usize> = (0..200).collect();
        assert_eq!(one.install(|| batch(1, 0, &indices)), batch(1, 0, &indices));
        assert_ne!(batch(1, 0, &[4]), batch(1, 1, &[4]));
        assert_ne!(batch(1, 0, &[4]), batch(2, 0, &[4]));
        let none = Augmentation::new(0).batch(&train, 0, &[4]).unwrap();
        assert_eq!(&none, train.select(&[4]).unwrap().values());
    }

    #[test]
    fn bits_are_pinned() {
        // A change here changes every network trained with augmentation.
        let mut pixels: Vec<u8> = (0..48).collect();
        every(3).apply(&[3, 4, 4], Pixels::U8(&mut pixels), 1, 2).unwrap();
        let mut real: Vec<f32> = (0..48).map(|v| v as f32).collect();
        every(3).apply(&[3, 4, 4], Pixels::F32(&mut real), 1, 2).unwrap();
        let sum = real.iter().fold(0u32, |sum, v| sum.rotate_left(1) ^ v.to_bits());
        assert_eq!((&pixels[..8], sum), (&[2, 0, 0, 2, 8, 0, 1, 0][..], 88_104_061));
        let warped = Augmentation::new(3)
            .with(Scale::new(0.2).unwrap())
            .with(Shear::new(0.2).unwrap())
            .with(Elastic::new(1.0, 3).unwrap());
        let mut pixels: Vec<u8> = (0..48).collect();
        warped.apply(&[3, 4, 4], Pixels::U8(&mut pixels), 1, 2).unwrap();
        assert_eq!(&pixels[..8], &[3, 2, 1, 0, 8, 7, 5, 3]);
    }

    #[test]
    fn only_images_are_changed() {
        let labels = Targets::Classes { count: 1, labels: vec![0] };
        let flat = Dataset::new("t", &[4], Values::U8(vec![0; 4]), labels).unwrap();
        let error = every(0).batch(&flat, 0, &[0]).unwrap_err().to_string();
        assert!(error.contains("[channels, height, width]"), "{error}");
        assert!(every(0).batch(&flat, 0, &[1]).is_err());
        assert!(every(0).apply(&[1, 2, 2], Pixels::U8(&mut [0; 3]), 0, 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        #[test]
        fn no_size_and_no_setting_panics(
            shape in (1usize..4, 1usize..12, 1usize..12),
            distance in 0usize..20,
            degrees in 0f32..=180.0,
            side in 0usize..20,
            extreme: f32,
            seed: u64,
        ) {
            let (c, h, w) = shape;
            let steps = Augmentation::new(seed)
                .with(Shift::new(distance))
                .with(Rotate::new(degrees).unwrap())
                .with(Scale::new(degrees / 200.0).unwrap())
                .with(Shear::new(degrees / 90.0).unwrap())
                .with(Elastic::new(degrees / 2.0, side + 1).unwrap())
                .with(CutOut::new(side));
            let mut bytes = vec![200u8; c * h * w];
            steps.apply(&[c, h, w], Pixels::U8(&mut bytes), 0, 0).unwrap();
            prop_assert!(bytes.iter().all(|&byte| byte <= 200));
            let mut real = vec![extreme; c * h * w];
            every(seed).apply(&[c, h, w], Pixels::F32(&mut real), 0, 0).unwrap();
            for number in [extreme, -extreme] {
                let _ = (Rotate::new(number), Noise::new(number), Flip::vertical(number));
            }
        }
    }
}
