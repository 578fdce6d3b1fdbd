//! Shifting.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, below};

use super::{Augment, Image};

/// Shifts by whole pixels, up to a distance in each direction; what comes in is zero.
///
/// Both offsets are uniform from `-distance` to `distance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    distance: usize,
}

impl Shift {
    /// Shifts by up to `distance` pixels, and never by more than the whole image.
    pub fn new(distance: usize) -> Self {
        Self { distance }
    }
}

impl Augment for Shift {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        let [_, height, width] = image.shape();
        let (most_y, most_x) = (self.distance.min(height), self.distance.min(width));
        let (down, right) = (below(rng, 2 * most_y + 1), below(rng, 2 * most_x + 1));
        // A pixel comes from `y + most - down`; those from outside are zero.
        image.move_pixels(|y, x| {
            Some(((y + most_y).checked_sub(down)?, (x + most_x).checked_sub(right)?))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Augmentation, Pixels};
    use super::*;

    #[test]
    fn a_point_visits_every_place_in_reach() {
        let mut seen = BTreeSet::new();
        for sample in 0..400 {
            let mut pixels = [0u8; 25];
            pixels[12] = 9;
            let steps = Augmentation::new(1).with(Shift::new(1));
            steps.apply(&[1, 5, 5], Pixels::U8(&mut pixels), 0, sample).unwrap();
            assert_eq!(pixels.iter().map(|&p| u32::from(p)).sum::<u32>(), 9);
            seen.insert(pixels.iter().position(|&p| p == 9).unwrap());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [6, 7, 8, 11, 12, 13, 16, 17, 18]);
    }

    #[test]
    fn what_leaves_does_not_come_back() {
        let mut all_left = false;
        for sample in 0..200 {
            let mut pixels = [1.0f32; 4];
            let steps = Augmentation::new(1).with(Shift::new(usize::MAX));
            steps.apply(&[1, 2, 2], Pixels::F32(&mut pixels), 0, sample).unwrap();
            all_left |= pixels.iter().sum::<f32>() < 0.5;
        }
        assert!(all_left);
    }
}
