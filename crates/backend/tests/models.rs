//! Models that devices know: operands that do not fit. What they compute is compared with the layers of the
//! host in `lutweave-train`.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{BatchState, MOMENTS, RowGradient};
use lutweave_backend::{
    Draw, MicroMlpKernels, MicroMlps, ModelKernels, NodeNoise, NodeStreams, Nodes, Noise, Sites,
    TableModel, UnitFunction,
};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer};

const FRAMES: usize = 9;

fn rows(dtype: DType, nodes: usize) -> FrameBuffer {
    FrameBuffer::zeros(dtype, &[nodes], FRAMES).unwrap()
}

fn numbers(length: usize) -> Array {
    Array::zeros(length).unwrap()
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let cuda = &common::devices()[0];
    let wiring = Wiring::serial(5, 3, 2).unwrap();
    let sites = Sites::from(&wiring);
    let model = TableModel::MicroMlp { units: 4, function: UnitFunction::Tanh };
    let (right, wrong) = (numbers(3 * 17), numbers(3 * 17 + 1));
    let nodes = |parameters| Nodes { model, parameters, norm: Some((0.3, 0.5)) };
    let constant = |nodes: Nodes<'_>, mean: usize, x: &FrameBuffer| {
        let (mean, variance, mut y) = (numbers(mean), numbers(3), rows(DType::Bit, 3));
        cuda.constant_forward(x, sites, nodes, (&mean, &variance), &mut numbers(0), &mut y)
    };
    let bits = rows(DType::Bit, 5);
    assert!(constant(nodes(&right), 3, &bits).unwrap());
    assert!(constant(nodes(&wrong), 3, &bits).is_err());
    assert!(constant(nodes(&right), 4, &bits).is_err());
    assert!(constant(nodes(&right), 3, &rows(DType::Bit, 6)).is_err());
    let many = TableModel::MicroMlp { units: usize::MAX, function: UnitFunction::Relu };
    let error = constant(Nodes { model: many, ..nodes(&right) }, 3, &bits).unwrap_err();
    assert!(error.to_string().contains("parameters"), "{error}");

    let down = |state: usize, dy: &FrameBuffer| {
        let (state, mut dx) = (numbers(state), rows(DType::F32, 5));
        cuda.constant_backward(&bits, sites, dy, nodes(&right), &state, &mut dx)
    };
    let state = 3 * (4 + MOMENTS);
    assert!(down(state, &rows(DType::F32, 3)).unwrap());
    assert!(down(state - 1, &rows(DType::F32, 3)).is_err());
    assert!(down(state, &rows(DType::F32, 4)).is_err());

    let micro = |parameters: &Array, units: usize, x: &FrameBuffer| {
        let nodes = MicroMlps { units, function: UnitFunction::Relu, parameters };
        let mut y = rows(DType::F32, 3);
        let forward = cuda.micro_forward(x, sites, nodes, &mut y)?;
        let mut gradient = parameters.clone();
        let mut dx = rows(DType::F32, 5);
        let back = RowGradient { dy: &y, norm: None };
        let backward = cuda.micro_backward(x, sites, nodes, back, &mut gradient, Some(&mut dx))?;
        lutweave_backend::Result::Ok(forward && backward)
    };
    assert!(micro(&right, 4, &rows(DType::F32, 5)).unwrap());
    assert!(micro(&wrong, 4, &rows(DType::F32, 5)).is_err());
    assert!(micro(&right, 0, &rows(DType::F32, 5)).is_err());
    assert!(micro(&right, usize::MAX, &rows(DType::F32, 5)).is_err());
    assert!(micro(&right, 4, &bits).is_err());
    assert!(micro(&right, 4, &rows(DType::F32, 4)).is_err());
}

/// Noise that the kernel has no place for is left to the host, with nothing changed.
#[test]
fn noise_that_kernels_do_not_know_is_said() {
    let cuda = &common::devices()[0];
    let wiring = Wiring::serial(5, 3, 2).unwrap();
    let parameters = numbers(3 * 4);
    let model = TableModel::Walsh { temperature: 1.0 };
    let nodes = Nodes { model, parameters: &parameters, norm: None };
    let noise = Noise { draw: Draw::Logistic, scale: 1.0, transformed: true };
    for (after, known) in [(&[1u64, 2, 3, 4][..], true), (&[1, 2, 3, 4, 5], false)] {
        let (mut noisy, mut y) = (numbers(0), rows(DType::Bit, 3));
        let streams = NodeStreams { seed: 1, before: &[2], after };
        let noise = Some(NodeNoise { noise, streams, noisy: &mut noisy });
        let (mut counts, mut state) = (Array::default(), Array::default());
        let own = BatchState { counts: &mut counts, state: &mut state };
        let x = rows(DType::Bit, 5);
        let done = cuda.model_forward(&x, Sites::from(&wiring), nodes, noise, own, &mut y).unwrap();
        assert_eq!(
            (done, noisy.len(), state.len()),
            (known, 12 * usize::from(known), 3 * 6 * usize::from(known))
        );
    }
}
