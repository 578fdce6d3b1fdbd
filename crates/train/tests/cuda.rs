//! The same training on the CPU and on CUDA: the same bits forward, losses within a tolerance.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::{Backend, Cpu, Cuda, Schedule};
use lutweave_lut::Padding;
use lutweave_nn::{
    Convolution, Dense, GroupSum, LutLayer, MaxPool, Network, Sequential, WiringRule,
};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Targets, Values, rng};
use lutweave_train::{Adam, SoftmaxCrossEntropy, Trainer};

/// Relative tolerance of the loss of a few steps: sums of gradients differ in their order.
const LOOSE: f64 = 1e-4;

/// Bits that say which of three classes a sample is, but for every fourth.
fn samples(shape: &[usize]) -> Dataset {
    let (mut stream, size) = (rng::stream(3, &[]), shape.iter().product::<usize>());
    let labels: Vec<u32> = (0..90).map(|sample| sample % 3).collect();
    let draw = |&label: &u32| -> Vec<u8> {
        let odd = |n: usize| n % 3 == label as usize;
        (0..size).map(|n| u8::from(odd(n) ^ (rng::below(&mut stream, 4) == 0))).collect()
    };
    let values = Values::U8(labels.iter().flat_map(draw).collect());
    Dataset::new("bits", shape, values, Targets::Classes { count: 3, labels }).unwrap()
}

/// Convolution, pooling, LUT layers on bits and on reals, batch normalisation, a dense head.
fn networks() -> [Network; 2] {
    let shape = [1, 6, 6];
    let lut = |nodes| LutLayer::new(nodes).fan_in(4).wiring(WiringRule::Random);
    let image = Sequential::new(&shape)
        .reading(DType::Bit)
        .then(Convolution::new([3, 3], lut(5)).padding(Padding::Same))
        .then(MaxPool::new([2, 2]))
        .then(lut(30))
        .then(GroupSum::new(3).temperature(2.0));
    let plain = Sequential::new(&shape)
        .reading(DType::Bit)
        .then(lut(40))
        .then(lut(24).real_output(true))
        .then(Dense::new(&[3]));
    [image.build(4).unwrap(), plain.build(5).unwrap()]
}

#[test]
fn the_same_training_on_the_cpu_and_on_cuda() {
    let data = samples(&[1, 6, 6]);
    let cuda = Cuda::emulated(Schedule::Shuffled(5), 1).unwrap();
    let backends: [&dyn Backend; 2] = [&Cpu::new(), &cuda];
    for which in 0..2 {
        let x = networks()[which].batch(&data, &(0..90).collect::<Vec<_>>()).unwrap();
        let forward = |backend: &dyn Backend| -> (FrameBuffer, FrameBuffer) {
            let net = networks().into_iter().nth(which).unwrap();
            let (trained, _) = net.forward(Arc::new(x.clone()), backend).unwrap();
            (trained, net.evaluate(&x, backend).unwrap())
        };
        let [want, got] = backends.map(forward);
        if which == 0 {
            assert!(want == got, "sums of bits");
        } else {
            let [want, got] = [want.0, got.0].map(|y| y.to_frames::<f32>().unwrap());
            assert!(
                want.iter().zip(got).all(|(a, b)| (a - b).abs() <= LOOSE as f32 * a.abs().max(1.0))
            );
        }
        let losses = |backend: &dyn Backend| -> Vec<f32> {
            let mut net = networks().into_iter().nth(which).unwrap();
            let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).backend(backend);
            let trainer = trainer.epochs(3).batch(30).seed(2);
            let history = trainer.fit(&mut net, &data, &data).unwrap();
            history.epochs.iter().map(|epoch| epoch.loss).collect()
        };
        let [want, got] = backends.map(losses);
        assert!(want[2] < want[0], "{want:?}");
        for (got, want) in got.iter().zip(&want) {
            let near = f64::from((got - want).abs()) <= LOOSE * f64::from(*want);
            assert!(near, "network {which}: {got} {want}");
        }
    }
}
