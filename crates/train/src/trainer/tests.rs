use std::ops::ControlFlow;

use lutweave_nn::{Dense, Dropout, GroupSum, LutLayer, Sequential, StateTensor, Thermometer};
use lutweave_tensor::{DType, Targets, Values, rng};

use super::*;
use crate::{Adam, Sgd, SoftmaxCrossEntropy};

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
    assert!(before < 0.5 && last.frozen > 0.85, "{before} {last:?}");
    assert!(last.loss < history.epochs[0].loss);
    // Much moves while statistics and tables are learned, little at the end of the schedule.
    let flips: Vec<f64> = history.epochs.iter().map(|epoch| epoch.flips.unwrap()).collect();
    let most = flips.iter().copied().fold(0.0, f64::max);
    assert!(flips[7] > 0.0 && most > 4.0 * flips[7] && most < 1.0, "{flips:?}");
    assert_eq!((history.epochs.len(), history.stopped), (8, false));
}

/// Which of two classes a number is of is decided at 200; the quantile lies in the middle of all
/// numbers, which tells nothing of it.
#[test]
fn a_learned_threshold_finds_what_a_quantile_misses() {
    let mut stream = rng::stream(4, &[]);
    let values: Vec<u8> = (0..1000).map(|_| rng::below(&mut stream, 256) as u8).collect();
    let labels = values.iter().map(|&value| u32::from(value > 200)).collect();
    let targets = Targets::Classes { count: 2, labels };
    let data = Dataset::new("edge", &[1], Values::U8(values), targets).unwrap();
    let run = |encoder: Thermometer| {
        let mut net = Sequential::new(&[1])
            .then(encoder)
            .then(LutLayer::new(8).fan_in(1))
            .then(GroupSum::new(2))
            .build(1)
            .unwrap();
        let trainer = Trainer::new(Adam::new(0.02), SoftmaxCrossEntropy).epochs(15).batch(50);
        trainer.fit(&mut net, &data, &data).unwrap();
        (accuracy(&net, &data).unwrap(), net.to_netlist("edge").unwrap().to_text())
    };
    let fitted = Thermometer::fit(&data, 1).unwrap();
    let (fixed, _) = run(fitted.clone());
    let (learned, netlist) = run(fitted.learn(64.0));
    assert!(fixed < 0.85 && learned > 0.98, "{fixed} {learned}");
    assert_eq!(netlist.matches("at_least").count(), 1, "{netlist}");
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
    assert!(last.frozen < 0.12 && last.loss < first.loss, "{last:?}");
    let epochs = run(pixels, Box::new(SoftmaxCrossEntropy), &[2, 2]);
    let last = &epochs[7];
    assert_eq!(last.metric, "accuracy");
    assert!(last.frozen > 0.85, "{last:?}");
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

/// A network that draws noise in every step.
fn noisy(data: &Dataset) -> Network {
    Sequential::new(data.shape())
        .then(Thermometer::uniform(data, 3).unwrap())
        .then(LutLayer::new(40))
        .then(LutLayer::new(20).real_output(true))
        .then(Dropout::new(0.2))
        .then(Dense::new(&[4]))
        .build(3)
        .unwrap()
}

#[test]
fn going_on_from_a_checkpoint_is_as_if_never_stopped() {
    let (train, test) = (quarters(230, 1), quarters(70, 2));
    let trainer = || trainer().epochs(3).batch(50).keep_best(true).soft_samples(30);
    let figures = |history: &History| -> Vec<(f32, [f64; 5])> {
        let numbers = |e: &Epoch| (e.loss, [e.train, e.soft, e.frozen, e.gap, e.flips.unwrap()]);
        history.epochs.iter().map(numbers).collect()
    };
    let mut whole = noisy(&train);
    let unbroken = trainer().fit(&mut whole, &train, &test).unwrap();
    for stop in [1, 4, 5, 6, 14, 15] {
        let (mut saved, mut steps, mut net) = (None, 0, noisy(&train));
        let history = trainer()
            .on_step(|_| {
                steps += 1;
                if steps == stop { Flow::Stop } else { Flow::Continue }
            })
            .on_checkpoint(|net, checkpoint| {
                saved = Some((net.state(), checkpoint.clone()));
                Ok(())
            })
            .fit(&mut net, &train, &test)
            .unwrap();
        assert!(history.stopped);
        let (state, checkpoint) = saved.unwrap();
        let mut net = noisy(&train);
        net.restore(&state).unwrap();
        let history = trainer().resume(checkpoint).fit(&mut net, &train, &test).unwrap();
        assert_eq!(net.state(), whole.state(), "stopped after step {stop}");
        assert_eq!(figures(&history), figures(&unbroken));
        assert_eq!(history.best, unbroken.best);
    }
}

/// Hyperparameters that schedules change have their values again, those of layers too.
#[test]
fn driven_hyperparameters_go_on_as_if_never_stopped() {
    let (train, test) = (quarters(230, 1), quarters(70, 2));
    let trainer = |driven: bool| {
        let sgd = Sgd::new(0.05).momentum(0.9).weight_decay(1e-3);
        let trainer = Trainer::new(sgd, SoftmaxCrossEntropy).epochs(3).batch(50).keep_best(true);
        if !driven {
            return trainer;
        }
        trainer
            .drive(Drive::optimizer("momentum", Schedule::Cosine))
            .drive(Drive::layers("rate", Schedule::Exponential { last: 0.1 }))
            .drive(Drive::layers("momentum", Schedule::Shift { every: 4 }))
    };
    let mut whole = noisy(&train);
    trainer(true).fit(&mut whole, &train, &test).unwrap();
    let mut undriven = noisy(&train);
    trainer(false).fit(&mut undriven, &train, &test).unwrap();
    assert!(undriven.parameters_mut()[0].values != whole.parameters_mut()[0].values);
    for stop in [1, 5, 7] {
        let (mut saved, mut steps, mut net) = (None, 0, noisy(&train));
        trainer(true)
            .on_step(|_| {
                steps += 1;
                if steps == stop { Flow::Stop } else { Flow::Continue }
            })
            .on_checkpoint(|net, checkpoint| {
                saved = Some((net.state(), checkpoint.clone()));
                Ok(())
            })
            .fit(&mut net, &train, &test)
            .unwrap();
        let (state, checkpoint) = saved.unwrap();
        let mut net = noisy(&train);
        net.restore(&state).unwrap();
        trainer(true).resume(checkpoint).fit(&mut net, &train, &test).unwrap();
        assert_eq!(net.state(), whole.state(), "stopped after step {stop}");
    }
    let unknown = trainer(true).drive(Drive::layers("rat", Schedule::Cosine));
    let error = unknown.fit(&mut net(&train), &train, &test).unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let data = quarters(100, 1);
    let with = |position| Checkpoint { position, ..Checkpoint::default() };
    let best = Best { epoch: 1, frozen: 0.5, state: Vec::new() };
    let cases = [
        Checkpoint { best: Some(best), ..Checkpoint::default() },
        with(Position { epoch: 9, ..Position::default() }),
        with(Position { step: 3, ..Position::default() }),
        with(Position { epoch: 1, ..Position::default() }),
        with(Position { seconds: f64::NAN, ..Position::default() }),
        Checkpoint { optimizer: vec![StateTensor::f32("m", &[])], ..Checkpoint::default() },
    ];
    for checkpoint in cases {
        let result = trainer().resume(checkpoint).fit(&mut net(&data), &data, &data);
        assert!(matches!(result, Err(Error::State { .. })));
    }
}

/// Without batch norm, a batch in parts is the batch.
#[test]
fn parts_of_a_batch_add_up() {
    let data = quarters(100, 1);
    let run = |chunk| {
        let dense = Dense::new(&[4]);
        let mut net = Sequential::new(&[16]).reading(DType::F32).then(dense).build(1).unwrap();
        let trainer = Trainer::new(Sgd::new(0.001), SoftmaxCrossEntropy).epochs(2).batch(50);
        let history = trainer.chunk(chunk).fit(&mut net, &data, &data).unwrap();
        let weights = net.parameters_mut()[0].values.clone();
        (weights, history.epochs[1].loss, history.epochs[1].train)
    };
    let (whole, parts) = (run(50), run(7));
    let near = |a: f32, b: f32| (a - b).abs() <= 1e-5 * a.abs().max(1e-2);
    assert!(whole.0.iter().zip(&parts.0).all(|(&a, &b)| near(a, b)));
    assert!(near(whole.1, parts.1) && (whole.2 - parts.2).abs() < 1e-9);
}

#[test]
fn ends_after_steps_or_without_progress() {
    let (train, test) = (quarters(230, 1), quarters(70, 2));
    let mut seen = Vec::new();
    let history = trainer()
        .steps(7)
        .on_step(|progress| seen.push((progress.epoch, progress.step, progress.steps)))
        .fit(&mut net(&train), &train, &test)
        .unwrap();
    assert_eq!((seen.len(), seen[6]), (7, (2, 2, 2)));
    assert_eq!((history.epochs.len(), history.epochs[0].epochs), (2, 2));

    // A learning rate that changes nothing: no epoch is better than the first.
    let mut net = noisy(&train);
    let trainer = Trainer::new(Adam::new(1e-30), SoftmaxCrossEntropy).epochs(9).batch(50);
    let history = trainer.patience(2).keep_best(true).fit(&mut net, &train, &test).unwrap();
    assert!(history.stale && !history.stopped && history.epochs.len() < 9);
    let best = history.best.unwrap();
    assert_eq!(history.epochs.len(), best + 2);
    let frozen = history.epochs[best - 1].frozen;
    assert!((accuracy(&net, &test).unwrap() - frozen).abs() < 1e-12, "the best one is kept");
}

#[test]
fn samples_are_prepared_by_their_place() {
    let (train, test) = (quarters(100, 1), quarters(50, 2));
    let run = |wrong: bool| {
        let seen = std::sync::Mutex::new(Vec::new());
        let result = trainer()
            .epochs(2)
            .prepare(|samples, place| {
                seen.lock().unwrap().push((place.epoch, place.samples.len()));
                if wrong { Err("no such luck".into()) } else { Ok(samples) }
            })
            .fit(&mut net(&train), &train, &test);
        (result, seen.into_inner().unwrap())
    };
    let (result, seen) = run(false);
    assert_eq!(
        (result.unwrap().epochs.len(), seen),
        (2, [(1, 50), (1, 50), (2, 50), (2, 50)].to_vec())
    );
    assert!(matches!(run(true).0, Err(Error::Callback(_))));
}

/// What the netlist answers is a figure of its own, and the gap is between like samples.
#[test]
fn the_gap_is_soft_minus_frozen() {
    let (train, test) = (quarters(200, 1), quarters(90, 2));
    let mut net = net(&train);
    let epoch = trainer().epochs(1).fit(&mut net, &train, &test).unwrap().epochs.remove(0);
    assert!((epoch.gap - (epoch.soft - epoch.frozen)).abs() < 1e-12);
    assert!((accuracy(&net, &test).unwrap() - epoch.frozen).abs() < 1e-12);
    let mut metric = metric_of(&test);
    let soft = evaluate_soft(&net, &test, metric.as_mut(), cpu()).unwrap();
    assert!((soft - epoch.soft).abs() < 1e-12);
}
