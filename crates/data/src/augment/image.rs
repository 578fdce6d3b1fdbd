//! An image that is being changed.

use crate::{Error, Result};

/// A type of pixels: u8 or f32.
pub trait Pixel: Copy + Default + Send + Sync {
    /// The value as a real number.
    fn to_f32(self) -> f32;
    /// The nearest value of this type.
    fn from_f32(value: f32) -> Self;
    /// Pixels of this type.
    fn pixels(pixels: &mut [Self]) -> Pixels<'_>;
}

impl Pixel for u8 {
    fn to_f32(self) -> f32 {
        self.into()
    }

    fn from_f32(value: f32) -> Self {
        (value + 0.5) as u8 // casts to integers saturate
    }

    fn pixels(pixels: &mut [Self]) -> Pixels<'_> {
        Pixels::U8(pixels)
    }
}

impl Pixel for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> Self {
        value
    }

    fn pixels(pixels: &mut [Self]) -> Pixels<'_> {
        Pixels::F32(pixels)
    }
}

/// The pixels of an image: channel by channel, row by row.
#[derive(Debug)]
pub enum Pixels<'a> {
    /// Bytes.
    U8(&'a mut [u8]),
    /// Real numbers.
    F32(&'a mut [f32]),
}

impl Pixels<'_> {
    fn len(&self) -> usize {
        match self {
            Self::U8(pixels) => pixels.len(),
            Self::F32(pixels) => pixels.len(),
        }
    }
}

/// An image of shape `[channels, height, width]`, none of them zero.
#[derive(Debug)]
pub struct Image<'a> {
    shape: [usize; 3],
    pixels: Pixels<'a>,
}

impl<'a> Image<'a> {
    /// An image of these pixels.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] when `shape` is not `[channels, height, width]` without a zero, or the
    /// number of pixels is not its product.
    pub fn new(shape: &[usize], pixels: Pixels<'a>) -> Result<Self> {
        let op = "augment";
        let size = lutweave_tensor::node_count(op, shape)?;
        let &[channels, height, width] = shape else {
            let expected = "images of shape [channels, height, width]".to_owned();
            return Err(Error::Mismatch { op, expected, got: format!("{shape:?}") });
        };
        if pixels.len() != size {
            let (expected, got) = (format!("{size} pixels"), pixels.len().to_string());
            return Err(Error::Mismatch { op, expected, got });
        }
        Ok(Self { shape: [channels, height, width], pixels })
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The pixels.
    pub fn pixels(&mut self) -> &mut Pixels<'a> {
        &mut self.pixels
    }

    /// Makes each pixel the one at another place of its channel, or zero: `from(y, x)` is the place
    /// that the pixel in row `y` and column `x` comes from.
    pub fn move_pixels(&mut self, from: impl Fn(usize, usize) -> Option<(usize, usize)>) {
        let [_, height, width] = self.shape;
        match &mut self.pixels {
            Pixels::U8(pixels) => move_pixels(pixels, height, width, from),
            Pixels::F32(pixels) => move_pixels(pixels, height, width, from),
        }
    }

    /// Makes each pixel the value of its channel at another place, which may be between pixels:
    /// `from(y, x)` is the place that the pixel in row `y` and column `x` comes from. A value between
    /// pixels is interpolated between the four around it; outside the image everything is zero.
    pub fn resample(&mut self, from: impl Fn(usize, usize) -> (f32, f32)) {
        let [_, height, width] = self.shape;
        match &mut self.pixels {
            Pixels::U8(pixels) => resample(pixels, height, width, from),
            Pixels::F32(pixels) => resample(pixels, height, width, from),
        }
    }

    /// Row and column of the centre, which may be between pixels.
    pub fn centre(&self) -> (f32, f32) {
        let [_, height, width] = self.shape;
        ((height - 1) as f32 / 2.0, (width - 1) as f32 / 2.0)
    }
}

fn resample<T: Pixel>(
    pixels: &mut [T],
    height: usize,
    width: usize,
    from: impl Fn(usize, usize) -> (f32, f32),
) {
    for plane in pixels.chunks_exact_mut(height * width) {
        let before: Vec<f32> = plane.iter().map(|pixel| pixel.to_f32()).collect();
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let (from_y, from_x) = from(y, x);
                *pixel = T::from_f32(between(&before, height, width, from_y, from_x));
            }
        }
    }
}

/// The value at a place between pixels.
fn between(plane: &[f32], height: usize, width: usize, y: f32, x: f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let at = |y: f32, x: f32| {
        if y >= 0.0 && x >= 0.0 && y < height as f32 && x < width as f32 {
            plane[y as usize * width + x as usize]
        } else {
            0.0
        }
    };
    // A weight of zero takes no part: nothing times infinity would be no number.
    let mix = |a: f32, b: f32, part: f32| if part == 0.0 { a } else { a * (1.0 - part) + b * part };
    let upper = mix(at(top, left), at(top, left + 1.0), right);
    let lower = mix(at(top + 1.0, left), at(top + 1.0, left + 1.0), right);
    mix(upper, lower, down)
}

fn move_pixels<T: Pixel>(
    pixels: &mut [T],
    height: usize,
    width: usize,
    from: impl Fn(usize, usize) -> Option<(usize, usize)>,
) {
    for plane in pixels.chunks_exact_mut(height * width) {
        let before = plane.to_vec();
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let place = from(y, x).filter(|&(y, x)| y < height && x < width);
                *pixel = place.map_or(T::default(), |(y, x)| before[y * width + x]);
            }
        }
    }
}
