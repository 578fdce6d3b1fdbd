//! LUT layers on a device against the same layers on the host: every model, with and without noise, learned
//! wiring and frozen parameters, odd numbers of frames, threads in two orders.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::{Backend, Cpu, Cuda, Schedule};
use lutweave_lut::Padding;
use lutweave_nn::models::micro_mlp::Activation;
use lutweave_nn::models::{
    Average, Binary, GateMixture, HardTable, Light, Max, MicroMlp, Smoothed, Walsh,
};
use lutweave_nn::{Convolution, LayerSpec as _, LutLayer, Sequential, StateData, WiringRule};
use lutweave_tensor::{DType, FrameBuffer, rng};

/// Agreement of sums in another order and of exponentials, as part of the largest.
const LOOSE: f32 = 1e-4;

const INPUTS: usize = 20;
const NODES: usize = 9;

/// Kernels emulated, with threads and blocks in two orders; the GPU where one is required.
fn devices() -> Vec<Cuda> {
    if std::env::var("LUTWEAVE_REQUIRE_CUDA").is_ok_and(|value| value == "1") {
        return vec![Cuda::new(0).unwrap()];
    }
    [Schedule::Rising, Schedule::Falling].map(|order| Cuda::emulated(order, 1).unwrap()).into()
}

fn layers() -> Vec<LutLayer> {
    let lut = |fan_in| LutLayer::new(NODES).fan_in(fan_in);
    let learned = WiringRule::Learned { candidates: Some(9) };
    let mut all = vec![
        lut(6).model(Smoothed::stochastic()).batch_norm(None),
        lut(8),
        lut(5).model(HardTable::default()),
        lut(6).model(Light::default().noise(0.5)).batch_norm(None),
        lut(3).model(Light::sine()),
        lut(6).model(Walsh { noise: 0.3, ..Walsh::default() }),
        lut(2).model(GateMixture::default().noise(0.5)).batch_norm(None),
        lut(3).model(Binary).batch_norm(None),
        lut(3).model(Average).batch_norm(None),
        lut(4).model(Max).batch_norm(None),
        lut(6).wiring(learned.clone()),
        lut(3).model(Walsh { noise: 0.3, ..Walsh::default() }).wiring(learned),
    ];
    for (activation, fan_in, units) in [
        (Activation::Relu, 6, 16),
        (Activation::LeakyRelu, 1, 1),
        (Activation::Tanh, 4, 33),
        (Activation::HardTanh, 2, 9),
        (Activation::Sigmoid, 8, 5),
    ] {
        let layer = lut(fan_in).model(MicroMlp::new(units).activation(activation));
        all.push(layer.clone().real_output(true));
        all.push(layer.real_output(true).real_inputs(true));
    }
    all
}

/// What two steps of a layer leave: answers, gradients of inputs, of parameters, and its state.
fn run(
    layer: &LutLayer,
    frozen: bool,
    frames: usize,
    backend: &dyn Backend,
) -> (Vec<FrameBuffer>, Vec<(String, Vec<f32>)>) {
    let mut stream = rng::stream(8, &[frames as u64]);
    let bits: Vec<bool> = (0..INPUTS * frames).map(|_| rng::below(&mut stream, 3) == 1).collect();
    let x = Arc::new(FrameBuffer::from_frame_bits(&[INPUTS], &bits).unwrap());
    // Real numbers where the layer reads them.
    let reads = if layer.config()["real_inputs"] == true { DType::F32 } else { DType::Bit };
    let x = if reads == DType::F32 {
        let numbers: Vec<f32> = (0..INPUTS * frames).map(|_| rng::normal(&mut stream)).collect();
        Arc::new(FrameBuffer::from_frames(&[INPUTS], &numbers).unwrap())
    } else {
        x
    };
    let dy: Vec<f32> = (0..NODES * frames).map(|_| rng::normal(&mut stream)).collect();
    let dy = FrameBuffer::from_frames(&[NODES], &dy).unwrap();
    let mut net = Sequential::new(&[INPUTS]).reading(reads).then(layer.clone()).build(3).unwrap();
    net.freeze(|_| frozen);
    let (mut answers, mut numbers) = (Vec::new(), Vec::new());
    net.for_each_mut(|layer| {
        if layer.base().path() != "0.lut" {
            return;
        }
        for step in 0..2 {
            let (y, saved) = layer.forward(Arc::clone(&x), backend).unwrap();
            let dx = layer.backward(saved, &dy, true, backend).unwrap().unwrap();
            answers.push(y);
            numbers.push((format!("dx {step}"), dx.rows::<f32>().unwrap().to_vec()));
        }
        for parameter in layer.parameters() {
            numbers.push((format!("d{}", parameter.name), parameter.gradient.to_vec()));
        }
        for tensor in layer.state() {
            let values = match tensor.data {
                StateData::F32(values) => values,
                StateData::U32(values) => values.iter().map(|&value| value as f32).collect(),
            };
            numbers.push((tensor.name, values));
        }
    });
    (answers, numbers)
}

/// A convolution of micro-MLPs on real numbers, past the borders of an image: what it gives, and the
/// gradients of its parameters and its input.
fn filtered(frames: usize, backend: &dyn Backend) -> Vec<Vec<f32>> {
    let mut stream = rng::stream(9, &[]);
    let mut normals = |n: usize| (0..n).map(|_| rng::normal(&mut stream)).collect::<Vec<f32>>();
    let x = FrameBuffer::from_frames(&[2, 3, 4], &normals(24 * frames)).unwrap();
    let dy = FrameBuffer::from_frames(&[5, 3, 4], &normals(60 * frames)).unwrap();
    let lut = LutLayer::new(5).fan_in(3).model(MicroMlp::new(6)).real_inputs(true);
    let filter = Convolution::new([2, 2], lut.real_output(true)).padding(Padding::Same);
    let mut net = Sequential::new(&[2, 3, 4]).reading(DType::F32).then(filter).build(3).unwrap();
    let mut found = Vec::new();
    net.for_each_mut(|layer| {
        if layer.base().path() != "0.convolution" {
            return;
        }
        let (y, saved) = layer.forward(Arc::new(x.clone()), backend).unwrap();
        let dx = layer.backward(saved, &dy, true, backend).unwrap().unwrap();
        found = vec![y.rows::<f32>().unwrap().to_vec(), dx.rows::<f32>().unwrap().to_vec()];
    });
    let parameters = net.parameters_mut();
    found.extend(parameters.iter().map(|parameter| parameter.gradient.to_vec()));
    found
}

#[test]
fn filters_of_micro_mlps_compute_what_the_host_computes() {
    for frames in [1, 33, 130] {
        let want = filtered(frames, &Cpu::new());
        assert_eq!(want.len(), 3);
        for cuda in devices() {
            let got = filtered(frames, &cuda);
            for (got, want) in got.iter().zip(&want) {
                let most = want.iter().fold(0.1f32, |most, value| most.max(value.abs()));
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= LOOSE * most;
                assert!(got.len() == want.len() && got.iter().zip(want).all(near), "{frames}");
            }
        }
    }
}

#[test]
fn every_model_computes_what_the_host_computes() {
    let devices = devices();
    for layer in layers() {
        for (frozen, frames) in [(false, 7), (false, 65), (true, 1), (false, 130)] {
            let (want_answers, want) = run(&layer, frozen, frames, &Cpu::new());
            let (answers, got) = run(&layer, frozen, frames, &devices[0]);
            for other in &devices[1..] {
                let other = run(&layer, frozen, frames, other);
                assert!(other.0 == answers && other.1 == got, "{layer:?}, {frames}");
            }
            for (answer, want) in answers.iter().zip(&want_answers) {
                if answer.dtype() == DType::Bit {
                    assert!(answer == want, "{layer:?}, frozen {frozen}, {frames}");
                    continue;
                }
                let (a, b) = (answer.rows::<f32>().unwrap(), want.rows::<f32>().unwrap());
                assert!(
                    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= LOOSE),
                    "{layer:?}, {frames}"
                );
            }
            assert_eq!(got.len(), want.len());
            for ((name, got), (_, want)) in got.iter().zip(&want) {
                // Of few frames batch norm leaves little of a gradient but rounding.
                let most = want.iter().fold(0.1f32, |most, value| most.max(value.abs()));
                let far = got.iter().zip(want).find(|(a, b)| (*a - *b).abs() > LOOSE * most);
                assert!(far.is_none(), "{layer:?}, frozen {frozen}, {frames}, {name}: {far:?}");
            }
        }
    }
    for cuda in &devices {
        cuda.synchronise().unwrap();
    }
}
