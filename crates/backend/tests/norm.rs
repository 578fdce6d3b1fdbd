//! Batch normalisation and activations: the CPU and CUDA against the reference, over odd sizes.
#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    ActivationKernels, Backend, Cpu, FixedPoint, GroupMap, GroupNorm, Isa, ModulateKernels,
    Reference, Result, Running, TwoLevels, Window,
};
use lutweave_tensor::{Array, DType, FrameBuffer, rng};
use proptest::prelude::*;

/// Relative tolerance of f32 against the f64 reference.
const CLOSE: f32 = 2e-6;
/// The same for sums of numbers of both signs.
const LOOSE: f32 = 1e-4;

const FRAMES: [usize; 6] = [1, 15, 63, 64, 65, 600];

fn close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let same = got.is_nan() && want.is_nan() || got.to_bits() == want.to_bits();
        let near = (got - want).abs() <= tolerance * want.abs().max(1.0);
        assert!(same || near, "{what} at {i}: {got} {want}");
    }
}

fn draw(shape: &[usize], frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[frames as u64]);
    let count = frames * shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|_| 2.0 * rng::normal(&mut stream)).collect();
    FrameBuffer::from_frames(shape, &values).unwrap()
}

/// The CPU with each instruction set, and CUDA.
fn backends() -> Vec<(String, Box<dyn Backend>)> {
    let mut all: Vec<(String, Box<dyn Backend>)> = Vec::new();
    for &isa in Isa::available() {
        all.push((isa.to_string(), Box::new(Cpu::with(isa).unwrap())));
    }
    for cuda in common::devices() {
        all.push((cuda.device_name().to_string(), Box::new(cuda)));
    }
    all
}

/// Everything that the norm kernels make of a batch, one array after the other.
fn normalise(
    backend: &dyn Backend,
    x: &FrameBuffer,
    dy: &FrameBuffer,
    share: usize,
) -> Vec<Vec<f32>> {
    let groups = x.nodes() / share;
    let zeros = || Array::zeros(groups).unwrap();
    let (mut mean, mut variance, mut rstd, mut scale) = (zeros(), zeros(), zeros(), zeros());
    backend.moments(x, share, &mut mean, &mut variance).unwrap();
    let gamma: Array = (0..groups).map(|g| 0.5 + g as f32).collect();
    backend.norm_scale(&variance, 1e-5, &gamma, &mut rstd, &mut scale).unwrap();
    let (mut running_mean, mut running_variance) = (gamma.clone(), gamma.clone());
    for factor in [Some(1.25), None] {
        let (mean_there, variance_there) = (&mut running_mean, &mut running_variance);
        let running = Running { mean: mean_there, variance: variance_there, keep: 0.875 };
        backend.keep_statistics(&mean, &variance, factor, running).unwrap();
    }
    let (mut y, mut dx) = (x.clone(), x.clone());
    let map = GroupMap { share, centre: &mean, scale: &scale, shift: &gamma };
    backend.normalise(x, map, &mut y).unwrap();
    let norm = GroupNorm { share, mean: &mean, rstd: &rstd, gamma: &gamma };
    let (mut dgamma, mut dbeta) = (gamma.clone(), gamma.clone());
    backend.normalise_backward(x, dy, norm, &mut dgamma, &mut dbeta, Some(&mut dx)).unwrap();
    let (mut again, mut alone) = (gamma.clone(), gamma.clone());
    backend.normalise_backward(x, dy, norm, &mut again, &mut alone, None).unwrap();
    assert!(again == dgamma && alone == dbeta);
    let rows = |x: &FrameBuffer| x.rows::<f32>().unwrap().to_vec();
    let arrays = [mean, variance, rstd, dgamma, dbeta, running_mean, running_variance];
    let arrays = arrays.map(|array| array.to_vec());
    arrays.into_iter().chain([rows(&y), rows(&dx)]).collect()
}

#[test]
fn norm_agrees_with_the_reference() {
    for frames in FRAMES {
        for share in [1, 2, 5, 10] {
            // Far from zero, where a difference of large sums would lose everything.
            for offset in [0.0, 3000.0] {
                let mut x = draw(&[10], frames, 3);
                (0..10).for_each(|n| {
                    x.row_mut(n).unwrap().iter_mut().for_each(|x: &mut f32| *x += offset);
                });
                let dy = draw(&[10], frames, 4);
                let want = normalise(&Reference, &x, &dy, share);
                for (name, backend) in backends() {
                    let got = normalise(&*backend, &x, &dy, share);
                    for (number, (got, want)) in got.iter().zip(&want).enumerate() {
                        let what = format!("{frames} {share} {offset} {name}, {number}");
                        // One frame has a variance of zero, and a large rstd.
                        close(&what, got, want, LOOSE);
                    }
                }
            }
        }
    }
}

/// What is made of statistics is near the reference, and the same bits on every device.
#[test]
fn statistics_are_the_same_bits_on_every_device() {
    let numbers = |seed| draw(&[1], 300, seed).rows::<f32>().unwrap().to_vec();
    let [mean, gamma] = [1, 2].map(|seed| Array::from(numbers(seed)));
    let variance: Array = numbers(3).into_iter().map(|number| number * number).collect();
    let run = |backend: &dyn Backend| {
        let zeros = || Array::zeros(mean.len()).unwrap();
        let (mut rstd, mut scale) = (zeros(), zeros());
        backend.norm_scale(&variance, 1e-3, &gamma, &mut rstd, &mut scale).unwrap();
        let (mut average, mut spread) = (gamma.clone(), variance.clone());
        for factor in [Some(1.1), None] {
            let running = Running { mean: &mut average, variance: &mut spread, keep: 0.9 };
            backend.keep_statistics(&mean, &variance, factor, running).unwrap();
        }
        [rstd, scale, average, spread]
    };
    let (want, first) = (run(&Reference), run(&Cpu::new()));
    for (name, backend) in backends() {
        let got = run(&*backend);
        assert!(got == first, "{name}");
        got.iter().zip(&want).for_each(|(got, want)| close(&name, got, want, CLOSE));
    }
}

/// Runs a kernel on both backends and compares the results, padding included.
fn same(
    what: &str,
    y: &FrameBuffer,
    tolerance: f32,
    run: impl Fn(&dyn Backend, &mut FrameBuffer) -> Result<()>,
) {
    let mut want = y.clone();
    run(&Reference, &mut want).unwrap();
    for (name, backend) in backends() {
        let mut got = y.clone();
        run(&*backend, &mut got).unwrap();
        let what = format!("{what}, {} frames, {name}", y.frames());
        if y.dtype() == DType::Bit {
            assert!(got == want, "{what}");
        } else {
            close(&what, got.rows().unwrap(), want.rows().unwrap(), tolerance);
        }
    }
}

#[test]
fn activations_agree_with_the_reference() {
    const EXACT: f32 = 0.0;
    for frames in FRAMES {
        let mut x = draw(&[3, 2], frames, 5);
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.5, 100.0, -100.0, -88.0];
        for (x, odd) in x.row_mut::<f32>(1).unwrap().iter_mut().zip(odd) {
            *x = odd;
        }
        let (y, dy) = (draw(&[3, 2], frames, 6), draw(&[3, 2], frames, 7));
        let bits = y.to_bits(0.0).unwrap();
        let levels = TwoLevels { threshold: 0.5, low: -1.5, high: 2.0 };
        let window = Window { low: -1.0, high: 0.5, slope: 0.5 };
        same("binarize", &bits, EXACT, |b, y| b.binarize(&x, 0.5, y));
        same("levels", &y, EXACT, |b, y| b.levels(&x, levels, y));
        same("levels of bits", &y, EXACT, |b, y| b.levels(&bits, levels, y));
        same("clamp", &y, EXACT, |b, y| b.clamp(&x, -0.5, 1.0, y));
        same("relu", &y, EXACT, |b, y| b.clamp(&x, 0.0, f32::INFINITY, y));
        same("window", &y, EXACT, |b, dx| b.window_backward(&x, &dy, window, dx));
        same("sigmoid", &y, CLOSE, |b, y| b.sigmoid(&x, y));
        same("sigmoid backward", &y, CLOSE, |b, dx| b.sigmoid_backward(&y, &dy, dx));
        same("softmax", &y, CLOSE, |b, y| b.softmax(&x, y));
        same("softmax backward", &y, 1e-5, |b, dx| b.softmax_backward(&y, &dy, dx));
        for (bits, step) in [(1, None), (8, Some(1.0 / 256.0)), (24, Some(0.3))] {
            let to = FixedPoint::new(bits, step).unwrap();
            same("quantise", &y, EXACT, |b, y| b.quantise(&x, to, y));
        }
        let mut mask = bits.clone();
        Cpu::new().bit_errors(7, 0.3, &mut mask).unwrap();
        let per_node = mask.frame_range(0..1).unwrap();
        same("dropout", &y, EXACT, |b, y| b.dropout(&x, &mask, -2.0, y));
        same("dropout of nodes", &y, EXACT, |b, y| b.dropout(&x, &per_node, 1.0, y));
    }
}

#[test]
fn softmax_is_a_distribution_for_any_scores() {
    for scale in [0.0, 1.0, -30.0, 1e4, -1e30] {
        let x: Vec<f32> = (0..8).map(|i| scale + i as f32).collect();
        let x = FrameBuffer::from_frames(&[4], &x).unwrap();
        let mut y = x.clone();
        Cpu::new().softmax(&x, &mut y).unwrap();
        for frame in y.to_frames::<f32>().unwrap().chunks(4) {
            assert!((frame.iter().sum::<f32>() - 1.0).abs() < CLOSE, "{scale}: {frame:?}");
        }
    }
}

#[test]
fn exponentials_are_right_over_their_range() {
    let values: Vec<f32> = (-8800..8800).map(|i| i as f32 * 0.01).collect();
    let x = FrameBuffer::from_frames(&[1], &values).unwrap();
    let mut y = x.clone();
    Cpu::new().sigmoid(&x, &mut y).unwrap();
    for (&x, &y) in values.iter().zip(y.row::<f32>(0).unwrap()) {
        let want = 1.0 / (1.0 + (-f64::from(x)).exp());
        let error = (f64::from(y) - want).abs() / want;
        assert!(error < 3e-7 || x < -87.0 && want < 2e-38, "{x}: {y} {want}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, dy) = (draw(&[12, 3], 1500, 1), draw(&[12, 3], 1500, 2));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let cpu = Cpu::new();
            let (mut y, mut dx) = (x.clone(), x.clone());
            cpu.softmax(&x, &mut y).unwrap();
            cpu.softmax_backward(&y, &dy, &mut dx).unwrap();
            (normalise(&cpu, &x, &dy, 3), y, dx)
        })
    };
    assert!(run(1) == run(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_operands_panic(
        nodes in (1usize..5, 1usize..5, 1usize..5),
        frames in (1usize..3, 1usize..3, 1usize..3),
        groups in (0usize..5, 0usize..5),
        share in prop::sample::select(vec![0, 1, 2, 3, usize::MAX]),
        dtypes in (any::<bool>(), any::<bool>()),
        limits in prop::sample::select(vec![(0.0, 1.0), (1.0, 0.0), (f32::NAN, 0.0)]),
    ) {
        let dtype = |bit| if bit { DType::Bit } else { DType::F32 };
        let x = FrameBuffer::zeros(dtype(dtypes.0), &[nodes.0], frames.0).unwrap();
        let dy = FrameBuffer::zeros(dtype(dtypes.1), &[nodes.1], frames.1).unwrap();
        let mut y = FrameBuffer::zeros(DType::F32, &[nodes.2], frames.2).unwrap();
        let (mut a, mut b) = (Array::from(vec![1f32; groups.0]), Array::from(vec![1f32; groups.1]));
        for backend in [&Cpu::new() as &dyn Backend, &Reference] {
            let _ = backend.moments(&x, share, &mut a, &mut b);
            let (c, d) = (a.clone(), b.clone());
            let _ = backend.norm_scale(&c, 0.0, &d, &mut a, &mut b);
            let running = Running { mean: &mut a, variance: &mut b, keep: 0.5 };
            let _ = backend.keep_statistics(&c, &d, None, running);
            let map = GroupMap { share, centre: &c, scale: &d, shift: &c };
            let _ = backend.normalise(&x, map, &mut y);
            let norm = GroupNorm { share, mean: &c, rstd: &d, gamma: &c };
            let _ = backend.normalise_backward(&x, &dy, norm, &mut a, &mut b, Some(&mut y));
            let levels = TwoLevels { threshold: limits.0, low: limits.0, high: limits.1 };
            let window = Window { low: limits.0, high: limits.1, slope: 1.0 };
            let _ = backend.binarize(&x, limits.0, &mut y);
            let _ = backend.levels(&x, levels, &mut y);
            let _ = backend.clamp(&x, limits.0, limits.1, &mut y);
            let _ = backend.window_backward(&x, &dy, window, &mut y);
            let _ = backend.sigmoid(&x, &mut y);
            let _ = backend.sigmoid_backward(&x, &dy, &mut y);
            let _ = backend.softmax(&x, &mut y);
            let _ = backend.softmax_backward(&x, &dy, &mut y);
            if let Some(to) = FixedPoint::new(groups.0 as u32, Some(limits.1)) {
                let _ = backend.quantise(&x, to, &mut y);
            }
            let _ = backend.dropout(&x, &dy, 2.0, &mut y);
        }
    }
}
