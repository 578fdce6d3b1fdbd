//! Mirror images.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, uniform};

use super::{Augment, Image, probability};
use crate::Result;

/// Mirrors some images: left and right, or top and bottom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flip {
    probability: f32,
    vertical: bool,
}

impl Flip {
    /// Swaps left and right with this probability.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) when it is not from 0 to 1.
    pub fn horizontal(probability: f32) -> Result<Self> {
        Ok(Self { probability: self::probability("flip", probability)?, vertical: false })
    }

    /// Swaps top and bottom with this probability.
    ///
    /// # Errors
    ///
    /// As [`horizontal`](Self::horizontal).
    pub fn vertical(probability: f32) -> Result<Self> {
        Ok(Self { vertical: true, ..Self::horizontal(probability)? })
    }
}

impl Augment for Flip {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        if uniform(rng) >= self.probability {
            return;
        }
        let [_, height, width] = image.shape();
        if self.vertical {
            image.move_pixels(|y, x| Some((height - 1 - y, x)));
        } else {
            image.move_pixels(|y, x| Some((y, width - 1 - x)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Augmentation, Pixels};
    use super::*;

    fn flipped(flip: Flip) -> [u8; 6] {
        let mut pixels = [1, 2, 3, 4, 5, 6];
        let steps = Augmentation::new(1).with(flip);
        steps.apply(&[1, 2, 3], Pixels::U8(&mut pixels), 0, 0).unwrap();
        pixels
    }

    #[test]
    fn both_directions() {
        assert_eq!(flipped(Flip::horizontal(1.0).unwrap()), [3, 2, 1, 6, 5, 4]);
        assert_eq!(flipped(Flip::vertical(1.0).unwrap()), [4, 5, 6, 1, 2, 3]);
        assert_eq!(flipped(Flip::vertical(0.0).unwrap()), [1, 2, 3, 4, 5, 6]);
        let error = Flip::vertical(1.5).unwrap_err().to_string();
        assert_eq!(error, "flip: expected a probability of 0 to 1, got 1.5");
    }
}
