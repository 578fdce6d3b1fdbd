//! Trains what is not trained yet.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lutweave::backend::Cpu;
use lutweave::prelude::*;
use lutweave::train::{self, Flow, Schedule};

use super::figures::Figures;
use super::plan::{Cell, Setting, Study};
use super::results::{Line, Part, Results};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::samples;
use crate::train::config::DataConfig;

const TEMPLATE: &str = "{bar:28.cyan/dim} {pos}/{len}  {msg}  {eta} left";
/// The seed with which learning rates are chosen; those of the results begin at 1.
const RATE_SEED: u64 = 0;

/// The samples of a study.
struct Samples {
    train: Dataset,
    validation: Dataset,
    test: Dataset,
}

/// A training to do.
struct Job {
    cell: Cell,
    part: Part,
    rate: f32,
    seed: u64,
}

/// Trains all that is missing; none when it was stopped.
pub(super) fn run(
    study: &Study,
    setting: &Setting,
    out: &Path,
    data_dir: Option<&Path>,
) -> Result<Option<Results>> {
    let mut results = Results::open(study, setting, out)?;
    let mut samples = None;
    let interrupt = Interrupt::listen();
    let show = Show::start(study, setting);
    loop {
        let jobs = missing(study, &results);
        if jobs.is_empty() {
            show.finish();
            return Ok(Some(results));
        }
        let samples = match &mut samples {
            Some(samples) => samples,
            none => none.insert(open(setting, data_dir)?),
        };
        for job in jobs {
            show.begin(study, &job, results.lines.len());
            let Some(line) = train(study, setting, &job, samples, &interrupt)? else {
                show.finish();
                return Ok(None);
            };
            show.end(&line);
            results.add(line)?;
        }
    }
}

/// What comes next: rates, then all combinations, then the best on the test samples.
fn missing(study: &Study, results: &Results) -> Vec<Job> {
    let cells = study.cells();
    let mut rated: Vec<Cell> = cells.iter().map(|cell| study.rated_cell(cell)).collect();
    rated.sort();
    rated.dedup();
    let done = |cell: &Cell, part: Part, rate: f32, seed: u64| {
        let lines = results.of(study, cell, part);
        lines.iter().any(|line| line.seed == seed && line.rate.total_cmp(&rate).is_eq())
    };
    let mut jobs = Vec::new();
    for cell in rated {
        for &rate in study.rates {
            if !done(&cell, Part::Rate, rate, RATE_SEED) {
                jobs.push(Job { cell: cell.clone(), part: Part::Rate, rate, seed: RATE_SEED });
            }
        }
    }
    let add = |jobs: &mut Vec<Job>, cells: &[Cell], part: Part| {
        for cell in cells {
            // Rates that are not chosen yet come first.
            let Some(rate) = results.rate(study, cell) else { continue };
            let seeds = (1..=results.setting.seeds).filter(|&seed| !done(cell, part, rate, seed));
            jobs.extend(seeds.map(|seed| Job { cell: cell.clone(), part, rate, seed }));
        }
    };
    add(&mut jobs, &cells, Part::Validation);
    if jobs.is_empty() {
        add(&mut jobs, &Figures::of(study, results).winners(), Part::Test);
    }
    jobs
}

fn open(setting: &Setting, data_dir: Option<&Path>) -> Result<Samples> {
    let opened = samples::open(&DataConfig::named(&setting.data), data_dir)?;
    // A fifth of few samples, and never more than 10,000.
    let kept = (opened.train.len() / 5).clamp(1, 10_000);
    let (validation, mut train) = opened.train.split(kept, lutweave::data::SPLIT_SEED)?;
    if let Some(samples) = setting.samples {
        if samples > train.len() {
            return Err(Error::Options(format!(
                "--samples {samples}: `{}` has {} that are not kept aside",
                setting.data,
                train.len()
            )));
        }
        train = train.split(samples, lutweave::data::SPLIT_SEED)?.0;
    }
    Ok(Samples { train, validation, test: opened.test })
}

/// Trains and measures; none when it was stopped.
fn train(
    study: &Study,
    setting: &Setting,
    job: &Job,
    samples: &Samples,
    interrupt: &Interrupt,
) -> Result<Option<Line>> {
    let backend = Cpu::new();
    let mut net = (study.network)(&job.cell, setting, &samples.train, job.seed)?;
    let measured = match job.part {
        Part::Test => &samples.test,
        _ => &samples.validation,
    };
    // What is watched while training costs time and decides nothing.
    let few: Vec<usize> = (0..samples.validation.len().min(64)).collect();
    let watched = samples.validation.select(&few)?;
    let started = Instant::now();
    interrupt.begin();
    let history = Trainer::new(Adam::new(job.rate), SoftmaxCrossEntropy)
        .schedule(Schedule::Cosine)
        .epochs(setting.epochs)
        .batch(study.batch)
        .seed(job.seed)
        .soft_samples(1)
        .on_step(|_| if interrupt.stopping() { Flow::Stop } else { Flow::Continue })
        .fit(&mut net, &samples.train, &watched);
    interrupt.end();
    let diverged = matches!(history, Err(train::Error::Diverged { .. }));
    if !diverged && history?.stopped {
        return Ok(None);
    }
    let seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    // A training that came apart has nothing right, which is a result.
    let share = if diverged {
        0.0
    } else {
        train::evaluate(&net, measured, train::metric_of(measured).as_mut(), &backend)?
    };
    Ok(Some(Line {
        cell: study.names(&job.cell),
        part: job.part,
        rate: job.rate,
        seed: job.seed,
        right: (share * measured.len() as f64).round() as usize,
        of: measured.len(),
        nodes: net.luts(),
        seconds,
    }))
}

/// How it goes, on standard error: a bar on a terminal, a line a training elsewhere.
struct Show {
    bar: Option<ProgressBar>,
}

impl Show {
    fn start(study: &Study, setting: &Setting) -> Self {
        let cells = study.cells();
        let mut rated: Vec<Cell> = cells.iter().map(|cell| study.rated_cell(cell)).collect();
        rated.sort();
        rated.dedup();
        let best = study.factors.first().map_or(0, |factor| factor.levels.len());
        let all = rated.len() * study.rates.len() + (cells.len() + best) * setting.seeds as usize;
        let bar = std::io::stderr().is_terminal().then(|| {
            let to = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(all as u64), to);
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar
        });
        Self { bar }
    }

    fn begin(&self, study: &Study, job: &Job, done: usize) {
        if let Some(bar) = &self.bar {
            if bar.position() == 0 && done > 0 {
                bar.set_position(done as u64);
                bar.reset_eta();
            }
            let names = study.names(&job.cell).join(", ");
            bar.set_message(format!("{names}, seed {}", job.seed));
        }
    }

    fn end(&self, line: &Line) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => eprintln!(
                "{}, rate {}, seed {}: {:.2} % in {:.1} s",
                line.cell.join(", "),
                line.rate,
                line.seed,
                line.accuracy(),
                line.seconds
            ),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
