//! Elastic distortion.

use lutweave_tensor::rng::{Xoshiro256PlusPlus, normal};

use super::{Augment, Image, within};
use crate::{Error, Result};

/// Distorts an image as if it were drawn on rubber.
///
/// Points of a coarse grid move by normal random vectors, and pixels in between move smoothly with
/// them: displacements are the cubic B-spline that has the vectors as its coefficients,
///
/// ```text
/// d(y, x) = Σ_ij v[i, j] · B((y − y_i) / grid) · B((x − x_j) / grid)
/// ```
///
/// with `v` scaled such that a pixel on a point of the grid moves by the given standard deviation in each
/// direction; one between them moves by less, down to 0.92 of it. A value between pixels is
/// interpolated; what comes in is zero.
///
/// Elastic distortions for images of digits are those of Simard, Steinkraus and Platt (ICDAR 2003), who
/// smooth random vectors of every pixel; a coarse grid of vectors is that of Ronneberger, Fischer and
/// Brox (MICCAI 2015), and much less work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elastic {
    deviation: f32,
    grid: usize,
}

/// The cubic B-spline at −1, 0 and 1.
const AT_POINTS: [f32; 3] = [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0];

impl Elastic {
    /// Distorts by displacements of this standard deviation, in pixels, that are alike within about
    /// `grid` pixels.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the deviation is not from 0 to 100, or the grid 0.
    pub fn new(deviation: f32, grid: usize) -> Result<Self> {
        let expected = "a standard deviation of 0 to 100 pixels";
        let deviation = within("elastic", expected, deviation, 0.0, 100.0)?;
        if grid == 0 {
            let (expected, got) = ("a grid of at least 1 pixel", grid.to_string());
            return Err(Error::Argument { op: "elastic", expected, got });
        }
        Ok(Self { deviation, grid })
    }

    /// Displacements of all pixels in one direction.
    fn field(&self, height: usize, width: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
        // The variance at a point is that of a vector times this, squared for the two directions.
        let power: f32 = AT_POINTS.iter().map(|weight| weight * weight).sum();
        let amplitude = self.deviation / power;
        let (down, across) = (Splines::new(height, self.grid), Splines::new(width, self.grid));
        // Smoothed along rows first, then down the columns.
        let rows: Vec<f32> = (0..down.points)
            .flat_map(|_| {
                let vectors: Vec<f32> = (0..across.points).map(|_| normal(rng)).collect();
                across.smooth(&vectors, 1, amplitude)
            })
            .collect();
        down.smooth(&rows, width, 1.0)
    }
}

/// For each place along a side the first of its four points, and their weights.
struct Splines {
    points: usize,
    places: Vec<(usize, [f32; 4])>,
}

impl Splines {
    fn new(side: usize, grid: usize) -> Self {
        let place = |at: usize| {
            let (first, t) = (at / grid, (at % grid) as f32 / grid as f32);
            let (t2, t3, back) = (t * t, t * t * t, 1.0 - t);
            let weights = [
                back * back * back / 6.0,
                (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
                (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
                t3 / 6.0,
            ];
            (first, weights)
        };
        Self { points: side.saturating_sub(1) / grid + 4, places: (0..side).map(place).collect() }
    }

    /// Rows of `length` numbers at all places, from those at the points.
    fn smooth(&self, points: &[f32], length: usize, factor: f32) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.places.len() * length);
        for (first, weights) in &self.places {
            let rows = &points[first * length..(first + 4) * length];
            all.extend((0..length).map(|at| {
                let parts = weights.iter().zip(rows[at..].iter().step_by(length));
                parts.map(|(weight, value)| weight * value).sum::<f32>() * factor
            }));
        }
        all
    }
}

impl Augment for Elastic {
    fn apply(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        let [_, height, width] = image.shape();
        let down = self.field(height, width, rng);
        let right = self.field(height, width, rng);
        image.resample(|y, x| {
            let at = y * width + x;
            (y as f32 + down[at], x as f32 + right[at])
        });
    }
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::rng;

    use super::*;

    #[test]
    fn displacements_have_the_deviation_and_are_smooth() {
        let elastic = Elastic::new(2.0, 4).unwrap();
        let (mut squares, mut steps, mut count) = (0.0, 0.0, 0.0);
        for sample in 0..400 {
            let field = elastic.field(9, 13, &mut rng::stream(1, &[sample]));
            assert_eq!(field.len(), 9 * 13);
            for (at, &value) in field.iter().enumerate() {
                let (y, x) = (at / 13, at % 13);
                if y % 4 == 0 && x % 4 == 0 {
                    (squares, count) = (squares + value * value, count + 1.0);
                }
                if x > 0 {
                    steps = f32::max(steps, (value - field[at - 1]).abs());
                }
            }
        }
        let deviation = (squares / count).sqrt();
        assert!((deviation - 2.0).abs() < 0.1, "{deviation}");
        assert!(steps < 4.0, "{steps}");
    }

    #[test]
    fn what_is_even_stays_even_inside() {
        // Weights of a spline add up to one.
        for at in Splines::new(20, 7).places {
            assert!((at.1.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let mut pixels = [100u8; 400];
        let mut image = Image::new(&[1, 20, 20], super::super::Pixels::U8(&mut pixels)).unwrap();
        Elastic::new(1.0, 5).unwrap().apply(&mut image, &mut rng::stream(3, &[]));
        assert!((6..14).all(|y| (6..14).all(|x| (99..=100).contains(&pixels[y * 20 + x]))));
        assert!(Elastic::new(f32::NAN, 4).is_err() && Elastic::new(1.0, 0).is_err());
    }
}
