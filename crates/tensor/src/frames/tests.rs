//! Frame buffers against plain loops; padding is looked at after every operation.

#![allow(clippy::float_cmp)] // small whole numbers, of which sums are exact

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{Tensor, rng};

fn padding_is_zero(buffer: &FrameBuffer) -> bool {
    let bytes: &[u8] = buffer.storage.as_slice();
    bytes.chunks(buffer.row_bytes).take(buffer.nodes).all(|row| {
        (buffer.frames * buffer.dtype.bits()..row.len() * 8)
            .all(|bit| row[bit / 8] >> (bit % 8) & 1 == 0)
    })
}

const ODD: [usize; 8] = [1, 63, 64, 65, 127, 511, 512, 513];

proptest! {
    #[test]
    fn frames_come_back(frames in proptest::sample::select(&ODD[..]), nodes in 1usize..70, seed: u64) {
        let mut rng = crate::rng::stream(seed, &[]);
        let shape = [nodes];
        let words: Vec<u64> = (0..frames * nodes).map(|_| crate::rng::word(&mut rng)).collect();
        let bits: Vec<bool> = words.iter().map(|w| w & 1 == 1).collect();
        let bytes: Vec<u8> = words.iter().map(|&w| w as u8).collect();
        let reals: Vec<f32> = words.iter().map(|&w| w as f32).collect();
        let (b, u, r) = (
            FrameBuffer::from_frame_bits(&shape, &bits).unwrap(),
            FrameBuffer::from_frames(&shape, &bytes).unwrap(),
            FrameBuffer::from_frames(&shape, &reals).unwrap(),
        );
        prop_assert_eq!(b.to_frame_bits().unwrap(), &bits[..]);
        prop_assert_eq!(u.to_frames::<u8>().unwrap(), &bytes[..]);
        prop_assert_eq!(r.to_frames::<f32>().unwrap(), &reals[..]);
        let (node, frame) = (nodes / 2, frames - 1);
        prop_assert_eq!(b.bit(node, frame).unwrap(), bits[frame * nodes + node]);
        prop_assert_eq!(u.row::<u8>(node).unwrap()[frame], bytes[frame * nodes + node]);
        for buffer in [&b, &u, &r] {
            prop_assert!(padding_is_zero(buffer));
            prop_assert!(buffer.row_bytes % 64 == 0);
        }
    }

    #[test]
    fn no_size_panics(shape in proptest::collection::vec(any::<usize>(), 0..4), frames: usize) {
        // Sizes that would really be allocated are cut down; the rest must be refused.
        let small = shape.iter().chain([&frames]).try_fold(1usize, |p, &a| p.checked_mul(a));
        if small.is_none_or(|product| product > 1 << 50) {
            prop_assert!(FrameBuffer::zeros(DType::F32, &shape, frames).is_err());
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    assert!(FrameBuffer::zeros(DType::F32, &[3], 0).is_err());
    assert!(FrameBuffer::zeros(DType::F32, &[], 1).is_err());
    assert!(FrameBuffer::zeros(DType::Bit, &[2, 0], 1).is_err());
    assert!(FrameBuffer::from_frames(&[2], &[1u8, 2, 3]).is_err());
    assert!(FrameBuffer::from_frames::<u8>(&[2], &[]).is_err());
    let x = FrameBuffer::from_frames(&[2], &[1u8, 2]).unwrap();
    assert!(x.row::<f32>(0).is_err() && x.row::<u8>(2).is_err());
    assert!(x.bit(0, 0).is_err() && x.rows::<u64>().is_err());
    assert!(x.clone().reshape(&[3]).is_err() && x.reshape(&[2, 1]).is_ok());
}

#[test]
fn reset_zeroes_and_keeps_memory() {
    let mut x = FrameBuffer::from_frames(&[4], &[1.0f32; 400]).unwrap();
    let at = x.rows::<f32>().unwrap().as_ptr();
    x.reset(DType::Bit, &[2], 3).unwrap();
    assert_eq!(x, FrameBuffer::zeros(DType::Bit, &[2], 3).unwrap());
    assert_eq!(x.rows::<u64>().unwrap().as_ptr().cast::<f32>(), at);
}

/// Random small whole numbers that every type holds, frame after frame: 0 and 1 for bits.
fn numbers(dtype: DType, nodes: usize, frames: usize, seed: u64) -> Vec<u8> {
    let most = if dtype == DType::Bit { 2 } else { 100 };
    let mut stream = rng::stream(seed, &[]);
    (0..nodes * frames).map(|_| rng::below(&mut stream, most) as u8).collect()
}

fn buffer(dtype: DType, shape: &[usize], values: &[u8]) -> FrameBuffer {
    FrameBuffer::from_frames_as(dtype, shape, values).unwrap()
}

/// A range within `0..len`, from any two numbers.
fn within(len: usize, (a, b): (usize, usize)) -> Range<usize> {
    let start = a % len;
    start..start + 1 + b % (len - start)
}

/// Numbers of nodes and frames: small ones, and such as no buffer has.
fn wild() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0usize..70, 1 => select(vec![1 << 55, usize::MAX / 2, usize::MAX])]
}

type Pair = (usize, usize);

proptest! {
    #[test]
    fn parts_are_the_naive_ones(
        dtype in select(&DType::ALL[..]),
        (nodes, frames) in (1usize..20, select(&ODD[..5])),
        seed: u64,
        (some_nodes, some_frames) in any::<(Pair, Pair)>(),
    ) {
        let values = numbers(dtype, nodes, frames, seed);
        let x = buffer(dtype, &[nodes], &values);
        prop_assert!(padding_is_zero(&x));
        prop_assert_eq!(&x.to_frames_as::<u8>().unwrap(), &values);

        let (some_nodes, some_frames) = (within(nodes, some_nodes), within(frames, some_frames));
        let by_frame = x.frame_range(some_frames.clone()).unwrap();
        prop_assert!(padding_is_zero(&by_frame));
        let range = some_frames.start * nodes..some_frames.end * nodes;
        prop_assert_eq!(by_frame.to_frames_as::<u8>().unwrap(), &values[range]);
        let by_node = x.node_range(some_nodes.clone()).unwrap();
        prop_assert!(padding_is_zero(&by_node));
        let expected: Vec<u8> =
            values.chunks(nodes).flat_map(|frame| &frame[some_nodes.clone()]).copied().collect();
        prop_assert_eq!(by_node.to_frames_as::<u8>().unwrap(), expected);

        // The full range is a range (D53), and parts join to the whole.
        prop_assert_eq!(&x.frame_range(0..frames).unwrap(), &x);
        prop_assert_eq!(&x.node_range(0..nodes).unwrap(), &x);
        let cut = some_frames.start;
        if cut > 0 {
            let (a, b) = (x.frame_range(0..cut).unwrap(), x.frame_range(cut..frames).unwrap());
            prop_assert_eq!(&FrameBuffer::concat_frames(&[&a, &b]).unwrap(), &x);
        }
        let cut = some_nodes.start;
        if cut > 0 {
            let (a, b) = (x.node_range(0..cut).unwrap(), x.node_range(cut..nodes).unwrap());
            prop_assert_eq!(&FrameBuffer::concat_nodes(&[&a, &b]).unwrap(), &x);
        }
    }

    #[test]
    fn copies_are_the_naive_ones(
        dtype in select(&DType::ALL[..]),
        (to_nodes, to_frames) in (1usize..9, 1usize..200),
        (from_nodes, from_frames) in (1usize..9, 1usize..200),
        seed: u64,
        (some_nodes, some_frames, at) in any::<(Pair, Pair, Pair)>(),
    ) {
        let (old, new) = (
            numbers(dtype, to_nodes, to_frames, seed),
            numbers(dtype, from_nodes, from_frames, !seed),
        );
        let (mut to, from) = (buffer(dtype, &[to_nodes], &old), buffer(dtype, &[from_nodes], &new));
        let nodes = within(from_nodes.min(to_nodes), some_nodes);
        let frames = within(from_frames.min(to_frames), some_frames);
        let node = at.0 % (to_nodes - nodes.len() + 1);
        let frame = at.1 % (to_frames - frames.len() + 1);
        to.copy_from(node, frame, &from, nodes.clone(), frames.clone()).unwrap();
        let mut expected = old;
        for n in 0..nodes.len() {
            for f in 0..frames.len() {
                expected[(frame + f) * to_nodes + node + n] =
                    new[(frames.start + f) * from_nodes + nodes.start + n];
            }
        }
        prop_assert_eq!(to.to_frames_as::<u8>().unwrap(), expected);
        prop_assert!(padding_is_zero(&to));
    }

    #[test]
    fn conversions_and_sums_are_the_naive_ones(
        (from, to) in (select(&DType::ALL[..]), select(&DType::ALL[..])),
        (nodes, frames) in (1usize..20, select(&ODD[..5])),
        seed: u64,
    ) {
        let values = numbers(from, nodes, frames, seed);
        let x = buffer(from, &[nodes], &values);
        let y = x.convert(to).unwrap();
        prop_assert!(padding_is_zero(&y));
        let bit = |value: &u8| if to == DType::Bit { u8::from(*value > 0) } else { *value };
        prop_assert_eq!(y.to_frames_as::<u8>().unwrap(), values.iter().map(bit).collect::<Vec<_>>());
        for threshold in [-1.0, 0.0, 0.5, 1.0, 50.0, f64::INFINITY] {
            let bits = x.to_bits(threshold).unwrap();
            prop_assert!(padding_is_zero(&bits));
            let expected: Vec<bool> = values.iter().map(|&v| f64::from(v) > threshold).collect();
            prop_assert_eq!(bits.to_frame_bits().unwrap(), expected);
        }
        let real = |value: &u8| f64::from(*value);
        prop_assert_eq!(x.sum(), values.iter().map(real).sum::<f64>());
        prop_assert_eq!(x.norm(), values.iter().map(|v| real(v) * real(v)).sum::<f64>().sqrt());
        prop_assert_eq!(x.min(), real(values.iter().min().unwrap()));
        prop_assert_eq!(x.max(), real(values.iter().max().unwrap()));
        prop_assert!(x.is_finite());
        if from == DType::Bit {
            let signed = x.to_signed(DType::I8).unwrap();
            prop_assert!(padding_is_zero(&signed));
            let expected: Vec<i8> = values.iter().map(|&v| if v == 1 { 1 } else { -1 }).collect();
            prop_assert_eq!(signed.to_frames::<i8>().unwrap(), expected);
            prop_assert_eq!(&FrameBuffer::from_signed(&signed).unwrap(), &x);
        } else {
            prop_assert_eq!(&FrameBuffer::from_tensor(&x.to_tensor().unwrap()).unwrap(), &x);
        }
        let mut x = x;
        for value in [1.0, 0.0] {
            x.fill(value);
            prop_assert!(padding_is_zero(&x));
            prop_assert_eq!(x.sum(), value * (nodes * frames) as f64);
        }
    }

    #[test]
    fn nothing_panics(
        dtypes in (select(&DType::ALL[..]), select(&DType::ALL[..])),
        shapes in (vec(wild(), 0..3), vec(wild(), 0..3)),
        (frames, more, a, b, c) in (wild(), wild(), wild(), wild(), wild()),
        value: f64,
        values in vec(any::<f32>(), 0..9),
    ) {
        let _ = FrameBuffer::from_frames_as(dtypes.0, &shapes.0, &values);
        let Ok(mut x) = FrameBuffer::zeros(dtypes.0, &shapes.0, frames) else { return Ok(()) };
        x.fill(value);
        prop_assert!(padding_is_zero(&x));
        let _ = (x.frame_range(a..b), x.node_range(a..b), x.bit(a, b), x.row::<f32>(a));
        let _ = (x.sum(), x.mean(), x.norm(), x.min(), x.max(), x.is_finite());
        let _ = (x.convert(dtypes.1), x.to_bits(value), x.to_signed(dtypes.1));
        let _ = (FrameBuffer::from_signed(&x), x.to_tensor(), x.to_frames_as::<half::f16>());
        let _ = (x.stride(), x.frame_mask(a), x.bytes(), x.clone().reshape(&shapes.1));
        if let Ok(y) = FrameBuffer::zeros(dtypes.1, &shapes.1, more) {
            let _ = x.copy_from(a, b, &y, 0..c, b..c);
            let _ = x.copy_from(0, a, &y, 0..1, a..b);
            let _ = (FrameBuffer::concat_nodes(&[&x, &y]), FrameBuffer::concat_frames(&[&x, &y]));
            prop_assert!(padding_is_zero(&x));
        }
        if let Ok(tensor) = Tensor::zeros(dtypes.1, &shapes.1) {
            let _ = FrameBuffer::from_tensor(&tensor);
        }
    }
}

#[test]
fn sums_leave_padding_out() {
    let mut x = FrameBuffer::zeros(DType::F32, &[2], 3).unwrap();
    x.rows_mut::<f32>().unwrap().fill(1.0); // padding too, which is forbidden but possible
    assert_eq!((x.sum(), x.mean(), x.norm()), (6.0, 1.0, 6.0f64.sqrt())); // D54
    let mut x = FrameBuffer::zeros(DType::Bit, &[2], 3).unwrap();
    x.rows_mut::<u64>().unwrap().fill(u64::MAX);
    assert_eq!((x.sum(), x.min(), x.max()), (6.0, 1.0, 1.0));
}

#[test]
fn errors_say_what_is_wrong() {
    let x = FrameBuffer::from_frames(&[2], &[1u8, 2, 3, 4]).unwrap();
    let y = FrameBuffer::from_frames(&[2], &[1u8, 2]).unwrap();
    let bits = FrameBuffer::from_frame_bits(&[2], &[true, false]).unwrap();
    let cases = [
        (x.frame_range(1..3), "frame range: range 1..3 is empty or not within 0..2"),
        (x.node_range(1..1), "node range: range 1..1 is empty or not within 0..2"),
        (
            FrameBuffer::concat_nodes(&[]),
            "concatenate nodes: expected at least one buffer, got none",
        ),
        (FrameBuffer::concat_nodes(&[&x, &y]), "concatenate nodes: expected 2 frames, got 1"),
        (FrameBuffer::concat_frames(&[&y, &bits]), "concatenate frames: expected u8, got bit"),
        (x.to_bits(f64::NAN), "to bits: expected a threshold that is a number, got NaN"),
        (x.to_signed(DType::I8), "to signed: expected bit, got u8"),
        (bits.to_signed(DType::U8), "to signed: expected a type with -1, got u8"),
        (FrameBuffer::from_signed(&bits), "from signed: expected numbers, got bit"),
    ];
    for (result, message) in cases {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
    assert!(x.clone().copy_from(1, 0, &y, 0..2, 0..1).is_err());
    assert!(x.clone().copy_from(usize::MAX, usize::MAX, &y, 0..1, 0..1).is_err());
    assert!(bits.to_tensor().is_err());
}
