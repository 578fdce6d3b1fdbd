//! A step with numbers that are not finite changes nothing: on the CPU, on a GPU, and on several.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lutweave_backend::{Backend, Cpu, Cuda, HostReduce, Schedule};
use lutweave_nn::{
    BatchNormalization, Binarize, Dense, Dropout, GroupSum, LutLayer, Network, Parameter,
    Sequential, StateTensor, WiringRule,
};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Target, Targets, Values, rng};
use lutweave_train::{
    Adam, Clip, Flow, Groups, Loss, MeanSquaredError, Optimizer, Reduction, Schedule as Rates, Sgd,
    Trainer,
};

const SAMPLES: usize = 60;
const FEATURES: usize = 8;
const BATCH: usize = 20;

/// Numbers of which the first of every sample is zero.
fn samples() -> Dataset {
    let mut stream = rng::stream(3, &[]);
    let mut values: Vec<f32> =
        (0..SAMPLES * FEATURES).map(|_| rng::below(&mut stream, 9) as f32 / 4.0 - 1.0).collect();
    values.iter_mut().step_by(FEATURES).for_each(|value| *value = 0.0);
    let labels = (0..SAMPLES as u32).map(|sample| sample % 3).collect();
    let targets = Targets::Classes { count: 3, labels };
    Dataset::new("numbers", &[FEATURES], Values::F32(values), targets).unwrap()
}

/// All that a step changes: parameters, statistics of two kinds, numbers of steps, and in the third whether
/// wiring still learns.
fn network() -> Network {
    let learned = WiringRule::Learned { candidates: Some(4) };
    let net = Sequential::new(&[FEATURES])
        .reading(DType::F32)
        .then(Dense::new(&[12]))
        .then(BatchNormalization::new())
        .then(Binarize::new())
        .then(LutLayer::new(15).fan_in(3))
        .then(LutLayer::new(12).fan_in(2).wiring(learned).frozen_after(Some(3)))
        .then(GroupSum::new(3))
        .then(Dropout::new(0.1))
        .then(Dense::new(&[3]));
    let mut net = net.build(5).unwrap();
    for parameter in net.parameters_mut() {
        // The first feature has no weight and the second a large one, and so is the gradient that comes down.
        match parameter.path.as_str() {
            "0.dense.weights" => {
                for weights in parameter.values.chunks_mut(FEATURES) {
                    weights[..2].copy_from_slice(&[0.0, 10.0]);
                }
            }
            "7.dense.weights" => parameter.values.iter_mut().for_each(|weight| *weight *= 100.0),
            _ => {}
        }
    }
    net
}

/// An optimizer that a test looks at when its trainer is gone.
#[derive(Debug, Clone)]
struct Kept(Arc<Mutex<Box<dyn Optimizer>>>);

impl Kept {
    fn with<R>(&self, call: impl FnOnce(&mut dyn Optimizer) -> R) -> R {
        call(&mut **self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Optimizer for Kept {
    fn update(&mut self, all: Vec<&mut Parameter>, rate: f32) -> lutweave_train::Result<()> {
        self.with(|own| own.update(all, rate))
    }

    fn update_on(
        &mut self,
        all: Vec<&mut Parameter>,
        rate: f32,
        backend: &dyn Backend,
    ) -> lutweave_train::Result<()> {
        self.with(|own| own.update_on(all, rate, backend))
    }

    fn undo_count(&mut self) {
        self.with(|own| own.undo_count());
    }

    fn learning_rate(&self) -> f32 {
        self.with(|own| own.learning_rate())
    }

    fn state(&self) -> Vec<StateTensor> {
        self.with(|own| own.state())
    }

    fn restore(&mut self, state: &[StateTensor]) -> lutweave_train::Result<()> {
        self.with(|own| own.restore(state))
    }
}

/// Descent on the host, without a kernel.
#[derive(Debug, Default)]
struct OnHost(u32);

impl Optimizer for OnHost {
    fn update(&mut self, all: Vec<&mut Parameter>, rate: f32) -> lutweave_train::Result<()> {
        for Parameter { values, gradient, .. } in all {
            values.iter_mut().zip(&*gradient).for_each(|(value, slope)| *value -= rate * slope);
            gradient.clear();
        }
        self.0 += 1;
        Ok(())
    }

    fn learning_rate(&self) -> f32 {
        1e-4
    }

    fn state(&self) -> Vec<StateTensor> {
        vec![StateTensor::u32("steps", &[self.0])]
    }

    fn restore(&mut self, _state: &[StateTensor]) -> lutweave_train::Result<()> {
        Ok(())
    }
}

/// A loss that is none from a call on, as the host says or in numbers that a device has.
#[derive(Debug)]
struct Late(AtomicUsize);

impl Loss for Late {
    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> lutweave_train::Result<(f32, FrameBuffer)> {
        let (loss, dy) = MeanSquaredError::default().evaluate_part(y, target, whole)?;
        let call = 1 + self.0.fetch_add(1, Ordering::Relaxed);
        Ok((if call < 3 { loss } else { f32::NAN }, dy))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    /// This number is the first feature, or any, of the last sample of a part of a batch.
    Input { part: usize, value: f32, features: usize },
    /// The learning rate.
    Rate(f32),
    /// The loss, from the third on.
    Loss,
}

type Make = fn() -> Box<dyn Optimizer>;

/// Trains until it goes wrong. Gives what was said, and compares network and optimizer with what they were
/// before that step; also in which step it was.
fn fails(wrong: Wrong, optimizer: Make, devices: &[&dyn Backend]) -> (String, usize) {
    let (data, mut net, parts) = (samples(), network(), AtomicUsize::new(0));
    let optimizer = Kept(Arc::new(Mutex::new(optimizer())));
    let before = Mutex::new((net.state(), optimizer.state(), 0));
    let summed = MeanSquaredError { reduction: Reduction::Sum };
    let loss: Box<dyn Loss> =
        if wrong == Wrong::Loss { Box::new(Late(AtomicUsize::new(0))) } else { Box::new(summed) };
    let trainer = Trainer::new(optimizer.clone(), loss)
        .backend(devices[0])
        .across(&devices[1..], &HostReduce)
        .schedule(Rates::Constant)
        .batch(BATCH)
        .steps(9)
        .soft_samples(1)
        .prepare(|part, _| {
            let number = 1 + parts.fetch_add(1, Ordering::Relaxed);
            let Wrong::Input { part: bad, value, features } = wrong else { return Ok(part) };
            let Values::F32(mut values) = part.values().clone() else { return Ok(part) };
            if number == bad {
                let last = values.len() - FEATURES;
                values[last..][..features].fill(value);
            }
            let shape = part.shape().to_vec();
            Ok(Dataset::new("prepared", &shape, Values::F32(values), part.targets().clone())?)
        })
        .on_step(|_| Flow::Checkpoint)
        .on_checkpoint(|net, done| {
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            *before = (net.state(), done.optimizer.clone(), before.2 + 1);
            Ok(())
        });
    let said = trainer.fit(&mut net, &data, &data).unwrap_err().to_string();
    let (state, remembered, steps) = before.into_inner().unwrap();
    let [(now, was), (kept, had)] = [(net.state(), state), (optimizer.state(), remembered)];
    for (now, was) in now.iter().zip(&was).chain(kept.iter().zip(&had)) {
        assert!(now == was, "{wrong:?} on {devices:?}: {} changed", now.name);
    }
    assert_eq!((now.len(), kept.len()), (was.len(), had.len()), "{wrong:?} on {devices:?}");
    for Parameter { path, gradient, .. } in net.parameters_mut() {
        assert!(
            gradient.iter().all(|&slope| slope == 0.0),
            "{wrong:?}: a gradient of {path} stays"
        );
    }
    (said, steps)
}

#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    let adam: Make = || Box::new(Adam::new(1e-3));
    let clipped: Make = || Box::new(Clip::by_value(Sgd::new(1e-4).momentum(0.9), 10.0));
    let groups: Make = || {
        let first = |parameter: &Parameter| parameter.path.starts_with('0');
        Box::new(Groups::new(Adam::new(1e-3)).group(Sgd::new(1e-4), first))
    };
    let host: Make = || Box::<OnHost>::default();
    let first = |part, value| Wrong::Input { part, value, features: 1 };
    let large = |part| Wrong::Input { part, value: 3e38, features: FEATURES };
    for (wrong, optimizer, steps, says) in [
        (first(3, f32::NAN), adam, 2, "an input value is not a finite number"),
        (large(3), adam, 2, "0.dense: what it gives is not a finite number"),
        (large(3), host, 2, "0.dense: what it gives is not a finite number"),
        (large(1), groups, 0, "what it gives is not a finite number"),
        // The weight of that feature is zero: only its gradient is too large, when all is done.
        (first(3, 3e38), adam, 2, "the gradient of its weights is not a finite number"),
        (first(3, 3e38), clipped, 2, "the gradient of its weights is not a finite number"),
        (first(1, 3e38), groups, 0, "the gradient of its weights is not a finite number"),
        (Wrong::Rate(1e38), || Box::new(Adam::new(1e38)), 1, "is not a finite number"),
        // Squares that are too large for a loss, not for gradients.
        (Wrong::Rate(1e21), || Box::new(Adam::new(1e21)), 1, "step 2: the loss is inf"),
        (Wrong::Loss, adam, 2, "step 3: the loss is NaN"),
    ] {
        let want = fails(wrong, optimizer, &[&Cpu::new()]);
        assert!(want.0.contains(says) && want.1 == steps, "{wrong:?}: {want:?}");
        let cuda = Cuda::emulated_lists(Schedule::Shuffled(2), 1).unwrap();
        assert_eq!(fails(wrong, optimizer, &[&cuda]), want);
        cuda.synchronise().unwrap();
    }
}

#[test]
fn a_fault_of_one_device_holds_all() {
    let adam: Make = || Box::new(Adam::new(1e-3));
    let cuda = || Cuda::emulated_lists(Schedule::Rising, 1).unwrap();
    for features in [1, FEATURES] {
        // Two parts a step: the last is the second device's.
        let wrong = Wrong::Input { part: 6, value: 3e38, features };
        let want = fails(wrong, adam, &[&Cpu::new(), &Cpu::new()]);
        assert_eq!(want.1, 2);
        assert_eq!(fails(wrong, adam, &[&cuda(), &cuda()]), want);
    }
}

#[test]
fn a_sum_over_devices_that_is_not_finite_changes_nothing() {
    let targets = Targets::Classes { count: 2, labels: vec![0; 2] };
    let data = Dataset::new("large", &[1], Values::F32(vec![1e38; 2]), targets).unwrap();
    let cuda = [1, 2].map(|seed| Cuda::emulated_lists(Schedule::Shuffled(seed), 1).unwrap());
    for devices in [[&Cpu::new() as &dyn Backend; 2], [&cuda[0], &cuda[1]]] {
        let net = Sequential::new(&[1]).reading(DType::F32).then(Dense::new(&[2]));
        let mut net = net.build(1).unwrap();
        net.parameters_mut().into_iter().for_each(|parameter| parameter.values.fill(0.0));
        let before = net.state();
        let loss = MeanSquaredError { reduction: Reduction::Sum };
        let trainer = Trainer::new(Adam::new(0.1), loss).backend(devices[0]).batch(2).steps(1);
        let said = trainer.across(&devices[1..], &HostReduce).fit(&mut net, &data, &data);
        let said = said.unwrap_err().to_string();
        // -2e38 of each device.
        assert!(said.contains("0.dense.weights: the gradient summed over devices"), "{said}");
        assert!(net.state() == before);
    }
}
