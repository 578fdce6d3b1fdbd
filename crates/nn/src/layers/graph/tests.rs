use lutweave_backend::Cpu;
use lutweave_tensor::FrameBuffer;
use serde_json::json;

use super::*;
use crate::{GroupSum, LutLayer, Reduce, Sequential};

fn bits() -> Signal {
    Signal::bits(&[6])
}

fn lut(nodes: usize) -> LutLayer {
    LutLayer::new(nodes).fan_in(2)
}

fn error(graph: Graph) -> String {
    graph.build(1).unwrap_err().to_string()
}

fn batch(frames: usize) -> Arc<FrameBuffer> {
    let bits: Vec<bool> = (0..6 * frames).map(|i| i * i % 5 < 2).collect();
    Arc::new(FrameBuffer::from_frame_bits(&[6], &bits).unwrap())
}

/// Nodes may be defined in any order; a graph of a chain is the chain.
#[test]
fn a_chain_as_a_graph_is_the_chain() {
    let graph = Graph::new()
        .input("x", bits())
        .output("head")
        .node("head", GroupSum::new(2), &["two"])
        .node("two", lut(4), &["one"])
        .node("one", lut(8), &["x"]);
    let mut graph = graph.build(1).unwrap();
    let chain = Sequential::new(&[6]).reading(DType::Bit);
    let chain = chain.named("one", lut(8)).named("two", lut(4)).named("head", GroupSum::new(2));
    let mut chain = chain.build(9).unwrap();
    chain.restore(&graph.state()).unwrap();
    let run = |net: &mut Network| {
        let (y, saved) = net.forward(batch(90), &Cpu::new()).unwrap();
        let dy = FrameBuffer::from_frames(&[2], &y.to_frames::<f32>().unwrap()).unwrap();
        net.backward(saved, &dy, &Cpu::new()).unwrap();
        let gradients = net.parameters_mut().into_iter();
        let mut gradients: Vec<_> =
            gradients.map(|p| (p.path.clone(), p.gradient.clone())).collect();
        gradients.sort_by(|a, b| a.0.cmp(&b.0));
        (y, gradients)
    };
    assert_eq!(run(&mut graph), run(&mut chain));
    assert!(graph.parameters_mut()[0].gradient.iter().any(|&gradient| gradient != 0.0));
}

#[test]
fn two_heads_learn_apart_and_together() {
    let net = || {
        Graph::new()
            .input("x", bits())
            .node("body", lut(8), &["x"])
            .node("a", GroupSum::new(2).temperature(1.0), &["body"])
            .node("b", GroupSum::new(4).temperature(1.0), &["body"])
            .output("a")
            .output("b")
            .build(3)
            .unwrap()
    };
    let gradient = |heads: [bool; 2]| {
        let mut net = net();
        let (y, saved) = net.forward_all(&[batch(40)], &Cpu::new()).unwrap();
        let dy: Vec<Option<FrameBuffer>> = y
            .iter()
            .zip(heads)
            .map(|(y, on)| {
                let values =
                    (0..y.nodes() * y.frames()).map(|i| (i % 7) as f32).collect::<Vec<_>>();
                on.then(|| FrameBuffer::from_frames(y.shape(), &values).unwrap())
            })
            .collect();
        net.backward_all(saved, &dy, false, &Cpu::new()).unwrap();
        net.parameters_mut()[0].gradient.clone()
    };
    let (a, b, both) = (gradient([true, false]), gradient([false, true]), gradient([true, true]));
    assert_ne!(a, b);
    for ((a, b), both) in a.iter().zip(&b).zip(&both) {
        assert!((a + b - both).abs() <= 1e-3 * (1.0 + both.abs()), "{a} + {b} = {both}");
    }
    assert!(gradient([false, false]).iter().all(|&gradient| gradient == 0.0));
}

#[test]
fn a_shared_layer_is_one_layer() {
    let net = Graph::new()
        .input("x", Signal::bits(&[6]))
        .node("one", lut(6), &["x"])
        .again("two", "one", &["one"])
        .node("head", Reduce::by(6), &["two"])
        .output("head");
    let config = net.config();
    let mut net = net.build(2).unwrap();
    assert_eq!((net.luts(), net.parameters_mut().len()), (6, 1));
    let again = Graph::from_config(&config).unwrap();
    assert_eq!(again.config(), config);
    assert!(net.evaluate(&batch(3), &Cpu::new()).is_ok());
}

#[test]
fn graphs_go_into_graphs_and_several_outputs_come_out() {
    let inner = Graph::new()
        .any_input("x")
        .node("one", lut(6), &["x"])
        .node("two", lut(4), &["x"])
        .output("one")
        .output("two");
    let net = Graph::new()
        .input("x", bits())
        .node("in", inner, &["x"])
        .node("a", GroupSum::new(2), &["in"])
        .node("b", GroupSum::new(2), &["in:1"])
        .output("a")
        .output("b");
    let net = net.build(1).unwrap();
    let y = net.evaluate_all(&[batch(5)], &Cpu::new()).unwrap();
    assert_eq!([y[0].shape(), y[1].shape()], [[2], [2]]);
    let paths: Vec<String> = net.describe().layers.into_iter().map(|layer| layer.path).collect();
    assert_eq!(paths, ["in.one", "in.two", "a", "b"]);
}

#[test]
fn what_does_not_hold_together_is_named() {
    let graph = || Graph::new().input("x", bits());
    let cases = [
        (
            graph().node("a", lut(6), &["b"]).node("b", lut(6), &["a"]).output("b"),
            "expected nodes to be a graph without cycles, got \"a -> b -> a\"",
        ),
        (
            graph().node("a", lut(6), &["y"]).output("a"),
            "expected inputs to be one of a, x, as a reads it, got \"y\"",
        ),
        (
            graph().node("a", lut(6), &["x"]).node("a", lut(6), &["x"]).output("a"),
            "expected name to be a name that no other layer has, got \"a\"",
        ),
        (
            graph().node("a", lut(6), &["x"]).node("b", lut(6), &["x"]).output("a"),
            "expected inputs and nodes to be read by a node, or outputs, got \"b\"",
        ),
        (
            graph().node("a", lut(6), &["x", "x"]).output("a"),
            "a: expected inputs to be one signal to read, got 2",
        ),
        (graph().node("a", lut(6), &["x"]).output("a:1"), "an output of `a`, below 1, got \"a:1\""),
        (graph().node("a", lut(6), &["x"]), "expected outputs to be at least one output, got 0"),
        (
            graph().node("a", lut(4), &["x"]).again("b", "a", &["a"]).output("b"),
            "b: expected what `a` reads",
        ),
        (graph().again("b", "x", &["x"]).output("b"), "the name of a node with a layer of its own"),
        (Graph::new().any_input("x").output("x"), "a type and shape for input `x`, got none"),
    ];
    for (graph, want) in cases {
        let error = error(graph);
        assert!(error.contains(want), "{error}");
    }
    for config in [
        json!({"inputs": [{"name": "x", "dtype": "bit"}], "nodes": [], "outputs": []}),
        json!({"inputs": [], "nodes": [{"name": "a", "inputs": []}], "outputs": []}),
    ] {
        assert!(Graph::from_config(&config).is_err());
    }
}
