//! Steps of a device: what is not finite holds the updates that come after it.

#![allow(clippy::unwrap_used)]

use lutweave_backend::{
    Backend, Cuda, ElementLoss, Fault, Layout, NormKernels as _, Result, Rule, Running, Schedule,
    Trained, Wanted, Watched,
};
use lutweave_tensor::{Array, FrameBuffer};

const RULES: [Rule; 8] = [
    Rule::Sgd { rate: 0.5, decay: 0.0 },
    Rule::Momentum { rate: 0.5, decay: 0.0, momentum: 0.9, nesterov: false },
    Rule::Momentum { rate: 0.5, decay: 0.0, momentum: 0.9, nesterov: true },
    Rule::AdaGrad { rate: 0.5, epsilon: 0.0 },
    Rule::Adam { rate: 0.5, beta1: 0.9, beta2: 0.99, epsilon: 1e-7 },
    Rule::AdamW { keep: 0.99, rate: 0.5, root: 3.0, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
    Rule::ShiftAdaMax { rate: 0.5, beta1: 0.875, beta2: 0.99 },
    Rule::Bop { gamma: 0.25, threshold: 0.05 },
];

/// Values, gradients and what is remembered of them, after one update.
fn updated(backend: &dyn Backend, rule: Rule) -> Vec<Array> {
    let array = |values: &[f32]| Array::from(values);
    let (mut values, mut gradient) = (array(&[1.0, -1.0, 0.5]), array(&[0.5, -2.0, 1.0]));
    let mut slots = vec![array(&[0.25; 3]); rule.slots()];
    let (all, range) = (&mut slots[..], None);
    let trained = Trained { values: &mut values, gradient: &mut gradient, slots: all, range };
    backend.update(rule, vec![trained]).unwrap();
    [values, gradient].into_iter().chain(slots).collect()
}

/// Whether updates of all rules change nothing, which is to be all of them or none.
fn is_held(backend: &dyn Backend) -> bool {
    let held = RULES.map(|rule| {
        let all = updated(backend, rule);
        let same = all[0] == [1.0, -1.0, 0.5] && all[1] == [0.5, -2.0, 1.0];
        same && all[2..].iter().all(|slot| *slot == [0.25; 3])
    });
    assert!(held.iter().all(|&one| one == held[0]), "{held:?}");
    assert_eq!(backend.is_held().unwrap(), held[0]);
    held[0]
}

#[test]
fn a_number_that_is_not_finite_holds_updates_of_its_step_alone() {
    let cuda = Cuda::emulated_lists(Schedule::Shuffled(1), 1).unwrap();
    for (bad, looks) in [(0, 1), (3, 5), (254, 600), (255, 600), (599, 600)] {
        let arrays: Vec<Array> = (0..looks)
            .map(|at| Array::from(&[1.0, if at == bad { f32::INFINITY } else { f32::MAX }][..]))
            .collect();
        let names: Vec<String> = (0..looks).map(|at| at.to_string()).collect();
        let step = cuda.step().unwrap();
        assert!(!is_held(&*step), "nothing was looked at");
        for (numbers, layer) in arrays.iter().zip(&names) {
            cuda_has(&*step, numbers);
            let watched = Watched { numbers, layer, what: "numbers" };
            assert_eq!(step.watch_all(&[watched]).unwrap(), None, "told later");
        }
        assert!(is_held(&*step), "{bad} of {looks}");
        let fault = Fault { layer: bad.to_string(), what: "numbers".to_owned() };
        assert_eq!(step.fault().unwrap(), Some(fault));
        assert!(step.is_held().unwrap(), "of the step that has ended");
        assert!(!is_held(&*cuda.step().unwrap()) && !is_held(&cuda), "another");
    }
    cuda.synchronise().unwrap();
}

/// Has the device copy an array, as kernels that read it do.
fn cuda_has(step: &dyn Backend, numbers: &Array) {
    let (mut rstd, mut scale) = (Array::zeros(2).unwrap(), Array::zeros(2).unwrap());
    step.norm_scale(numbers, 1.0, numbers, &mut rstd, &mut scale).unwrap();
    assert!(numbers.remote().is_some());
}

type Make<'a> = &'a dyn Fn(&dyn Backend, &FrameBuffer, &mut FrameBuffer) -> Result<Array<f64>>;

#[test]
fn a_loss_that_is_not_finite_holds_updates_though_gradients_are() {
    let (frames, layout) = (3, Layout { classes: 2, positions: 1 });
    let labels = [0u32; 3];
    let wanted = Wanted::Labels { rows: &labels, stride: frames };
    let rows = |of: [f32; 2]| FrameBuffer::from_frames(&[2], &of.repeat(frames)).unwrap();
    let teacher = rows([3e38, -3e38]);
    let squares = |b: &dyn Backend, y: &FrameBuffer, dy: &mut FrameBuffer| {
        b.element_loss(ElementLoss::SquaredError, y, layout, wanted, [0.0, 1.0], 3.0, dy)
    };
    let softmax = |b: &dyn Backend, y: &FrameBuffer, dy: &mut FrameBuffer| {
        b.softmax_cross_entropy(y, layout, wanted, None, 3.0, dy)
    };
    let distilled = |b: &dyn Backend, y: &FrameBuffer, dy: &mut FrameBuffer| {
        b.distillation(y, layout, &teacher, 1.0, (0.0, 0.1), dy)
    };
    let cases: [(Make<'_>, [f32; 2], [f32; 2]); 3] = [
        (&squares, [1e20, 0.0], [1e18, -1e18]),
        (&softmax, [-3e38, 3e38], [-1e38, 1e38]),
        (&distilled, [-3e38, 3e38], [3e37, -3e37]),
    ];
    for (number, (loss, bad, good)) in cases.into_iter().enumerate() {
        let cuda = Cuda::emulated_lists(Schedule::Shuffled(3), 1).unwrap();
        for (scores, holds) in [(bad, true), (good, false)] {
            let (y, step) = (rows(scores), cuda.step().unwrap());
            let mut dy = y.clone();
            let sum = loss(&*step, &y, &mut dy).unwrap();
            assert!(step.is_finite(&dy).unwrap(), "{number}: the gradient");
            assert_eq!(is_held(&*step), holds, "{number}: {scores:?}");
            assert_eq!(((sum[0] / 3.0) as f32).is_infinite(), holds, "{number}: {}", sum[0]);
            assert_eq!(step.fault().unwrap(), None);
        }
        cuda.synchronise().unwrap();
    }
}

#[test]
fn running_statistics_are_written_beside_the_old() {
    let cuda = Cuda::emulated_lists(Schedule::Rising, 1).unwrap();
    let (batch, mut mean, mut variance) =
        (Array::from(&[2.0f32, 4.0][..]), Array::zeros(2).unwrap(), Array::from(&[1.0, 3.0][..]));
    for (factor, mean_after, variance_after) in
        [(Some(1.0), [1.0, 2.0], [1.5, 3.5]), (None, [1.5, 3.0], [1.5, 3.5])]
    {
        let (before, was) = ([mean.clone(), variance.clone()], [mean.to_vec(), variance.to_vec()]);
        let launches = cuda.traffic().launches;
        let running = Running { mean: &mut mean, variance: &mut variance, keep: 0.5 };
        cuda.keep_statistics(&batch, &batch, factor, running).unwrap();
        assert_eq!(cuda.traffic().launches - launches, 1, "no copy for whoever has the old");
        assert!(mean == mean_after && variance == variance_after, "{mean:?} {variance:?}");
        assert!(before[0] == was[0] && before[1] == was[1]);
    }
}
