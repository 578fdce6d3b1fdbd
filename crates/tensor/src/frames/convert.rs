//! Other element types, and frame-major data of any type.
//!
//! A bit is 0 or 1 everywhere in lutweave. Predecessors read bits as −1 and +1: `to_signed` and
//! `from_signed` translate at that edge, and nothing else knows about it.

use super::{FrameBuffer, THRESHOLD};
use crate::numeric::{self, is_float, with_type};
use crate::{DType, Element, Error, Result, Tensor};

impl FrameBuffer {
    /// A copy with elements of another type.
    ///
    /// Bits become 0 and 1. Numbers become the bit `x >` [`THRESHOLD`]. Between numbers, integers
    /// truncate toward zero and saturate (unsigned ones as what they are), floats round to nearest
    /// even, and NaN becomes integer 0 and bit 0.
    ///
    /// # Errors
    ///
    /// [`Error::Frames`] when the copy would be too large, [`Error::Memory`] when it cannot be had.
    pub fn convert(&self, dtype: DType) -> Result<Self> {
        self.storage.fetch()?;
        match (self.dtype, dtype) {
            (from, to) if from == to => Ok(self.clone()),
            (DType::Bit, _) => self.spread_bits(dtype, 0.0, 1.0),
            (_, DType::Bit) => self.to_bits(THRESHOLD),
            _ => {
                let mut to = Self::zeros(dtype, &self.shape, self.frames)?;
                for node in 0..self.nodes {
                    with_type!(self.dtype, S => with_type!(dtype, D => {
                        let from = &self.raw_row::<S>(node)[..self.frames];
                        numeric::convert(from, to.raw_row_mut::<D>(node));
                    }, bit => {}), bit => {}); // bits are in the arms above
                }
                Ok(to)
            }
        }
    }

    /// The bits `x > threshold`; NaN gives 0. Of bits, which count as 0 and 1, too.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a threshold that is NaN, [`Error::Memory`] when there is too little
    /// memory.
    pub fn to_bits(&self, threshold: f64) -> Result<Self> {
        if threshold.is_nan() {
            let expected = "a threshold that is a number";
            return Err(Error::Argument { op: "to bits", expected, got: "NaN".into() });
        }
        self.storage.fetch()?;
        let frames = self.frames;
        let mut to = Self::zeros(DType::Bit, &self.shape, frames)?;
        for node in 0..self.nodes {
            with_type!(self.dtype, T => {
                let from = self.raw_row::<T>(node)[..frames].chunks(super::WORD);
                for (word, block) in to.raw_row_mut::<u64>(node).iter_mut().zip(from) {
                    let bits = block.iter().map(|&x| u64::from(Element::to_f64(x) > threshold));
                    *word = bits.enumerate().fold(0, |word, (f, bit)| word | bit << f);
                }
            }, bit => {
                let (zero, one) = (0.0 > threshold, 1.0 > threshold);
                for word in 0..frames.div_ceil(super::WORD) {
                    let bits = self.raw_row::<u64>(node)[word];
                    let mapped = if one { bits } else { 0 } | if zero { !bits } else { 0 };
                    to.raw_row_mut::<u64>(node)[word] = mapped & self.frame_mask(word);
                }
            });
        }
        Ok(to)
    }

    /// Bits as numbers −1 and +1, for data that is to leave lutweave.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are no bits or `dtype` has no −1, [`Error::Frames`] and
    /// [`Error::Memory`] when the result is too large.
    pub fn to_signed(&self, dtype: DType) -> Result<Self> {
        let op = "to signed";
        self.expect_bits(op)?;
        let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64);
        if !signed && !is_float(dtype) {
            return Err(Error::DType { op, expected: "a type with -1", got: dtype });
        }
        self.spread_bits(dtype, -1.0, 1.0)
    }

    /// Bits from numbers whose sign is their meaning (±1): `x > 0`. The inverse of
    /// [`to_signed`](Self::to_signed).
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are bits, which have no sign, [`Error::Memory`] when there
    /// is too little memory.
    pub fn from_signed(numbers: &Self) -> Result<Self> {
        let got = numbers.dtype;
        if got == DType::Bit {
            return Err(Error::DType { op: "from signed", expected: "numbers", got });
        }
        numbers.to_bits(0.0)
    }

    fn spread_bits(&self, dtype: DType, zero: f64, one: f64) -> Result<Self> {
        let mut to = Self::zeros(dtype, &self.shape, self.frames)?;
        for node in 0..self.nodes {
            with_type!(dtype, T => {
                let values = [zero, one].map(<T as Element>::from_f64);
                let row = &mut to.raw_row_mut::<T>(node)[..self.frames];
                for (block, &bits) in row.chunks_mut(super::WORD).zip(self.raw_row::<u64>(node)) {
                    for (f, value) in block.iter_mut().enumerate() {
                        *value = values[(bits >> f & 1) as usize];
                    }
                }
            }, bit => {}); // the callers convert to numbers
        }
        Ok(to)
    }

    /// A buffer of elements of `dtype` from numbers of any type, one frame after the other: as
    /// [`from_frames`](Self::from_frames), then [`convert`](Self::convert).
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn from_frames_as<T: Element>(dtype: DType, shape: &[usize], values: &[T]) -> Result<Self> {
        let buffer = Self::from_frames(shape, values)?;
        if dtype == T::DTYPE { Ok(buffer) } else { buffer.convert(dtype) }
    }

    /// The elements as numbers of any type, one frame after the other: as
    /// [`convert`](Self::convert), then [`to_frames`](Self::to_frames).
    ///
    /// # Errors
    ///
    /// [`Error::Frames`] and [`Error::Memory`] when a copy would be too large.
    pub fn to_frames_as<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype == T::DTYPE { self.to_frames() } else { self.convert(T::DTYPE)?.to_frames() }
    }

    /// A buffer from a tensor whose first axis is the frames and whose other axes are the nodes.
    ///
    /// ```
    /// use lutweave_tensor::{FrameBuffer, Tensor};
    ///
    /// let frames = Tensor::from_slice(&[2, 3], &[1u8, 2, 3, 4, 5, 6])?;
    /// let x = FrameBuffer::from_tensor(&frames)?;
    /// assert_eq!(x.row::<u8>(0)?, [1, 4]);
    /// assert_eq!(x.to_tensor()?, frames);
    /// # Ok::<(), lutweave_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a tensor of one axis, [`Error::Frames`] and [`Error::Memory`] when the
    /// result is too large.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let shape = tensor.shape().get(1..).unwrap_or_default();
        with_type!(tensor.dtype(), T => Self::from_frames(shape, &tensor.to_vec::<T>()?),
            bit => unreachable!("no constructor makes a tensor of bits"))
    }

    /// The numbers as a tensor of shape `[frames, ..]`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for bits (convert them first), [`Error::Memory`] when there is too little
    /// memory.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let shape: Vec<usize> = [self.frames].into_iter().chain(self.shape.clone()).collect();
        with_type!(self.dtype, T => Tensor::from_slice(&shape, &self.to_frames::<T>()?),
            bit => Err(Error::DType { op: "to tensor", expected: "numbers", got: self.dtype }))
    }
}
