//! `lutweave data show`: samples per class, and a picture of some.

use std::fmt::Write as _;
use std::path::Path;

use lutweave::data::csv::Target;
use lutweave::data::{OpenOptions, Opened};
use lutweave::store;
use lutweave::tensor::{Dataset, Targets, Values};

use super::{ShowArguments, picture};
use crate::error::Result;
use crate::report::grouped;

/// Shows a data set.
pub(super) fn run(arguments: &ShowArguments) -> Result<()> {
    let target = match &arguments.classes {
        Some(column) => Target::Classes(column.clone()),
        None if arguments.numbers.is_empty() => Target::Found,
        None => Target::Numbers(arguments.numbers.clone()),
    };
    let options = OpenOptions::new().data_dir(arguments.data_dir.as_deref()).target(target);
    let opened = options.open(&arguments.name)?;
    crate::say::print(format_args!("{}", text(&opened)));
    if let Some(path) = &arguments.png {
        draw(&opened.train, path)?;
        say!("picture: {}", path.display());
    }
    Ok(())
}

fn draw(data: &Dataset, path: &Path) -> Result<()> {
    store::write_atomic(path, &picture::of_samples(data)?.png()?)?;
    Ok(())
}

/// What there is, in words and a table.
fn text(opened: &Opened) -> String {
    let (train, test) = (&opened.train, &opened.test);
    let mut text = format!(
        "{}: {} samples to train on, {} to test on, of shape {:?}, {}\n",
        train.name(),
        grouped(train.len()),
        grouped(test.len()),
        train.shape(),
        values(train.values())
    );
    match (train.classes(), test.classes()) {
        (Some((count, train)), Some((_, test))) => {
            let name = |class: usize| match opened.classes.get(class) {
                Some(name) if *name != class.to_string() => format!("{class} {name}"),
                _ => class.to_string(),
            };
            let (train, test) = (counts(count, train), counts(count, test));
            let names: Vec<String> = (0..count).map(name).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
            let _ = writeln!(text, "{:width$}{:>10}{:>10}", "class", "train", "test");
            for ((name, train), test) in names.iter().zip(train).zip(test) {
                let _ = writeln!(text, "{name:width$}{:>10}{:>10}", grouped(train), grouped(test));
            }
        }
        _ => text.push_str(&targets(train.targets())),
    }
    text
}

/// How many samples each class has.
fn counts(classes: usize, labels: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    counts
}

fn values(values: &Values) -> String {
    match values {
        Values::U8(values) => {
            let (low, high) = (values.iter().min(), values.iter().max());
            format!("bytes of {} to {}", low.unwrap_or(&0), high.unwrap_or(&0))
        }
        Values::F32(values) => {
            let (low, high, _) = range(values);
            format!("real numbers of {low} to {high}")
        }
        _ => "values of another type".to_owned(),
    }
}

/// The smallest, the largest and the mean of some numbers.
fn range<'a>(values: impl IntoIterator<Item = &'a f32>) -> (f32, f32, f64) {
    let (mut low, mut high, mut sum, mut count) = (f32::INFINITY, f32::NEG_INFINITY, 0.0, 0u32);
    for &value in values {
        (low, high) = (low.min(value), high.max(value));
        sum += f64::from(value);
        count += 1;
    }
    (low, high, sum / f64::from(count.max(1)))
}

/// Targets that are no class a sample.
fn targets(targets: &Targets) -> String {
    match targets.own() {
        Targets::Real { shape, values } => {
            let (size, mut text) = (shape.iter().product::<usize>(), String::new());
            for place in 0..size.min(100) {
                let (low, high, mean) = range(values.iter().skip(place).step_by(size));
                let _ = writeln!(text, "target {place}: {low} to {high}, mean {mean:.4}");
            }
            text
        }
        Targets::Pixels { count, shape, .. } => {
            format!("{count} classes of positions, of shape {shape:?}\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted() {
        let opened = OpenOptions::new().open("digits").unwrap();
        let text = text(&opened);
        let first = "digits: 1,437 samples to train on, 360 to test on, of shape [1, 8, 8], bytes of 0 to 16";
        assert!(text.starts_with(first), "{text}");
        assert_eq!(text.lines().count(), 12);
        let line: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(line[0], "0");
        assert_eq!(line[1].parse::<u32>().unwrap() + line[2].parse::<u32>().unwrap(), 178);
    }

    #[test]
    fn numbers_have_their_range() {
        let values = Targets::Real { shape: vec![2], values: vec![1.0, -5.0, 3.0, 5.0] };
        assert_eq!(
            targets(&values),
            "target 0: 1 to 3, mean 2.0000\ntarget 1: -5 to 5, mean 0.0000\n"
        );
    }
}
