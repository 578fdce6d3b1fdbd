//! Random graphs of real layers: the gradients of all parameters and inputs against central
//! differences.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_nn::{
    Add, BatchNormalization, Concatenate, Dense, Graph, Network, Relu, Sigmoid, Signal,
};
use lutweave_tensor::{FrameBuffer, rng};
use proptest::prelude::*;

/// Step of the differences.
const STEP: f32 = 4e-3;
/// Tolerance, relative to the difference and a tenth of the largest of its tensor.
const CLOSE: f64 = 1e-2;
/// How much differences of two steps may disagree before a kink is assumed between them.
const SMOOTH: f64 = 2e-3;

/// What a random node does, and on which of the nodes before it.
type Op = (u8, prop::sample::Index, prop::sample::Index);

/// A graph on two inputs with a skip, a layer used twice, two heads at least, and random nodes.
fn graph(width: usize, ops: &[Op]) -> Network {
    let mut graph = Graph::new()
        .input("x", Signal::reals(&[width]))
        .input("z", Signal::reals(&[width]))
        .node("first", Dense::new(&[width]), &["x"])
        .node("skip", Add::new(), &["x", "first"])
        .again("second", "first", &["skip"])
        .node("both", Concatenate::new(), &["second", "z"])
        .node("joined", Dense::new(&[width]), &["both"]);
    let mut nodes = ["x", "z", "first", "skip", "second", "joined"].map(str::to_owned).to_vec();
    let mut unread: BTreeSet<String> = BTreeSet::from(["joined".to_owned()]);
    for (number, (kind, a, b)) in ops.iter().enumerate() {
        let (a, b) = (a.get(&nodes).clone(), b.get(&nodes).clone());
        let name = format!("n{number}");
        let width = [width];
        graph = match kind {
            0 => graph.node(&name, Dense::new(&width), &[&a]),
            1 => graph.node(&name, Relu::new(), &[&a]),
            2 => graph.node(&name, Sigmoid::new(), &[&a]),
            3 => graph.node(&name, BatchNormalization::new(), &[&a]),
            4 => graph.node(&name, Add::new(), &[&a, &b]),
            5 => graph.again(&name, "first", &[&a]),
            _ => {
                let pair = format!("p{number}");
                let pair = (pair.as_str(), [a.as_str(), b.as_str()]);
                let graph = graph.node(pair.0, Concatenate::new(), &pair.1);
                graph.node(&name, Dense::new(&width), &[pair.0])
            }
        };
        unread.remove(&a);
        if matches!(kind, 4 | 6..) {
            unread.remove(&b);
        }
        unread.insert(name.clone());
        nodes.push(name);
    }
    // A head that others read too, and all that nothing reads.
    graph = unread.iter().fold(graph.output("skip"), |graph, name| graph.output(name));
    graph.build(3).unwrap()
}

fn draw(count: usize, stream: &mut rng::Xoshiro256PlusPlus) -> Vec<f32> {
    (0..count).map(|_| rng::normal(stream)).collect()
}

/// `Σ y · dy` over all outputs, in training.
fn loss(net: &Network, x: &[Vec<f32>], dy: &[Vec<f32>]) -> f64 {
    let batch = |(x, input): (&Vec<f32>, &Signal)| {
        Arc::new(FrameBuffer::from_frames(&input.shape, x).unwrap())
    };
    let x: Vec<_> = x.iter().zip(net.inputs()).map(batch).collect();
    let (y, _) = net.forward_all(&x, &Cpu::new()).unwrap();
    let product = |(y, dy): (&Arc<FrameBuffer>, &Vec<f32>)| -> f64 {
        let y = y.to_frames::<f32>().unwrap();
        y.iter().zip(dy).map(|(&y, &dy)| f64::from(y) * f64::from(dy)).sum()
    };
    y.iter().zip(dy).map(product).sum()
}

/// Gives how many of the gradients lie away from kinks; those must agree.
fn compare(what: &str, got: &[f32], mut loss: impl FnMut(usize, f32) -> f64) -> usize {
    let largest = got.iter().fold(0f64, |most, &g| most.max(f64::from(g).abs()));
    let mut compared = 0;
    for (at, &got) in got.iter().enumerate() {
        let here = loss(at, 0.0);
        // The slope around a point, and how much more it is after it than before.
        let mut around = |step: f32| {
            let (up, down) = (loss(at, step), loss(at, -step));
            let step = f64::from(step);
            ((up - down) / (2.0 * step), (up - 2.0 * here + down) / step)
        };
        let ((whole, bend), (half, half_bend)) = (around(STEP), around(STEP / 2.0));
        let size = half.abs() + 0.1 * largest + 1e-2;
        // Half the way bends half as much, where there is no kink.
        let kinks = [whole - half, half_bend - 0.5 * bend];
        if kinks.iter().any(|kink| kink.abs() > SMOOTH * size) {
            continue;
        }
        compared += 1;
        let got = f64::from(got);
        assert!((got - half).abs() <= CLOSE * size, "{what}[{at}]: got {got}, wanted {half}");
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn gradients_are_central_differences(
        width in 1usize..4,
        frames in 12usize..20,
        ops in proptest::collection::vec((0u8..8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..7),
        seed: u64,
    ) {
        let mut net = graph(width, &ops);
        let mut stream = rng::stream(seed, &[]);
        for parameter in net.parameters_mut() {
            for value in &mut parameter.values {
                *value += 0.3 * rng::normal(&mut stream);
            }
        }
        let x = [draw(width * frames, &mut stream), draw(width * frames, &mut stream)];
        let dy: Vec<Vec<f32>> =
            net.outputs().iter().map(|y| draw(y.nodes() * frames, &mut stream)).collect();
        let batch = |x: &Vec<f32>| Arc::new(FrameBuffer::from_frames(&[width], x).unwrap());
        let inputs: Vec<_> = x.iter().map(batch).collect();
        let (y, saved) = net.forward_all(&inputs, &Cpu::new()).unwrap();
        prop_assert!(y.len() >= 2);
        let gradient = |(y, dy): (&Arc<FrameBuffer>, &Vec<f32>)| {
            Some(FrameBuffer::from_frames(y.shape(), dy).unwrap())
        };
        let gradients: Vec<_> = y.iter().zip(&dy).map(gradient).collect();
        let dx = net.backward_all(saved, &gradients, true, &Cpu::new()).unwrap();

        let (mut compared, mut all) = (0, 0);
        for (number, dx) in dx.into_iter().enumerate() {
            let dx = dx.unwrap().to_frames::<f32>().unwrap();
            all += dx.len();
            compared += compare(&format!("dx {number}"), &dx, |at, step| {
                let mut x = x.clone();
                x[number][at] += step;
                loss(&net, &x, &dy)
            });
        }
        let parameters: Vec<(String, Vec<f32>)> =
            net.parameters_mut().iter().map(|p| (p.path.clone(), p.gradient.to_vec())).collect();
        for (number, (path, gradient)) in parameters.iter().enumerate() {
            all += gradient.len();
            compared += compare(path, gradient, |at, step| {
                let old = net.parameters_mut()[number].values[at];
                net.parameters_mut()[number].values[at] = old + step;
                let loss = loss(&net, &x, &dy);
                net.parameters_mut()[number].values[at] = old;
                loss
            });
        }
        prop_assert!(10 * compared > all, "{compared} of {all}");
    }
}
