//! Arrays of numbers, row-major: parameters, gradients, tables.
//!
//! A tensor has value semantics. Clones and views share memory, and whoever writes first takes a
//! copy of its own, so a write is never seen through another tensor:
//!
//! ```
//! use lutweave_tensor::Tensor;
//!
//! let a = Tensor::from_slice(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
//! let mut b = a.transpose(&[1, 0])?; // no copy yet
//! b.set(&[2, 0], 9.0f32)?;
//! assert_eq!(b.to_vec::<f32>()?, [1.0, 4.0, 2.0, 5.0, 9.0, 6.0]);
//! assert_eq!(a.get::<f32>(&[0, 2])?, 3.0);
//! # Ok::<(), lutweave_tensor::Error>(())
//! ```
//!
//! There are no tensors of rank 0, without elements, or of bits: a scalar is of shape `[1]`, and
//! packed bits are what [`FrameBuffer`](crate::FrameBuffer) is for.

mod arithmetic;
mod init;
mod reduce;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::sync::Arc;

use crate::frames::MAX_BYTES;
use crate::numeric;
use crate::storage::Storage;
use crate::{DType, Element, Error, Result, node_count};

/// Runs a body with a name for the number type of a tensor.
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::numeric::with_type!($dtype, $T => $body,
            bit => unreachable!("no constructor makes a tensor of bits"))
    };
}
use with_number;

/// A row-major array of numbers, or a view of one.
///
/// New memory is zero and begins at a 64-byte boundary. See the crate's [`Variables`] for tensors
/// with names and gradients.
///
/// [`Variables`]: crate::Variables
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
    len: usize,
    storage: Arc<Storage>,
}

impl Tensor {
    /// A tensor of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an empty or overflowing shape, or one of more than 2⁴⁶ bytes;
    /// [`Error::DType`] for bits; [`Error::Memory`] when there is too little memory.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Self> {
        let op = "tensor";
        if dtype == DType::Bit {
            let expected = "a type of numbers (only frame buffers pack bits)";
            return Err(Error::DType { op, expected, got: dtype });
        }
        let len = node_count(op, shape)?;
        let bytes = len.checked_mul(dtype.bits() / 8).filter(|&bytes| bytes <= MAX_BYTES);
        let bytes = bytes
            .ok_or_else(|| Error::Shape { op, shape: shape.iter().copied().take(8).collect() })?;
        let storage = Arc::new(Storage::zeroed(bytes)?);
        let (shape, strides) = (shape.to_vec(), row_major(shape));
        Ok(Self { dtype, shape, strides, offset: 0, len, storage })
    }

    /// A tensor of these values, the last axis fastest.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros), or [`Error::Length`] when there are not as many values as the
    /// shape has places.
    pub fn from_slice<T: Element>(shape: &[usize], values: &[T]) -> Result<Self> {
        let expected = node_count("tensor", shape)?;
        if values.len() != expected {
            return Err(Error::Length { op: "tensor", expected, got: values.len() });
        }
        let mut tensor = Self::zeros(T::DTYPE, shape)?;
        tensor.raw_mut::<T>().copy_from_slice(values);
        Ok(tensor)
    }

    /// The values, the last axis fastest.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are of another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.expect::<T>("to vec")?;
        let mut values = vec![T::zeroed(); self.len];
        self.gather(&mut values);
        Ok(values)
    }

    /// The values converted to another type: integers truncate toward zero and saturate, floats
    /// round to nearest even, NaN becomes integer 0. Costs a copy, none for the same type.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros).
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        if dtype == self.dtype {
            return Ok(self.clone());
        }
        let mut to = Self::zeros(dtype, &self.shape)?;
        let from = self.contiguous()?;
        with_number!(self.dtype, S => with_number!(dtype, D => {
            numeric::convert(from.raw::<S>(), to.raw_mut::<D>());
        }));
        Ok(to)
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How far apart neighbours along each axis lie, in elements.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// Number of elements; never zero.
    #[allow(clippy::len_without_is_empty)] // no tensor is empty
    pub fn len(&self) -> usize {
        self.len
    }

    /// The value at an index.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for another type, [`Error::Length`] for an index of another rank,
    /// [`Error::Index`] past the end of an axis.
    pub fn get<T: Element>(&self, index: &[usize]) -> Result<T> {
        self.expect::<T>("get")?;
        let at = self.position("get", index)?;
        Ok(self.storage.as_slice()[at])
    }

    /// Writes the value at an index.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), or [`Error::Memory`] when a copy is needed and cannot be had.
    pub fn set<T: Element>(&mut self, index: &[usize], value: T) -> Result<()> {
        self.expect::<T>("set")?;
        self.position("set", index)?;
        self.own()?;
        let at = self.position("set", index)?; // a copy has other strides
        Arc::make_mut(&mut self.storage).as_mut_slice()[at] = value;
        Ok(())
    }

    /// The values without a copy.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for another type, [`Error::NotContiguous`] for a view with gaps: see
    /// [`contiguous`](Self::contiguous).
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        let op = "as slice";
        self.expect::<T>(op)?;
        if !self.is_contiguous() {
            let (shape, strides) = (self.shape.clone(), self.strides.clone());
            return Err(Error::NotContiguous { op, shape, strides });
        }
        Ok(self.raw())
    }

    /// The values to write. A view, and a tensor that shares its memory, takes a contiguous copy
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for another type, [`Error::Memory`] when a copy cannot be had.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        self.expect::<T>("as slice")?;
        self.own()?;
        Ok(self.raw_mut())
    }

    /// The elements of a contiguous tensor.
    fn raw<T: Element>(&self) -> &[T] {
        &self.storage.as_slice()[self.offset..self.offset + self.len]
    }

    /// The elements of a contiguous tensor that shares with nobody.
    fn raw_mut<T: Element>(&mut self) -> &mut [T] {
        let range = self.offset..self.offset + self.len;
        &mut Arc::make_mut(&mut self.storage).as_mut_slice()[range]
    }

    /// Makes this tensor contiguous and the only user of its memory.
    fn own(&mut self) -> Result<()> {
        if Arc::get_mut(&mut self.storage).is_none() || !self.is_contiguous() {
            *self = self.copy()?;
        }
        Ok(())
    }

    /// A contiguous copy that shares with nobody.
    fn copy(&self) -> Result<Self> {
        let mut copy = Self::zeros(self.dtype, &self.shape)?;
        with_number!(self.dtype, T => self.gather(copy.raw_mut::<T>()));
        Ok(copy)
    }

    /// Copies the elements to `to`, which has room for them exactly, the last axis fastest.
    fn gather<T: Element>(&self, to: &mut [T]) {
        if self.is_contiguous() {
            return to.copy_from_slice(self.raw());
        }
        let from = self.storage.as_slice::<T>();
        let last = self.shape.len() - 1;
        let (columns, step) = (self.shape[last], self.strides[last]);
        let mut index = vec![0; last];
        let mut start = self.offset;
        for row in to.chunks_exact_mut(columns) {
            let from = from[start..].iter().step_by(step);
            row.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
            for axis in (0..last).rev() {
                index[axis] += 1;
                start += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
                start -= self.strides[axis] * self.shape[axis];
            }
        }
    }

    /// Where in the storage an index lies.
    fn position(&self, op: &'static str, index: &[usize]) -> Result<usize> {
        if index.len() != self.shape.len() {
            return Err(Error::Length { op, expected: self.shape.len(), got: index.len() });
        }
        let mut at = self.offset;
        for ((&index, &len), stride) in index.iter().zip(&self.shape).zip(&self.strides) {
            if index >= len {
                return Err(Error::Index { op, index, len });
            }
            at += index * stride;
        }
        Ok(at)
    }

    fn expect<T: Element>(&self, op: &'static str) -> Result<()> {
        if T::DTYPE == self.dtype {
            Ok(())
        } else {
            Err(Error::DType { op, expected: T::DTYPE.name(), got: self.dtype })
        }
    }
}

/// Strides of a shape whose elements lie one after the other.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Equal types, shapes and values; where the elements lie does not matter. NaN differs from NaN.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && with_number!(self.dtype, T => self.to_vec::<T>() == other.to_vec::<T>())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Tensor");
        f.field("dtype", &self.dtype).field("shape", &self.shape).field("strides", &self.strides);
        with_number!(self.dtype, T => f.field("values", &self.to_vec::<T>().unwrap_or_default()));
        f.finish_non_exhaustive()
    }
}
