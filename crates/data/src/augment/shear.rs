//! Slanting.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, uniform};

use super::{Augment, Image, within};
use crate::Result;

/// Slants an image: its rows move sideways, each by as much as it is away from the middle times a
/// slope.
///
/// The slope is uniform from `−slope` to `slope`. Values between pixels are interpolated; what comes in
/// is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shear {
    slope: f32,
}

impl Shear {
    /// Moves a row by up to `slope` pixels for each row it is away from the middle.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) when that is not from 0 to 2.
    pub fn new(slope: f32) -> Result<Self> {
        Ok(Self { slope: within("shear", "a slope of 0 to 2", slope, 0.0, 2.0)? })
    }
}

impl Augment for Shear {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        shear(image, (2.0 * uniform(rng) - 1.0) * self.slope);
    }
}

fn shear(image: &mut Image<'_>, slope: f32) {
    let (middle, _) = image.centre();
    image.resample(|y, x| (y as f32, x as f32 - slope * (y as f32 - middle)));
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    #[test]
    fn an_upright_line_becomes_a_slanted_one() {
        let mut pixels = [0, 1, 0, 0, 1, 0, 0, 1, 0u8];
        let mut image = Image::new(&[1, 3, 3], Pixels::U8(&mut pixels)).unwrap();
        shear(&mut image, 1.0);
        assert_eq!(pixels, [1, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert!(Shear::new(2.5).is_err() && Shear::new(f32::NAN).is_err());
    }
}
