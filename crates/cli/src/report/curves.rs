//! Accuracy and loss over the epochs.

use super::Point;
use super::svg::{Anchor, Axis, Svg};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 106.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// Least distance between the base lines of two labels.
const LABEL_GAP: f64 = 15.0;

struct Line<'a> {
    name: &'a str,
    class: &'a str,
    values: Vec<f64>,
}

/// Train and test accuracy, in percent.
pub(super) fn accuracy(points: &[Point]) -> String {
    let lines = accuracies(points);
    let y = accuracy_axis(&lines);
    let unit = |value: f64| format!("{value:.1} %");
    chart("accuracy of the network after each epoch, in percent", &lines, &y, " %", unit)
}

/// A line that names the accuracies which are too low for the scale; nothing where there are none.
pub(super) fn below_the_scale(points: &[Point]) -> String {
    let lines = accuracies(points);
    let y = accuracy_axis(&lines);
    let below: Vec<String> = (0..points.len())
        .flat_map(|epoch| lines.iter().map(move |line| (epoch, line)))
        .filter(|(epoch, line)| y.is_below(line.values[*epoch]))
        .map(|(epoch, line)| {
            format!("{} {:.1} % in epoch {}", line.name, line.values[epoch], epoch + 1)
        })
        .collect();
    match below.len() {
        0 => String::new(),
        1..=4 => format!("<p class=\"note\">Below the scale: {}.</p>", below.join(", ")),
        more => {
            format!("<p class=\"note\">{more} values of the first epochs are below the scale.</p>")
        }
    }
}

fn accuracies(points: &[Point]) -> [Line<'static>; 2] {
    let percent = |f: fn(&Point) -> f64| points.iter().map(|p| 100.0 * f(p)).collect();
    [
        Line { name: "train", class: "train", values: percent(|p| p.train_accuracy) },
        Line { name: "test", class: "test", values: percent(|p| p.test_accuracy) },
    ]
}

/// A scale for all but the first epochs, which would squeeze the others.
fn accuracy_axis(lines: &[Line<'_>]) -> Axis {
    let seen =
        |line: &Line<'_>| line.values.len().saturating_sub(1).min(1 + line.values.len() / 20);
    let low =
        lines.iter().flat_map(|line| &line.values[seen(line)..]).fold(98.0, |a: f64, &b| a.min(b));
    Axis::rounded(low, 100.0, 5, (HEIGHT - BOTTOM, TOP))
}

/// Mean training loss.
pub(super) fn loss(points: &[Point]) -> String {
    let values: Vec<f64> = points.iter().map(|p| p.loss).collect();
    let high = values.iter().fold(0.0, |a: f64, &b| a.max(b));
    let y = Axis::rounded(0.0, high, 4, (HEIGHT - BOTTOM, TOP));
    let lines = [Line { name: "", class: "train", values }];
    chart("mean training loss of each epoch", &lines, &y, "", |value| format!("{value:.3}"))
}

/// The share of bits that each epoch flipped, in percent.
pub(super) fn flips(ratios: &[f64]) -> String {
    let values: Vec<f64> = ratios.iter().map(|ratio| 100.0 * ratio).collect();
    let high = values.iter().fold(0.0, |a: f64, &b| a.max(b));
    let y = Axis::rounded(0.0, high, 4, (HEIGHT - BOTTOM, TOP));
    let lines = [Line { name: "", class: "test", values }];
    let unit = |value: f64| format!("{value:.2} %");
    chart("share of bits flipped in each epoch, in percent", &lines, &y, " %", unit)
}

fn chart(
    label: &str,
    lines: &[Line<'_>],
    y: &Axis,
    unit: &str,
    show: impl Fn(f64) -> String,
) -> String {
    let epochs = lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let x = Axis::counted(1, epochs.max(2), 6, (LEFT, WIDTH - RIGHT));
    let mut svg = Svg::new(WIDTH, HEIGHT, label);
    for tick in y.ticks() {
        svg.line("grid", (LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)));
        let text = format!("{}{unit}", y.label(tick));
        svg.text("tick", (LEFT - 8.0, y.at(tick) + 4.0), Anchor::End, &text);
    }
    let base = HEIGHT - BOTTOM;
    svg.line("axis", (LEFT, base), (WIDTH - RIGHT, base));
    let mut marks = x.ticks();
    if marks.first().is_none_or(|&first| first > 2.0) {
        marks.insert(0, 1.0);
    }
    for tick in marks {
        svg.line("axis", (x.at(tick), base), (x.at(tick), base + 4.0));
        svg.text("tick", (x.at(tick), base + 18.0), Anchor::Middle, &x.label(tick));
    }
    svg.text("tick", ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0), Anchor::Middle, "epoch");

    for line in lines {
        let points = line.values.iter().enumerate();
        let points: Vec<_> =
            points.map(|(epoch, &value)| (x.at(epoch as f64 + 1.0), y.at(value))).collect();
        svg.path(&format!("curve {}", line.class), &points, false);
        for (epoch, (&at, &value)) in points.iter().zip(&line.values).enumerate() {
            let hint = format!("epoch {}: {}", epoch + 1, named(line.name, &show(value)));
            let last = epoch + 1 == points.len();
            let class = if last { format!("dot {}", line.class) } else { "hover".to_owned() };
            if y.is_below(value) {
                // The line comes up from below the scale here.
                let (x, y) = at;
                let tip = [(x - 4.0, y - 7.0), (x + 4.0, y - 7.0), (x, y)];
                svg.path(&format!("below {}", line.class), &tip, true);
            }
            svg.dot(&class, at, if last { 4.0 } else { 5.0 }, &hint);
        }
    }
    for (line, at) in lines.iter().zip(label_heights(lines, y)) {
        let (Some(&last), Some(at)) = (line.values.last(), at) else { continue };
        let text = named(line.name, &show(last));
        let left = x.at(line.values.len() as f64) + 9.0;
        svg.text(&format!("name {}", line.class), (left, at + 4.0), Anchor::Start, &text);
    }
    svg.finish("chart")
}

fn named(name: &str, value: &str) -> String {
    if name.is_empty() { value.to_owned() } else { format!("{name} {value}") }
}

/// The height of each line's label: beside its last value, moved apart where two would touch.
fn label_heights(lines: &[Line<'_>], y: &Axis) -> Vec<Option<f64>> {
    let mut heights: Vec<Option<f64>> =
        lines.iter().map(|line| line.values.last().map(|&value| y.at(value))).collect();
    let mut order: Vec<usize> = (0..heights.len()).filter(|&i| heights[i].is_some()).collect();
    order
        .sort_by(|&a, &b| heights[a].partial_cmp(&heights[b]).unwrap_or(std::cmp::Ordering::Equal));
    let mut free = f64::MIN;
    for index in order {
        let height = heights[index].unwrap_or(0.0).max(free);
        heights[index] = Some(height);
        free = height + LABEL_GAP;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_epochs_is_drawn() {
        for count in [0, 1, 2, 7, 300] {
            let points: Vec<Point> = (0..count)
                .map(|i| Point {
                    loss: 1.0 / (1.0 + f64::from(i)),
                    train_accuracy: 0.9,
                    test_accuracy: 0.9,
                })
                .collect();
            let ratios = vec![0.25; points.len()];
            for text in [accuracy(&points), loss(&points), flips(&ratios)] {
                assert!(text.starts_with("<svg") && text.ends_with("</svg>"));
                assert!(!text.contains("NaN") && !text.contains("inf"));
            }
        }
    }

    #[test]
    fn a_poor_first_epoch_does_not_squeeze_the_others() {
        let points: Vec<Point> = [0.097, 0.82, 0.93, 0.97]
            .map(|test_accuracy| Point { loss: 1.0, train_accuracy: 0.9, test_accuracy })
            .to_vec();
        assert!(below_the_scale(&points).contains("Below the scale: test 9.7 % in epoch 1."));
        assert!(accuracy(&points).contains(">80 %<") && !accuracy(&points).contains(">60 %<"));
        assert_eq!(below_the_scale(&points[..1]), "", "a single epoch is never out of scale");
        assert_eq!(below_the_scale(&points[2..]), "");
    }

    #[test]
    fn labels_do_not_touch() {
        let line = |value| Line { name: "a", class: "a", values: vec![value] };
        let y = Axis::rounded(0.0, 100.0, 4, (100.0, 0.0));
        let heights = label_heights(&[line(99.0), line(99.5), line(20.0)], &y);
        let heights: Vec<f64> = heights.into_iter().flatten().collect();
        assert!((heights[0] - heights[1]).abs() >= LABEL_GAP - 1e-9);
        assert!((heights[2] - 80.0).abs() < 1e-9);
    }
}
