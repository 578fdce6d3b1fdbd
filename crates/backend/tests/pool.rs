//! Pooling: the CPU against the reference, with missing taps, overlaps and rows used twice.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Backend, Cpu, Divisor, Isa, PoolKernels, Reference};
use lutweave_lut::{NO_SOURCE, Padding, Window};
use lutweave_tensor::{DType, FrameBuffer, rng};
use proptest::prelude::*;

/// Relative tolerance of f32 against the f64 reference.
const CLOSE: f32 = 1e-5;

fn reals(nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    // Steps of a quarter: many are equal.
    let values: Vec<f32> =
        (0..nodes * frames).map(|_| 0.25 * (rng::below(&mut stream, 9) as f32) - 1.25).collect();
    FrameBuffer::from_frames(&[nodes], &values).unwrap()
}

fn bits(nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    reals(nodes, frames, seed).to_bits(0.1).unwrap()
}

fn close(what: &str, got: &FrameBuffer, want: &FrameBuffer) {
    let pairs = got.rows::<f32>().unwrap().iter().zip(want.rows::<f32>().unwrap());
    for (i, (got, want)) in pairs.enumerate() {
        assert!((got - want).abs() <= CLOSE * want.abs().max(1.0), "{what} at {i}: {got} {want}");
    }
    for row in got.rows::<f32>().unwrap().chunks(got.stride()) {
        assert!(row[got.frames()..].iter().all(|v| v.to_bits() == 0), "{what}: padding");
    }
}

/// Windows of an image, and some of no image.
fn cases() -> Vec<(usize, usize, Vec<u32>)> {
    let image = |image: [usize; 3], window: Window| {
        let taps = window.filter.iter().product();
        (image.iter().product(), taps, window.taps(image).unwrap())
    };
    vec![
        image([2, 4, 4], Window::new([2, 2]).stride([2, 2])),
        image([2, 5, 7], Window::new([2, 3]).stride([2, 3]).padding(Padding::Partial)),
        image([1, 5, 5], Window::new([3, 3])), // they overlap
        image([1, 5, 5], Window::new([3, 3]).stride([2, 2]).padding(Padding::Same)),
        image([40, 8, 8], Window::new([2, 2]).stride([2, 2])),
        (3, 1, vec![2, 0, 2]),
        (3, 4, vec![2, 1, 2, NO_SOURCE, NO_SOURCE, 0, 0, 1]),
    ]
}

fn compare(backend: &dyn Backend, frames: usize, nodes: usize, taps: usize, windows: &[u32]) {
    let what = format!("{}: {frames} frames, windows {nodes} -> {taps}", backend.name());
    let outputs = windows.len() / taps;
    let dy = reals(outputs, frames, 5);
    let dx = reals(nodes, frames, 6);
    let zeros = |dtype| FrameBuffer::zeros(dtype, &[outputs], frames).unwrap();
    for x in [reals(nodes, frames, 4), bits(nodes, frames, 4)] {
        let what = format!("{what} of {}", x.dtype());
        let (mut got, mut want) = (zeros(x.dtype()), zeros(x.dtype()));
        backend.max_pool(&x, windows, &mut got).unwrap();
        Reference.max_pool(&x, windows, &mut want).unwrap();
        assert!(got == want, "max, {what}");
        let (mut got, mut want) = (dx.clone(), dx.clone());
        backend.max_pool_backward(&x, windows, &dy, &mut got).unwrap();
        Reference.max_pool_backward(&x, windows, &dy, &mut want).unwrap();
        assert!(got == want, "max backward, {what}");

        let (mut got, mut want) = (zeros(x.dtype()), zeros(x.dtype()));
        backend.stochastic_max_pool(&x, windows, &mut got).unwrap();
        Reference.stochastic_max_pool(&x, windows, &mut want).unwrap();
        if x.dtype() == DType::Bit {
            assert!(got == want, "stochastic, {what}");
        } else {
            close(&format!("stochastic, {what}"), &got, &want);
        }
        let (mut got, mut want) = (dx.clone(), dx.clone());
        backend.stochastic_max_pool_backward(&x, windows, &dy, &mut got).unwrap();
        Reference.stochastic_max_pool_backward(&x, windows, &dy, &mut want).unwrap();
        close(&format!("stochastic backward, {what}"), &got, &want);

        for divisor in [Divisor::Taps, Divisor::Present] {
            let (mut got, mut want) = (zeros(DType::F32), zeros(DType::F32));
            backend.average_pool(&x, windows, divisor, &mut got).unwrap();
            Reference.average_pool(&x, windows, divisor, &mut want).unwrap();
            close(&format!("average, {what}"), &got, &want);
        }
    }
    for divisor in [Divisor::Taps, Divisor::Present] {
        let (mut got, mut want) = (dx.clone(), dx.clone());
        backend.average_pool_backward(windows, divisor, &dy, &mut got).unwrap();
        Reference.average_pool_backward(windows, divisor, &dy, &mut want).unwrap();
        close(&format!("average backward, {what}"), &got, &want);
    }
}

#[test]
fn cpu_agrees_with_the_reference() {
    for &isa in Isa::available() {
        for (nodes, taps, windows) in cases() {
            let frames: &[usize] =
                if nodes > 1000 { &[65] } else { &[1, 63, 64, 65, 130, 512, 513, 1100] };
            for &frames in frames {
                compare(&Cpu::with(isa).unwrap(), frames, nodes, taps, &windows);
            }
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for (nodes, taps, windows) in cases().into_iter().filter(|(nodes, ..)| *nodes < 1000) {
            for frames in [1, 63, 65, 513] {
                compare(&cuda, frames, nodes, taps, &windows);
            }
        }
    }
}

/// NaN first stays, elsewhere it is passed over; of equal numbers the first has the gradient.
#[test]
fn the_first_maximum_counts() {
    let nan = f32::NAN;
    let x = [nan, 1.0, 1.0, nan, -3.0, -3.0, -7.0, -5.0];
    let x = FrameBuffer::from_frames(&[2], &x).unwrap();
    let mut y = FrameBuffer::zeros(DType::F32, &[1], 4).unwrap();
    let cuda = &common::devices()[0];
    let backends: [&dyn Backend; 2] = [&Cpu::new(), cuda];
    for backend in backends {
        y.fill(9.0);
        backend.max_pool(&x, &[0, 1], &mut y).unwrap();
        let row = y.row::<f32>(0).unwrap();
        assert!(row[0].is_nan());
        assert_eq!(row[1..], [1.0, -3.0, -5.0]);
    }
    let dy = FrameBuffer::from_frames(&[1], &[1f32, 2.0, 3.0, 4.0]).unwrap();
    let mut dx = FrameBuffer::zeros(DType::F32, &[2], 4).unwrap();
    Cpu::new().max_pool_backward(&x, &[0, 1], &dy, &mut dx).unwrap();
    assert_eq!(dx.to_frames::<f32>().unwrap(), [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0, 4.0]);
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, dy) = (reals(900, 700, 1), reals(784, 700, 2));
    let windows = Window::new([3, 3]).taps([1, 30, 30]).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut dx = x.clone();
            Cpu::new().max_pool_backward(&x, &windows, &dy, &mut dx).unwrap();
            Cpu::new().stochastic_max_pool_backward(&x, &windows, &dy, &mut dx).unwrap();
            Cpu::new().average_pool_backward(&windows, Divisor::Taps, &dy, &mut dx).unwrap();
            dx
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn wrong_windows_are_named() {
    let x = reals(3, 2, 1);
    let mut y = reals(2, 2, 1);
    let mut error =
        |windows: &[u32]| Cpu::new().max_pool(&x, windows, &mut y).unwrap_err().to_string();
    assert_eq!(error(&[0, 1, 2]), "max pool: expected windows to have 2 entries, got 3");
    assert_eq!(error(&[0, 1, 2, 3]), "max pool: entry 3 of the table is row 3 of 3");
    assert_eq!(error(&[0, 1, NO_SOURCE, NO_SOURCE]), "max pool: window 1 has no taps");
}

proptest! {
    #[test]
    fn no_arguments_panic(
        types in prop::array::uniform3(0usize..3), nodes in prop::array::uniform3(1usize..4),
        frames in 1usize..70, more in prop::array::uniform2(0usize..2),
        windows in prop::collection::vec(prop_oneof![0u32..4, Just(NO_SOURCE), any::<u32>()], 0..7),
    ) {
        let batch = |i: usize, frames: usize| match types[i] {
            0 => reals(nodes[i], frames, 1),
            1 => bits(nodes[i], frames, 1),
            _ => reals(nodes[i], frames, 1).convert(DType::U8).unwrap(),
        };
        let (x, mut y, mut dx) =
            (batch(0, frames), batch(1, frames + more[0] / 2), batch(2, frames + more[1]));
        macro_rules! same {
            ($name:ident($($arg:expr),*)) => {
                let got = Cpu::new().$name($($arg),*).is_ok();
                prop_assert_eq!(got, Reference.$name($($arg),*).is_ok());
            };
        }
        same!(max_pool(&x, &windows, &mut y));
        same!(average_pool(&x, &windows, Divisor::Present, &mut y));
        same!(stochastic_max_pool(&x, &windows, &mut y));
        same!(max_pool_backward(&x, &windows, &y, &mut dx));
        same!(average_pool_backward(&windows, Divisor::Taps, &y, &mut dx));
        same!(stochastic_max_pool_backward(&x, &windows, &y, &mut dx));
    }
}
