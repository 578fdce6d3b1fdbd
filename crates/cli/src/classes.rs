//! How well a network tells classes apart: which is taken for which, and the figures of each.

use std::fmt::Write as _;

use lutweave::backend::Backend;
use lutweave::nn::Network;
use lutweave::tensor::{Dataset, Targets};
use lutweave::train::metrics::{Confusion, Metric};
use lutweave::train::{self, metric_of};
use serde_json::{Value, json};

use crate::report::percent;

/// Most classes whose figures are all told; of more, those that are recognised least.
const ALL: usize = 20;
/// How many are told of more.
const WORST: usize = 10;
/// Most characters of a row of the matrix.
const WIDTH: usize = 100;
/// Most classes whose matrix is put into JSON.
const IN_JSON: usize = 100;

/// The figure of a network on a data set.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) value: f64,
    /// Where targets are classes.
    pub(crate) confusion: Option<Confusion>,
}

/// [`evaluate`](train::evaluate) or [`evaluate_soft`](train::evaluate_soft).
type Evaluate = fn(&Network, &Dataset, &mut dyn Metric, &dyn Backend) -> train::Result<f64>;

impl Judged {
    /// Judges a network: by classes where the targets have them, and else by the metric of the data.
    pub(crate) fn of(
        net: &Network,
        data: &Dataset,
        backend: &dyn Backend,
        evaluate: Evaluate,
    ) -> train::Result<Self> {
        let classes = match data.targets().own() {
            Targets::Classes { .. } => Some(net.output().nodes()),
            Targets::Pixels { .. } => net.output().shape.first().copied(),
            _ => None,
        };
        // Of more classes than a matrix holds there is the accuracy alone.
        if let Some(mut confusion) = classes.and_then(|classes| Confusion::new(classes).ok()) {
            let value = evaluate(net, data, &mut confusion, backend)?;
            return Ok(Self { value, confusion: Some(confusion) });
        }
        let value = evaluate(net, data, metric_of(data).as_mut(), backend)?;
        Ok(Self { value, confusion: None })
    }
}

/// The classes to tell of, and whether these are all.
pub(crate) fn shown(confusion: &Confusion) -> (Vec<usize>, bool) {
    let mut classes: Vec<usize> = (0..confusion.classes()).collect();
    if classes.len() <= ALL {
        return (classes, true);
    }
    classes.retain(|&class| confusion.wanted(class) > 0);
    classes.sort_by(|&a, &b| confusion.recall(a).total_cmp(&confusion.recall(b)).then(a.cmp(&b)));
    classes.truncate(WORST);
    (classes, false)
}

/// What a class is mostly taken for when it is not recognised, and how often.
pub(crate) fn taken_for(confusion: &Confusion, class: usize) -> Option<(usize, u64)> {
    let others = (0..confusion.classes()).filter(|&other| other != class);
    let counted = others.map(|other| (other, confusion.count(class, other)));
    // The first of equals.
    counted.filter(|&(_, count)| count > 0).min_by_key(|&(_, count)| std::cmp::Reverse(count))
}

/// A share in percent; a dash where it is of nothing.
pub(crate) fn share(value: f64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { percent(value) }
}

/// Matrix and figures as text; `soft` are the answers of the network as it trains.
pub(crate) fn text(frozen: &Confusion, soft: Option<&Confusion>) -> String {
    let mut text = matrix(frozen);
    let (classes, all) = shown(frozen);
    if !all {
        let (few, many) = (classes.len(), frozen.classes());
        let _ = writeln!(text, "the {few} of {many} classes that are recognised least");
    }
    let _ = write!(text, "class     count  precision   recall       F1");
    let _ = writeln!(text, "{}  mostly taken for", soft.map_or("", |_| "   recall as it trains"));
    for class in classes {
        let (wanted, answered) = (frozen.wanted(class), frozen.answered(class));
        let _ = write!(
            text,
            "{class:>5} {wanted:>9} {:>10} {:>8} {:>8}",
            share(frozen.precision(class), answered),
            share(frozen.recall(class), wanted),
            share(frozen.f1(class), wanted + answered),
        );
        if let Some(soft) = soft {
            let _ = write!(text, " {:>21}", share(soft.recall(class), soft.wanted(class)));
        }
        if let Some((other, count)) = taken_for(frozen, class) {
            let _ = write!(text, "  {other} ({count})");
        }
        text.push('\n');
    }
    text
}

/// The matrix, unless it is too wide for a terminal.
fn matrix(confusion: &Confusion) -> String {
    let classes = confusion.classes();
    let most = confusion.counts().iter().max().copied().unwrap_or(0);
    let width = most.max(classes as u64).to_string().len() + 1;
    if classes > ALL || classes * width > WIDTH {
        return String::new();
    }
    let mut text =
        "how often each class (a row) was taken for each (a column), frozen\n     ".to_owned();
    for class in 0..classes {
        let _ = write!(text, " {class:>width$}");
    }
    for class in 0..classes {
        let _ = write!(text, "\n{class:>5}");
        for answer in 0..classes {
            match confusion.count(class, answer) {
                0 => {
                    let _ = write!(text, " {:>width$}", "·");
                }
                count => {
                    let _ = write!(text, " {count:>width$}");
                }
            }
        }
    }
    text + "\n\n"
}

/// The figures of every class, and the matrix of not too many.
pub(crate) fn json(confusion: &Confusion) -> Value {
    let classes = confusion.classes();
    let figures = (0..classes).map(|class| {
        json!({
            "class": class,
            "count": confusion.wanted(class),
            "precision": confusion.precision(class),
            "recall": confusion.recall(class),
            "f1": confusion.f1(class),
        })
    });
    let rows = (classes <= IN_JSON)
        .then(|| confusion.counts().chunks(classes).map(<[u64]>::to_vec).collect::<Vec<_>>());
    json!({ "classes": figures.collect::<Vec<_>>(), "confusion": rows })
}

#[cfg(test)]
mod tests {
    use lutweave::tensor::{FrameBuffer, Target};

    use super::*;

    /// Counts answers to what was wanted.
    fn confusion(classes: usize, pairs: &[(u32, usize)]) -> Confusion {
        let mut confusion = Confusion::new(classes).unwrap();
        for &(wanted, answered) in pairs {
            let scores: Vec<f32> =
                (0..classes).map(|class| f32::from(u8::from(class == answered))).collect();
            let y = FrameBuffer::from_frames(&[classes], &scores).unwrap();
            confusion.add(&y, &Target::Classes(vec![wanted])).unwrap();
        }
        confusion
    }

    #[test]
    fn the_matrix_has_wanted_rows_and_answered_columns() {
        let frozen = confusion(3, &[(0, 0), (0, 1), (0, 1), (1, 1)]);
        let soft = confusion(3, &[(0, 0), (1, 1)]);
        let expected = "\
how often each class (a row) was taken for each (a column), frozen
       0  1  2
    0  1  2  ·
    1  ·  1  ·
    2  ·  ·  ·

class     count  precision   recall       F1   recall as it trains  mostly taken for
    0         3      100 %   33.3 %     50 %                 100 %  1 (2)
    1         1     33.3 %    100 %     50 %                 100 %
    2         0          –        –        –                     –
";
        assert_eq!(text(&frozen, Some(&soft)), expected);
        let json = json(&frozen);
        assert_eq!(json["confusion"][0], serde_json::json!([1, 2, 0]));
        assert_eq!(
            (&json["classes"][1]["count"], &json["classes"][1]["recall"]),
            (&1.into(), &1.0.into())
        );
    }

    /// Of many classes the worst are told, those without samples not among them.
    #[test]
    fn of_many_classes_the_worst_are_told() {
        let mut pairs: Vec<(u32, usize)> = (0..30).map(|class| (class, class as usize)).collect();
        pairs.extend([(7, 8), (7, 9), (7, 9), (5, 6)]);
        let (classes, all) = shown(&confusion(150, &pairs));
        assert_eq!((classes.len(), &classes[..3], all), (WORST, &[7, 5, 0][..], false));
        let told = text(&confusion(150, &pairs), None);
        assert!(told.starts_with("the 10 of 150 classes"), "{told}");
        assert!(told.contains("    7         4      100 %     25 %     40 %  9 (2)\n"), "{told}");
        assert!(json(&confusion(150, &pairs))["confusion"].is_null());
    }
}
