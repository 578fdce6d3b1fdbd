//! Weights of classes of unequal size.

use lutweave_tensor::{Targets, UNLABELLED};

use crate::{Error, Result};

/// A weight for each of `classes` classes, inverse to how often the class is wanted: `N / (K · n_c)`
/// for a class wanted `n_c` times of `N`, where `K` classes are wanted at all. Each of these then has
/// the same part in the loss, and the mean weight of what is labelled is 1. A class that is never
/// wanted has the weight 0.
///
/// Counted are samples, or positions where those have classes; of real targets, whose axis 0 is the
/// classes, the probabilities are added up. For
/// [`SoftmaxCrossEntropy::weighted`](super::SoftmaxCrossEntropy::weighted); the rule is that of King
/// and Zeng 2001, "Logistic Regression in Rare Events Data".
///
/// # Errors
///
/// [`Error::Option`] where there are labels beyond the classes, negative targets, or another number
/// of classes on axis 0.
pub fn balanced_weights(targets: &Targets, classes: usize) -> Result<Vec<f32>> {
    let refuse = |expected, got: String| {
        Err(Error::Option { option: "targets of balanced classes", expected, got })
    };
    let mut counts = vec![0f64; classes];
    match targets.own() {
        Targets::Classes { count, labels } | Targets::Pixels { count, labels, .. } => {
            if *count > classes {
                return refuse("of no more classes than there are weights", count.to_string());
            }
            for &label in labels.iter().filter(|&&label| label != UNLABELLED) {
                if let Some(count) = counts.get_mut(label as usize) {
                    *count += 1.0;
                }
            }
        }
        Targets::Real { shape, values } => {
            if shape.first() != Some(&classes) || classes == 0 {
                return refuse("of as many classes as there are weights", format!("{shape:?}"));
            }
            if let Some(value) = values.iter().find(|&&value| value < 0.0) {
                return refuse("not negative", value.to_string());
            }
            let positions = shape.iter().skip(1).product::<usize>().max(1);
            for sample in values.chunks(classes * positions) {
                for (count, class) in counts.iter_mut().zip(sample.chunks(positions)) {
                    *count += class.iter().map(|&value| f64::from(value)).sum::<f64>();
                }
            }
        }
        // `own` leaves the teacher out; a kind that comes later has to be counted first.
        _ => return refuse("classes or probabilities", "another kind".to_owned()),
    }
    let wanted = counts.iter().filter(|&&count| count > 0.0).count() as f64;
    let all = counts.iter().fold(0.0, |sum, count| sum + count);
    let weight = |&count: &f64| if count > 0.0 { (all / (wanted * count)) as f32 } else { 0.0 };
    Ok(counts.iter().map(weight).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_weigh_more() {
        let labels = vec![0, 0, 0, 1, UNLABELLED, 0];
        let pixels = Targets::Pixels { count: 2, shape: vec![2], labels };
        assert_eq!(balanced_weights(&pixels, 3).unwrap(), [0.625, 2.5, 0.0]);
        let classes = Targets::Classes { count: 2, labels: vec![1, 0, 1, 1] };
        let taught = Targets::Taught { own: Box::new(classes), shape: vec![1], logits: vec![0.0] };
        assert_eq!(balanced_weights(&taught, 2).unwrap(), [2.0, 4.0 / 6.0]);
        let real = |shape: Vec<usize>, values| Targets::Real { shape, values };
        let shares = real(vec![2, 1], vec![0.5, 0.5, 0.5, 2.5]);
        assert_eq!(balanced_weights(&shares, 2).unwrap(), [2.0, 4.0 / 6.0]);
        let refused = [
            balanced_weights(&pixels, 1),
            balanced_weights(&shares, 3),
            balanced_weights(&real(vec![1], vec![-1.0]), 1),
            balanced_weights(&real(vec![], vec![1.0]), 0),
        ];
        assert!(refused.iter().all(Result::is_err));
    }
}
