//! What the tests of losses share.

use approx::assert_relative_eq;
use lutweave_tensor::{FrameBuffer, Target, rng};

use super::Loss;

/// Central differences of f32 losses that are summed in f64.
const LOOSE: f32 = 2e-3;

/// Numbers from `low` to `high`.
pub(super) fn numbers(count: usize, low: f32, high: f32, seed: u64) -> Vec<f32> {
    let mut stream = rng::stream(seed, &[]);
    (0..count).map(|_| low + (high - low) * rng::uniform(&mut stream)).collect()
}

/// Compares the gradient with central differences of the loss.
pub(super) fn check_slopes(loss: &dyn Loss, shape: &[usize], answers: &[f32], target: &Target) {
    let evaluate = |answers: &[f32]| {
        let y = FrameBuffer::from_frames(shape, answers).unwrap();
        loss.evaluate(&y, target).unwrap()
    };
    let (value, dy) = evaluate(answers);
    assert!(value.is_finite(), "{loss:?}: {value}");
    let gradient = dy.to_frames::<f32>().unwrap();
    for i in 0..answers.len() {
        let at = |d: f32| {
            let mut moved = answers.to_vec();
            moved[i] += d;
            evaluate(&moved).0
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let is_near =
            approx::relative_eq!(gradient[i], slope, epsilon = LOOSE, max_relative = 1e-2);
        assert!(is_near, "{loss:?} [{i}]: {} and {slope}", gradient[i]);
    }
    // Padding stays zero: sums over whole rows rely on it.
    for row in dy.rows::<f32>().unwrap().chunks(dy.stride()) {
        assert!(row[dy.frames()..].iter().all(|value| value.to_bits() == 0));
    }
    check_parts(loss, shape, answers, target);
}

/// Parts of a mini-batch add up to the whole: gradients bit for bit.
fn check_parts(loss: &dyn Loss, shape: &[usize], answers: &[f32], target: &Target) {
    let size: usize = shape.iter().product();
    let frames = answers.len() / size;
    let whole = loss.weight(target).unwrap();
    let y = FrameBuffer::from_frames(shape, answers).unwrap();
    let (value, dy) = loss.evaluate(&y, target).unwrap();
    let cut = frames / 2;
    let (mut sum, mut gradient) = (0.0, Vec::new());
    for range in [0..cut, cut..frames] {
        let part = frames_of(target, range.clone());
        let y = &answers[range.start * size..range.end * size];
        let y = FrameBuffer::from_frames(shape, y).unwrap();
        let (value, dy) = loss.evaluate_part(&y, &part, whole).unwrap();
        sum += value;
        gradient.extend(dy.to_frames::<f32>().unwrap());
    }
    assert_eq!(gradient, dy.to_frames::<f32>().unwrap(), "{loss:?}");
    assert_relative_eq!(sum, value, max_relative = 1e-5, epsilon = 1e-6);
}

fn frames_of(target: &Target, range: std::ops::Range<usize>) -> Target {
    let cut = |buffer: &FrameBuffer| {
        let size = buffer.nodes();
        (size * range.start, size * range.end)
    };
    match target {
        Target::Classes(labels) => Target::Classes(labels[range].to_vec()),
        Target::Pixels(buffer) => {
            let (from, to) = cut(buffer);
            let labels = &buffer.to_frames::<u32>().unwrap()[from..to];
            Target::Pixels(FrameBuffer::from_frames(buffer.shape(), labels).unwrap())
        }
        Target::Real(buffer) => {
            let (from, to) = cut(buffer);
            let values = &buffer.to_frames::<f32>().unwrap()[from..to];
            Target::Real(FrameBuffer::from_frames(buffer.shape(), values).unwrap())
        }
        Target::Taught { own, logits } => {
            let own = Box::new(frames_of(own, range.clone()));
            let Target::Real(logits) = frames_of(&Target::Real(logits.clone()), range) else {
                unreachable!("real stays real")
            };
            Target::Taught { own, logits }
        }
        other => panic!("{other:?}"),
    }
}
