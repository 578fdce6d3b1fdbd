//! Rotation.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, uniform};

use super::{Augment, Image, within};
use crate::Result;

/// Rotates about the centre by an angle up to a largest one, either way.
///
/// The angle is uniform. A pixel is interpolated between the four that its place, turned back, lies
/// between; outside the image everything is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotate {
    degrees: f32,
}

impl Rotate {
    /// Rotates by up to `degrees`, clockwise or the other way.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) when that is not from 0 to 180.
    pub fn new(degrees: f32) -> Result<Self> {
        Ok(Self { degrees: within("rotate", "0 to 180 degrees", degrees, 0.0, 180.0)? })
    }
}

impl Augment for Rotate {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        rotate(image, (2.0 * uniform(rng) - 1.0) * self.degrees);
    }
}

fn rotate(image: &mut Image<'_>, degrees: f32) {
    let angle = f64::from(degrees).to_radians();
    let (sin, cos) = (libm::sin(angle) as f32, libm::cos(angle) as f32);
    let (middle_y, middle_x) = image.centre();
    image.resample(|y, x| {
        let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
        (middle_y - sin * dx + cos * dy, middle_x + cos * dx + sin * dy)
    });
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    fn turned(degrees: f32, height: usize, width: usize, pixels: &[u8]) -> Vec<u8> {
        let mut pixels = pixels.to_vec();
        let mut image = Image::new(&[1, height, width], Pixels::U8(&mut pixels)).unwrap();
        rotate(&mut image, degrees);
        pixels
    }

    #[test]
    fn quarter_turns_are_exact() {
        let image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(turned(0.0, 3, 3, &image), image);
        assert_eq!(turned(90.0, 3, 3, &image), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        assert_eq!(turned(180.0, 3, 3, &image), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(-180.0, 1, 4, &[1, 2, 3, 4]), [4, 3, 2, 1]);
    }

    #[test]
    fn a_small_turn_keeps_the_middle() {
        let mut image = [0u8; 49];
        image[24] = 100;
        let turned = turned(10.0, 7, 7, &image);
        assert_eq!(turned[24], 100);
        let mut bar = [0u8; 49];
        (0..7).for_each(|y| bar[y * 7 + 3] = 100);
        let turned = super::tests::turned(10.0, 7, 7, &bar);
        let mass: u32 = turned.iter().map(|&p| u32::from(p)).sum();
        assert!((600..=720).contains(&mass), "{mass}");
        assert!(Rotate::new(181.0).is_err() && Rotate::new(f32::NAN).is_err());
    }
}
