//! `lutweave demo`: from handwritten digits to simulated Verilog.

mod design;
mod hardware;
mod pictures;
mod simulation;
mod summary;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::process::ExitCode;

use lutweave::prelude::*;
use lutweave::train::{Epoch, History};

use crate::args::DemoArguments;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::output::OutputFolder;
use crate::progress::Progress;
use crate::report::{self, Part, Point, Report, count, grouped, percent};
use design::{Answers, CLASSES, FILES, MODEL, NAME, NETLIST, REPORT};
use simulation::Outcome;

/// Runs the demo.
pub(crate) fn run(arguments: &DemoArguments) -> Result<ExitCode> {
    let interrupt = Interrupt::listen();
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let (train, test) = data::digits()?;
    let mut net = design::network(&train, arguments.seed)?;
    let (needed, allowed) = (net.luts(), arguments.max_luts as usize);
    if needed > allowed {
        return Err(Error::TooLarge { needed, allowed });
    }
    let mut folder = OutputFolder::prepare(&arguments.out, &FILES.map(|file| file.0))?;
    let (training, testing) = (grouped(train.len()), grouped(test.len()));
    say!("digits: {training} images to train on, {testing} to test on");
    say!("network: {}, seed {}", design::in_words(&net), arguments.seed);

    let history = fit(arguments, &interrupt, &mut net, &train, &test)?;
    folder.write(MODEL, &store::to_bytes(&net)?)?;
    if history.stopped {
        folder.remove_stale()?;
        return Ok(stopped(&folder, &history));
    }
    let netlist = design::hardware(&net)?;
    let answers = Answers::of(&net, &netlist, &test)?;
    say!("netlist: {}", answers.in_words());
    answers.check()?;
    folder.write(NETLIST, netlist.to_text().as_bytes())?;
    let files = simulation::write_hardware(&mut folder, &netlist, &answers)?;
    let (parts, latency) = (hardware::parts(&netlist), netlist.latency()?);
    crate::say::print(format_args!("\n{}", summary::hardware(&parts, &netlist, latency)));

    let outcome = simulation::run(arguments, &folder, &files);
    let pictures = pictures::Pictures::of(&test, answers.pairs())?;
    let page = page(arguments, &history, &netlist, parts, latency);
    let page = Report {
        trained_on: train.len(),
        confusion: answers.confusion(CLASSES),
        samples: pictures.samples,
        misread: pictures.misread,
        simulation: outcome.for_report(),
        files: summary::listed(&folder),
        ..page
    };
    folder.write(REPORT, page.html().as_bytes())?;
    folder.remove_stale()?;
    crate::say::print(format_args!("\n{}", summary::files(&folder)));
    match outcome {
        Outcome::Ran(found) => {
            say!("\n{}", simulation::in_words(&found));
            found.verify().map(drop)?;
        }
        Outcome::LeftOut { why, remedy } => say!("\nco-simulation left out: {why}{remedy}"),
        Outcome::Failed(error) => return Err(error.into()),
    }
    crate::say::print(format_args!("\n{}", summary::next(folder.path(), arguments.seed)));
    Ok(ExitCode::SUCCESS)
}

/// Trains, showing how it goes, until done or Ctrl-C.
fn fit(
    arguments: &DemoArguments,
    interrupt: &Interrupt,
    net: &mut Network,
    train: &Dataset,
    test: &Dataset,
) -> Result<History> {
    let progress = RefCell::new(Progress::start());
    interrupt.begin();
    let history = Trainer::new(Adam::new(design::LEARNING_RATE), SoftmaxCrossEntropy)
        .epochs(arguments.epochs as usize)
        .batch(design::BATCH)
        .seed(arguments.seed)
        .on_step(|step| progress.borrow().step(step, interrupt.stopping()))
        .on_epoch(|epoch, _| {
            progress.borrow_mut().epoch(epoch);
            // Where the last epoch has just ended there is nothing left to stop.
            if interrupt.stopping() && epoch.epoch < epoch.epochs {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .fit(net, train, test);
    interrupt.end();
    let seconds = progress.into_inner().finish();
    let history = history?;
    if let Some(last) = history.epochs.last() {
        eprintln!(
            "trained {} in {seconds:.1} s: train {}, test {}",
            count(last.epoch, "epoch"),
            percent(last.train),
            percent(last.frozen)
        );
    }
    Ok(history)
}

/// Says what is left of a training that was stopped.
fn stopped(folder: &OutputFolder, history: &History) -> ExitCode {
    if let Some(last) = history.epochs.last() {
        say!(
            "stopped by Ctrl-C after epoch {} of {}: {} of the test images right",
            last.epoch,
            last.epochs,
            percent(last.frozen)
        );
    }
    say!("kept: {}", folder.file(MODEL).display());
    ExitCode::FAILURE
}

/// The page as far as it follows from the training and the netlist.
fn page(
    arguments: &DemoArguments,
    history: &History,
    netlist: &Netlist,
    parts: Vec<Part>,
    latency: usize,
) -> Report {
    let point = |epoch: &Epoch| Point {
        loss: f64::from(epoch.loss),
        train_accuracy: epoch.train,
        test_accuracy: epoch.frozen,
    };
    Report {
        name: NAME.to_owned(),
        maker: format!("lutweave {}", env!("CARGO_PKG_VERSION")),
        // Folder and threads are left out: the page does not depend on them.
        command: format!("lutweave demo --seed {} --epochs {}", arguments.seed, arguments.epochs),
        trained_on: 0,
        points: history.epochs.iter().map(point).collect(),
        epochs: arguments.epochs as usize,
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        confusion: Vec::new(),
        samples: Vec::new(),
        misread: Vec::new(),
        parts,
        input: hardware::input(netlist),
        stages: hardware::stages(netlist),
        latency,
        simulation: report::Simulation::LeftOut(String::new()),
        files: Vec::new(),
        next: design::next_in_folder(),
        hash: netlist.hash(),
    }
}
