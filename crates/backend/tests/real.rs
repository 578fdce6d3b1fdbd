//! Tables on real inputs: the CPU and CUDA against the reference.
#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Backend, Cpu, Isa, RealKernels, Reference, Sites};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

/// Relative tolerance of f32 against the f64 reference.
const LOOSE: f32 = 1e-4;

fn close(what: &str, got: &[f32], want: &[f32]) {
    let size = want.iter().fold(1e-3f32, |size, v| size.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= LOOSE * size, "{what} at {i}: {got} {want}");
    }
}

#[test]
fn backends_agree_with_the_reference() {
    let sources = 11;
    for fan_in in 1..=8 {
        for (frames, share) in [(1, 1), (15, 3), (16, 1), (17, 1), (64, 3), (513, 1), (1100, 2)] {
            // Tables, and the places where they are used.
            let (tables, nodes, constants) = (5, 5 * share, share > 1);
            let mut stream = rng::stream(7, &[fan_in as u64, frames as u64]);
            let mut draw = |n: usize, scale: f32| -> Vec<f32> {
                (0..n).map(|_| 0.5 + scale * rng::normal(&mut stream)).collect()
            };
            let x = FrameBuffer::from_frames(&[sources], &draw(sources * frames, 0.4)).unwrap();
            let dy = FrameBuffer::from_frames(&[nodes], &draw(nodes * frames, 1.0)).unwrap();
            let tables = Array::from(draw(tables << fan_in, 0.3));
            let all = sources + if constants { 2 } else { 0 };
            let wiring = Wiring::random(all, nodes, fan_in, &mut |b| rng::below(&mut stream, b));
            let wiring = wiring.unwrap();
            let sites = Sites::shared(&wiring, share, constants).unwrap();
            let mut want = FrameBuffer::zeros(DType::F32, &[nodes], frames).unwrap();
            Reference.real_forward(&x, sites, &tables, &mut want).unwrap();
            let (mut want_dw, start) = (Array::from(vec![0.5; tables.len()]), x.clone());
            let mut want_dx = start.clone();
            Reference
                .real_backward(&x, sites, &tables, &dy, &mut want_dw, Some(&mut want_dx))
                .unwrap();
            let mut backends: Vec<Box<dyn Backend>> = Vec::new();
            for &isa in Isa::available() {
                backends.push(Box::new(Cpu::with(isa).unwrap()));
            }
            for cuda in common::devices() {
                backends.push(Box::new(cuda));
            }
            for backend in backends {
                let what = format!("{fan_in} {frames} {backend:?}");
                let mut y = FrameBuffer::zeros(DType::F32, &[nodes], frames).unwrap();
                backend.real_forward(&x, sites, &tables, &mut y).unwrap();
                close(&what, y.rows::<f32>().unwrap(), want.rows::<f32>().unwrap());
                let (mut dw, mut dx) = (Array::from(vec![0.5; tables.len()]), start.clone());
                backend.real_backward(&x, sites, &tables, &dy, &mut dw, Some(&mut dx)).unwrap();
                close(&what, &dw, &want_dw);
                close(&what, dx.rows::<f32>().unwrap(), want_dx.rows::<f32>().unwrap());
                let mut alone = Array::from(vec![0.5; tables.len()]);
                backend.real_backward(&x, sites, &tables, &dy, &mut alone, None).unwrap();
                assert_eq!(alone, dw, "{what}");
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut stream = rng::stream(8, &[]);
    let mut draw = |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
    let x = FrameBuffer::from_frames(&[9], &draw(9 * 1500)).unwrap();
    let dy = FrameBuffer::from_frames(&[6], &draw(6 * 1500)).unwrap();
    let tables = Array::from(draw(6 << 4));
    let wiring = Wiring::serial(9, 6, 4).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut dw = Array::zeros(tables.len()).unwrap();
            let mut dx = FrameBuffer::zeros(DType::F32, &[9], 1500).unwrap();
            let cpu = Cpu::new();
            cpu.real_backward(&x, (&wiring).into(), &tables, &dy, &mut dw, Some(&mut dx)).unwrap();
            (dw, dx)
        })
    };
    assert_eq!(run(1), run(3));
}
