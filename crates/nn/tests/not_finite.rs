//! Numbers that are not finite stop a step, and the error says where they began.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_nn::{
    Add, Convolution, Dense, Error, Graph, LayerSpec, Network, Recurrent, Relu, Sequential,
    Sigmoid, Signal,
};
use lutweave_tensor::FrameBuffer;

const HUGE: f32 = 1e30;

fn dense() -> Dense {
    Dense::new(&[4])
}

fn chain() -> Sequential {
    Sequential::inner().named("a", dense()).named("b", dense()).named("c", Sigmoid::new())
}

fn build(spec: &dyn LayerSpec, shape: &[usize]) -> Network {
    Network::build(spec, Signal::reals(shape), 1).unwrap()
}

fn batch(shape: &[usize], value: f32) -> Arc<FrameBuffer> {
    let count = 5 * shape.iter().product::<usize>();
    Arc::new(FrameBuffer::from_frames(shape, &vec![value; count]).unwrap())
}

/// Fills the parameters whose path begins with `path`.
fn fill(net: &mut Network, path: &str, value: f32) {
    let mut found = false;
    for parameter in net.parameters_mut() {
        if parameter.path.starts_with(path) {
            found = true;
            parameter.values.fill(value);
        }
    }
    assert!(found, "{path}");
}

fn place(error: &Error) -> (&str, &str) {
    match error {
        Error::NotFinite { layer, what } => (layer, what),
        other => panic!("{other}"),
    }
}

/// The layer that makes the number is named, wherever it is and whatever follows it.
#[test]
fn forward_stops_at_the_layer() {
    let graph = Graph::new()
        .any_input("x")
        .node("a", dense(), &["x"])
        .node("b", dense(), &["a"])
        .node("sum", Add::new(), &["a", "b"])
        .node("c", Relu::new(), &["sum"])
        .output("c");
    let cases: [(Box<dyn LayerSpec>, &[usize], &str); 6] = [
        (Box::new(dense()), &[4], ""),
        (Box::new(chain()), &[4], "b"),
        (Box::new(graph), &[4], "b"),
        (Box::new(Sequential::inner().named("body", chain())), &[4], "body.b"),
        (
            Box::new(
                Sequential::inner().named("conv", Convolution::new([2, 2], chain())).then(dense()),
            ),
            &[1, 3, 3],
            "conv.inner.b",
        ),
        (
            Box::new(Sequential::inner().named("loop", Recurrent::new(4, chain()))),
            &[3, 2],
            "loop.cell.b",
        ),
    ];
    for (spec, shape, want) in cases {
        for bad in [f32::MAX, f32::INFINITY, f32::NAN] {
            let mut net = build(spec.as_ref(), shape);
            let x = batch(shape, 10.0);
            assert!(net.forward(x.clone(), &Cpu::new()).is_ok());
            fill(&mut net, want, bad);
            let error = net.forward(x, &Cpu::new()).unwrap_err();
            let (layer, what) = place(&error);
            assert_eq!((layer, what), (want, "what it gives"), "{error}");
        }
    }
}

/// A gradient that is none is found where it comes to a layer, and one of parameters in its layer.
#[test]
fn backward_stops_at_the_layer() {
    // What comes out of `b`, going down, is too large for `a`.
    let net = || Sequential::inner().named("a", dense()).named("b", dense());
    let mut large = build(&net(), &[4]);
    fill(&mut large, "a", 0.0);
    fill(&mut large, "b", HUGE);
    fill(&mut large, "b.bias", 0.0);
    let (_, saved) = large.forward(batch(&[4], 1.0), &Cpu::new()).unwrap();
    let error = large.backward(saved, &batch(&[4], HUGE), &Cpu::new()).unwrap_err();
    assert_eq!(place(&error), ("a", "the gradient that comes to it"));

    // The weights of `b` see large numbers from both sides.
    let mut large = build(&net(), &[4]);
    fill(&mut large, "a", HUGE);
    fill(&mut large, "b", 0.0);
    let (_, saved) = large.forward(batch(&[4], 1.0), &Cpu::new()).unwrap();
    let error = large.backward(saved, &batch(&[4], HUGE), &Cpu::new()).unwrap_err();
    assert_eq!(place(&error), ("b", "the gradient of its weights"));

    // What a loss gives is looked at first.
    for bad in [f32::NAN, f32::INFINITY] {
        let mut net = build(&net(), &[4]);
        let (_, saved) = net.forward(batch(&[4], 1.0), &Cpu::new()).unwrap();
        let error = net.backward(saved, &batch(&[4], bad), &Cpu::new()).unwrap_err();
        assert_eq!(place(&error).1, "the gradient that comes to it");
    }
}
