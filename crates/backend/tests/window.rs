//! Lowering: the CPU against the reference, bit for bit, whole and by blocks of positions.

#![allow(clippy::unwrap_used)]

mod common;

use std::ops::Range;

use lutweave_backend::{Backend, Cpu, Isa, Reference, WindowKernels};
use lutweave_lut::{Border, NO_SOURCE, Padding, Window};
use lutweave_tensor::{DType, FrameBuffer, rng};
use proptest::prelude::*;

const FRAMES: [usize; 8] = [1, 3, 63, 64, 65, 128, 200, 513];

/// Small whole numbers, whose sums are exact, or random bits.
fn batch(dtype: DType, nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    let values: Vec<f32> =
        (0..nodes * frames).map(|_| rng::below(&mut stream, 99) as f32).collect();
    let numbers = FrameBuffer::from_frames(&[nodes], &values).unwrap();
    if dtype == DType::Bit {
        numbers.to_bits(50.0).unwrap()
    } else {
        numbers.convert(dtype).unwrap()
    }
}

fn windows() -> Vec<([usize; 3], Window)> {
    let same = Window::new([3, 3]).padding(Padding::Same);
    let explicit = Padding::Explicit { top: 1, left: 0, bottom: 2, right: 3 };
    vec![
        ([2, 4, 5], Window::new([2, 3])),
        ([1, 5, 5], same.stride([2, 2])),
        ([2, 3, 2], same.border(Border::Reflect)),
        ([1, 4, 3], same.border(Border::Wrap).dilation([2, 1])),
        ([3, 2, 2], Window::new([2, 2]).padding(explicit).border(Border::Replicate)),
    ]
}

struct Case {
    nodes: usize,
    all: usize,
    frames: usize,
    range: Range<usize>,
}

fn compare(backend: &dyn Backend, sources: &[u32], case: &Case, what: &str) {
    let Case { nodes, all, frames, .. } = *case;
    let (count, range) = (case.range.len(), || case.range.clone());
    let elements = sources.len() / all;
    for dtype in [DType::Bit, DType::F32] {
        let x = batch(dtype, nodes, frames, 1);
        for border in [0.0, 1.0] {
            let mut got = batch(dtype, elements, count * frames, 2);
            let mut want = batch(dtype, elements, count * frames, 3);
            backend.lower(&x, sources, range(), border, &mut got).unwrap();
            Reference.lower(&x, sources, range(), border, &mut want).unwrap();
            assert!(got == want, "lower {what} {dtype}");
        }
        let low = batch(dtype, 3, count * frames, 4);
        let mut got = batch(dtype, 3 * all, frames, 5);
        let mut want = got.clone();
        backend.raise(&low, range(), &mut got).unwrap();
        Reference.raise(&low, range(), &mut want).unwrap();
        assert!(got == want, "raise {what} {dtype}");
    }
    let dy = batch(DType::F32, elements, count * frames, 6);
    let mut got = batch(DType::F32, nodes, frames, 7);
    let mut want = got.clone();
    backend.lower_backward(&dy, sources, range(), &mut got).unwrap();
    Reference.lower_backward(&dy, sources, range(), &mut want).unwrap();
    assert!(got == want, "lower backward {what}");
    let dy = batch(DType::F32, 3 * all, frames, 8);
    let mut got = batch(DType::F32, 3, count * frames, 9);
    let mut want = got.clone();
    backend.raise_backward(&dy, range(), &mut got).unwrap();
    Reference.raise_backward(&dy, range(), &mut want).unwrap();
    assert!(got == want, "raise backward {what}");
}

#[test]
fn cpu_agrees_with_the_reference() {
    for (image, window) in windows() {
        let sources = window.sources(image).unwrap();
        let [high, wide] = window.output(image).unwrap();
        let (nodes, all) = (image.iter().product(), high * wide);
        for frames in FRAMES {
            for range in [0..all, 0..1, all / 2..all] {
                for &isa in Isa::available() {
                    let (cpu, what) =
                        (Cpu::with(isa).unwrap(), format!("{frames} {window:?} {isa}"));
                    let case = Case { nodes, all, frames, range: range.clone() };
                    compare(&cpu, &sources, &case, &what);
                }
            }
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for (image, window) in windows() {
            let sources = window.sources(image).unwrap();
            let [high, wide] = window.output(image).unwrap();
            for frames in [1, 3, 31, 33, 64, 65] {
                for range in [0..high * wide, 1..high * wide, 0..1] {
                    let case =
                        Case { nodes: image.iter().product(), all: high * wide, frames, range };
                    compare(&cuda, &sources, &case, &format!("{frames} {window:?}"));
                }
            }
        }
    }
}

/// `⟨lower(x), dy⟩ = ⟨x, lower_backward(dy)⟩` without a constant border: no gradient is lost at the
/// border, none is at the wrong place.
#[test]
fn backward_is_the_transpose() {
    for border in [Border::Reflect, Border::Reflect101, Border::Replicate, Border::Wrap] {
        let window = Window::new([3, 3]).stride([2, 2]).padding(Padding::Same).border(border);
        let sources = window.sources([2, 6, 5]).unwrap();
        let (x, dy) = (batch(DType::F32, 60, 4, 1), batch(DType::F32, 18, 36, 2));
        let mut y = dy.clone();
        Cpu::new().lower(&x, &sources, 0..9, 0.0, &mut y).unwrap();
        let mut dx = FrameBuffer::zeros(DType::F32, &[60], 4).unwrap();
        Cpu::new().lower_backward(&dy, &sources, 0..9, &mut dx).unwrap();
        let dot = |a: &FrameBuffer, b: &FrameBuffer| -> f32 {
            let (a, b) = (a.rows::<f32>().unwrap(), b.rows::<f32>().unwrap());
            a.iter().zip(b).map(|(a, b)| a * b).sum()
        };
        assert_eq!(dot(&y, &dy).to_bits(), dot(&x, &dx).to_bits(), "{border:?}");
    }
}

#[test]
fn wrong_sizes_are_named() {
    let sources = [0, 1, 1, NO_SOURCE]; // two elements at two positions
    let x = batch(DType::F32, 2, 5, 1);
    let mut y = batch(DType::F32, 2, 10, 1);
    let mut error = |range: Range<usize>, sources: &[u32]| {
        Cpu::new().lower(&x, sources, range, 0.0, &mut y).unwrap_err().to_string()
    };
    assert_eq!(error(0..3, &sources), "lower: expected positions to have 2 at the end, got 3");
    assert_eq!(error(1..1, &sources), "lower: expected positions to have 0 at the start, got 1");
    assert_eq!(error(0..1, &sources), "lower: expected lowered to have 5 frames, got 10");
    assert_eq!(error(0..2, &[0, 1, 2, 1]), "lower: entry 2 of the table is row 2 of 2");
    assert_eq!(error(0..2, &[0, 1, 1]), "lower: expected sources to have 2 entries, got 3");
}

proptest! {
    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn no_arguments_panic(
        types in prop::array::uniform2(0usize..3), nodes in prop::array::uniform2(1usize..5),
        frames in prop::array::uniform2(1usize..9), start in 0usize..4, end in 0usize..4,
        huge in 0usize..8,
        sources in prop::collection::vec(prop_oneof![0u32..5, Just(NO_SOURCE), any::<u32>()], 0..9),
    ) {
        let types = types.map(|index| [DType::Bit, DType::F32, DType::U8][index]);
        let mut x = batch(types[0], nodes[0], frames[0], 1);
        let mut y = batch(types[1], nodes[1], frames[0] * frames[1], 1);
        let range = || if huge == 0 { start..usize::MAX } else { start..end };
        macro_rules! same {
            ($name:ident($($arg:expr),*)) => {
                let got = Cpu::new().$name($($arg),*).is_ok();
                prop_assert_eq!(got, Reference.$name($($arg),*).is_ok());
            };
        }
        same!(lower(&x, &sources, range(), 0.0, &mut y));
        same!(lower_backward(&y, &sources, range(), &mut x));
        same!(raise(&y, range(), &mut x));
        same!(raise_backward(&x, range(), &mut y));
    }
}
