//! Element-wise arithmetic; the rules are at the first `impl` below.

use super::{Tensor, with_number};
use crate::numeric::{self, Number, Op, is_float};
use crate::{DType, Element, Error, Result};

macro_rules! arithmetic {
    ($($op:ident, $sign:literal, $name:ident, $assign:ident, $scalar:ident, $scalar_assign:ident;)*) => {
        impl Tensor {$(
            #[doc = concat!("`self ", $sign, " other`, element by element; see [the rules](Self#arithmetic).")]
            ///
            /// # Errors
            ///
            /// [`Error::DType`] and [`Error::ShapeMismatch`] when types or shapes differ,
            /// [`Error::Memory`] when there is too little memory.
            pub fn $name(&self, other: &Self) -> Result<Self> {
                let mut result = self.clone();
                result.$assign(other)?;
                Ok(result)
            }

            #[doc = concat!("`self = self ", $sign, " other`, element by element.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            pub fn $assign(&mut self, other: &Self) -> Result<()> {
                self.combine(Op::$op, stringify!($name), other)
            }

            #[doc = concat!("`self ", $sign, " scalar`, element by element.")]
            ///
            /// # Errors
            ///
            /// [`Error::Memory`] when there is too little memory.
            pub fn $scalar(&self, scalar: f64) -> Result<Self> {
                let mut result = self.clone();
                result.$scalar_assign(scalar)?;
                Ok(result)
            }

            #[doc = concat!("`self = self ", $sign, " scalar`, element by element.")]
            ///
            /// # Errors
            ///
            /// [`Error::Memory`] when a copy is needed and cannot be had.
            pub fn $scalar_assign(&mut self, scalar: f64) -> Result<()> {
                self.own()?;
                with_number!(self.dtype, T => {
                    numeric::zip_scalar(Op::$op, self.raw_mut::<T>(), scalar);
                });
                Ok(())
            }
        )*}
    };
}

/// # Arithmetic
///
/// Results are rounded once to the tensor's type. Integers saturate, quotients truncate toward
/// zero, and an integer divided by zero gives the type's largest or smallest value, or 0 for 0/0.
/// A scalar is not rounded to the tensor's type first: `u8` 10 times 0.5 is 5. The `_assign` forms
/// work in place where nobody shares the memory; after an error the tensor is as it was.
///
/// ```
/// use lutweave_tensor::Tensor;
///
/// let mut x = Tensor::from_slice(&[3], &[1.0f32, 2.0, 3.0])?;
/// x.add_assign(&x.mul_scalar(10.0)?)?;
/// assert_eq!(x.to_vec::<f32>()?, [11.0, 22.0, 33.0]);
/// # Ok::<(), lutweave_tensor::Error>(())
/// ```
impl Tensor {
    /// The values with the other sign.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for unsigned types, [`Error::Memory`] when there is too little memory.
    pub fn neg(&self) -> Result<Self> {
        if matches!(self.dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64) {
            return Err(Error::DType { op: "neg", expected: "a signed type", got: self.dtype });
        }
        self.mul_scalar(-1.0)
    }

    /// The values without their sign; the smallest integer saturates.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is too little memory.
    pub fn abs(&self) -> Result<Self> {
        let mut result = self.clone();
        result.own()?;
        with_number!(self.dtype, T => numeric::map(result.raw_mut::<T>(), |value: T| {
            if is_float(T::DTYPE) {
                T::from_f64(value.to_f64().abs())
            } else {
                T::from_i128(value.to_i128().abs())
            }
        }));
        Ok(result)
    }

    /// The square roots; NaN of negative values.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for integers, [`Error::Memory`] when there is too little memory.
    pub fn sqrt(&self) -> Result<Self> {
        self.expect_float("sqrt")?;
        let mut result = self.clone();
        result.own()?;
        with_number!(self.dtype, T => numeric::map(result.raw_mut::<T>(), |value: T| {
            T::from_f64(libm::sqrt(value.to_f64()))
        }));
        Ok(result)
    }

    /// Sets every value below `low` to `low` and every value above `high` to `high`; NaN stays.
    ///
    /// Bounds are first rounded to the tensor's type: for integers inward, to whole numbers that
    /// the type has.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when no value lies between the bounds or one is NaN, [`Error::Memory`]
    /// when a copy is needed and cannot be had.
    pub fn clamp(&mut self, low: f64, high: f64) -> Result<()> {
        let (whole_low, whole_high) =
            if is_float(self.dtype) { (low, high) } else { (low.ceil(), high.floor()) };
        if whole_low.is_nan() || whole_high.is_nan() || whole_low > whole_high {
            let expected = "a lower and a higher bound with values of the type between";
            return Err(Error::Argument { op: "clamp", expected, got: format!("{low}, {high}") });
        }
        self.own()?;
        with_number!(self.dtype, T => clamp(self.raw_mut::<T>(), whole_low, whole_high));
        Ok(())
    }

    /// Sets every value to the one of the tensor's type nearest to `value`.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when a copy is needed and cannot be had.
    pub fn fill(&mut self, value: f64) -> Result<()> {
        self.own()?;
        with_number!(self.dtype, T => {
            self.raw_mut::<T>().fill(<T as Element>::from_f64(value));
        });
        Ok(())
    }

    pub(crate) fn combine(&mut self, op: Op, name: &'static str, other: &Self) -> Result<()> {
        self.check_same(name, other)?;
        let other = other.contiguous()?;
        self.own()?;
        with_number!(self.dtype, T => numeric::zip(op, self.raw_mut::<T>(), other.raw::<T>()));
        Ok(())
    }

    /// That `other` has the type and the shape of `self`.
    pub(crate) fn check_same(&self, op: &'static str, other: &Self) -> Result<()> {
        if other.dtype != self.dtype {
            return Err(Error::DType { op, expected: self.dtype.name(), got: other.dtype });
        }
        if other.shape != self.shape {
            let (expected, got) = (self.shape.clone(), other.shape.clone());
            return Err(Error::ShapeMismatch { op, expected, got });
        }
        Ok(())
    }

    pub(super) fn expect_float(&self, op: &'static str) -> Result<()> {
        if is_float(self.dtype) {
            Ok(())
        } else {
            Err(Error::DType { op, expected: "a type of real numbers", got: self.dtype })
        }
    }
}

arithmetic! {
    Add, "+", add, add_assign, add_scalar, add_scalar_assign;
    Sub, "-", sub, sub_assign, sub_scalar, sub_scalar_assign;
    Mul, "*", mul, mul_assign, mul_scalar, mul_scalar_assign;
    Div, "/", div, div_assign, div_scalar, div_scalar_assign;
}

/// Compares in the type itself, so that values between the bounds stay as they are.
fn clamp<T: Number>(values: &mut [T], low: f64, high: f64) {
    let (low, high) = (T::from_f64(low), T::from_f64(high));
    numeric::map(values, |value: T| {
        if value < low {
            low
        } else if value > high {
            high
        } else {
            value
        }
    });
}
