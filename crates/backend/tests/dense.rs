//! Affine maps: the CPU against the reference, over odd sizes.
#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Affine, Cpu, DenseKernels, FixedPoint, Form, Forms, Isa, Reference};
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

/// Forms of numbers, and whether inputs are bits. Answers are rounded where sums are exact.
fn forms() -> [(Forms, bool); 8] {
    let rounded = |bits, step| Form::Rounded(FixedPoint::new(bits, Some(step)).unwrap());
    let (fine, coarse) = (rounded(6, 0.125), rounded(4, 0.5));
    let (plain, sign) = (Forms::default(), Form::Sign);
    [
        (plain, false),
        (plain, true),
        (Forms { weights: sign, ..plain }, false),
        (Forms { inputs: sign, weights: sign, outputs: coarse }, false),
        (Forms { inputs: fine, weights: fine, outputs: coarse }, false),
        (Forms { inputs: sign, weights: fine, outputs: fine }, true),
        (Forms { inputs: sign, ..plain }, true),
        (Forms { inputs: Form::Bit, weights: Form::Bit, outputs: sign }, false),
    ]
}

/// A map with its operands, and what earlier calls left in the results.
struct Case {
    groups: usize,
    forms: Forms,
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
    fn new(
        (groups, inputs, outputs, frames): (usize, usize, usize, usize),
        (forms, bits): (Forms, bool),
    ) -> Self {
        let mut stream = rng::stream(5, &[groups as u64, inputs as u64, frames as u64]);
        // Some lie on the edges of windows.
        let edge = |v: f32| if v.abs() > 1.5 { v.signum() } else { v };
        let mut draw =
            |n: usize| -> Vec<f32> { (0..n).map(|_| edge(rng::normal(&mut stream))).collect() };
        let (x_nodes, y_nodes) = (groups * inputs, groups * outputs);
        let x = FrameBuffer::from_frames(&[x_nodes], &draw(x_nodes * frames)).unwrap();
        Self {
            groups,
            forms,
            x: if bits { x.to_bits(0.2).unwrap() } else { x },
            dy: FrameBuffer::from_frames(&[y_nodes], &draw(y_nodes * frames)).unwrap(),
            weights: draw(y_nodes * inputs).into(),
            bias: draw(y_nodes).into(),
        }
    }

    fn map(&self) -> Affine<'_> {
        let (weights, bias) = (&self.weights, Some(&self.bias));
        Affine { groups: self.groups, weights, bias, forms: self.forms }
    }

    fn run(&self, backend: &impl DenseKernels) -> Results {
        // Forward and the input's gradient overwrite, those of the parameters add up.
        let (x, map) = (&self.x, self.map());
        let mut y = self.dy.clone();
        let mut dx = FrameBuffer::zeros(DType::F32, x.shape(), x.frames()).unwrap();
        dx.rows_mut::<f32>().unwrap().chunks_mut(64).for_each(|row| row[0] = 9.0);
        let (mut dweights, mut dbias) = (self.weights.clone(), self.bias.clone());
        backend.affine_forward(x, map, &mut y).unwrap();
        backend.affine_backward_input(x, &self.dy, map, &mut dx).unwrap();
        let (of_weights, of_bias) = (&mut dweights, Some(&mut dbias));
        backend.affine_backward_weights(x, &self.dy, map, of_weights, of_bias).unwrap();
        Results { y, dx, dweights, dbias }
    }

    /// Without a bias.
    fn run_alone(&self, backend: &impl DenseKernels) -> Results {
        let (x, map) = (&self.x, Affine { bias: None, ..self.map() });
        let [mut y, dx] = [self.dy.clone(), self.dy.clone()];
        let (mut dweights, dbias) = (self.weights.clone(), self.bias.clone());
        backend.affine_forward(x, map, &mut y).unwrap();
        backend.affine_backward_weights(x, &self.dy, map, &mut dweights, None).unwrap();
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

/// One launch forward and three backward, whatever the forms.
#[test]
fn cuda_agrees_with_the_reference() {
    let sizes = [(1, 1, 1, 1), (1, 7, 5, 63), (3, 2, 1, 65), (2, 65, 3, 64), (1, 17, 67, 70)];
    for cuda in common::devices() {
        for size in sizes {
            for forms in forms() {
                let case = Case::new(size, forms);
                let (what, before) = (format!("{size:?} {forms:?}"), cuda.traffic());
                let got = case.run(&cuda);
                let launches = (cuda.traffic() - before).launches;
                assert!(launches == 1 + 3 || cuda.cublas().is_ok(), "{what}: {launches}");
                compare(&what, &got, &case.run(&Reference));
                compare(&what, &case.run_alone(&cuda), &case.run_alone(&Reference));
            }
        }
    }
}

#[test]
fn cpu_agrees_with_the_reference() {
    // The last two: several blocks of rows, several of the product's own blocks.
    let sizes = [(1, 1, 1), (1, 7, 5), (3, 2, 1), (4, 5, 3), (2, 65, 130), (1, 300, 131)];
    for (groups, inputs, outputs) in sizes {
        for frames in [1, 2, 63, 64, 65, 513] {
            let work = inputs * outputs * frames;
            for forms in forms().into_iter().take(if work > 100_000 { 1 } else { 8 }) {
                if work > 10_000_000 {
                    continue;
                }
                let size = (groups, inputs, outputs, frames);
                let case = Case::new(size, forms);
                let (want, alone) = (case.run(&Reference), case.run_alone(&Reference));
                for &isa in Isa::available() {
                    let (what, cpu) = (format!("{size:?} {forms:?}, {isa}"), Cpu::with(isa));
                    compare(&what, &case.run(&cpu.clone().unwrap()), &want);
                    compare(&what, &case.run_alone(&cpu.unwrap()), &alone);
                }
            }
        }
    }
}

/// Numbers made before are the same bits as those made on the way.
#[test]
fn forms_are_of_each_number() {
    let forms = forms()[4].0;
    let formed = Case::new((2, 65, 30, 70), (forms, false));
    let mut plain = Case::new((2, 65, 30, 70), (Forms::default(), false));
    for x in plain.x.rows_mut::<f32>().unwrap() {
        *x = forms.inputs.of(*x); // padding is zero and stays so
    }
    plain.weights = plain.weights.iter().map(|&weight| forms.weights.of(weight)).collect();
    let (got, want) = (formed.run(&Cpu::new()), plain.run_alone(&Cpu::new()));
    for (node, bias) in formed.bias.iter().enumerate() {
        let bias = forms.weights.of(*bias);
        let pairs = got.y.row::<f32>(node).unwrap().iter().zip(want.y.row::<f32>(node).unwrap());
        for (got, sum) in pairs {
            assert_eq!(got.to_bits(), forms.outputs.of(sum + bias).to_bits());
            assert_eq!(got.to_bits(), formed.map().finish(node, *sum).to_bits());
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for (number, size) in
        [(1, 300, 260, 200), (3, 70, 90, 70), (1, 2100, 9, 1)].into_iter().enumerate()
    {
        let case = Case::new(size, forms()[3 * (number % 2)]);
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
        let map = Affine { groups, weights: &weights, bias: Some(&bias), forms: Forms::default() };
        Cpu::new().affine_forward(x, map, &mut y).map_err(|e| e.to_string())
    };
    assert!(run(24, 4, 1, &x).is_ok() && run(12, 4, 2, &x).is_ok());
    let cases = [
        (run(24, 4, 0, &x), "the map to have 1 groups, got 0"),
        (run(24, 4, 4, &x), "x to have 8 nodes, got 6"),
        (run(23, 4, 1, &x), "weights to have 24 values, got 23"),
        (run(24, 5, 1, &x), "bias to have 4 values, got 5"),
        (run(24, 4, 1, &FrameBuffer::zeros(DType::U8, &[6], 2).unwrap()), "x of f32, got u8"),
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
        let [weights, bias] = [weights, bias].map(|length| Array::from(vec![1.0; length]));
        for forms in [Forms::default(), Forms { inputs: Form::Sign, ..Forms::default() }] {
            let map = Affine { groups, weights: &weights, bias: Some(&bias), forms };
            let (cpu, mut of_weights, mut of_bias) = (Cpu::new(), weights.clone(), bias.clone());
            let _ = cpu.affine_forward(&x, map, &mut y);
            let _ = cpu.affine_backward_input(&x.clone(), &y, map, &mut x);
            let map = Affine { bias: None, ..map };
            let _ = cpu.affine_backward_weights(&x, &y, map, &mut of_weights, Some(&mut of_bias));
        }
    }
}
