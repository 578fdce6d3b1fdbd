use std::sync::Arc;

use lutweave_backend::{Backend, Cpu, Reference};
use lutweave_lut::Evaluator;
use lutweave_tensor::{DType, FrameBuffer, rng};

use super::*;
use crate::StateData;
use crate::models::Smoothed;
use crate::{Convolution, GroupSum, LutLayer, Network, Reshape, Sequential, WiringRule, arg_max};

const SOURCES: usize = 30;
/// The inputs that matter.
const WANTED: [u32; 2] = [3, 17];

fn learned(nodes: usize, candidates: Option<usize>) -> LutLayer {
    LutLayer::new(nodes).fan_in(2).wiring(WiringRule::Learned { candidates })
}

fn network(layer: LutLayer) -> Network {
    Sequential::new(&[SOURCES]).reading(DType::Bit).then(layer).build(5).unwrap()
}

fn batch(step: u64, frames: usize) -> FrameBuffer {
    let mut stream = rng::stream(8, &[step]);
    let bits: Vec<bool> = (0..SOURCES * frames).map(|_| rng::below(&mut stream, 2) == 1).collect();
    FrameBuffer::from_frame_bits(&[SOURCES], &bits).unwrap()
}

/// The input that an output is to repeat.
type Goal = fn(usize) -> usize;

/// Even nodes are to repeat one wanted input, odd ones the other.
fn either(node: usize) -> usize {
    WANTED[node % 2] as usize
}

/// Each number moves by its gradient's sign.
fn train(net: &mut Network, steps: u64, backend: &dyn Backend) {
    train_for(net, either, steps, backend);
}

fn train_for(net: &mut Network, goal: Goal, steps: u64, backend: &dyn Backend) {
    for step in 0..steps {
        let x = Arc::new(batch(step, 200));
        let (y, saved) = net.forward(x.clone(), backend).unwrap();
        let mut dy = FrameBuffer::zeros(DType::F32, y.shape(), y.frames()).unwrap();
        for node in 0..y.nodes() {
            for (frame, dy) in dy.row_mut::<f32>(node).unwrap().iter_mut().enumerate() {
                let (is, wanted) = (y.bit(node, frame).unwrap(), x.bit(goal(node), frame).unwrap());
                *dy = f32::from(is) - f32::from(wanted);
            }
        }
        net.backward(saved, &dy, backend).unwrap();
        for parameter in net.parameters_mut() {
            for (value, gradient) in parameter.values.iter_mut().zip(&mut parameter.gradient) {
                *value -= 0.01 * gradient.signum() * f32::from(*gradient != 0.0);
                *gradient = 0.0;
            }
            parameter.project();
        }
    }
}

/// Share of right bits over new frames and all nodes.
fn accuracy(net: &Network) -> f64 {
    accuracy_for(net, either)
}

fn accuracy_for(net: &Network, goal: Goal) -> f64 {
    let x = batch(1 << 40, 1000);
    let y = net.evaluate(&x, &Cpu::new()).unwrap();
    let is_right = |node: usize, f: usize| y.bit(node, f).unwrap() == x.bit(goal(node), f).unwrap();
    let right = |node: usize| (0..1000).filter(|&f| is_right(node, f)).count();
    (0..y.nodes()).map(right).sum::<usize>() as f64 / (1000 * y.nodes()) as f64
}

fn indices(net: &Network, name: &str) -> Vec<u32> {
    let tensor = net.state().into_iter().find(|tensor| tensor.name == name).unwrap();
    match tensor.data {
        StateData::U32(values) => values,
        StateData::F32(_) => panic!("{name} is of indices"),
    }
}

#[test]
fn learned_wiring_finds_the_inputs_that_matter() {
    // Nodes begin as wires, so the gradient of the first input has the right sign at once.
    let wires = Smoothed::default().residual(true);
    let mut fixed = network(LutLayer::new(6).fan_in(2).model(wires));
    assert!(indices(&fixed, "0.wiring").iter().all(|source| !WANTED.contains(source)));
    train(&mut fixed, 150, &Cpu::new());
    assert!(accuracy(&fixed) < 0.6, "{}", accuracy(&fixed));
    for candidates in [None, Some(SOURCES)] {
        let mut net = network(learned(6, candidates).model(wires));
        train(&mut net, 150, &Cpu::new());
        assert!(accuracy(&net) > 0.999, "{}", accuracy(&net));
        for (node, inputs) in indices(&net, "0.wiring").chunks(2).enumerate() {
            assert!(inputs.contains(&WANTED[node % 2]), "{node}: {inputs:?}");
        }
    }
}

/// Inside a convolution the choice is one of the window, and learned from all of its positions.
#[test]
fn learned_wiring_learns_in_a_convolution() {
    // Windows of 2 x 2 on [2, 3, 5]: the element in channel 1, row 1, column 0, at 2 x 4 positions.
    let goal: Goal = |node| {
        let (y, x) = (node % 8 / 4, node % 4);
        15 + (y + 1) * 5 + x
    };
    let inner = learned(3, None).model(Smoothed::default().residual(true));
    let net = Sequential::new(&[SOURCES]).reading(DType::Bit).then(Reshape::to(&[2, 3, 5]));
    let mut net = net.then(Convolution::new([2, 2], inner)).build(5).unwrap();
    assert_eq!(net.output().shape, [3, 2, 4]);
    assert!(accuracy_for(&net, goal) < 0.9);
    train_for(&mut net, goal, 150, &Cpu::new());
    assert!(accuracy_for(&net, goal) > 0.999, "{}", accuracy_for(&net, goal));
    let wiring = net.state().into_iter().find(|tensor| tensor.name.ends_with("wiring")).unwrap();
    let StateData::U32(table) = wiring.data else { panic!("wiring is of indices") };
    assert!(table.chunks(2).all(|inputs| inputs.contains(&6)), "{table:?}");
    assert!(net.freeze_wiring().is_ok() && accuracy_for(&net, goal) > 0.999);
}

/// A netlist computes what the layer does after learning.
#[test]
fn hardware_has_the_choice() {
    let layer = learned(6, None);
    let chain = Sequential::new(&[SOURCES]).reading(DType::Bit).then(layer);
    let mut net = chain.then(GroupSum::new(3)).build(5).unwrap();
    net.parameters_mut()[1].values.reverse();
    let netlist = net.to_netlist("learned").unwrap();
    let x = batch(1, 50);
    let words: Vec<u64> = x.to_frame_bits().unwrap().into_iter().map(u64::from).collect();
    let classes = arg_max(&net.evaluate(&x, &Cpu::new()).unwrap()).unwrap();
    let classes: Vec<u64> = classes.into_iter().map(u64::from).collect();
    assert_eq!(Evaluator::new(&netlist).unwrap().frames(&words).unwrap(), classes);
}

#[test]
fn the_choice_begins_as_the_balanced_wiring() {
    let balanced = network(LutLayer::new(40).fan_in(2));
    for candidates in [None, Some(2), Some(9)] {
        let net = network(learned(40, candidates));
        assert_eq!(indices(&net, "0.wiring"), indices(&balanced, "0.wiring"));
        let count = candidates.unwrap_or(SOURCES);
        let candidates = indices(&net, "0.candidates");
        assert_eq!(candidates.len(), 80 * count);
        for slot in candidates.chunks(count) {
            let mut slot = slot.to_vec();
            slot.sort_unstable();
            slot.dedup();
            assert_eq!(slot.len(), count);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut net = network(learned(40, Some(7)));
            train(&mut net, 20, &Cpu::new());
            net.state()
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn frozen_wiring_stays() {
    let mut net = network(learned(6, None).frozen_after(Some(30)));
    train(&mut net, 29, &Cpu::new());
    assert_eq!(indices(&net, "0.wiring_frozen"), [0]);
    train(&mut net, 1, &Cpu::new());
    assert_eq!(indices(&net, "0.wiring_frozen"), [1]);
    let wiring = indices(&net, "0.wiring");
    net.parameters_mut()[1].values.reverse();
    train(&mut net, 10, &Cpu::new());
    assert_eq!(indices(&net, "0.wiring"), wiring);

    let mut net = network(learned(6, None));
    train(&mut net, 30, &Cpu::new());
    let wiring = indices(&net, "0.wiring");
    net.freeze_wiring().unwrap();
    net.parameters_mut()[1].values.reverse();
    assert_eq!(indices(&net, "0.wiring"), wiring);

    let net = network(learned(6, None).frozen_after(Some(0)));
    assert_eq!(indices(&net, "0.wiring_frozen"), [1]);
}

#[test]
fn state_comes_back() {
    for freeze in [false, true] {
        let mut net = network(learned(6, Some(9)));
        train(&mut net, 25, &Cpu::new());
        if freeze {
            net.freeze_wiring().unwrap();
        }
        let mut again = network(learned(6, Some(9)));
        again.restore(&net.state()).unwrap();
        assert_eq!(again.state(), net.state());
        train(&mut net, 5, &Cpu::new());
        train(&mut again, 5, &Cpu::new());
        assert_eq!(again.state(), net.state());
    }
    let net = network(learned(6, Some(9)));
    let error = |change: &dyn Fn(&mut Vec<u32>)| {
        let mut state = net.state();
        let tensor = state.iter_mut().find(|tensor| tensor.name == "0.candidates").unwrap();
        if let StateData::U32(values) = &mut tensor.data {
            change(values);
        }
        network(learned(6, Some(9))).restore(&state).unwrap_err().to_string()
    };
    assert_eq!(error(&|values| values[4] = 30), "0.lut: stored candidates are no inputs");
    assert_eq!(error(&|v| v[4] = v[5]), "0.lut: stored candidates repeat within an input");
    assert!(error(&|values| values.truncate(3)).starts_with("0.lut: stored state has no"));
}

/// Scores' gradients against the formula, and `dx` to the chosen sources only.
#[test]
fn gradients_are_those_of_the_choice() {
    let backends: [&dyn Backend; 2] = [&Reference, &Cpu::new()];
    for backend in backends {
        let site = Site::alone(crate::Signal::bits(&[SOURCES]), "0.lut", 4);
        let spec = learned(1, None).batch_norm(None);
        let mut layer = crate::LayerSpec::build(&spec, &site).unwrap();
        let mut parameters = layer.parameters_mut();
        parameters[0].values.copy_from_slice(&[0.1, 0.4, 0.6, 0.9]);
        let scores = &mut parameters[1].values;
        scores[SOURCES - 1] = 1.0;
        scores[2 * SOURCES - 1] = 2.0;
        let state = layer.state();
        let StateData::U32(chosen) = &state[0].data else { panic!("wiring is of indices") };
        let StateData::U32(candidates) = &state[5].data else { panic!("candidates are indices") };
        assert_eq!(chosen[1], candidates[2 * SOURCES - 1]);

        let x = batch(3, 70);
        let (_, saved) = layer.forward(Arc::new(x.clone()), backend).unwrap();
        let dy: Vec<f32> = (0..70).map(|f| f as f32 - 30.0).collect();
        let dy = FrameBuffer::from_frames(&[1], &dy).unwrap();
        let dx = layer.backward(saved, &dy, true, backend).unwrap().unwrap();
        // The slope along input 0 is 0.3 everywhere, along input 1 it is 0.5.
        for (at, gradient) in layer.parameters()[1].gradient.iter().enumerate() {
            let slope = if at < SOURCES { 0.3 } else { 0.5 };
            let sign = |f| if x.bit(candidates[at] as usize, f).unwrap() { slope } else { -slope };
            let want: f32 = (0..70).map(|f| sign(f) * (f as f32 - 30.0)).sum();
            approx::assert_relative_eq!(*gradient, want, max_relative = 1e-4, epsilon = 1e-3);
        }
        for source in 0..SOURCES {
            let reached = dx.row::<f32>(source).unwrap().iter().any(|&value| value != 0.0);
            assert_eq!(reached, chosen.contains(&(source as u32)));
        }
    }
}
