//! Tensors against plain loops.

#![allow(clippy::float_cmp)] // small whole numbers, of which sums are exact

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::rng;

/// A tensor as a list of (index, value) in row-major order.
#[derive(Debug, Clone, PartialEq)]
struct Naive {
    shape: Vec<usize>,
    values: Vec<i32>,
}

impl Naive {
    fn new(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), values: (0..).take(shape.iter().product()).collect() }
    }

    fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        shape.iter().fold(vec![vec![]], |done, &len| {
            done.iter().flat_map(|i| (0..len).map(move |j| [&i[..], &[j]].concat())).collect()
        })
    }

    fn at(&self, index: &[usize]) -> i32 {
        self.values[index.iter().zip(&self.shape).fold(0, |at, (i, len)| at * len + i)]
    }

    /// The tensor of `shape` whose value at `index` is that of `self` at `from(index)`.
    fn view(&self, shape: Vec<usize>, from: impl Fn(&[usize]) -> Vec<usize>) -> Self {
        let values = Self::indices(&shape).iter().map(|index| self.at(&from(index))).collect();
        Self { shape, values }
    }
}

/// Applies one random view to both.
fn step(tensor: &Tensor, naive: &Naive, choice: u64) -> (Tensor, Naive) {
    let mut stream = rng::stream(choice, &[]);
    let shape = &naive.shape;
    match rng::below(&mut stream, 4) {
        0 => {
            let mut axes: Vec<usize> = (0..shape.len()).collect();
            rng::shuffle(&mut stream, &mut axes);
            let view = naive.view(axes.iter().map(|&a| shape[a]).collect(), |index| {
                let mut from = vec![0; index.len()];
                axes.iter().zip(index).for_each(|(&axis, &i)| from[axis] = i);
                from
            });
            (tensor.transpose(&axes).unwrap(), view)
        }
        1 => {
            let axis = rng::below(&mut stream, shape.len());
            let start = rng::below(&mut stream, shape[axis]);
            let range = start..start + 1 + rng::below(&mut stream, shape[axis] - start);
            let mut part = shape.clone();
            part[axis] = range.len();
            let view = naive.view(part, |index| {
                let mut from = index.to_vec();
                from[axis] += start;
                from
            });
            (tensor.slice(axis, range).unwrap(), view)
        }
        2 => {
            let last = shape[shape.len() - 1];
            let flat = vec![shape.iter().product::<usize>() / last, last];
            let tensor = tensor.reshape_infer(&[None, Some(last)]).unwrap();
            (tensor, Naive { shape: flat, values: naive.values.clone() })
        }
        _ => (tensor.contiguous().unwrap(), naive.clone()),
    }
}

/// Axes and indices: small ones, and such as no tensor has.
fn wild() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0usize..6, 1 => select(vec![1 << 47, usize::MAX / 2, usize::MAX])]
}

proptest! {
    #[test]
    fn views_are_the_naive_ones(
        shape in vec(1usize..6, 1..5),
        steps in vec(any::<u64>(), 0..6),
        write: u64,
    ) {
        let naive = Naive::new(&shape);
        let original = Tensor::from_slice(&shape, &naive.values).unwrap();
        let (mut tensor, mut expected) = (original.clone(), naive.clone());
        for &choice in &steps {
            (tensor, expected) = step(&tensor, &expected, choice);
            prop_assert_eq!(tensor.shape(), &expected.shape[..]);
            prop_assert_eq!(tensor.len(), expected.values.len());
            prop_assert_eq!(&tensor.to_vec::<i32>().unwrap(), &expected.values);
        }
        for index in Naive::indices(&expected.shape) {
            prop_assert_eq!(tensor.get::<i32>(&index).unwrap(), expected.at(&index));
        }
        let sum: i64 = expected.values.iter().map(|&value| i64::from(value)).sum();
        prop_assert_eq!(tensor.sum() as i64, sum);
        prop_assert_eq!(tensor.min() as i32, *expected.values.iter().min().unwrap());
        prop_assert_eq!(tensor.max() as i32, *expected.values.iter().max().unwrap());
        let dense = tensor.contiguous().unwrap();
        prop_assert_eq!(dense.as_slice::<i32>().unwrap(), &expected.values[..]);
        prop_assert_eq!(&dense, &tensor);
        prop_assert_eq!(tensor.as_slice::<i32>().is_ok(), tensor.is_contiguous());
        let doubled: Vec<i32> = expected.values.iter().map(|value| 2 * value).collect();
        prop_assert_eq!(tensor.add(&dense).unwrap().to_vec::<i32>().unwrap(), doubled);

        // A write is seen here and nowhere else.
        let at = (write % expected.values.len() as u64) as usize;
        let index = Naive::indices(&expected.shape)[at].clone();
        let shared = tensor.clone();
        tensor.set(&index, -7i32).unwrap();
        prop_assert_eq!(shared.to_vec::<i32>().unwrap(), &expected.values[..]);
        prop_assert_eq!(original.to_vec::<i32>().unwrap(), naive.values);
        expected.values[at] = -7;
        prop_assert_eq!(tensor.as_mut_slice::<i32>().unwrap(), &expected.values[..]);
    }

    #[test]
    fn nothing_panics(
        dtypes in (select(&DType::ALL[..]), select(&DType::ALL[..])),
        shapes in (vec(wild(), 0..4), vec(wild(), 0..4)),
        (a, b, c, d) in (wild(), wild(), wild(), any::<u32>()),
        (x, y, z) in (any::<f64>(), any::<f64>(), any::<f64>()),
        values in vec(any::<f64>(), 0..9),
    ) {
        let _ = Tensor::zeros(dtypes.0, &shapes.1);
        let _ = Tensor::from_slice(&shapes.1, &values);
        let Ok(mut t) = Tensor::zeros(dtypes.0, &shapes.0) else { return Ok(()) };
        let scalar = values.first().copied().unwrap_or(x);
        let other = Tensor::zeros(dtypes.1, &shapes.1);
        let mut stream = rng::stream(1, &[]);
        let _ = t.fill_uniform(y, z, &mut stream);
        let _ = t.fill_normal(x, y, &mut stream);
        for view in [Some(t.clone()), t.slice(a, b..c).ok(), t.transpose(&shapes.1).ok()] {
            let Some(mut v) = view else { continue };
            for dtype in DType::ALL {
                let _ = v.to_dtype(dtype);
            }
            let open: Vec<_> = shapes.1.iter().map(|&l| (l != 1).then_some(l)).collect();
            let _ = (v.reshape(&shapes.1), v.reshape_infer(&open));
            let _ = (v.get::<f32>(&shapes.1), v.set(&shapes.1, 1u8), v.get::<f32>(&[a, b, c]));
            let _ = (v.as_slice::<f32>().is_ok(), v.as_mut_slice::<u64>().is_ok());
            let _ = (v.add_scalar_assign(scalar), v.sub_scalar(x), v.mul_scalar(y), v.div_scalar(z));
            if let Ok(other) = &other {
                let _ = (v.add(other), v.sub(other), v.mul(other), v.div_assign(other));
                let _ = v == *other;
            }
            let _ = (v.div(&v), v.mul(&v), v.neg(), v.abs(), v.sqrt(), v.clone().clamp(x, y));
            let _ = (v.sum(), v.mean(), v.variance(), v.norm(), v.min(), v.max(), v.is_finite());
            for bits in [d % 40, d] {
                let _ = v.quantise(bits, Some(x), y).and(v.quantise(bits, None, 0.0));
                let _ = v.quantise_unsigned(bits, Some(x), y).and(v.quantise_unsigned(bits, None, z));
            }
            let _ = v.fill(x);
            let _ = format!("{v:?}");
        }
    }

    #[test]
    fn conversions_and_arithmetic_keep_small_numbers(
        from in select(&DType::ALL[1..]),
        to in select(&DType::ALL[1..]),
        pairs in vec((0u8..100, 1u8..10), 1..20),
    ) {
        let (a, b): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
        let tensor = |v: &[u8], d| Tensor::from_slice(&[v.len()], v).unwrap().to_dtype(d).unwrap();
        let (ta, tb) = (tensor(&a, from), tensor(&b, from));
        prop_assert_eq!(&ta.to_dtype(to).unwrap(), &tensor(&a, to));
        let reals = |t: Tensor| t.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
        let sum: Vec<f64> = pairs.iter().map(|&(a, b)| f64::from(a) + f64::from(b)).collect();
        // f16 and bf16 have no room for all of them.
        if !matches!(from, DType::I8 | DType::BF16) {
            prop_assert_eq!(reals(ta.add(&tb).unwrap()), sum);
        }
        let back = ta.to_dtype(DType::F64).unwrap().add_scalar(3.0).unwrap().sub_scalar(3.0).unwrap();
        prop_assert_eq!(&back, &tensor(&a, DType::F64));
    }
}

#[test]
fn memory_is_aligned_and_views_share_it() {
    let t = Tensor::zeros(DType::F32, &[5, 7]).unwrap();
    assert_eq!(t.as_slice::<f32>().unwrap().as_ptr().align_offset(64), 0);
    let row = t.slice(0, 2..3).unwrap().reshape(&[7]).unwrap();
    assert_eq!(
        row.as_slice::<f32>().unwrap().as_ptr(),
        t.as_slice::<f32>().unwrap()[14..].as_ptr()
    );
    let mut own = t.clone();
    drop((t, row));
    let at = own.as_slice::<f32>().unwrap().as_ptr();
    own.add_scalar_assign(1.0).unwrap();
    assert_eq!(own.as_slice::<f32>().unwrap().as_ptr(), at, "in place once nobody shares");
}

#[test]
fn statistics() {
    let t = Tensor::from_slice(&[2, 2], &[1.0f32, 2.0, 3.0, 6.0]).unwrap();
    assert_eq!([t.sum(), t.mean(), t.min(), t.max()], [12.0, 3.0, 1.0, 6.0]);
    assert_eq!(t.variance(), 3.5); // not the mean square 12.5 (D50)
    assert_eq!(Tensor::from_slice(&[2], &[3i8, -4]).unwrap().norm(), 5.0);
    assert_eq!(t.neg().unwrap().abs().unwrap(), t);
    assert_eq!(t.mul(&t).unwrap().sqrt().unwrap(), t);
    let mut t = Tensor::from_slice(&[4], &[-2.0f32, 0.25, 9.0, f32::NAN]).unwrap();
    t.clamp(-1.0, 1.0).unwrap();
    assert_eq!(t.as_slice::<f32>().unwrap()[..3], [-1.0, 0.25, 1.0]);
    assert!(t.min().is_nan() && !t.is_finite());
    let mut t = Tensor::from_slice(&[3], &[0u8, 7, 255]).unwrap();
    t.clamp(0.5, 9.9).unwrap();
    assert_eq!(t.to_vec::<u8>().unwrap(), [1, 7, 9]);
    assert!(t.clamp(0.2, 0.8).is_err() && t.clamp(2.0, 1.0).is_err());
}

#[test]
fn quantised_values_lie_on_the_grid() {
    struct Case {
        unsigned: bool,
        bits: u32,
        scale: Option<f64>,
        offset: f64,
        expected: [f32; 5],
    }
    let input = [-3.0f32, -0.3, 0.125, 0.3, 3.0];
    let case =
        |unsigned, bits, scale, offset, expected| Case { unsigned, bits, scale, offset, expected };
    let cases = [
        case(false, 3, None, 0.0, [-1.0, -0.25, 0.25, 0.25, 0.75]),
        case(false, 3, Some(0.5), 0.0, [-2.0, -0.5, 0.0, 0.5, 1.5]),
        case(false, 3, Some(0.5), 1.0, [-2.5, -0.5, 0.0, 0.5, 1.0]),
        case(false, 1, None, 0.0, [-1.0, 0.0, 0.0, 0.0, 0.0]),
        case(true, 2, None, 0.0, [0.0, 0.0, 0.25, 0.25, 0.75]),
        case(true, 2, Some(1.0), 0.0, [0.0, 0.0, 0.0, 0.0, 3.0]),
        case(true, 2, Some(1.0), 1.0, [-1.0, 0.0, 0.0, 0.0, 2.0]),
    ];
    let t = Tensor::from_slice(&[5], &input).unwrap();
    for Case { unsigned, bits, scale, offset, expected } in cases {
        let quantise = if unsigned { Tensor::quantise_unsigned } else { Tensor::quantise };
        let got = quantise(&t, bits, scale, offset).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(got, expected, "{unsigned} {bits} {scale:?} {offset}");
    }
    for (bits, scale) in [(0, None), (33, None), (8, Some(0.0)), (8, Some(f64::NAN))] {
        assert!(
            t.quantise(bits, scale, 0.0).is_err() && t.quantise_unsigned(bits, scale, 0.0).is_err()
        );
    }
    assert!(t.to_dtype(DType::I32).unwrap().quantise(8, None, 0.0).is_err());
}

#[test]
fn draws_follow_the_stream() {
    // A change here changes every trained network: it needs a "Numerics" entry in the changelog.
    let mut t = Tensor::zeros(DType::F32, &[2, 1000]).unwrap();
    t.fill_normal(0.5, 0.01, &mut rng::stream(1, &[rng::INIT, 0])).unwrap();
    let mut stream = rng::stream(1, &[rng::INIT, 0]);
    let first = (0.5 + 0.01 * f64::from(rng::normal(&mut stream))) as f32;
    assert_eq!(t.get::<f32>(&[0, 0]).unwrap().to_bits(), first.to_bits());
    assert!((t.mean() - 0.5).abs() < 1e-3 && (t.variance().sqrt() - 0.01).abs() < 1e-3);
    t.fill_uniform(-2.0, 6.0, &mut stream).unwrap();
    assert!(t.min() >= -2.0 && t.max() <= 6.0 && (t.mean() - 2.0).abs() < 0.2);
}

#[test]
fn refuses_what_does_not_fit() {
    let t = Tensor::zeros(DType::F32, &[2, 3]).unwrap();
    let reversed = Range { start: 2, end: 1 };
    let wrong: [Result<Tensor>; 14] = [
        Tensor::zeros(DType::Bit, &[2]),
        Tensor::zeros(DType::F32, &[]),
        Tensor::zeros(DType::F32, &[0]),
        Tensor::zeros(DType::F32, &[usize::MAX, 2]),
        Tensor::zeros(DType::F64, &[1 << 45]),
        Tensor::from_slice(&[2], &[1u8]),
        t.reshape(&[5]),
        t.reshape_infer(&[None, None]),
        t.reshape_infer(&[None, Some(4)]),
        t.transpose(&[0, 0]),
        t.transpose(&[0]),
        t.slice(2, 0..1),
        t.slice(0, 1..1),
        t.slice(0, reversed),
    ];
    for (i, result) in wrong.iter().enumerate() {
        assert!(result.is_err(), "case {i}");
    }
    assert!(t.get::<f64>(&[0, 0]).is_err() && t.get::<f32>(&[0]).is_err());
    assert!(t.get::<f32>(&[2, 0]).is_err() && t.slice(1, 0..4).is_err());
    assert!(t.add(&Tensor::zeros(DType::F32, &[3, 2]).unwrap()).is_err());
    assert!(t.add(&Tensor::zeros(DType::F64, &[2, 3]).unwrap()).is_err());
    assert!(t.to_dtype(DType::U8).unwrap().neg().is_err());
    let error = Tensor::zeros(DType::Bit, &[2]).unwrap_err().to_string();
    assert_eq!(error, "tensor: expected a type of numbers (only frame buffers pack bits), got bit");
}
