//! Other views of the same elements.

use std::ops::Range;

use super::{Tensor, row_major};
use crate::{Error, Result, node_count};

impl Tensor {
    /// The same elements, in the same row-major order, under another shape. No copy if the tensor
    /// is contiguous.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] when the numbers of elements differ, [`Error::Shape`] for an empty
    /// or overflowing shape, [`Error::Memory`] when a copy cannot be had.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        if node_count("reshape", shape)? != self.len {
            let (expected, got) = (self.shape.clone(), shape.to_vec());
            return Err(Error::ShapeMismatch { op: "reshape", expected, got });
        }
        let mut view = self.contiguous()?;
        view.shape = shape.to_vec();
        view.strides = row_major(shape);
        Ok(view)
    }

    /// As [`reshape`](Self::reshape); the one axis that is `None` gets the length that fits.
    ///
    /// ```
    /// use lutweave_tensor::{DType, Tensor};
    ///
    /// let x = Tensor::zeros(DType::F32, &[4, 6])?;
    /// assert_eq!(x.reshape_infer(&[Some(3), None])?.shape(), [3, 8]);
    /// # Ok::<(), lutweave_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`reshape`](Self::reshape), or [`Error::Argument`] when more than one axis is `None`.
    pub fn reshape_infer(&self, shape: &[Option<usize>]) -> Result<Self> {
        let op = "reshape";
        let open = shape.iter().filter(|axis| axis.is_none()).count();
        if open > 1 {
            let expected = "at most one axis to infer";
            return Err(Error::Argument { op, expected, got: open.to_string() });
        }
        let known = shape.iter().flatten().try_fold(1usize, |len, &axis| len.checked_mul(axis));
        // Where nothing fits, `reshape` refuses the rounded-down length.
        let inferred = known.and_then(|known| self.len.checked_div(known)).unwrap_or(0);
        let shape: Vec<usize> = shape.iter().map(|axis| axis.unwrap_or(inferred)).collect();
        self.reshape(&shape)
    }

    /// A view with the axes in another order: axis `i` of the result is axis `axes[i]` of `self`.
    ///
    /// # Errors
    ///
    /// [`Error::Axes`] when `axes` is no permutation of the axes.
    pub fn transpose(&self, axes: &[usize]) -> Result<Self> {
        let rank = self.shape.len();
        let mut seen = vec![false; rank];
        let once = |&axis: &usize| axis < rank && !std::mem::replace(&mut seen[axis], true);
        if axes.len() != rank || !axes.iter().all(once) {
            let axes = axes.iter().copied().take(8).collect();
            return Err(Error::Axes { op: "transpose", axes, rank });
        }
        let mut view = self.clone();
        view.shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        view.strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Ok(view)
    }

    /// A view of a range along one axis.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] for an axis that does not exist, [`Error::Range`] for a range that is
    /// empty, runs backwards or ends past the end.
    pub fn slice(&self, axis: usize, range: Range<usize>) -> Result<Self> {
        let op = "slice";
        let Some(&len) = self.shape.get(axis) else {
            return Err(Error::Index { op, index: axis, len: self.shape.len() });
        };
        if range.start >= range.end || range.end > len {
            return Err(Error::Range { op, start: range.start, end: range.end, len });
        }
        let mut view = self.clone();
        view.offset += range.start * self.strides[axis];
        view.shape[axis] = range.len();
        view.len = self.len / len * range.len();
        Ok(view)
    }

    /// Whether the elements lie one after the other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&len, &stride)| {
            let fits = len == 1 || stride == expected;
            expected *= len;
            fits
        })
    }

    /// The same tensor with its elements one after the other: a copy if they are not so already.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when a copy cannot be had.
    pub fn contiguous(&self) -> Result<Self> {
        if self.is_contiguous() { Ok(self.clone()) } else { self.copy() }
    }
}
