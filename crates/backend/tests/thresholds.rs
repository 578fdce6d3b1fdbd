//! Thresholds that are learned: CUDA against the host. That the host's gradient is the stated one is tested
//! with the layer.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Backend, Cpu, Reference, RisingThresholds, ThresholdGradient};
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

/// Agreement of what is summed in another order, or made of exponentials.
const CLOSE: f32 = 1e-6;

/// Thresholds, and the gradients of the parameters, of inputs of shape `[2, 3]`.
fn run(
    backend: &dyn Backend,
    (share, levels, frames): (usize, usize, usize),
    bytes: bool,
) -> [Array; 3] {
    let mut stream = rng::stream(6, &[share, levels, frames].map(|part| part as u64));
    let mut normals = |n: usize| (0..n).map(|_| rng::normal(&mut stream)).collect::<Array>();
    let (groups, width) = (6 / share, 0.7);
    let (first, gaps) = (normals(groups), normals(groups * (levels - 1)));
    let numbers = normals(6 * frames);
    let x = if bytes {
        let bytes: Vec<u8> = numbers.iter().map(|x| (x.abs() * 2.0) as u8).collect();
        FrameBuffer::from_frames(&[2, 3], &bytes).unwrap()
    } else {
        FrameBuffer::from_frames(&[2, 3], &numbers).unwrap()
    };
    let dy = FrameBuffer::from_frames(&[2 * levels, 3], &normals(6 * levels * frames)).unwrap();
    let gaps = (levels > 1).then_some(gaps);
    let of = RisingThresholds { width, levels, share, first: &first, gaps: gaps.as_ref() };
    let mut thresholds = Array::zeros(6 * levels).unwrap();
    backend.make_thresholds(of, &mut thresholds).unwrap();
    let (mut dfirst, mut dgaps) = (normals(groups), normals(groups * (levels - 1)));
    let gradient =
        ThresholdGradient { first: &mut dfirst, gaps: gaps.as_ref().map(|_| &mut dgaps) };
    backend.threshold_backward(&x, &thresholds, &dy, of, gradient).unwrap();
    [thresholds, dfirst, dgaps]
}

#[test]
fn cuda_agrees_with_the_host() {
    for case in [(6, 1, 1), (3, 2, 33), (1, 5, 64), (6, 9, 65), (1, 3, 700)] {
        for bytes in [false, true] {
            let want = run(&Reference, case, bytes);
            assert!(run(&Cpu::new(), case, bytes) == want);
            for cuda in common::devices() {
                for (got, want) in run(&cuda, case, bytes).iter().zip(&want) {
                    let most = want.iter().fold(1f32, |most, value| most.max(value.abs()));
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= CLOSE * most;
                    assert!(got.iter().zip(want.iter()).all(near), "{case:?} {got:?} {want:?}");
                }
                cuda.synchronise().unwrap();
            }
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let [first, gaps] = [2, 4].map(|length| Array::from(vec![0.5; length]));
    let of = RisingThresholds { width: 1.0, levels: 3, share: 2, first: &first, gaps: Some(&gaps) };
    let x = FrameBuffer::zeros(DType::F32, &[4], 9).unwrap();
    let dy = FrameBuffer::zeros(DType::F32, &[12], 9).unwrap();
    for backend in [&Reference as &dyn Backend, &Cpu::new(), &common::devices()[0]] {
        let mut all = Array::zeros(12).unwrap();
        assert!(backend.make_thresholds(of, &mut all).is_ok());
        let refused = |of| backend.make_thresholds(of, &mut Array::zeros(12).unwrap()).is_err();
        assert!(refused(RisingThresholds { levels: 0, ..of }));
        assert!(refused(RisingThresholds { share: 0, ..of }));
        assert!(refused(RisingThresholds { gaps: None, ..of }));
        assert!(refused(RisingThresholds { share: usize::MAX, ..of }));
        let down = |x: &FrameBuffer, dy: &FrameBuffer, length: usize| {
            let (mut dfirst, mut dgaps) = (first.clone(), Array::zeros(length).unwrap());
            let gradient = ThresholdGradient { first: &mut dfirst, gaps: Some(&mut dgaps) };
            backend.threshold_backward(x, &all, dy, of, gradient)
        };
        assert!(down(&x, &dy, 4).is_ok());
        assert!(down(&x, &dy, 3).is_err());
        assert!(down(&dy, &dy, 4).is_err());
        assert!(down(&x, &x, 4).is_err());
        let bits = FrameBuffer::zeros(DType::Bit, &[4], 9).unwrap();
        assert!(down(&bits, &dy, 4).is_err());
    }
}
