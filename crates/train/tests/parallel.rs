//! Several devices train as one that is given the parts of a batch one after the other.
#![allow(clippy::unwrap_used)]

use lutweave_backend::{Backend, Cpu, Cuda, HostReduce, Reduce, Schedule};
use lutweave_nn::models::HardTable;
use lutweave_nn::{Dense, GroupSum, LutLayer, Network, Sequential};
use lutweave_tensor::{Array, DType, Dataset, Targets, Values, rng};
use lutweave_train::{Adam, Drive, Schedule as Rates, SoftmaxCrossEntropy, Trainer};

fn samples() -> Dataset {
    let mut stream = rng::stream(3, &[]);
    let labels: Vec<u32> = (0..75).map(|sample| sample % 3).collect();
    let draw = |&label: &u32| -> Vec<u8> {
        let odd = |n: usize| n % 3 == label as usize;
        (0..20).map(|n| u8::from(odd(n) ^ (rng::below(&mut stream, 4) == 0))).collect()
    };
    let values = Values::U8(labels.iter().flat_map(draw).collect());
    Dataset::new("bits", &[20], values, Targets::Classes { count: 3, labels }).unwrap()
}

fn network(dense: bool) -> Network {
    let body = Sequential::new(&[20]).reading(DType::Bit).then(LutLayer::new(24).fan_in(4));
    let net = if dense {
        body.then(LutLayer::new(15).fan_in(3).real_output(true)).then(Dense::new(&[3]))
    } else {
        let last = LutLayer::new(12).fan_in(3).model(HardTable::default()).batch_norm(None);
        body.then(last).then(GroupSum::new(3).temperature(2.0))
    };
    net.build(4).unwrap()
}

/// Parameters and losses after two epochs; the last batch of each has one part fewer.
fn train(dense: bool, devices: &[&dyn Backend], reduce: &dyn Reduce) -> (Vec<Array>, Vec<f32>) {
    let (data, mut net) = (samples(), network(dense));
    let falling = Drive::layers("momentum", Rates::Cosine);
    let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).backend(devices[0]);
    let trainer = trainer.across(&devices[1..], reduce).epochs(2).batch(32).chunk(16).seed(2);
    let history = trainer.drive(falling).fit(&mut net, &data, &data).unwrap();
    let values = net.parameters_mut().iter().map(|parameter| parameter.values.clone()).collect();
    (values, history.epochs.iter().map(|epoch| epoch.loss).collect())
}

#[test]
fn devices_side_by_side_give_the_bits_of_one() {
    for dense in [false, true] {
        let one = train(dense, &[&Cpu::new()], &HostReduce);
        assert!(one == train(dense, &[&Cpu::new(), &Cpu::new()], &HostReduce), "{dense}");
        let cuda = |seed| Cuda::emulated_lists(Schedule::Shuffled(seed), 1).unwrap();
        let (a, b, c) = (cuda(1), cuda(2), cuda(3));
        let one = train(dense, &[&a], &HostReduce);
        assert!(one == train(dense, &[&b, &c], &HostReduce), "{dense}");
        for cuda in [a, b, c] {
            cuda.synchronise().unwrap();
        }
    }
}

#[test]
fn trainings_in_the_thread_pool_do_not_wait_for_each_other() {
    let devices = [Cpu::new(), Cpu::new()];
    let devices = [&devices[0] as &dyn Backend, &devices[1]];
    let want = train(false, &devices, &HostReduce);
    // As many as there are threads, and a pool of one.
    let all = rayon::broadcast(|_| train(false, &devices, &HostReduce));
    assert!(all.iter().all(|got| *got == want));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(one.install(|| train(false, &devices, &HostReduce)) == want);
}

#[test]
fn a_batch_smaller_than_the_devices_is_refused() {
    let (data, mut net, cpu) = (samples(), network(false), Cpu::new());
    let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).batch(2);
    let error = trainer.across(&[&cpu, &cpu], &HostReduce).fit(&mut net, &data, &data).unwrap_err();
    let says = "expected batch to be at least one sample for each device, got 2 for 3";
    assert!(error.to_string().contains(says), "{error}");
}
