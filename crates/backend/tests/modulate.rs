//! The modulation kernels of every backend against the reference, over odd sizes.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, Cpu, ErrorEffect, Levels, MAX_CODE_BITS, ModulateKernels, Modulation, Reference,
    Thresholds,
};
use lutweave_tensor::{DType, FrameBuffer, rng};
use proptest::prelude::*;

const FRAMES: [usize; 5] = [1, 63, 64, 65, 513];

/// Relative tolerance of f32 means against the f64 reference.
const CLOSE: f32 = 1e-6;

fn bits(shape: &[usize], frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[1]);
    let count = frames * shape.iter().product::<usize>();
    let values: Vec<bool> = (0..count).map(|_| rng::uniform(&mut stream) < 0.4).collect();
    FrameBuffer::from_frame_bits(shape, &values).unwrap()
}

fn reals(shape: &[usize], frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[2]);
    let count = frames * shape.iter().product::<usize>();
    let mut values: Vec<f32> = (0..count).map(|_| 1.4 * rng::uniform(&mut stream) - 0.2).collect();
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.5, 1.0];
    for (value, odd) in values.iter_mut().skip(1).step_by(7).zip(odd) {
        *value = odd;
    }
    FrameBuffer::from_frames(shape, &values).unwrap()
}

fn bytes(shape: &[usize], frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[3]);
    let count = frames * shape.iter().product::<usize>();
    let values: Vec<u8> = (0..count).map(|_| rng::word(&mut stream) as u8).collect();
    FrameBuffer::from_frames(shape, &values).unwrap()
}

/// A buffer to write to, with ones wherever a frame is.
fn used(dtype: DType, shape: &[usize], frames: usize) -> FrameBuffer {
    let count = frames * shape.iter().product::<usize>();
    match dtype {
        DType::Bit => FrameBuffer::from_frame_bits(shape, &vec![true; count]).unwrap(),
        _ => FrameBuffer::from_frames(shape, &vec![1f32; count]).unwrap(),
    }
}

/// Runs a kernel on both backends and compares every bit of the results, padding included.
fn same(
    what: &str,
    backend: &dyn Backend,
    y: &FrameBuffer,
    run: impl Fn(&dyn Backend, &mut FrameBuffer) -> lutweave_backend::Result<()>,
) -> FrameBuffer {
    let (mut got, mut want) = (y.clone(), y.clone());
    run(backend, &mut got).unwrap();
    run(&Reference, &mut want).unwrap();
    assert!(got == want, "{what}: {} and the reference differ", backend.name());
    padding_is_zero(&got);
    got
}

fn padding_is_zero(y: &FrameBuffer) {
    if y.dtype() == DType::Bit {
        for row in y.rows::<u64>().unwrap().chunks(y.stride()) {
            assert!(row.iter().enumerate().all(|(word, bits)| bits & !y.frame_mask(word) == 0));
        }
    } else {
        for row in y.rows::<f32>().unwrap().chunks(y.stride()) {
            assert!(row[y.frames()..].iter().all(|value| value.to_bits() == 0));
        }
    }
}

fn compare_modulation(backend: &dyn Backend, count: usize, frames: usize, depth: usize) {
    let what = format!("{count} frames to {frames} frames of {depth} nodes");
    let seed = (count * 1000 + frames * 10 + depth) as u64;
    let mut stream = rng::stream(seed, &[4]);
    let mut draw = |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
    let inputs = [
        (reals(&[2, 3], count, seed), Modulation { frames, depth, low: -0.1, high: 1.1 }),
        (bytes(&[2, 3], count, seed), Modulation { frames, depth, low: 0.0, high: 255.0 }),
    ];
    for (x, modulation) in &inputs {
        let y = used(DType::Bit, &[2 * depth, 3], count * frames);
        for levels in [Levels::Ramp, Levels::Diffusion] {
            same(&what, backend, &y, |b, y| b.modulate(x, modulation, levels, y));
        }
        for (per_node, per_frame) in [(false, false), (true, false), (false, true), (true, true)] {
            let rows = if per_node { 6 } else { 1 };
            let values = draw(rows * frames * if per_frame { count } else { 1 });
            let levels = Levels::Given(Thresholds { values: &values, per_node, per_frame });
            same(&what, backend, &y, |b, y| b.modulate(x, modulation, levels, y));
        }
        let y = used(DType::F32, &[2 * depth, 3], count * frames);
        same(&what, backend, &y, |b, y| b.modulate(x, modulation, Levels::Ramp, y));
    }
}

fn compare_integration(backend: &dyn Backend, count: usize, frames: usize, group: usize) {
    let what = format!("{frames} of {} frames of {group} nodes", count * frames);
    let y = used(DType::F32, &[5], count);
    let x = bits(&[group, 5], count * frames, 3);
    same(&what, backend, &y, |b, y| b.integrate(&x, frames, y));
    let dy = FrameBuffer::from_frames(&[5], &vec![0.7f32; 5 * count]).unwrap();
    let dx = used(DType::F32, &[group, 5], count * frames);
    same(&what, backend, &dx, |b, dx| b.integrate_backward(&dy, frames, dx));

    let mut stream = rng::stream(count as u64, &[5]);
    let values: Vec<f32> =
        (0..5 * group * count * frames).map(|_| rng::uniform(&mut stream)).collect();
    let x = FrameBuffer::from_frames(&[group, 5], &values).unwrap();
    let (mut got, mut want) = (y.clone(), y);
    backend.integrate(&x, frames, &mut got).unwrap();
    Reference.integrate(&x, frames, &mut want).unwrap();
    padding_is_zero(&got);
    let pairs = got.to_frames::<f32>().unwrap().into_iter().zip(want.to_frames::<f32>().unwrap());
    for (got, want) in pairs {
        // Sums of up to a hundred positive numbers, each rounded once.
        assert!((got - want).abs() <= 10.0 * CLOSE * want, "{what}: {got} {want}");
    }
}

fn compare_errors(backend: &dyn Backend, count: usize) {
    for (seed, rate) in [0.0, 1e-9, 0.1, 0.25, 1.0 - 1e-12, 1.0, f64::NAN].into_iter().enumerate() {
        let what = format!("errors at rate {rate} in {count} frames");
        let x = bits(&[7], count, 9);
        let blank = FrameBuffer::zeros(DType::Bit, &[7], count).unwrap();
        let errors =
            same(&what, backend, &blank, |b, errors| b.bit_errors(seed as u64, rate, errors));
        let dy = reals(&[7], count, 4);
        for effect in [ErrorEffect::Flip, ErrorEffect::Clear] {
            same(&what, backend, &used(DType::Bit, &[7], count), |b, y| {
                b.apply_errors(&x, &errors, effect, y)
            });
            same(&what, backend, &used(DType::F32, &[7], count), |b, dx| {
                b.apply_errors_backward(&dy, &errors, effect, dx)
            });
        }
    }
}

#[test]
fn cpu_modulates_like_the_reference() {
    for count in FRAMES {
        for (frames, depth) in [(1, 1), (1, 3), (2, 3), (15, 1), (33, 2), (70, 1)] {
            compare_modulation(&Cpu::new(), count, frames, depth);
        }
    }
}

#[test]
fn cpu_integrates_like_the_reference() {
    for count in FRAMES {
        for (frames, group) in [(1, 1), (1, 6), (2, 4), (15, 3), (65, 1), (130, 2)] {
            compare_integration(&Cpu::new(), count, frames, group);
        }
    }
}

#[test]
fn cpu_encodes_like_the_reference() {
    for count in FRAMES {
        for size in [1, 4, 8, 13, MAX_CODE_BITS] {
            for x in [reals(&[2, 3], count, 6), bytes(&[2, 3], count, 7)] {
                let y = used(DType::Bit, &[2 * size, 3], count);
                same(&format!("{size} bits"), &Cpu::new(), &y, |b, y| b.bit_encode(&x, size, y));
            }
        }
    }
}

#[test]
fn cpu_makes_errors_like_the_reference() {
    for count in FRAMES {
        compare_errors(&Cpu::new(), count);
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for count in [1, 63, 65] {
            for (frames, depth) in [(1, 3), (2, 1), (15, 2), (33, 1), (70, 1)] {
                compare_modulation(&cuda, count, frames, depth);
                compare_integration(&cuda, count, frames, depth + 1);
            }
            for size in [1, 8, 13, MAX_CODE_BITS] {
                for x in [reals(&[2, 3], count, 6), bytes(&[2, 3], count, 7)] {
                    let y = used(DType::Bit, &[2 * size, 3], count);
                    same(&format!("{size} bits"), &cuda, &y, |b, y| b.bit_encode(&x, size, y));
                }
            }
            compare_errors(&cuda, count);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 48 }))]
    #[test]
    fn any_size_agrees(count in 1usize..140, frames in 1usize..80, depth in 1usize..5) {
        compare_modulation(&Cpu::new(), count, frames, depth);
        compare_integration(&Cpu::new(), count, frames, depth);
    }
}

#[test]
fn errors_come_at_their_rate() {
    let mut errors = FrameBuffer::zeros(DType::Bit, &[3], 70).unwrap();
    for rate in [f64::NAN, -1.0, 1e-12] {
        Reference.bit_errors(5, rate, &mut errors).unwrap();
        assert!(!errors.to_frame_bits().unwrap().contains(&true), "{rate}");
    }
    for rate in [0.0, 0.125, 0.3, 1.0] {
        let mut errors = FrameBuffer::zeros(DType::Bit, &[100], 1000).unwrap();
        Cpu::new().bit_errors(5, rate, &mut errors).unwrap();
        let set = errors.to_frame_bits().unwrap().into_iter().filter(|&bit| bit).count() as f64;
        let deviation = (100_000.0 * rate * (1.0 - rate)).sqrt();
        assert!((set - 100_000.0 * rate).abs() <= 4.0 * deviation, "{rate}: {set}");
    }
}

#[test]
fn errors_are_those_of_binary_brain() {
    // Two frames of the golden case insert_bit_error_flip_f32.
    let x = [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1].map(|bit| bit == 1);
    let y = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1].map(|bit| bit == 1);
    let dy = [
        -1.312_786_7f32,
        -0.358_880_64,
        0.831_304_25,
        0.284_808_87,
        1.432_520_9,
        1.537_371,
        -0.673_611_64,
        -0.853_392,
        -0.065_452_635,
        0.141_025_23,
        1.117_698_7,
        -0.758_525_9,
        0.472_154_44,
        2.080_428_4,
    ];
    let dx = [
        -1.312_786_7f32,
        -0.358_880_64,
        0.831_304_25,
        -0.284_808_87,
        -1.432_520_9,
        1.537_371,
        -0.673_611_64,
        -0.853_392,
        0.065_452_635,
        0.141_025_23,
        1.117_698_7,
        -0.758_525_9,
        -0.472_154_44,
        2.080_428_4,
    ];
    let errors: Vec<bool> = x.iter().zip(y).map(|(&x, y)| x != y).collect();
    let errors = FrameBuffer::from_frame_bits(&[7], &errors).unwrap();
    let x = FrameBuffer::from_frame_bits(&[7], &x).unwrap();
    let dy = FrameBuffer::from_frames(&[7], &dy).unwrap();
    let (mut got, mut gradient) = (x.clone(), dy.clone());
    Cpu::new().apply_errors(&x, &errors, ErrorEffect::Flip, &mut got).unwrap();
    Cpu::new().apply_errors_backward(&dy, &errors, ErrorEffect::Flip, &mut gradient).unwrap();
    assert_eq!(got.to_frame_bits().unwrap(), y);
    assert_eq!(gradient.to_frames::<f32>().unwrap(), dx);
}

#[test]
fn diffusion_keeps_the_mean() {
    let values: Vec<f32> = (0..=100).map(|v| v as f32 / 100.0).collect();
    let x = FrameBuffer::from_frames(&[1], &values).unwrap();
    let modulation = Modulation { frames: 20, depth: 1, low: 0.0, high: 1.0 };
    let mut y = FrameBuffer::zeros(DType::Bit, &[1], 20 * values.len()).unwrap();
    Cpu::new().modulate(&x, &modulation, Levels::Diffusion, &mut y).unwrap();
    let mut mean = FrameBuffer::zeros(DType::F32, &[1], values.len()).unwrap();
    Cpu::new().integrate(&y, 20, &mut mean).unwrap();
    for (mean, value) in mean.to_frames::<f32>().unwrap().into_iter().zip(values) {
        // What is carried out of the last frame is at most one half.
        assert!((mean - value).abs() <= 0.5 / 20.0 + 1e-5, "{mean} {value}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let x = reals(&[30], 300, 8);
    let modulation = Modulation { frames: 15, depth: 2, low: 0.0, high: 1.0 };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut y = FrameBuffer::zeros(DType::Bit, &[60], 4500).unwrap();
            Cpu::new().modulate(&x, &modulation, Levels::Diffusion, &mut y).unwrap();
            let mut mean = FrameBuffer::zeros(DType::F32, &[30], 300).unwrap();
            Cpu::new().integrate(&y, 15, &mut mean).unwrap();
            let mut sums = FrameBuffer::zeros(DType::F32, &[10], 100).unwrap();
            Cpu::new().integrate(&mean, 3, &mut sums).unwrap();
            let mut errors = FrameBuffer::zeros(DType::Bit, &[60], 4500).unwrap();
            Cpu::new().bit_errors(3, 0.2, &mut errors).unwrap();
            (y, mean, sums, errors)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let x = reals(&[4], 6, 1);
    let packed = bits(&[4], 6, 1);
    let bit = |nodes, frames| FrameBuffer::zeros(DType::Bit, &[nodes], frames).unwrap();
    let real = |nodes, frames| FrameBuffer::zeros(DType::F32, &[nodes], frames).unwrap();
    let sized = |frames, depth| Modulation { frames, depth, low: 0.0, high: 1.0 };
    let given = |values| Levels::Given(Thresholds { values, per_node: true, per_frame: false });
    let cpu = Cpu::new();
    let cuda = &common::devices()[0];
    let backends: [&dyn Backend; 3] = [&Reference, &cpu, cuda];
    for b in backends {
        let modulate = |m, levels, y: &mut FrameBuffer| b.modulate(&x, &m, levels, y).is_err();
        assert!(!modulate(sized(2, 3), Levels::Ramp, &mut bit(12, 12)));
        assert!(modulate(sized(2, 3), Levels::Ramp, &mut bit(11, 12)));
        assert!(modulate(sized(2, 3), Levels::Ramp, &mut bit(12, 13)));
        assert!(modulate(sized(0, 3), Levels::Ramp, &mut bit(12, 12)));
        assert!(modulate(sized(2, 0), Levels::Ramp, &mut bit(12, 12)));
        assert!(modulate(sized(usize::MAX, 1), Levels::Ramp, &mut bit(4, 12)));
        assert!(modulate(sized(2, 3), Levels::Diffusion, &mut real(12, 12)));
        assert!(!modulate(sized(2, 1), given(&[0.5; 8]), &mut bit(4, 12)));
        assert!(modulate(sized(2, 1), given(&[0.5; 7]), &mut bit(4, 12)));
        assert!(b.modulate(&packed, &sized(1, 1), Levels::Ramp, &mut bit(4, 6)).is_err());

        assert!(b.integrate(&packed, 4, &mut real(4, 1)).is_err());
        assert!(b.integrate(&packed, 0, &mut real(4, 6)).is_err());
        assert!(b.integrate(&packed, 1, &mut real(3, 6)).is_err());
        assert!(b.integrate(&packed, 1, &mut real(5, 6)).is_err());
        assert!(b.integrate(&packed, 1, &mut bit(4, 6)).is_err());
        assert!(b.integrate(&bytes(&[4], 6, 1), 1, &mut real(4, 6)).is_err());
        assert!(b.integrate_backward(&real(4, 6), 2, &mut real(4, 13)).is_err());
        assert!(b.integrate_backward(&real(4, 6), 2, &mut bit(4, 12)).is_err());

        assert!(b.bit_encode(&x, 0, &mut bit(4, 6)).is_err());
        assert!(b.bit_encode(&x, MAX_CODE_BITS + 1, &mut bit(100, 6)).is_err());
        assert!(b.bit_encode(&packed, 1, &mut bit(4, 6)).is_err());
        assert!(b.bit_encode(&x, 2, &mut bit(8, 7)).is_err());

        assert!(b.bit_errors(1, 0.5, &mut real(4, 6)).is_err());
        let flip = ErrorEffect::Flip;
        assert!(b.apply_errors(&packed, &bit(4, 7), flip, &mut bit(4, 6)).is_err());
        assert!(b.apply_errors(&packed, &bit(4, 6), flip, &mut bit(5, 6)).is_err());
        assert!(b.apply_errors(&x, &bit(4, 6), flip, &mut real(4, 6)).is_err());
        assert!(b.apply_errors_backward(&packed, &bit(4, 6), flip, &mut bit(4, 6)).is_err());
    }
}
