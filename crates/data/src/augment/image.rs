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
