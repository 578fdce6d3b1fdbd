use approx::assert_relative_eq;
use lutweave_tensor::{UNLABELLED, rng};

use super::testing::{check_slopes, numbers};
use super::*;

const CLOSE: f32 = 1e-4;

fn buffer(shape: &[usize], values: &[f32]) -> FrameBuffer {
    FrameBuffer::from_frames(shape, values).unwrap()
}

fn pixels(shape: &[usize], labels: &[u32]) -> Target {
    Target::Pixels(FrameBuffer::from_frames(shape, labels).unwrap())
}

fn with_reductions<L: Loss + 'static>(make: impl Fn(Reduction) -> L) -> Vec<Box<dyn Loss>> {
    [Reduction::Mean, Reduction::FrameMean, Reduction::Sum]
        .map(|reduction| Box::new(make(reduction)) as Box<dyn Loss>)
        .into()
}

/// Losses of scores of any sign.
fn of_scores() -> Vec<Box<dyn Loss>> {
    let mut losses = with_reductions(|reduction| MeanSquaredError { reduction });
    losses.extend(with_reductions(|reduction| SigmoidCrossEntropy { reduction }));
    losses.extend(with_reductions(|reduction| SquaredHinge { reduction }));
    losses.push(Box::new(SoftmaxCrossEntropy));
    losses.push(Box::new(SoftmaxCrossEntropy.weighted(&[0.5, 2.0, 0.0]).unwrap()));
    losses
}

/// Losses of probabilities.
fn of_probabilities() -> Vec<Box<dyn Loss>> {
    let mut losses = with_reductions(|reduction| BinaryCrossEntropy { reduction });
    losses.push(Box::new(CrossEntropy));
    losses
}

#[test]
fn gradients_are_the_slopes_of_the_losses() {
    let labels = Target::Classes(vec![2, 0, UNLABELLED, 1, 1]);
    let map = pixels(&[1, 2], &[2, 0, UNLABELLED, 1, 1, 1, UNLABELLED, UNLABELLED, 0, 2]);
    let shares = Target::Real(buffer(&[3], &numbers(15, 0.05, 0.9, 3)));
    let (scores, wide) = (numbers(15, -2.0, 2.0, 1), numbers(30, -2.0, 2.0, 2));
    let (small, wide_small) = (numbers(15, 0.1, 0.9, 4), numbers(30, 0.1, 0.9, 5));
    for loss in of_scores() {
        check_slopes(loss.as_ref(), &[3], &scores, &labels);
        check_slopes(loss.as_ref(), &[3], &scores, &shares);
        check_slopes(loss.as_ref(), &[3, 1, 2], &wide, &map);
    }
    for loss in of_probabilities() {
        check_slopes(loss.as_ref(), &[3], &small, &labels);
        check_slopes(loss.as_ref(), &[3], &small, &shares);
        check_slopes(loss.as_ref(), &[3, 1, 2], &wide_small, &map);
    }
    let mixed = Distillation::new(3.0, 0.7).unwrap();
    for (own, shape, y) in [(labels, vec![3], &scores), (map, vec![3, 1, 2], &wide)] {
        let logits = buffer(&shape, &numbers(y.len(), -3.0, 3.0, 6));
        check_slopes(&mixed, &shape, y, &Target::Real(logits.clone()));
        check_slopes(&mixed, &shape, y, &Target::Taught { own: Box::new(own), logits });
    }
    check_slopes(&FeatureMatching, &[3], &scores, &shares);
}

/// Small cases worked out by hand.
#[test]
fn values_are_those_of_the_formulas() {
    struct Case {
        loss: Box<dyn Loss>,
        y: [f32; 2],
        target: Target,
        value: f64,
        dy: [f64; 2],
    }
    let case = |loss: Box<dyn Loss>, y, target, value, dy| Case { loss, y, target, value, dy };
    let first = || Target::Classes(vec![0]);
    let real = |t: [f32; 2]| Target::Real(buffer(&[2], &t));
    let cases = [
        case(Box::<MeanSquaredError>::default(), [3.0, 1.0], real([1.0, 2.0]), 2.5, [2.0, -1.0]),
        case(Box::new(CrossEntropy), [0.25, 0.75], first(), 4f64.ln(), [-4.0, 0.0]),
        case(Box::new(CrossEntropy), [0.25, 0.5], real([0.5, 0.5]), 1.5 * 2f64.ln(), [-2.0, -1.0]),
        case(Box::<BinaryCrossEntropy>::default(), [0.25, 0.75], first(), 4f64.ln(), [-2.0, 2.0]),
        case(Box::new(SoftmaxCrossEntropy), [1.0, 1.0], first(), 2f64.ln(), [-0.5, 0.5]),
        case(
            Box::new(SigmoidCrossEntropy { reduction: Reduction::FrameMean }),
            [0.0, 0.0],
            first(),
            2.0 * 2f64.ln(),
            [-0.5, 0.5],
        ),
        case(Box::<SquaredHinge>::default(), [0.5, 0.5], first(), 1.25, [-0.5, 1.5]),
        case(
            Box::new(Distillation::new(2.0, 0.5).unwrap()),
            [1.0, 1.0],
            Target::Taught { own: Box::new(first()), logits: buffer(&[2], &[3.0, 3.0]) },
            0.5 * 2f64.ln(),
            [-0.25, 0.25],
        ),
    ];
    for Case { loss, y, target, value, dy } in cases {
        let (got, gradient) = loss.evaluate(&buffer(&[2], &y), &target).unwrap();
        assert_relative_eq!(f64::from(got), value, max_relative = 1e-6);
        for (got, want) in gradient.to_frames::<f32>().unwrap().into_iter().zip(dy) {
            assert_relative_eq!(f64::from(got), want, max_relative = 1e-6);
        }
    }
}

#[test]
fn any_size_of_scores_is_safe() {
    let y = buffer(&[3], &[-1e30, -2e30, -1e30, 500.0, -500.0, 0.0]);
    let target = Target::Classes(vec![0, 0]);
    let (loss, dy) = SoftmaxCrossEntropy.evaluate(&y, &target).unwrap();
    assert_relative_eq!(loss, libm::logf(2.0) / 2.0, max_relative = CLOSE);
    assert_eq!(dy.to_frames::<f32>().unwrap(), [-0.25, 0.0, 0.25, 0.0, 0.0, 0.0]);
    let far = buffer(&[3], &[3e38, -3e38, 0.0]);
    let zeros = buffer(&[3], &[0.0, 1.0, -0.0]);
    let target = Target::Classes(vec![1]);
    for loss in of_scores() {
        let (_, dy) = loss.evaluate(&far, &target).unwrap();
        assert!(dy.to_frames::<f32>().unwrap().iter().all(|dy| !dy.is_nan()), "{loss:?}");
    }
    for loss in of_probabilities() {
        let (value, dy) = loss.evaluate(&zeros, &target).unwrap();
        assert!(value.is_finite() && dy.is_finite(), "{loss:?}");
    }
}

#[test]
fn what_is_not_labelled_adds_nothing() {
    let none = Target::Classes(vec![UNLABELLED; 2]);
    let y = buffer(&[3], &numbers(6, 0.1, 0.9, 1));
    for loss in of_scores().into_iter().chain(of_probabilities()) {
        let (value, dy) = loss.evaluate(&y, &none).unwrap();
        assert_eq!((value, dy.to_frames::<f32>().unwrap()), (0.0, vec![0.0; 6]), "{loss:?}");
        // One labelled frame of two is the mean of that one.
        let one = loss.evaluate(&y, &Target::Classes(vec![1, UNLABELLED])).unwrap().0;
        let first = buffer(&[3], &y.to_frames::<f32>().unwrap()[..3]);
        let alone = loss.evaluate(&first, &Target::Classes(vec![1])).unwrap().0;
        assert_relative_eq!(one, alone, max_relative = 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let y = buffer(&[3, 40, 50], &numbers(3 * 2000 * 7, -2.0, 2.0, 1));
    let labels: Vec<u32> = (0..2000 * 7).map(|i| i % 3).collect();
    let target = pixels(&[40, 50], &labels);
    for loss in of_scores() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| loss.evaluate(&y, &target).unwrap())
        };
        assert_eq!(run(1), run(3), "{loss:?}");
    }
}

/// Whatever answers and targets are like, the result is an answer or an error.
#[test]
fn nothing_panics() {
    let losses: Vec<Box<dyn Loss>> = of_scores()
        .into_iter()
        .chain(of_probabilities())
        .chain([Box::new(Distillation::new(0.5, 0.5).unwrap()) as Box<dyn Loss>])
        .chain([Box::new(FeatureMatching) as Box<dyn Loss>])
        .collect();
    let mut stream = rng::stream(7, &[]);
    let mut below = |bound| rng::below(&mut stream, bound);
    let odd = [0.0, -0.0, 1.0, -1e38, 3e38, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45];
    for _ in 0..300 {
        let mut real = || {
            let shape: Vec<usize> = (0..=below(3)).map(|_| 1 + below(3)).collect();
            let count = shape.iter().product::<usize>() * (1 + below(3));
            let values: Vec<f32> = (0..count).map(|_| odd[below(odd.len())]).collect();
            buffer(&shape, &values)
        };
        let (y, other) = (real(), real());
        let mut labels = |count| (0..count).map(|_| [0, 1, 2, UNLABELLED][below(4)]).collect();
        let frames = y.frames();
        let rest = y.shape().get(1..).filter(|rest| !rest.is_empty()).unwrap_or(&[2]).to_vec();
        let count = frames * rest.iter().product::<usize>();
        let map: Vec<u32> = labels(count);
        let own = Box::new(Target::Classes(labels(frames)));
        let targets = [
            Target::Classes(labels(frames)),
            Target::Classes(labels(frames + 1)),
            pixels(&rest, &map),
            Target::Real(y.clone()),
            Target::Real(other.clone()),
            Target::Taught { own: own.clone(), logits: y.clone() },
            Target::Taught { own, logits: other },
        ];
        for (loss, target) in losses.iter().flat_map(|loss| targets.iter().map(move |t| (loss, t)))
        {
            if let Ok((_, dy)) = loss.evaluate(&y, target) {
                assert_eq!((dy.shape(), dy.frames()), (y.shape(), frames));
            }
        }
    }
}

#[test]
fn targets_must_fit() {
    let y = buffer(&[2, 3], &[0.5; 12]);
    let bits = FrameBuffer::from_frame_bits(&[2, 3], &[true; 12]).unwrap();
    let floats = buffer(&[3], &[0.0; 6]);
    let fit = Target::Classes(vec![0, 5]);
    let cases = [
        (&y, Target::Classes(vec![0]), "expected targets for 2 frames"),
        (&y, Target::Classes(vec![0, 6]), "label 6 is not one of 6 classes"),
        (&y, pixels(&[3], &[0, 1, 0, 1, 2, 0]), "label 2 is not one of 2 classes"),
        (&y, pixels(&[2], &[0; 4]), "expected shape [3], got [2]"),
        (&y, Target::Pixels(floats.clone()), "expected u32, got f32"),
        (&y, Target::Real(buffer(&[5], &[0.0; 10])), "expected shape [2, 3], got [5]"),
        (&y, Target::Real(bits.clone()), "expected f32, got bit"),
        (&bits, fit.clone(), "expected f32, got bit"),
    ];
    for (y, target, message) in &cases {
        for loss in of_scores().into_iter().chain(of_probabilities()) {
            let error = loss.evaluate(y, target).unwrap_err().to_string();
            let expected_first = error.contains("class weights"); // three weights, two classes
            assert!(error.contains(message) || expected_first, "{loss:?}: {error}");
        }
    }
    assert!(SoftmaxCrossEntropy.weighted(&[1.0]).unwrap().evaluate(&y, &fit).is_err());
    for whole in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(MeanSquaredError::default().evaluate_part(&y, &fit, whole).is_err());
        assert!(SoftmaxCrossEntropy.evaluate_part(&y, &fit, whole).is_err());
    }
    for weights in [&[][..], &[-1.0], &[f32::NAN]] {
        assert!(SoftmaxCrossEntropy.weighted(weights).is_err());
    }
    let negative = Target::Real(buffer(&[2, 3], &[-0.5; 12]));
    assert!(SoftmaxCrossEntropy.evaluate(&y, &negative).is_err());
    assert!(Distillation::new(0.0, 0.5).is_err() && Distillation::new(1.0, 1.5).is_err());
    let distillation = Distillation::new(1.0, 0.5).unwrap();
    let error = distillation.evaluate(&y, &fit).unwrap_err().to_string();
    assert_eq!(error, "distillation: expected a teacher's scores, got classes");
    let short = Target::Taught { own: Box::new(fit), logits: buffer(&[6], &[0.0; 6]) };
    assert!(distillation.evaluate(&y, &short).is_err());
    assert!(FeatureMatching.between(&y, &bits).is_ok());
    assert!(FeatureMatching.between(&y, &floats).is_err());
}
