//! Losses and counts of right answers: every backend against the reference.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, Cpu, Cuda, ElementLoss, Layout, LossKernels, Reference, Schedule, Wanted,
};
use lutweave_tensor::{Array, FrameBuffer, UNLABELLED, rng};

/// Relative tolerance of f32 against the f64 reference.
const CLOSE: f64 = 1e-5;

const LOSSES: [ElementLoss; 5] = [
    ElementLoss::SquaredError,
    ElementLoss::SquaredHinge,
    ElementLoss::SigmoidCrossEntropy,
    ElementLoss::CrossEntropy,
    ElementLoss::BinaryCrossEntropy,
];

struct Case {
    layout: Layout,
    y: FrameBuffer,
    /// Probabilities.
    p: FrameBuffer,
    labels: Vec<u32>,
    weights: Vec<f32>,
}

fn case(classes: usize, positions: usize, frames: usize) -> Case {
    let mut stream = rng::stream(7, &[classes as u64, positions as u64, frames as u64]);
    let count = classes * positions * frames;
    let scores: Vec<f32> = (0..count).map(|_| 5.0 * rng::normal(&mut stream)).collect();
    let units: Vec<f32> = (0..count).map(|_| rng::uniform(&mut stream)).collect();
    let label = |at: usize| if at % 5 == 3 { UNLABELLED } else { (at * 7 % classes) as u32 };
    let shape = [classes, positions];
    Case {
        layout: Layout { classes, positions },
        y: FrameBuffer::from_frames(&shape, &scores).unwrap(),
        p: FrameBuffer::from_frames(&shape, &units).unwrap(),
        labels: (0..positions * frames).map(label).collect(),
        weights: (0..classes).map(|class| 0.5 + class as f32).collect(),
    }
}

impl Case {
    fn wanted(&self) -> [Wanted<'_>; 2] {
        let stride = self.y.frames();
        let rows = self.p.rows::<f32>().unwrap();
        [Wanted::Labels { rows: &self.labels, stride }, Wanted::Real { rows, of: &self.p }]
    }

    /// Sums and gradients of all losses, and the counts.
    fn run(&self, b: &dyn Backend) -> (Vec<f64>, Vec<FrameBuffer>, [[u64; 2]; 2]) {
        let (mut sums, mut gradients) = (Vec::new(), Vec::new());
        let mut keep = |loss: &dyn Fn(&mut FrameBuffer) -> lutweave_backend::Result<Array<f64>>| {
            let mut dy = self.y.clone(); // what it held is overwritten, or scaled
            sums.push(loss(&mut dy).unwrap()[0]);
            gradients.push(dy);
        };
        let (y, layout) = (&self.y, self.layout);
        for wanted in self.wanted() {
            for weights in [None, Some(&self.weights[..])] {
                keep(&|dy| b.softmax_cross_entropy(y, layout, wanted, weights, 3.0, dy));
            }
            for loss in LOSSES {
                let of_scores =
                    matches!(loss, ElementLoss::SigmoidCrossEntropy | ElementLoss::SquaredHinge);
                let y = if of_scores { y } else { &self.p };
                keep(&|dy| b.element_loss(loss, y, layout, wanted, [-1.0, 1.0], 3.0, dy));
            }
        }
        keep(&|dy| b.distillation(y, layout, &self.p, 2.5, (0.25, 1.5), dy));
        (sums, gradients, self.wanted().map(|wanted| b.right(y, layout, wanted).unwrap()))
    }

    fn compare(&self, backend: &dyn Backend) {
        let (want, got) = (self.run(&Reference), self.run(backend));
        assert_eq!(got.2, want.2);
        for (number, (got, want)) in got.0.iter().zip(&want.0).enumerate() {
            assert!((got - want).abs() <= CLOSE * want.abs().max(1.0), "{number}: {got} {want}");
        }
        for (number, (got, want)) in got.1.iter().zip(&want.1).enumerate() {
            let all = got.rows::<f32>().unwrap().iter().zip(want.rows::<f32>().unwrap());
            for (got, want) in all {
                let off = f64::from((got - want).abs());
                assert!(off <= CLOSE * f64::from(want.abs().max(1.0)), "{number}: {got} {want}");
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let sizes = [(1, 1, 1), (10, 1, 63), (3, 5, 64), (4, 3, 65), (2, 40, 130)];
    sizes.map(|(classes, positions, frames)| case(classes, positions, frames)).into()
}

#[test]
fn cpu_agrees_with_the_reference() {
    for case in cases() {
        case.compare(&Cpu::new());
    }
    case(10, 1, 70_000).compare(&Cpu::new()); // several threads
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for case in cases() {
            case.compare(&cuda);
        }
        cuda.synchronise().unwrap();
    }
    let case = case(4, 9, 200);
    let run = |schedule| case.run(&Cuda::emulated(schedule, 2).unwrap());
    assert!(run(Schedule::Rising) == run(Schedule::Shuffled(9)), "no bit depends on the order");
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let Case { layout, y, p, labels, .. } = case(4, 3, 65);
    let (cpu, mut dy) = (Cpu::new(), y.clone());
    let wanted = |rows, stride| Wanted::Labels { rows, stride };
    let mut error = |layout, y: &FrameBuffer, wanted, weights: Option<&[f32]>| {
        let done = cpu.softmax_cross_entropy(y, layout, wanted, weights, 1.0, &mut dy);
        done.unwrap_err().to_string()
    };
    let all = wanted(&labels, 65);
    let wrong = Layout { classes: 5, positions: 3 };
    assert!(error(wrong, &y, all, None).contains("12 nodes, got 15"));
    assert!(error(layout, &y.to_bits(0.5).unwrap(), all, None).contains("f32"));
    assert!(error(layout, &y, wanted(&labels[1..], 65), None).contains("195 numbers, got 194"));
    assert!(error(layout, &y, wanted(&labels, 60), None).contains("65 frames, got 60"));
    assert!(error(layout, &y, all, Some(&[1.0; 3])).contains("4 classes, got 3"));
    let rows = &p.rows::<f32>().unwrap()[1..];
    assert!(error(layout, &y, Wanted::Real { rows, of: &p }, None).contains("numbers, got"));
}
