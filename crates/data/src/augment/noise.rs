//! Noise.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, normal};

use super::{Augment, Image, Pixel, Pixels, within};
use crate::{Error, Result};

/// Adds normal noise to every pixel.
///
/// Bytes are rounded to the nearest and stay between 0 and 255 (or the bounds given).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    deviation: f32,
    low: f32,
    high: f32,
}

impl Noise {
    /// Noise of this standard deviation, in units of the values.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when it is negative or not finite.
    pub fn new(deviation: f32) -> Result<Self> {
        let expected = "a standard deviation of 0 or more";
        let deviation = within("noise", expected, deviation, 0.0, f32::MAX)?;
        Ok(Self { deviation, low: f32::NEG_INFINITY, high: f32::INFINITY })
    }

    /// Keeps pixels between two values, for instance 0 and 16 for the embedded digits.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `low` is not below `high`.
    pub fn between(mut self, low: f32, high: f32) -> Result<Self> {
        if low < high {
            (self.low, self.high) = (low, high);
            return Ok(self);
        }
        let (expected, got) = ("a lower bound below the upper", format!("{low} and {high}"));
        Err(Error::Argument { op: "noise", expected, got })
    }
}

impl Augment for Noise {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        match image.pixels() {
            Pixels::U8(pixels) => add(pixels, self, rng),
            Pixels::F32(pixels) => add(pixels, self, rng),
        }
    }
}

fn add<T: Pixel>(pixels: &mut [T], noise: &Noise, rng: &mut Xoshiro256PlusPlus) {
    for pixel in pixels {
        let value = pixel.to_f32() + noise.deviation * normal(rng);
        *pixel = T::from_f32(value.clamp(noise.low, noise.high));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Augmentation;
    use super::*;

    fn noisy(noise: Noise, value: u8) -> Vec<u8> {
        let mut pixels = vec![value; 10_000];
        let steps = Augmentation::new(1).with(noise);
        steps.apply(&[1, 100, 100], Pixels::U8(&mut pixels), 0, 0).unwrap();
        pixels
    }

    #[test]
    fn has_the_deviation_asked_for() {
        let squares = noisy(Noise::new(10.0).unwrap(), 128);
        let squares = squares.iter().map(|&p| (f64::from(p) - 128.0).powi(2)).sum::<f64>();
        assert!((squares / 10_000.0 - 100.0).abs() < 5.0, "{squares}");
        assert_eq!(noisy(Noise::new(0.0).unwrap(), 9), vec![9; 10_000]);
    }

    #[test]
    fn stays_within_bounds() {
        let noise = Noise::new(10.0).unwrap();
        let dark = noisy(noise, 0);
        assert!(dark.contains(&0) && dark.iter().all(|&p| p < 100), "no byte wraps round");
        assert!(noisy(noise.between(0.0, 16.0).unwrap(), 9).iter().all(|&p| p <= 16));
        assert!(Noise::new(f32::NAN).is_err() && Noise::new(-1.0).is_err());
        assert!(noise.between(1.0, 1.0).is_err() && noise.between(f32::NAN, 1.0).is_err());
    }
}
