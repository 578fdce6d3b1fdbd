//! Nodes that are tied: CUDA against the host.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // numbers are copied and added

mod common;

use lutweave_backend::{Backend, Cpu, Reference};
use lutweave_tensor::{DType, FrameBuffer, rng};

/// Free, zero, one, inputs and complements; two nodes are the same input.
const TIES: [u32; 9] = [0, 1, 2, 3, 4, 0, 7, 12, 7];

fn reals(nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    let values: Vec<f32> = (0..nodes * frames).map(|_| rng::normal(&mut stream)).collect();
    FrameBuffer::from_frames(&[nodes], &values).unwrap()
}

#[test]
fn tied_rows_are_what_they_are_tied_to() {
    for frames in [1, 31, 64, 65, 700] {
        let (x, made) = (reals(5, frames, 1).to_bits(0.0), reals(9, frames, 2).to_bits(0.0));
        let (x, made) = (x.unwrap(), made.unwrap());
        let (dy, dx) = (reals(9, frames, 3), reals(5, frames, 4));
        let run = |backend: &dyn Backend| {
            let (mut y, mut dx) = (made.clone(), dx.clone());
            backend.tie(&x, &TIES, &mut y).unwrap();
            let mut down = FrameBuffer::zeros(DType::F32, &[9], frames).unwrap();
            backend.untie(&dy, &TIES, &mut down).unwrap();
            backend.tied_inputs(&dy, &TIES, &mut dx).unwrap();
            [y, down, dx]
        };
        let want = run(&Reference);
        for frame in 0..frames {
            let (y, x) = (|node| want[0].bit(node, frame).unwrap(), |s| x.bit(s, frame).unwrap());
            assert_eq!([y(0), y(1), y(2)], [made.bit(0, frame).unwrap(), false, true]);
            assert_eq!([y(3), y(4), y(6), y(7), y(8)], [x(0), !x(0), x(2), !x(4), x(2)]);
            let dy = |node| dy.row::<f32>(node).unwrap()[frame];
            let down = |node| want[1].row::<f32>(node).unwrap()[frame];
            assert_eq!([down(0), down(5), down(1), down(7)], [dy(0), dy(5), 0.0, 0.0]);
            let moved = want[2].row::<f32>(2).unwrap()[frame];
            assert_eq!(moved, dx.row::<f32>(2).unwrap()[frame] + dy(6) + dy(8));
        }
        assert!(run(&Cpu::new()) == want);
        for cuda in common::devices() {
            assert!(run(&cuda) == want, "{frames} {cuda:?}");
            cuda.synchronise().unwrap();
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let (x, dy) = (reals(5, 9, 1), reals(9, 9, 3));
    let bits = x.to_bits(0.0).unwrap();
    for backend in [&Reference as &dyn Backend, &Cpu::new(), &common::devices()[0]] {
        let mut y = dy.to_bits(0.0).unwrap();
        assert!(backend.tie(&x, &TIES, &mut y).is_err(), "reads bits");
        assert!(backend.tie(&x, &[1; 9], &mut y).is_ok(), "unless it reads nothing");
        assert!(backend.tie(&bits, &TIES[1..], &mut y).is_err());
        let error = backend.tie(&bits, &[u32::MAX; 9], &mut y).unwrap_err().to_string();
        assert_eq!(error, "tie: index 2147483646 is past the 5 there are");
        let mut down = FrameBuffer::zeros(DType::F32, &[9], 10).unwrap();
        assert!(backend.untie(&dy, &TIES, &mut down).is_err());
        assert!(backend.untie(&bits, &TIES, &mut down).is_err());
        assert!(backend.tied_inputs(&dy, &TIES, &mut down).is_err());
        let mut few = FrameBuffer::zeros(DType::F32, &[4], 9).unwrap();
        assert!(backend.tied_inputs(&dy, &TIES, &mut few).is_err());
    }
}
