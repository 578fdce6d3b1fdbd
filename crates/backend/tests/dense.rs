//! Affine maps: the CPU against the reference, over odd sizes.
#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Cpu, DenseKernels, Isa, Reference};
use lutweave_tensor::{Array, DType, FrameBuffer, rng};
use proptest::prelude::*;

/// Relative tolerance of f32 sums against the f64 reference.
const LOOSE: f32 = 1e-4;

fn close(what: &str, got: &[f32], want: &[f32]) {
    let size = want.iter().fold(1e-3f32, |size, v| size.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= LOOSE * size, "{what} at {i}: {got} {want}");
    }
}

/// A map with its operands, and what earlier calls left in the results.
struct Case {
    groups: usize,
    x: FrameBuffer,
    dy: FrameBuffer,
    weights: Array,
    bias: Array,
}

#[derive(Debug, PartialEq)]
struct Results {
    y: FrameBuffer,
    dx: FrameBuffer,
    dweights: Array,
    dbias: Array,
}

impl Case {
    fn new(groups: usize, inputs: usize, outputs: usize, frames: usize) -> Self {
        let mut stream = rng::stream(5, &[groups as u64, inputs as u64, frames as u64]);
        let mut draw =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng::normal(&mut stream)).collect() };
        let (x_nodes, y_nodes) = (groups * inputs, groups * outputs);
        Self {
            groups,
            x: FrameBuffer::from_frames(&[x_nodes], &draw(x_nodes * frames)).unwrap(),
            dy: FrameBuffer::from_frames(&[y_nodes], &draw(y_nodes * frames)).unwrap(),
            weights: draw(y_nodes * inputs).into(),
            bias: draw(y_nodes).into(),
        }
    }

    fn run(&self, backend: &impl DenseKernels) -> Results {
        // Forward and the input's gradient overwrite, those of the parameters add up.
        let mut y = self.dy.clone();
        let mut dx = self.x.clone();
        let (mut dweights, mut dbias) = (self.weights.clone(), self.bias.clone());
        backend.affine_forward(&self.x, &self.weights, &self.bias, self.groups, &mut y).unwrap();
        backend.affine_backward_input(&self.dy, &self.weights, self.groups, &mut dx).unwrap();
        backend
            .affine_backward_weights(&self.x, &self.dy, self.groups, &mut dweights, &mut dbias)
            .unwrap();
        Results { y, dx, dweights, dbias }
    }
}

fn compare(what: &str, got: &Results, want: &Results) {
    // Padding is part of what is compared, and zero in the reference.
    close(what, got.y.rows::<f32>().unwrap(), want.y.rows::<f32>().unwrap());
    close(what, got.dx.rows::<f32>().unwrap(), want.dx.rows::<f32>().unwrap());
    close(what, &got.dweights, &want.dweights);
    close(what, &got.dbias, &want.dbias);
    for rows in [&got.y, &got.dx] {
        for row in rows.rows::<f32>().unwrap().chunks(rows.stride()) {
            assert!(row[rows.frames()..].iter().all(|v| v.to_bits() == 0), "{what}: padding");
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for (groups, inputs, outputs, frames) in
            [(1, 1, 1, 1), (1, 7, 5, 63), (3, 2, 1, 65), (2, 65, 70, 64), (1, 130, 67, 140)]
        {
            let case = Case::new(groups, inputs, outputs, frames);
            let what = format!("{groups} groups of {inputs} to {outputs}, {frames}");
            compare(&what, &case.run(&cuda), &case.run(&Reference));
        }
    }
}

#[test]
fn cpu_agrees_with_the_reference() {
    // The last two: several blocks of rows, several of the product's own blocks.
    let sizes = [(1, 1, 1), (1, 7, 5), (3, 2, 1), (4, 5, 3), (2, 65, 130), (1, 300, 131)];
    for (groups, inputs, outputs) in sizes {
        for frames in [1, 2, 63, 64, 65, 513] {
            if inputs * outputs * frames > 10_000_000 {
                continue;
            }
            let case = Case::new(groups, inputs, outputs, frames);
            let want = case.run(&Reference);
            for &isa in Isa::available() {
                let what = format!("{groups} groups of {inputs} to {outputs}, {frames}, {isa}");
                compare(&what, &case.run(&Cpu::with(isa).unwrap()), &want);
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for (groups, inputs, outputs, frames) in [(1, 300, 260, 200), (3, 70, 90, 70), (1, 2100, 9, 1)]
    {
        let case = Case::new(groups, inputs, outputs, frames);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.run(&Cpu::new()))
        };
        let one = run(1);
        assert_eq!(one, run(3));
        assert_eq!(one, run(4));
    }
}

#[test]
fn wrong_operands_are_named() {
    let x = FrameBuffer::from_frames(&[6], &[1f32; 12]).unwrap();
    let mut y = FrameBuffer::from_frames(&[4], &[0f32; 8]).unwrap();
    let mut run = |weights: usize, bias: usize, groups: usize, x: &FrameBuffer| {
        let [weights, bias] = [weights, bias].map(|length| Array::zeros(length).unwrap());
        Cpu::new().affine_forward(x, &weights, &bias, groups, &mut y).map_err(|e| e.to_string())
    };
    assert!(run(24, 4, 1, &x).is_ok() && run(12, 4, 2, &x).is_ok());
    let cases = [
        (run(24, 4, 0, &x), "the map to have 1 groups, got 0"),
        (run(24, 4, 4, &x), "x to have 8 nodes, got 6"),
        (run(23, 4, 1, &x), "weights to have 24 values, got 23"),
        (run(24, 5, 1, &x), "bias to have 4 values, got 5"),
        (run(24, 4, 1, &FrameBuffer::zeros(DType::Bit, &[6], 2).unwrap()), "x of f32, got bit"),
        (run(24, 4, 1, &FrameBuffer::zeros(DType::F32, &[6], 3).unwrap()), "y to have 3 frames"),
    ];
    for (result, message) in cases {
        let error = result.unwrap_err();
        assert!(
            error.starts_with("affine forward: expected ") && error.contains(message),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_operands_panic(
        sizes in (1usize..9, 1usize..9, 0usize..80, 0usize..9),
        frames in (1usize..4, 1usize..4),
        groups in prop::sample::select(vec![0, 1, 2, 3, 4, usize::MAX]),
        bits in any::<bool>(),
    ) {
        let (x_nodes, y_nodes, weights, bias) = sizes;
        let dtype = if bits { DType::Bit } else { DType::F32 };
        let mut x = FrameBuffer::zeros(dtype, &[x_nodes], frames.0).unwrap();
        let mut y = FrameBuffer::zeros(DType::F32, &[y_nodes], frames.1).unwrap();
        let [mut weights, mut bias] = [weights, bias].map(|length| Array::from(vec![1.0; length]));
        let cpu = Cpu::new();
        let _ = cpu.affine_forward(&x, &weights, &bias, groups, &mut y);
        let _ = cpu.affine_backward_weights(&x, &y, groups, &mut weights, &mut bias);
        let _ = cpu.affine_backward_input(&y, &weights, groups, &mut x);
    }
}
