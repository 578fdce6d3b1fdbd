use lutweave_nn::{GroupSum, LutLayer, Sequential, Thermometer};
use lutweave_tensor::{Targets, Values};

use super::*;
use crate::{Adam, SoftmaxCrossEntropy};

/// Samples of 16 numbers; the class is which quarter of them is brightest.
fn quarters(samples: usize, seed: u64) -> Dataset {
    let mut stream = rng::stream(seed, &[]);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let label = rng::below(&mut stream, 4);
        labels.push(label as u32);
        values.extend((0..16).map(|i| {
            let bright = if i / 4 == label { 60 } else { 0 };
            (bright + rng::below(&mut stream, 120)) as u8
        }));
    }
    Dataset::new("quarters", &[16], Values::U8(values), Targets::Classes { count: 4, labels })
        .unwrap()
}

fn net(data: &Dataset) -> Network {
    Sequential::new(data.shape())
        .then(Thermometer::uniform(data, 3).unwrap())
        .then(LutLayer::new(80))
        .then(LutLayer::new(40))
        .then(GroupSum::new(4))
        .build(3)
        .unwrap()
}

fn trainer<'a>() -> Trainer<'a> {
    Trainer::new(Adam::new(0.02), SoftmaxCrossEntropy).epochs(8).batch(50)
}

#[test]
fn learns_a_small_task() {
    let (train, test) = (quarters(600, 1), quarters(200, 2));
    let mut net = net(&train);
    let before = accuracy(&net, &test).unwrap();
    let history = trainer().fit(&mut net, &train, &test).unwrap();
    let last = history.epochs.last().unwrap();
    assert!(before < 0.5 && last.test_accuracy > 0.85, "{before} {last:?}");
    assert!(last.loss < history.epochs[0].loss);
    assert_eq!((history.epochs.len(), history.stopped), (8, false));
}

/// A network of bits that become real numbers, and pixels that have classes.
#[test]
fn learns_from_any_kind_of_target() {
    let (train, test) = (quarters(600, 1), quarters(200, 2));
    let wanted = |data: &Dataset, make: fn(Vec<u32>) -> Targets| {
        let labels = data.classes().unwrap().1.to_vec();
        Dataset::new("other", &[16], data.values().clone(), make(labels)).unwrap()
    };
    // The brightest quarter as four numbers.
    let real: fn(Vec<u32>) -> Targets = |labels| {
        let one_hot = |label: u32| (0..4).map(move |class| f32::from(u8::from(class == label)));
        Targets::Real { shape: vec![4], values: labels.into_iter().flat_map(one_hot).collect() }
    };
    // Of two positions, whether the quarter's number has that bit.
    let pixels: fn(Vec<u32>) -> Targets = |labels| {
        let bits = labels.into_iter().flat_map(|label| [label & 1, label >> 1]).collect();
        Targets::Pixels { count: 2, shape: vec![2], labels: bits }
    };
    let run = |make, loss: Box<dyn Loss>, shape: &[usize]| {
        let (train, test) = (wanted(&train, make), wanted(&test, make));
        let mut net = Sequential::new(train.shape())
            .then(Thermometer::uniform(&train, 3).unwrap())
            .then(LutLayer::new(80))
            .then(LutLayer::new(40))
            .then(lutweave_nn::BinaryToReal::new().output(shape))
            .build(3)
            .unwrap();
        let trainer = Trainer::new(Adam::new(0.02), loss).epochs(8).batch(50);
        trainer.fit(&mut net, &train, &test).unwrap().epochs
    };
    let epochs = run(real, Box::<crate::MeanSquaredError>::default(), &[4]);
    let (first, last) = (&epochs[0], &epochs[7]);
    assert_eq!(last.metric, "mean squared error");
    assert!(last.test_accuracy < 0.12 && last.loss < first.loss, "{last:?}");
    let epochs = run(pixels, Box::new(SoftmaxCrossEntropy), &[2, 2]);
    let last = &epochs[7];
    assert_eq!(last.metric, "accuracy");
    assert!(last.test_accuracy > 0.85, "{last:?}");
}

#[test]
fn threads_do_not_change_a_bit() {
    let (train, test) = (quarters(300, 1), quarters(50, 2));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut net = net(&train);
            trainer().epochs(3).fit(&mut net, &train, &test).unwrap();
            net.state()
        })
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn a_callback_can_stop() {
    let (train, test) = (quarters(100, 1), quarters(50, 2));
    let mut steps = 0;
    let history =
        trainer()
            .on_step(|progress| steps = progress.steps)
            .on_epoch(|epoch, _| {
                if epoch.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .fit(&mut net(&train), &train, &test)
            .unwrap();
    assert_eq!((history.epochs.len(), history.stopped, steps), (2, true, 2));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let (train, test) = (quarters(100, 1), quarters(50, 2));
    let five = Targets::Classes { count: 5, labels: vec![4] };
    let five = Dataset::new("five", &[16], Values::U8(vec![0; 16]), five).unwrap();
    let mut net = net(&train);
    let error = |trainer: Trainer<'_>, net: &mut Network, test: &Dataset| {
        trainer.fit(net, &train, test).unwrap_err().to_string()
    };
    assert!(error(trainer().epochs(0), &mut net, &test).contains("epochs"));
    assert!(error(trainer().batch(0), &mut net, &test).contains("batch"));
    let refused = error(trainer(), &mut net, &five);
    assert_eq!(
        refused,
        "data set `five`: expected at most 4 classes, one per output of the network, got 5 classes"
    );
    let nan = Trainer::new(Adam::new(f32::NAN), SoftmaxCrossEntropy);
    assert!(error(nan, &mut net, &test).contains("learning rate"));
}
