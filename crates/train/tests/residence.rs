//! Where the numbers of a training are: on the device from step to step.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::{Backend, Cpu, Cuda, Schedule, Traffic};
use lutweave_nn::models::{
    Average, Binary, GateMixture, HardTable, Light, Max, MicroMlp, Smoothed, Walsh,
};
use lutweave_nn::{
    BatchNorm, BatchNormalization, BitValues, Dense, GroupSum, LutLayer, LutModel, Network,
    Precision, Quantise, Relu, Sequential, StateData, StochasticBatchNormalization, Thermometer,
    Tie, TiedTo, WiringRule,
};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Target, Targets, Values, rng};
use lutweave_train::metrics::{CategoricalAccuracy, Metric};
use lutweave_train::{
    Adam, Clip, Drive, EncoderCost, Flow, Loss, Optimizer, Schedule as Rates, SoftmaxCrossEntropy,
    Trainer, WalshPenalty,
};

/// Relative tolerance of what differs in the order of sums, and in exponentials.
const LOOSE: f32 = 1e-4;

const FRAMES: usize = 70;

fn batch() -> (Arc<FrameBuffer>, Target) {
    let mut stream = rng::stream(3, &[]);
    let bits: Vec<bool> = (0..20 * FRAMES).map(|_| rng::below(&mut stream, 2) == 1).collect();
    let labels = (0..FRAMES as u32).map(|frame| frame % 3).collect();
    let x = FrameBuffer::from_frame_bits(&[20], &bits).unwrap();
    (Arc::new(x), Target::Classes(labels))
}

/// The batch as a network reads it.
fn batch_of(net: &Network) -> (Arc<FrameBuffer>, Target) {
    let (x, target) = batch();
    let dtype = net.input().dtype;
    (if dtype == DType::Bit { x } else { Arc::new(x.convert(dtype).unwrap()) }, target)
}

/// One layer of the kind to be looked at between two others.
fn network(middle: LutLayer) -> Network {
    Sequential::new(&[20])
        .reading(DType::Bit)
        .then(LutLayer::new(24).fan_in(6))
        .then(middle)
        .then(LutLayer::new(12).fan_in(3).model(HardTable::default()).batch_norm(None))
        .then(GroupSum::new(3).temperature(2.0))
        .build(5)
        .unwrap()
}

/// A step of training: loss and share of right answers.
fn step(net: &mut Network, optimizer: &mut dyn Optimizer, backend: &dyn Backend) -> (f32, f64) {
    let later = backend.step();
    let backend = later.as_deref().unwrap_or(backend);
    let (x, target) = batch_of(net);
    let (y, saved) = net.forward(x, backend).unwrap();
    let whole = SoftmaxCrossEntropy.weight(&target).unwrap();
    let (loss, dy) = SoftmaxCrossEntropy.evaluate_part_on(&y, &target, whole, backend).unwrap();
    net.backward(saved, &dy, backend).unwrap();
    optimizer.update_on(net.parameters_mut(), 0.01, backend).unwrap();
    let mut accuracy = CategoricalAccuracy::new();
    accuracy.add_on(&y, &target, backend).unwrap();
    assert_eq!(backend.fault().unwrap(), None);
    (loss.read().unwrap(), accuracy.value())
}

/// A model that no kernel knows.
#[derive(Debug)]
struct Own;

impl LutModel for Own {
    fn kind(&self) -> &'static str {
        "own"
    }

    fn initialise(&self, rng: &mut rng::Xoshiro256PlusPlus, params: &mut [f32]) {
        params.fill_with(|| rng::uniform(rng));
    }

    fn values(&self, params: &[f32], values: &mut [f32]) {
        values.copy_from_slice(params);
    }

    fn backward(&self, _params: &[f32], dvalues: &[f32], _counts: &[u32], dparams: &mut [f32]) {
        dparams.iter_mut().zip(dvalues).for_each(|(own, dvalue)| *own += dvalue);
    }

    fn slopes(&self, _params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]) {
        let slope = |k: usize| values[k | 1 << i] - values[k & !(1 << i)];
        slopes.iter_mut().enumerate().for_each(|(k, own)| *own = slope(k));
    }
}

fn layers() -> Vec<(LutLayer, bool)> {
    use lutweave_nn::models::micro_mlp::Activation::{HardTanh, LeakyRelu, Relu, Sigmoid, Tanh};
    let lut = |fan_in| LutLayer::new(18).fan_in(fan_in);
    let mut layers: Vec<(LutLayer, bool)> = (1..=8).map(|n| (lut(n), true)).collect();
    layers.extend([
        (lut(6).model(Smoothed::stochastic()).batch_norm(None), true),
        (lut(5).real_output(true), true),
        (lut(4).model(HardTable::default()), true),
        (lut(6).model(Light::default()).batch_norm(None), true),
        (lut(3).model(Light::sine()), true),
        (lut(6).model(Walsh::default()).batch_norm(None), true),
        (lut(2).model(GateMixture::default()), true),
        (lut(2).model(GateMixture::default().noise(0.5)).batch_norm(None), true),
        (lut(3).model(Binary).batch_norm(None), true),
        (lut(3).model(Average).batch_norm(None), true),
        (lut(4).model(Max).batch_norm(None), true),
    ]);
    let units = [Relu, LeakyRelu, Tanh, HardTanh, Sigmoid];
    for (number, activation) in units.into_iter().enumerate() {
        let model = MicroMlp::new([1, 16, 5, 33, 64][number]).activation(activation);
        layers.push((lut([1, 3, 6, 8, 2][number]).model(model), true));
    }
    layers.push((lut(3).model(Own), false)); // the host's
    layers
}

#[test]
fn every_model_trains_alike_where_it_stays_and_where_it_does_not() {
    for (layer, stays) in layers() {
        let cuda = Cuda::emulated(Schedule::Shuffled(4), 1).unwrap();
        let run = |backend: &dyn Backend| {
            let (mut net, mut adam) = (network(layer.clone()), Adam::new(0.01));
            let steps: Vec<_> = (0..3).map(|_| step(&mut net, &mut adam, backend)).collect();
            (net, adam, steps)
        };
        let (mut net, adam, steps) = run(&cuda);
        let own = net.parameters_mut().into_iter().find(|p| p.path.starts_with("1."));
        if let Some(own) = own.filter(|own| stays && !own.values.is_empty()) {
            assert!(own.values.remote().is_some(), "{layer:?}");
        }
        let before = cuda.traffic();
        let (want_net, want_adam, want) = run(&Cpu::new());
        for (got, want) in steps.iter().zip(&want) {
            assert!((got.0 - want.0).abs() <= LOOSE * want.0, "{layer:?}: {got:?} {want:?}");
            assert!((got.1 - want.1).abs() < 1e-9, "{layer:?}");
        }
        let state = |net: &Network, adam: &Adam| [net.state(), adam.state()].concat();
        let (got, want) = (state(&net, &adam), state(&want_net, &want_adam));
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            match (&got.data, &want.data) {
                (StateData::F32(a), StateData::F32(b)) => {
                    let most = b.iter().fold(1e-3f32, |most, b| most.max(b.abs()));
                    // Adam makes a whole step of any gradient, however small.
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 20.0 * LOOSE * most;
                    let far = a.iter().zip(b).filter(|&pair| !close(pair)).count();
                    assert!(far * 100 <= a.len(), "{layer:?} {}: {far}", got.name);
                }
                (a, b) => assert!(a == b, "{layer:?} {}", got.name),
            }
        }
        assert_eq!((cuda.traffic() - before).sent, 0, "looking sends nothing up");
        cuda.synchronise().unwrap();
    }
}

/// Whatever layers and optimizers there are that stay on the device: a network, and what trains it.
fn staying() -> Vec<(&'static str, Network, Box<dyn Optimizer>)> {
    let net = || Sequential::new(&[20]).reading(DType::Bit);
    let body = || net().then(LutLayer::new(24).fan_in(4));
    let adam = || Adam::new(0.01);
    let binary = || Dense::new(&[6]).binary_weights(true);
    let eight = Some(Precision { bits: 8, step: None });
    let rounded = Quantise { weights: eight, inputs: eight, outputs: None };
    let learned = WiringRule::Learned { candidates: Some(9) };
    let learns = || net().then(LutLayer::new(24).fan_in(4).wiring(learned.clone()));
    let reals = |model: Smoothed, norm| {
        let lut = |nodes| LutLayer::new(nodes).model(model).batch_norm(norm).real_inputs(true);
        let net = body().then(Dense::new(&[12])).then(lut(18).fan_in(3).real_output(true));
        net.then(lut(9).fan_in(2))
    };
    let encoded = |encoder: Thermometer| {
        Sequential::new(&[20]).then(encoder).then(LutLayer::new(18).fan_in(3))
    };
    let micro = LutLayer::new(18).model(MicroMlp::new(5)).fan_in(3);
    let micro = micro.real_inputs(true).real_output(true);
    let (light, walsh) = (Light::default(), Walsh { noise: 0.5, ..Walsh::default() });
    let builds: Vec<(&'static str, Sequential)> = vec![
        ("tables", net().then(LutLayer::new(24).fan_in(6)).then(LutLayer::new(18).fan_in(5))),
        ("batch norm", body().then(GroupSum::new(6)).then(BatchNormalization::new())),
        ("fixed range", body().then(GroupSum::new(6)).then(StochasticBatchNormalization::new())),
        ("signs", body().then(binary().bits_as(BitValues::Signs)).then(BatchNormalization::new())),
        ("signs of both", body().then(Dense::new(&[6])).then(binary().binary_inputs(true))),
        ("fixed point", body().then(Dense::new(&[6])).then(Dense::new(&[6]).quantise(rounded))),
        ("wiring", learns().then(LutLayer::new(18).fan_in(3).wiring(learned.clone()))),
        (
            "noise",
            body().then(LutLayer::new(18).fan_in(2).model(GateMixture::default().noise(0.5))),
        ),
        ("logistic noise", body().then(LutLayer::new(18).model(light.noise(0.5)))),
        ("noise of coefficients", body().then(LutLayer::new(18).fan_in(5).model(walsh))),
        ("micro-MLP", body().then(LutLayer::new(18).fan_in(3).model(MicroMlp::new(5)))),
        ("thresholds", encoded(Thermometer::uniform(&samples(), 3).unwrap().learn(0.4))),
        ("one threshold", encoded(Thermometer::fit(&samples(), 1).unwrap().learn(0.4))),
        ("fixed thresholds", encoded(Thermometer::uniform(&samples(), 2).unwrap())),
        ("micro-MLP of reals", body().then(Dense::new(&[12])).then(micro)),
        ("reals", reals(Smoothed::default(), Some(BatchNorm::default()))),
        ("reals without a norm", reals(Smoothed::stochastic(), None)),
        ("bits of reals", body().then(GroupSum::new(6)).then(LutLayer::new(18).fan_in(2))),
    ];
    let build = |sequential: Sequential| sequential.then(Dense::new(&[3])).build(5).unwrap();
    let mut all: Vec<(&'static str, Network, Box<dyn Optimizer>)> = builds
        .into_iter()
        .map(|(name, net)| (name, build(net), Box::new(adam()) as Box<dyn Optimizer>))
        .collect();
    let plain = || build(body());
    all.push(("clip by norm", plain(), Box::new(Clip::by_norm(adam(), 0.01))));
    all.push(("clip by value", plain(), Box::new(Clip::by_value(adam(), 0.001))));
    let (net, scored) = (plain(), build(learns()));
    let penalty = Box::new(WalshPenalty::new(adam(), 0.1, &net));
    all.push(("penalty of degree", net, penalty));
    all.push(("ties", tied(body(), "1.tie"), Box::new(adam())));
    for (name, path) in [("frozen below", "0.lut"), ("frozen between", "1.lut")] {
        let middle = LutLayer::new(18).fan_in(3).wiring(learned.clone());
        let mut net = build(body().then(middle).then(LutLayer::new(12).fan_in(3)));
        assert_eq!(net.freeze(|layer| layer.base().path() == path), 1);
        all.push((name, net, Box::new(adam())));
    }
    let cost = Box::new(EncoderCost::new(adam(), 0.1, &scored));
    all.push(("cost of the encoder", scored, cost));
    all
}

#[test]
fn a_step_copies_its_batch_in_and_its_loss_out() {
    for (name, mut net, mut optimizer) in staying() {
        let cuda = Cuda::emulated_lists(Schedule::Rising, 1).unwrap();
        // Parameters and wiring go up, moments begin as zeros; then every step is like the one before.
        for _ in 0..3 {
            step(&mut net, &mut *optimizer, &cuda);
        }
        let before = cuda.traffic();
        step(&mut net, &mut *optimizer, &cuda);
        let crossed = cuda.traffic() - before;
        let Traffic { sent, fetched, launches, lists, repeated, .. } = crossed;
        let (x, _) = batch_of(&net);
        let labels = 2 * 4 * FRAMES as u64; // for the loss, and for the share that is right
        assert_eq!(sent, x.bytes() as u64 + labels, "{name}: {crossed:?}");
        // The loss, two counts, and flags that say whether all is finite, one for all of them among these.
        assert!(fetched <= 100, "{name}: {crossed:?}");
        assert!(launches <= 72, "{name}: {crossed:?}");
        assert_eq!((lists, repeated), (1, 1), "{name}: {crossed:?}");
        cuda.synchronise().unwrap();
    }
}

#[test]
fn what_stays_trains_as_on_the_host() {
    for (name, mut net, mut optimizer) in staying() {
        let (_, mut other, mut host) =
            staying().into_iter().find(|(own, ..)| *own == name).unwrap();
        let cuda = Cuda::emulated_lists(Schedule::Shuffled(3), 1).unwrap();
        for round in 0..4 {
            let got = step(&mut net, &mut *optimizer, &cuda);
            let want = step(&mut other, &mut *host, &Cpu::new());
            let near = (got.0 - want.0).abs() <= 10.0 * LOOSE * want.0;
            assert!(near, "{name}, {round}: {got:?} {want:?}");
        }
        cuda.synchronise().unwrap();
    }
}

/// Kernels that the one layer of a network launches, forward and backward.
fn launches(mut net: Network, path: &str, want_dx: bool) -> (u64, u64) {
    let cuda = Cuda::emulated(Schedule::Rising, 1).unwrap();
    let (x, _) = batch_of(&net);
    let mut counts = (0, 0);
    net.for_each_mut(|layer| {
        if layer.base().path() != path {
            return;
        }
        for _ in 0..2 {
            let start = cuda.traffic();
            let (y, saved) = layer.forward(Arc::clone(&x), &cuda).unwrap();
            let between = cuda.traffic();
            let dy = FrameBuffer::zeros(DType::F32, y.shape(), FRAMES).unwrap();
            layer.backward(saved, &dy, want_dx, &cuda).unwrap();
            counts = ((between - start).launches, (cuda.traffic() - between).launches);
        }
    });
    counts
}

#[test]
fn a_layer_is_three_launches_each_way() {
    let lut = |fan_in| LutLayer::new(18).fan_in(fan_in);
    for (name, layer) in [
        ("tables", lut(6)),
        ("real output", lut(5).real_output(true)),
        ("micro-MLP", lut(3).model(MicroMlp::default())),
        ("noise", lut(2).model(GateMixture::default().noise(0.5))),
        ("wiring", lut(3).wiring(WiringRule::Learned { candidates: Some(9) })),
    ] {
        let net = || Sequential::new(&[20]).reading(DType::Bit).then(layer.clone()).build(5);
        assert_eq!(launches(net().unwrap(), "0.lut", true), (3, 3), "{name}");
        let first = if name == "wiring" { 2 } else { 1 }; // sums of candidates
        assert_eq!(launches(net().unwrap(), "0.lut", false), (3, first), "{name}, the first");
        let mut frozen = net().unwrap();
        frozen.freeze(|_| true);
        let chosen = if name == "wiring" { 2 } else { 0 }; // apart, and turned around
        assert_eq!(launches(frozen, "0.lut", true), (2 + chosen, 3), "{name}, frozen");
    }
    let reals = || Sequential::new(&[20]).reading(DType::F32);
    let models = [lut(3), lut(3).model(Smoothed::stochastic()), lut(3).model(MicroMlp::new(5))];
    for lut in models {
        for bits in [false, true] {
            let lut = lut.clone().real_inputs(true).real_output(!bits);
            let net = reals().then(lut.clone()).build(5).unwrap();
            assert_eq!(launches(net, "0.lut", true), (3, 3), "on reals: {lut:?}");
        }
    }
    let eight = Some(Precision { bits: 8, step: None });
    let rounded = Quantise { weights: eight, inputs: eight, outputs: eight };
    let dense = || Dense::new(&[12]);
    let signs = dense().binary_weights(true).binary_inputs(true);
    for dense in [dense(), signs, dense().quantise(rounded)] {
        let net = reals().then(dense.clone()).build(5).unwrap();
        assert_eq!(launches(net, "0.dense", true), (1, 3), "{dense:?}");
    }
    let tied = tied(Sequential::new(&[20]).reading(DType::Bit), "0.tie");
    assert_eq!(launches(tied, "0.tie", true), (3 + 1, 3 + 2), "tie");
    let encoder = Thermometer::uniform(&samples(), 3).unwrap();
    let net = |encoder| Sequential::new(&[20]).then(encoder).build(5).unwrap();
    assert_eq!(launches(net(encoder.clone()), "0.thermometer", false), (1, 0));
    // With one look at whether the thresholds are finite.
    assert_eq!(launches(net(encoder.learn(0.4)), "0.thermometer", false), (3, 2));
}

/// A network with a layer some of whose nodes are tied to constants and inputs.
fn tied(below: Sequential, path: &str) -> Network {
    let net = below.then(Tie::of(LutLayer::new(18).fan_in(3))).then(Dense::new(&[3]));
    let mut net = net.build(5).unwrap();
    let input = |node: usize, inverted: bool| Some(TiedTo::Input { node, inverted });
    let constant = |one: bool| Some(TiedTo::Constant(one));
    let ties = [None, constant(true), input(3, false), input(5, true), input(3, true)];
    let ties: Vec<Option<TiedTo>> = (0..18).map(|node| ties[node % 5]).collect();
    let mut found = 0;
    net.for_each_mut(|layer| {
        if layer.base().path() == path {
            layer.restore(&[Tie::state(&ties)]).unwrap();
            found += 1;
        }
    });
    assert_eq!(found, 1);
    net
}

/// Samples of three classes, by which bits are set.
fn samples() -> Dataset {
    let mut stream = rng::stream(3, &[]);
    let labels: Vec<u32> = (0..90).map(|sample| sample % 3).collect();
    let draw = |&label: &u32| -> Vec<u8> {
        let odd = |n: usize| n % 3 == label as usize;
        (0..20).map(|n| u8::from(odd(n) ^ (rng::below(&mut stream, 4) == 0))).collect()
    };
    let values = Values::U8(labels.iter().flat_map(draw).collect());
    Dataset::new("bits", &[20], values, Targets::Classes { count: 3, labels }).unwrap()
}

/// What a training with schedules leaves, and what each step asked of the device.
fn trained(
    (net, optimizer): (&mut Network, Box<dyn Optimizer>),
    cuda: &Cuda,
) -> (Vec<StateData>, Vec<f32>, Vec<Traffic>) {
    let (data, mut losses, mut steps) = (samples(), Vec::new(), Vec::new());
    let before = std::cell::Cell::new(cuda.traffic());
    let trainer = Trainer::new(optimizer, SoftmaxCrossEntropy).backend(cuda).steps(6).batch(15);
    let trainer = trainer.schedule(Rates::Cosine).drive(Drive::optimizer("beta1", Rates::Cosine));
    let trainer = trainer.soft_samples(1).on_step(|progress| {
        losses.push(progress.loss);
        steps.push(cuda.traffic() - before.replace(cuda.traffic()));
        Flow::Continue
    });
    trainer.fit(net, &data, &data).unwrap();
    (net.state().into_iter().map(|tensor| tensor.data).collect(), losses, steps)
}

#[test]
fn a_whole_step_is_one_list_and_gives_the_bits_of_kernels_one_by_one() {
    let one_by_one = Cuda::emulated(Schedule::Rising, 1).unwrap();
    for ((name, mut net, optimizer), (_, mut other, same)) in staying().into_iter().zip(staying()) {
        let lists = Cuda::emulated_lists(Schedule::Shuffled(8), 1).unwrap();
        let (state, losses, steps) = trained((&mut net, optimizer), &lists);
        let (want, want_losses, _) = trained((&mut other, same), &one_by_one);
        assert!(state == want && losses == want_losses, "{name}: {losses:?} {want_losses:?}");
        for step in &steps[3..] {
            assert_eq!((step.lists, step.repeated), (1, 1), "{name}: {step:?}");
        }
        lists.synchronise().unwrap();
    }
}

#[test]
fn a_number_that_is_none_ends_the_step_that_made_it() {
    let data = samples();
    let fit = |value: f32, path: &str, backend: &dyn Backend| {
        let net = Sequential::new(&[20]).reading(DType::Bit).then(LutLayer::new(9).fan_in(3));
        let net = net.then(Dense::new(&[6])).then(Relu::new()).then(Dense::new(&[3]));
        let mut net = net.build(5).unwrap();
        let parameters = net.parameters_mut();
        let own = parameters.into_iter().find(|parameter| parameter.path == path).unwrap();
        own.values.fill(value);
        let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).backend(backend);
        trainer.steps(2).batch(30).fit(&mut net, &data, &data).unwrap_err().to_string()
    };
    let cuda = Cuda::emulated_lists(Schedule::Rising, 1).unwrap();
    for (value, path) in
        [(f32::NAN, "1.dense.weights"), (f32::INFINITY, "3.dense.bias"), (3e38, "1.dense.weights")]
    {
        let want = fit(value, path, &Cpu::new());
        assert_eq!(fit(value, path, &cuda), want);
        assert!(want.contains("what it gives is not a finite number"), "{want}");
    }
    // A loss may be none where all scores are numbers.
    let diverged = |backend: &dyn Backend| {
        let mut net = network(LutLayer::new(18));
        let loss = Broken;
        let trainer = Trainer::new(Adam::new(0.01), loss).backend(backend).steps(2).batch(30);
        trainer.fit(&mut net, &data, &data).unwrap_err().to_string()
    };
    assert_eq!(diverged(&cuda), diverged(&Cpu::new()));
    assert!(diverged(&cuda).contains("the loss is NaN"));
}

/// A loss that is no number.
#[derive(Debug)]
struct Broken;

impl Loss for Broken {
    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        _target: &Target,
        _whole: f64,
    ) -> lutweave_train::Result<(f32, FrameBuffer)> {
        Ok((f32::NAN, y.clone()))
    }
}
