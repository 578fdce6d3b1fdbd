//! How training goes: a bar on a terminal, a line per epoch elsewhere. All on standard error.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lutweave::train;
use lutweave::train::Epoch;

use crate::report::grouped;

const TEMPLATE: &str = "{bar:28.cyan/dim} {msg}  {eta} left";

/// Shows how training goes.
#[derive(Debug)]
pub(crate) struct Progress {
    /// `None` where standard error is no terminal.
    bar: Option<ProgressBar>,
    started: Instant,
    /// The accuracies after the last epoch, shown until the next ends.
    accuracy: String,
}

impl Progress {
    /// Begins to show.
    pub(crate) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            // The template is fixed and right; without it there would still be a bar.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        Self { bar, started: Instant::now(), accuracy: "train –  test –".to_owned() }
    }

    /// After a step of training.
    pub(crate) fn step(&self, step: &train::Progress, stopping: bool) {
        let Some(bar) = &self.bar else { return };
        bar.set_length((step.epochs * step.steps) as u64);
        bar.set_position(((step.epoch - 1) * step.steps + step.step) as u64);
        if stopping {
            bar.set_message(format!("stopping after epoch {}; Ctrl-C again to quit", step.epoch));
        } else {
            bar.set_message(format!(
                "epoch {}/{}  loss {:.3}  {}  {}",
                step.epoch,
                step.epochs,
                step.loss,
                self.accuracy,
                speed(step.images_per_s)
            ));
        }
    }

    /// After an epoch.
    pub(crate) fn epoch(&mut self, epoch: &Epoch) {
        self.accuracy = accuracy(epoch.train, epoch.frozen);
        if self.bar.is_none() {
            let left = remaining(self.started.elapsed(), epoch.epoch, epoch.epochs);
            eprintln!(
                "epoch {:>2}/{}  loss {:.4}  {}  {}  {left} s left",
                epoch.epoch,
                epoch.epochs,
                epoch.loss,
                self.accuracy,
                speed(epoch.images_per_s)
            );
        }
    }

    /// Ends showing; returns the seconds since the start.
    pub(crate) fn finish(self) -> f64 {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed().as_secs_f64()
    }
}

fn accuracy(train: f64, test: f64) -> String {
    format!("train {:.1} %  test {:.1} %", 100.0 * train, 100.0 * test)
}

#[allow(clippy::cast_sign_loss)] // not negative
fn speed(images_per_s: f64) -> String {
    format!("{} images/s", grouped(images_per_s.max(0.0) as usize))
}

/// Whole seconds until the last epoch, going on as until now.
#[allow(clippy::cast_sign_loss)] // not negative
fn remaining(elapsed: Duration, done: usize, of: usize) -> u64 {
    let each = elapsed.as_secs_f64() / done.max(1) as f64;
    (each * of.saturating_sub(done) as f64).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_in_proportion() {
        let second = Duration::from_secs(10);
        assert_eq!(
            [(5, 10), (10, 10), (3, 4), (0, 0)].map(|(d, n)| remaining(second, d, n)),
            [10, 0, 4, 0]
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(speed(123_456.7), "123,456 images/s");
        assert_eq!(accuracy(0.9931, 0.972), "train 99.3 %  test 97.2 %");
    }
}
