//! Products by cuBLAS: the same as those of our own kernels, by a library that computes them on the host;
//! and what is said where it is missing.
#![cfg(all(unix, feature = "cublas"))]
#![allow(unsafe_code, clippy::unwrap_used, clippy::panic)]

#[path = "common/compiled.rs"]
mod compiled;

use std::path::Path;

use compiled::compile;
use lutweave_backend::{
    Affine, Cuda, DenseKernels, Error, FixedPoint, Form, Forms, Reference, Schedule,
};
use lutweave_tensor::{Array, FrameBuffer, rng};

/// Relative tolerance of f32 sums against the f64 reference.
const LOOSE: f32 = 1e-4;

/// What the three products give, with something in the results before.
fn run(
    backend: &impl DenseKernels,
    (groups, inputs, outputs, frames): (usize, usize, usize, usize),
    forms: Forms,
) -> (FrameBuffer, FrameBuffer, Array, Array) {
    let mut stream = rng::stream(5, &[groups as u64, inputs as u64, frames as u64]);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng::normal(&mut stream)).collect() };
    let (x_nodes, y_nodes) = (groups * inputs, groups * outputs);
    let x = FrameBuffer::from_frames(&[x_nodes], &draw(x_nodes * frames)).unwrap();
    let dy = FrameBuffer::from_frames(&[y_nodes], &draw(y_nodes * frames)).unwrap();
    let (weights, bias) = (Array::from(draw(y_nodes * inputs)), Array::from(draw(y_nodes)));
    let (mut y, mut dx) = (dy.clone(), x.clone());
    let (mut dweights, mut dbias) = (weights.clone(), bias.clone());
    let map = Affine { groups, weights: &weights, bias: Some(&bias), forms };
    backend.affine_forward(&x, map, &mut y).unwrap();
    backend.affine_backward_input(&x, &dy, map, &mut dx).unwrap();
    backend.affine_backward_weights(&x, &dy, map, &mut dweights, Some(&mut dbias)).unwrap();
    (y, dx, dweights, dbias)
}

fn close(what: &str, got: &[f32], want: &[f32]) {
    let size = want.iter().fold(1e-3f32, |size, v| size.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= LOOSE * size, "{what} at {i}: {got} {want}");
    }
}

#[test]
fn products_are_those_of_our_own_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/fake_cublas.c");
    let path = compile(&source, folder.path());
    // SAFETY: a library of a few functions without initialisers.
    let library = unsafe { libloading::Library::new(&path) }.unwrap();
    // SAFETY: it is of this type.
    let calls = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"fake_calls") }.unwrap();
    for (called, lists) in [(45, false), (90, true)] {
        let emulated = if lists { Cuda::emulated_lists } else { Cuda::emulated };
        let plain = emulated(Schedule::Shuffled(1), 1).unwrap();
        assert!(plain.cublas().is_err());
        // SAFETY: it does what cuBLAS does, in the memory of an emulated device.
        let cuda = unsafe { plain.with_cublas(&path) }.unwrap();
        cuda.cublas().unwrap();
        let cases = [(1, 1, 1, 1), (1, 7, 5, 63), (3, 2, 1, 65), (2, 65, 70, 64), (1, 30, 67, 140)];
        let fine = Form::Rounded(FixedPoint::new(6, None).unwrap());
        let signs = Forms { inputs: Form::Sign, weights: Form::Sign, outputs: fine };
        let rounded = Forms { inputs: fine, weights: fine, outputs: fine };
        for (case, forms) in cases
            .into_iter()
            .flat_map(|case| [Forms::default(), signs, rounded].map(|forms| (case, forms)))
        {
            let (got, want) = (run(&cuda, case, forms), run(&Reference, case, forms));
            let what = format!("{case:?} {forms:?}");
            // Padding is part of what is compared, and zero in the reference.
            close(&what, got.0.rows::<f32>().unwrap(), want.0.rows::<f32>().unwrap());
            close(&what, got.1.rows::<f32>().unwrap(), want.1.rows::<f32>().unwrap());
            close(&what, &got.2, &want.2);
            close(&what, &got.3, &want.3);
        }
        // SAFETY: it gives a number.
        assert_eq!(unsafe { calls() }, called, "three each");
        cuda.synchronise().unwrap();
    }
}

#[test]
fn what_is_missing_is_said() {
    let cuda = Cuda::emulated(Schedule::Rising, 1).unwrap();
    let why = |error: Error| match error {
        Error::Unavailable { what: "cuBLAS", why } => why,
        other => panic!("{other}"),
    };
    assert!(why(cuda.cublas().unwrap_err()).contains("is no GPU"));
    let folder = tempfile::tempdir().unwrap();
    // SAFETY: there is no such library.
    let missing = unsafe { cuda.with_cublas(&folder.path().join("none.so")) };
    assert!(why(missing.unwrap_err()).contains("none.so"));
    let source = folder.path().join("other.c");
    std::fs::write(&source, "int cublasDestroy_v2(void *handle) { return handle == 0; }\n")
        .unwrap();
    let other = compile(&source, folder.path());
    // SAFETY: a library without initialisers, of which nothing is called.
    let other = unsafe { cuda.with_cublas(&other) };
    assert!(why(other.unwrap_err()).contains("it has no cublasCreate_v2"));
}
