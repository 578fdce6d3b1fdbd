//! Change of size.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, uniform};

use super::{Augment, Image, within};
use crate::Result;

/// Makes an image larger or smaller about its centre, height and width each by its own factor.
///
/// Both factors are uniform from `1 − part` to `1 + part`. Values between pixels are interpolated;
/// what comes in is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    part: f32,
}

impl Scale {
    /// Factors of up to `part` more or less than 1.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) when that is not from 0 to 0.9.
    pub fn new(part: f32) -> Result<Self> {
        Ok(Self { part: within("scale", "a part of 0 to 0.9", part, 0.0, 0.9)? })
    }
}

impl Augment for Scale {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        let mut factor = || 1.0 + (2.0 * uniform(rng) - 1.0) * self.part;
        scale(image, factor(), factor());
    }
}

fn scale(image: &mut Image<'_>, height: f32, width: f32) {
    let (middle_y, middle_x) = image.centre();
    image.resample(|y, x| {
        let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
        (middle_y + dy / height, middle_x + dx / width)
    });
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    #[test]
    fn twice_as_large_shows_the_middle() {
        let mut pixels =
            [9, 9, 9, 9, 9, 9, 1, 3, 5, 9, 9, 1, 3, 5, 9, 9, 1, 3, 5, 9, 9, 9, 9, 9, 9u8];
        let mut image = Image::new(&[1, 5, 5], Pixels::U8(&mut pixels)).unwrap();
        scale(&mut image, 2.0, 2.0);
        for row in pixels.chunks(5) {
            assert_eq!(row, [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn half_as_wide_leaves_the_rest_empty() {
        let mut pixels = [1, 2, 3, 4, 5u8];
        let mut image = Image::new(&[1, 1, 5], Pixels::U8(&mut pixels)).unwrap();
        scale(&mut image, 1.0, 0.5);
        assert_eq!(pixels, [0, 1, 3, 5, 0]);
        assert!(Scale::new(1.0).is_err() && Scale::new(-0.1).is_err());
        assert!(Scale::new(f32::NAN).is_err());
    }
}
