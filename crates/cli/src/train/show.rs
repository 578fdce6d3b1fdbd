//! How a training goes, on standard error: a line an epoch, and below it a bar where there is a
//! terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lutweave::train::{Epoch, Progress};

use crate::report::{grouped, percent};

const TEMPLATE: &str = "{bar:16.cyan/dim} {msg}  {eta} left";

/// Shows how it goes.
#[derive(Debug)]
pub(super) struct Show {
    /// None where standard error is no terminal.
    bar: Option<ProgressBar>,
    /// The figures of the last epoch, shown until the next ends.
    frozen: String,
    /// What the samples are called on which the network is looked at.
    part: &'static str,
}

impl Show {
    /// Begins to show; `last` is the last epoch of an earlier sitting.
    pub(super) fn start(last: Option<&Epoch>, part: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            // The template is fixed and right; without it there would still be a bar.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        let frozen = last.map_or("–".to_owned(), |last| figure(&last.metric, last.frozen));
        Self { bar, frozen, part }
    }

    /// After a step.
    pub(super) fn step(&self, metric: &str, step: &Progress, steps: u64, stopping: bool) {
        let Some(bar) = &self.bar else { return };
        let done = (step.epoch - 1) as u64 * steps + step.step as u64;
        if bar.length() == Some(0) {
            // What an earlier sitting has done does not count for the time left.
            bar.set_length(step.epochs as u64 * steps);
            bar.set_position(done.saturating_sub(1));
            bar.reset_eta();
        }
        bar.set_position(done);
        if stopping {
            bar.set_message("writing a checkpoint; Ctrl-C again to quit at once");
        } else {
            bar.set_message(format!(
                "epoch {}/{}  loss {:.3}  train {}  frozen {}  {} images/s",
                step.epoch,
                step.epochs,
                step.loss,
                figure(metric, step.train),
                self.frozen,
                grouped(step.images_per_s.max(0.0) as usize)
            ));
        }
    }

    /// After an epoch.
    pub(super) fn epoch(&mut self, epoch: &Epoch) {
        self.frozen = figure(&epoch.metric, epoch.frozen);
        let line = in_words(epoch, self.part);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Ends showing.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// An epoch in a line.
fn in_words(epoch: &Epoch, part: &str) -> String {
    let each = epoch.seconds / epoch.epoch.max(1) as f64;
    let left = each * epoch.epochs.saturating_sub(epoch.epoch) as f64;
    let left = if left > 0.0 { format!(", {:.0} s left", left.ceil()) } else { String::new() };
    let width = epoch.epochs.to_string().len();
    let flips = epoch.flips.map_or(String::new(), |flips| format!("  flips {}", flip_ratio(flips)));
    format!(
        "epoch {:>width$}/{}  loss {:.4}  train {}  {part} {}  frozen {}{flips}  {} images/s  {:.1} s{left}",
        epoch.epoch,
        epoch.epochs,
        epoch.loss,
        figure(&epoch.metric, epoch.train),
        figure(&epoch.metric, epoch.soft),
        figure(&epoch.metric, epoch.frozen),
        grouped(epoch.images_per_s.max(0.0) as usize),
        epoch.seconds
    )
}

/// A figure as it is read: accuracies in percent.
pub(crate) fn figure(metric: &str, value: f64) -> String {
    if metric.contains("accuracy") {
        format!("{:.2} %", 100.0 * value)
    } else if value.abs() < 0.01 || value.abs() >= 1e6 {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}

/// The share of bits that an epoch flipped, in percent.
pub(crate) fn flip_ratio(ratio: f64) -> String {
    format!("{:.2} %", 100.0 * ratio)
}

/// A figure of a report: accuracies in percent with one decimal.
pub(super) fn short(metric: &str, value: f64) -> String {
    if metric.contains("accuracy") { percent(value) } else { figure(metric, value) }
}
