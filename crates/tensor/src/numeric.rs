//! Arithmetic over slices of any number type: what tensors and frame buffers share.
//!
//! Everything is computed in f64 and rounded once to the type of the result. For f32, f16 and
//! bf16 that gives the same bits as arithmetic in the type itself (f64 holds more than twice their
//! digits, so rounding twice is innocuous: Figueroa 1995), and for integers of up to 32 bits it is
//! exact. Integers of 64 bits do not fit f64 and go through i128.

use crate::{DType, Element};

/// Values summed at a stretch. Part of the numeric contract: changing it changes results.
const BLOCK: usize = 4096;
/// Partial sums in a block. Part of the numeric contract: changing it changes results.
const LANES: usize = 8;

/// An element that also converts to and from whole numbers without a detour by f64.
pub(crate) trait Number: Element {
    /// The value, truncated toward zero.
    fn to_i128(self) -> i128;
    /// The nearest value of this type; integers saturate.
    fn from_i128(value: i128) -> Self;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn to_i128(self) -> i128 {
                i128::from(self)
            }
            #[allow(clippy::cast_lossless, clippy::cast_sign_loss)] // clamped
            fn from_i128(value: i128) -> Self {
                value.clamp(Self::MIN as i128, Self::MAX as i128) as Self
            }
        }
    )*};
}
whole!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! real {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn to_i128(self) -> i128 {
                self.to_f64() as i128
            }
            fn from_i128(value: i128) -> Self {
                <Self as Element>::from_f64(value as f64)
            }
        }
    )*};
}
real!(f32, f64, half::f16, half::bf16);

/// Runs `$body` with the name `$T` standing for the number type of `$dtype`, or `$bit` for bits.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr, bit => $bit:expr) => {
        match $dtype {
            $crate::DType::Bit => $bit,
            $crate::DType::F16 => $crate::numeric::with_type!(@ half::f16, $T, $body),
            $crate::DType::BF16 => $crate::numeric::with_type!(@ half::bf16, $T, $body),
            $crate::DType::F32 => $crate::numeric::with_type!(@ f32, $T, $body),
            $crate::DType::F64 => $crate::numeric::with_type!(@ f64, $T, $body),
            $crate::DType::I8 => $crate::numeric::with_type!(@ i8, $T, $body),
            $crate::DType::I16 => $crate::numeric::with_type!(@ i16, $T, $body),
            $crate::DType::I32 => $crate::numeric::with_type!(@ i32, $T, $body),
            $crate::DType::I64 => $crate::numeric::with_type!(@ i64, $T, $body),
            $crate::DType::U8 => $crate::numeric::with_type!(@ u8, $T, $body),
            $crate::DType::U16 => $crate::numeric::with_type!(@ u16, $T, $body),
            $crate::DType::U32 => $crate::numeric::with_type!(@ u32, $T, $body),
            $crate::DType::U64 => $crate::numeric::with_type!(@ u64, $T, $body),
        }
    };
    (@ $type:ty, $T:ident, $body:expr) => {{
        type $T = $type;
        $body
    }};
}
pub(crate) use with_type;

/// Whether the type holds real numbers.
pub(crate) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
}

/// Whether the type is an integer that f64 cannot hold.
fn is_wide<T: Element>() -> bool {
    matches!(T::DTYPE, DType::I64 | DType::U64)
}

/// Converts each value: integers truncate and saturate, floats round to nearest even.
pub(crate) fn convert<S: Number, D: Number>(from: &[S], to: &mut [D]) {
    let pairs = to.iter_mut().zip(from);
    if is_wide::<S>() {
        pairs.for_each(|(to, from)| *to = D::from_i128(from.to_i128()));
    } else {
        pairs.for_each(|(to, from)| *to = D::from_f64(from.to_f64()));
    }
}

/// One of the four kinds of arithmetic.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
}

impl Op {
    /// Of whole numbers. Quotients truncate; a division by zero gives what f64 would: a number
    /// too large for any type, or zero for 0 / 0.
    fn whole(self, a: i128, b: i128) -> i128 {
        match self {
            Self::Add => a.saturating_add(b),
            Self::Sub => a.saturating_sub(b),
            Self::Mul => a.saturating_mul(b),
            Self::Div => match a.checked_div(b) {
                Some(quotient) => quotient,
                None if a == 0 => 0,
                None if a < 0 => i128::MIN,
                None => i128::MAX,
            },
        }
    }
}

/// `a[i] = a[i] op b[i]`.
pub(crate) fn zip<T: Number>(op: Op, a: &mut [T], b: &[T]) {
    fn each<T: Number>(a: &mut [T], b: &[T], f: impl Fn(T, T) -> T) {
        a.iter_mut().zip(b).for_each(|(a, &b)| *a = f(*a, b));
    }
    if is_wide::<T>() {
        return each(a, b, |a, b| T::from_i128(op.whole(a.to_i128(), b.to_i128())));
    }
    match op {
        Op::Add => each(a, b, |a, b| T::from_f64(a.to_f64() + b.to_f64())),
        Op::Sub => each(a, b, |a, b| T::from_f64(a.to_f64() - b.to_f64())),
        Op::Mul => each(a, b, |a, b| T::from_f64(a.to_f64() * b.to_f64())),
        Op::Div => each(a, b, |a, b| T::from_f64(a.to_f64() / b.to_f64())),
    }
}

/// `a[i] = a[i] op b`. Whole `b` keep 64-bit integers exact; others take them through f64.
pub(crate) fn zip_scalar<T: Number>(op: Op, a: &mut [T], b: f64) {
    const EXACT: f64 = 18_446_744_073_709_551_616.0; // 2^64: no type holds more
    if is_wide::<T>() && b.fract() == 0.0 && b.abs() <= EXACT {
        let b = b as i128;
        return map(a, |a: T| T::from_i128(op.whole(a.to_i128(), b)));
    }
    match op {
        Op::Add => map(a, |a: T| T::from_f64(a.to_f64() + b)),
        Op::Sub => map(a, |a: T| T::from_f64(a.to_f64() - b)),
        Op::Mul => map(a, |a: T| T::from_f64(a.to_f64() * b)),
        Op::Div => map(a, |a: T| T::from_f64(a.to_f64() / b)),
    }
}

/// `a[i] = f(a[i])`.
pub(crate) fn map<T: Number>(a: &mut [T], f: impl Fn(T) -> T) {
    for a in a {
        *a = f(*a);
    }
}

/// The sum of `f` of each value in f64: lane by lane over fixed blocks, then in block order, so
/// that nothing depends on how many threads there are.
pub(crate) fn sum<T: Element>(values: &[T], f: impl Fn(f64) -> f64) -> f64 {
    let block = |block: &[T]| {
        let mut lanes = [0.0f64; LANES];
        for values in block.chunks(LANES) {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += f(value.to_f64());
            }
        }
        lanes.iter().fold(0.0, |sum, lane| sum + lane)
    };
    values.chunks(BLOCK).map(block).fold(0.0, |sum, block| sum + block)
}

/// The smallest and the largest value in f64; NaN twice as soon as one value is NaN.
pub(crate) fn min_max<T: Element>(values: &[T]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY, false);
    let (min, max, nan) = values.iter().fold(start, |(min, max, nan), value| {
        let value = value.to_f64();
        (min.min(value), max.max(value), nan | value.is_nan())
    });
    if nan { (f64::NAN, f64::NAN) } else { (min, max) }
}

/// Whether no value is infinite or NaN.
pub(crate) fn is_finite<T: Element>(values: &[T]) -> bool {
    values.iter().all(|value| value.to_f64().is_finite())
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::rng;

    #[test]
    fn conversion_keeps_what_fits_and_saturates_the_rest() {
        fn to<S: Number, D: Number>(from: S) -> D {
            let mut to = [D::zeroed()];
            convert(&[from], &mut to);
            to[0]
        }
        assert_eq!(to::<i64, u64>(i64::MAX), i64::MAX as u64);
        assert_eq!(to::<u64, i64>(u64::MAX), i64::MAX);
        assert_eq!(to::<i64, u64>(-1), 0);
        assert_eq!(to::<u8, i8>(200), 127);
        assert_eq!(to::<u16, i32>(65_535), 65_535); // not -1: unsigned types are unsigned (D52)
        assert_eq!(to::<f32, u32>(4e9), 4_000_000_000);
        assert_eq!(to::<f32, i16>(f32::NAN), 0);
        assert_eq!(to::<i32, f32>(16_777_217).to_bits(), 16_777_216f32.to_bits());
        assert_eq!(to::<u64, f32>(u64::MAX).to_bits(), (u64::MAX as f32).to_bits());
        assert_eq!(to::<f64, bf16>(1.0 / 3.0).to_bits(), 0x3EAB);
    }

    #[test]
    fn f32_arithmetic_has_the_bits_of_f32() {
        let mut stream = rng::stream(7, &[]);
        let bits = |stream: &mut _| f32::from_bits(rng::word(stream) as u32);
        for _ in 0..20_000 {
            let (a, b) = (bits(&mut stream), bits(&mut stream));
            let cases = [(Op::Add, a + b), (Op::Sub, a - b), (Op::Mul, a * b), (Op::Div, a / b)];
            for (op, expected) in cases {
                let mut got = [a];
                zip(op, &mut got, &[b]);
                let same = got[0].to_bits() == expected.to_bits();
                assert!(same || (got[0].is_nan() && expected.is_nan()), "{op:?} {a} {b}");
            }
        }
    }

    #[test]
    fn integer_arithmetic_saturates() {
        fn of<T: Number>(op: Op, a: T, b: T) -> T {
            let mut a = [a];
            zip(op, &mut a, &[b]);
            a[0]
        }
        assert_eq!(of(Op::Sub, 3u8, 5), 0);
        assert_eq!(of(Op::Mul, 100_000i32, 100_000), i32::MAX);
        assert_eq!(of(Op::Div, -7i16, 2), -3);
        assert_eq!(of(Op::Div, 0u16, 0), 0);
        assert_eq!(of(Op::Mul, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(of(Op::Add, i64::MAX - 1, 1), i64::MAX);
        assert_eq!(of(Op::Div, i64::MIN, -1), i64::MAX);
        assert_eq!((of(Op::Div, -4i64, 0), of(Op::Div, 0i64, 0)), (i64::MIN, 0));
        let mut big = [i64::MAX - 5];
        zip_scalar(Op::Add, &mut big, 3.0);
        assert_eq!(big, [i64::MAX - 2]);
        for scalar in [0.5, f64::NAN, f64::INFINITY, 1e300] {
            zip_scalar(Op::Mul, &mut big, scalar);
        }
    }

    #[test]
    fn sums_are_pinned() {
        // A change here changes results: it needs a "Numerics" entry in the changelog.
        let values: Vec<f64> = (0..10_000).map(|i| 1.0 / f64::from(i + 1)).collect();
        assert_eq!(sum(&values, |x| x).to_bits(), 0x4023_9341_192D_E2B7);
        assert_eq!(sum::<f64>(&[], |x| x).to_bits(), 0);
        assert_eq!(min_max(&[2.0f32, -1.0, 5.0]), (-1.0, 5.0));
        assert!(min_max(&[2.0f32, f32::NAN]).0.is_nan());
        assert!(is_finite(&[1u8]) && !is_finite(&[f32::INFINITY]));
    }
}
