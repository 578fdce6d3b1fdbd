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
