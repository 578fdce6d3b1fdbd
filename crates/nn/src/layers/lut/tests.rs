use approx::assert_relative_eq;
use lutweave_backend::reference::DifferentiableLut;
use lutweave_backend::{Cpu, Reference};

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_tensor::{FrameBuffer, rng};

use super::*;
use crate::{Signal, StateData};

/// Relative tolerance of f32 sums.
const LOOSE: f64 = 1e-4;

fn site(shape: &[usize]) -> Site<'static> {
    Site::alone(Signal::bits(shape), "0.lut", 11)
}

fn batch(nodes: usize, frames: usize, seed: u64) -> (FrameBuffer, Vec<Vec<bool>>) {
    let mut stream = rng::stream(seed, &[]);
    let bits: Vec<bool> = (0..nodes * frames).map(|_| rng::uniform(&mut stream) < 0.4).collect();
    let rows = bits.chunks(nodes).map(<[bool]>::to_vec).collect();
    (FrameBuffer::from_frame_bits(&[nodes], &bits).unwrap(), rows)
}

/// Spreads the initial weights, so that no value lies on a threshold.
fn spread(layer: &mut dyn Layer) -> Vec<f32> {
    let mut stream = rng::stream(5, &[]);
    let parameter = layer.parameters_mut().remove(0);
    for value in &mut parameter.values {
        *value = rng::uniform(&mut stream);
    }
    parameter.values.to_vec()
}

/// The whole layer against the frame-by-frame formulas, for every fan-in and both backends.
#[test]
fn table_training_is_the_per_frame_formula() {
    let backends: [&dyn Backend; 2] = [&Reference, &Cpu::new()];
    for backend in backends {
        for fan_in in 1..=8 {
            let (sources, nodes, frames) = (12, 5, 150);
            let mut layer = LutLayer::new(nodes).fan_in(fan_in).build(&site(&[sources])).unwrap();
            let weights = spread(layer.as_mut());
            let (x, rows) = batch(sources, frames, fan_in as u64);
            let (y, saved) = layer.forward(Arc::new(x), backend).unwrap();
            let mut stream = rng::stream(6, &[fan_in as u64]);
            let dy: Vec<f32> = (0..nodes * frames).map(|_| rng::normal(&mut stream)).collect();
            let dy = FrameBuffer::from_frames(&[nodes], &dy).unwrap();
            let dx = layer.backward(saved, &dy, true, backend).unwrap().unwrap();

            let wiring = match &layer.state()[0].data {
                StateData::U32(table) => table.clone(),
                StateData::F32(_) => panic!("wiring is of indices"),
            };
            let entries = 1 << fan_in;
            let mut want_dx = vec![vec![0f64; sources]; frames];
            for node in 0..nodes {
                let at = node * entries..(node + 1) * entries;
                let table: Vec<f64> = weights[at.clone()].iter().map(|&w| f64::from(w)).collect();
                let lut = DifferentiableLut { table: &table, gamma: 0.3, beta: 0.5, bias: 0.25 };
                let inputs = &wiring[node * fan_in..(node + 1) * fan_in];
                let pick = |row: &Vec<bool>| inputs.iter().map(|&s| row[s as usize]).collect();
                let seen: Vec<Vec<bool>> = rows.iter().map(pick).collect();
                let (bits, ..) = lut.forward(&seen);
                for (frame, bit) in bits.iter().enumerate() {
                    assert_eq!(y.bit(node, frame).unwrap(), *bit, "fan-in {fan_in}");
                }
                let dy: Vec<f64> =
                    dy.row::<f32>(node).unwrap().iter().map(|&v| f64::from(v)).collect();
                let gradient = lut.backward(&seen, &dy);
                // A gradient is a sum of terms that cancel: its error is relative to their size.
                let size = 0.3 * frames as f64;
                for (got, want) in layer.parameters()[0].gradient[at].iter().zip(&gradient.dtable) {
                    assert_relative_eq!(
                        f64::from(*got),
                        want,
                        max_relative = LOOSE,
                        epsilon = LOOSE * size
                    );
                }
                for (frame, dx) in gradient.dx.iter().enumerate() {
                    for (&source, dx) in inputs.iter().zip(dx) {
                        want_dx[frame][source as usize] += dx;
                    }
                }
            }
            for (frame, want) in want_dx.iter().enumerate() {
                for (source, want) in want.iter().enumerate() {
                    let got = f64::from(dx.row::<f32>(source).unwrap()[frame]);
                    assert_relative_eq!(got, want, max_relative = LOOSE, epsilon = LOOSE);
                }
            }
        }
    }
}

/// Without batch norm the gradient passes everywhere.
#[test]
fn without_batch_norm_the_gradient_is_not_gated() {
    let spec = LutLayer::new(1).fan_in(2).wiring(WiringRule::Serial).batch_norm(None);
    let mut layer = spec.build(&site(&[2])).unwrap();
    layer.parameters_mut()[0].values.copy_from_slice(&[0.1, 0.4, 0.6, 0.9]);
    let bits = [false, false, true, false, false, true, true, true];
    let x = FrameBuffer::from_frame_bits(&[2], &bits).unwrap();
    let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    assert_eq!(y.to_frame_bits().unwrap(), [false, false, true, true]);
    assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), y);
    let dy = FrameBuffer::from_frames(&[1], &[1f32, 2.0, 3.0, 4.0]).unwrap();
    let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
    // dW[k] = Σ_f dy_f Π_i(..): frame f shows pattern f, weights 9/16, 3/16, 3/16, 1/16.
    let want = [28.0 / 16.0, 36.0 / 16.0, 44.0 / 16.0, 52.0 / 16.0];
    for (got, want) in layer.parameters()[0].gradient.iter().zip(want) {
        assert_relative_eq!(*got, want, max_relative = 1e-6);
    }
    // The slope along input 0 is 0.3 everywhere, along input 1 it is 0.5.
    for (f, dy) in [1f32, 2.0, 3.0, 4.0].into_iter().enumerate() {
        assert_relative_eq!(dx.row::<f32>(0).unwrap()[f], 0.3 * dy, max_relative = 1e-5);
        assert_relative_eq!(dx.row::<f32>(1).unwrap()[f], 0.5 * dy, max_relative = 1e-5);
    }
}

/// Each use in a step keeps its own batch statistics.
#[test]
fn a_layer_used_twice_remembers_both_batches() {
    let mut layer = LutLayer::new(3).fan_in(3).build(&site(&[6])).unwrap();
    spread(layer.as_mut());
    let (first, _) = batch(6, 90, 1);
    let (second, _) = batch(6, 70, 2);
    let dy = |frames| FrameBuffer::from_frames(&[3], &vec![0.5f32; 3 * frames]).unwrap();
    let alone = |layer: &mut dyn Layer, x: &FrameBuffer| {
        let (_, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        layer.backward(saved, &dy(x.frames()), true, &Cpu::new()).unwrap()
    };
    let (want_first, want_second) = (alone(layer.as_mut(), &first), alone(layer.as_mut(), &second));
    let (_, saved_first) = layer.forward(Arc::new(first), &Cpu::new()).unwrap();
    let (_, saved_second) = layer.forward(Arc::new(second), &Cpu::new()).unwrap();
    assert_eq!(layer.backward(saved_second, &dy(70), true, &Cpu::new()).unwrap(), want_second);
    assert_eq!(layer.backward(saved_first, &dy(90), true, &Cpu::new()).unwrap(), want_first);
}

#[test]
fn running_averages_follow_the_batches() {
    let norm = BatchNorm { momentum: 0.9, ..BatchNorm::default() };
    let spec = LutLayer::new(1).fan_in(2).wiring(WiringRule::Serial).batch_norm(Some(norm));
    let mut layer = spec.build(&site(&[2])).unwrap();
    layer.parameters_mut()[0].values.copy_from_slice(&[0.1, 0.4, 0.6, 0.9]);
    let bits = [false, false, true, false, false, true, true, true];
    let x = Arc::new(FrameBuffer::from_frame_bits(&[2], &bits).unwrap());
    let (_, saved) = layer.forward(x, &Cpu::new()).unwrap();
    let dy = FrameBuffer::from_frames(&[1], &[0f32; 4]).unwrap();
    assert_eq!(layer.backward(saved, &dy, false, &Cpu::new()).unwrap(), None);
    for (tensor, want) in layer.state().into_iter().skip(2).zip([0.05, 0.902_125]) {
        let StateData::F32(values) = tensor.data else { panic!("statistics are real") };
        assert_relative_eq!(values[0], want, max_relative = 1e-6);
    }
}

#[test]
fn settings_are_checked() {
    let bits = site(&[4]);
    let error = |spec: LutLayer| spec.build(&bits).unwrap_err().to_string();
    assert!(error(LutLayer::new(0)).contains("nodes"));
    assert!(error(LutLayer::new(3).fan_in(9)).contains("fan_in"));
    let momentum = |momentum| Some(BatchNorm { momentum, ..BatchNorm::default() });
    assert!(error(LutLayer::new(3).batch_norm(momentum(1.0))).contains("momentum"));
    assert!(error(LutLayer::new(3).batch_norm(momentum(f32::NAN))).contains("momentum"));
    let numbers = Site::alone(Signal { dtype: DType::U8, shape: vec![4] }, "0.lut", 11);
    let refused = LutLayer::new(3).build(&numbers).unwrap_err().to_string();
    assert_eq!(
        refused,
        "0.lut: expected bits (put a threshold encoder before it), got u8 of shape [4]"
    );
}

#[test]
fn not_a_number_is_named() {
    let mut layer = LutLayer::new(2).fan_in(2).build(&site(&[4])).unwrap();
    layer.parameters_mut()[0].values[3] = f32::NAN;
    let (x, _) = batch(4, 10, 1);
    let error = layer.evaluate(&x, &Cpu::new()).unwrap_err().to_string();
    assert_eq!(error, "0.lut: a parameter is not a finite number");
    assert!(layer.forward(Arc::new(x), &Cpu::new()).is_err());
}

/// A frozen layer gives in training what it gives in evaluation, keeps its statistics and steps,
/// and sends the gradient through them as through constants.
#[test]
fn a_frozen_layer_is_constant() {
    let (sources, nodes, frames) = (8, 5, 130);
    let norm = BatchNorm { gamma: 1.0, beta: 0.5, momentum: 0.25 };
    for fan_in in [1, 3, 6] {
        let spec = LutLayer::new(nodes).fan_in(fan_in).batch_norm(Some(norm));
        let mut layer = spec.build(&site(&[sources])).unwrap();
        let weights = spread(layer.as_mut());
        let (x, rows) = batch(sources, frames, 3);
        let x = Arc::new(x);
        let mut stream = rng::stream(6, &[]);
        let dy: Vec<f32> = (0..nodes * frames).map(|_| rng::normal(&mut stream)).collect();
        let dy = FrameBuffer::from_frames(&[nodes], &dy).unwrap();
        let (_, saved) = layer.forward(x.clone(), &Cpu::new()).unwrap();
        layer.backward(saved, &dy, false, &Cpu::new()).unwrap(); // statistics of their own
        layer.parameters_mut()[0].gradient.fill(0.0);
        layer.base_mut().set_frozen(true);
        let before = layer.state();
        let (y, saved) = layer.forward(x.clone(), &Cpu::new()).unwrap();
        assert_eq!(y, layer.evaluate(&x, &Cpu::new()).unwrap());
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(layer.state(), before);
        assert!(layer.parameters()[0].gradient.iter().all(|&gradient| gradient == 0.0));

        let numbers = |at: usize| match &before[at].data {
            StateData::F32(values) => values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
            StateData::U32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        };
        let (wiring, mean, variance) = (numbers(0), numbers(2), numbers(3));
        let mut gates = [0usize; 2];
        for (frame, row) in rows.iter().enumerate() {
            let mut want = vec![0f64; sources];
            for node in 0..nodes {
                let inputs = &wiring[node * fan_in..][..fan_in];
                // The multilinear function of inputs at a half ± a quarter, but one.
                let value = |other: Option<(usize, bool)>| -> f64 {
                    let weight = |k: usize| -> f64 {
                        let factor = |(i, &source): (usize, &f64)| {
                            let (one, full) = match other {
                                Some((at, bit)) if at == i => (bit, 1.0),
                                _ => (row[source as usize], 0.75),
                            };
                            if (k >> i & 1 == 1) == one { full } else { 1.0 - full }
                        };
                        inputs.iter().enumerate().map(factor).product()
                    };
                    let table = &weights[node << fan_in..(node + 1) << fan_in];
                    table.iter().enumerate().map(|(k, &w)| f64::from(w) * weight(k)).sum()
                };
                let rstd = 1.0 / variance[node].sqrt();
                let v = (value(None) - mean[node]) * rstd + 0.5;
                let open = v > 0.0 && v < 1.0;
                gates[usize::from(open)] += 1;
                let du = if open { rstd } else { 0.0 };
                let du = du * f64::from(dy.row::<f32>(node).unwrap()[frame]);
                for (i, &source) in inputs.iter().enumerate() {
                    // Along its input the function grows by this from 0 to 1.
                    let slope = value(Some((i, true))) - value(Some((i, false)));
                    want[source as usize] += du * slope;
                }
            }
            for (source, want) in want.into_iter().enumerate() {
                let got = f64::from(dx.row::<f32>(source).unwrap()[frame]);
                assert_relative_eq!(got, want, max_relative = LOOSE, epsilon = LOOSE);
            }
        }
        assert!(gates.iter().all(|&count| count > 0), "{gates:?}");
        // Let loose, it learns again.
        layer.base_mut().set_frozen(false);
        let (_, saved) = layer.forward(x, &Cpu::new()).unwrap();
        layer.backward(saved, &dy, false, &Cpu::new()).unwrap();
        assert_ne!(layer.state(), before);
    }
}

/// The same on real numbers: `dx` is the derivative of the answer with everything else constant.
#[test]
fn a_frozen_layer_of_real_numbers_is_constant() {
    use crate::models::MicroMlp;

    const STEP: f32 = 1e-2;
    let spec = LutLayer::new(4).fan_in(3).real_inputs(true).real_output(true);
    for spec in [spec.clone().model(Smoothed::stochastic()), spec.model(MicroMlp::new(4))] {
        let site = Site::alone(Signal::reals(&[5]), "0.lut", 11);
        let mut layer = spec.build(&site).unwrap();
        let mut stream = rng::stream(5, &[]);
        let x: Vec<f32> = (0..5 * 70).map(|_| rng::uniform(&mut stream)).collect();
        let batch = |x: &[f32]| Arc::new(FrameBuffer::from_frames(&[5], x).unwrap());
        let dy = FrameBuffer::from_frames(&[4], &vec![1f32; 4 * 70]).unwrap();
        let (_, saved) = layer.forward(batch(&x), &Cpu::new()).unwrap();
        layer.backward(saved, &dy, false, &Cpu::new()).unwrap();
        layer.parameters_mut()[0].gradient.fill(0.0);
        layer.base_mut().set_frozen(true);
        let before = layer.state();
        let (y, saved) = layer.forward(batch(&x), &Cpu::new()).unwrap();
        assert_eq!(y, layer.evaluate(&batch(&x), &Cpu::new()).unwrap());
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        assert_eq!(layer.state(), before);
        assert!(layer.parameters()[0].gradient.iter().all(|&gradient| gradient == 0.0));
        let dx = dx.to_frames::<f32>().unwrap();
        let sum = |x: &[f32], frame: usize| -> f32 {
            let y = layer.evaluate(&batch(x), &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
            y[frame * 4..(frame + 1) * 4].iter().sum()
        };
        let mut compared = 0;
        for at in (0..x.len()).step_by(3) {
            let moved = |by: f32| {
                let mut x = x.clone();
                x[at] += by;
                sum(&x, at / 5)
            };
            let (up, here, down) = (moved(STEP), moved(0.0), moved(-STEP));
            // Away from kinks both sides agree.
            if (up - 2.0 * here + down).abs() < 1e-5 {
                let want = (up - down) / (2.0 * STEP);
                assert_relative_eq!(dx[at], want, max_relative = 1e-2, epsilon = 1e-3);
                compared += 1;
            }
        }
        assert!(compared > 50, "{compared}");
    }
}
