//! `lutweave bench train`.

use lutweave::prelude::*;
use lutweave::tensor::{Targets, Values, rng};
use lutweave::train::Epoch;

use super::TrainArguments;
use super::nets::Known;
use crate::device::{Driver, Opened};
use crate::error::Result;
use crate::report::{grouped, percent};
use crate::samples;
use crate::train::config::AugmentConfig;

/// Images of an epoch of MNIST.
const EPOCH: usize = 60_000;

/// Trains, and prints how fast.
pub(super) fn run(arguments: &TrainArguments) -> Result<()> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let devices = arguments.device.open(&Driver, arguments.net.batch())?;
    let (train, test, real) = images(arguments)?;
    let mut known = arguments.net.build(&train)?;
    let images = arguments.images.map_or(known.images, |images| images as usize);
    let train = train.select(&(0..images.min(train.len())).collect::<Vec<_>>())?;
    let change = AugmentConfig { shift: known.shift, ..AugmentConfig::default() };
    let augmentation = samples::augmentation(&change, 1)?;
    let mut trainer = Trainer::new(Adam::new(1e-3), SoftmaxCrossEntropy)
        .schedule(Schedule::Constant)
        .epochs(arguments.epochs as usize)
        .batch(known.batch)
        .on_epoch(|epoch, _| {
            eprintln!(
                "epoch {}/{}  loss {:.4}  test {}  {} images/s",
                epoch.epoch,
                epoch.epochs,
                epoch.loss,
                percent(epoch.frozen),
                grouped(epoch.images_per_s as usize)
            );
            std::ops::ControlFlow::Continue(())
        });
    if !augmentation.is_empty() {
        trainer = trainer.prepare(|batch, place| samples::changed(&augmentation, &batch, place));
    }
    let history = devices.give(trainer).fit(&mut known.net, &train, &test)?;
    let mut speeds: Vec<f64> = history.epochs.iter().map(|epoch| epoch.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    let speed = speeds[speeds.len() / 2];
    // What an epoch takes with what is looked at after it, for all images of an epoch of MNIST.
    let (mut whole, mut before) = (Vec::new(), 0.0);
    for epoch in &history.epochs {
        whole.push(epoch.seconds - before);
        before = epoch.seconds;
    }
    whole.sort_by(f64::total_cmp);
    let whole = (images == EPOCH).then(|| whole[whole.len() / 2]);
    report(arguments, &known, (speed, whole), history.epochs.last(), (real, &devices));
    Ok(())
}

/// MNIST where it is found, or random images of its size and whether they are real.
fn images(arguments: &TrainArguments) -> Result<(Dataset, Dataset, bool)> {
    match data::find_folder("mnist", arguments.data_dir.as_deref()) {
        Ok(folder) => {
            let (train, test) = data::mnist(&folder)?;
            Ok((train, test, true))
        }
        Err(error) if arguments.data_dir.is_some() => Err(error.into()),
        Err(_) => {
            eprintln!("no MNIST found (see --data-dir): measuring on random images of its size");
            Ok((random(EPOCH)?, random(1000)?, false))
        }
    }
}

fn random(samples: usize) -> Result<Dataset> {
    let mut stream = rng::stream(1, &[samples as u64]);
    let values = (0..samples * 784).map(|_| rng::word(&mut stream) as u8).collect();
    let labels = (0..samples).map(|_| rng::below(&mut stream, 10) as u32).collect();
    let targets = Targets::Classes { count: 10, labels };
    Ok(Dataset::new("random", &[1, 28, 28], Values::U8(values), targets)?)
}

fn report(
    arguments: &TrainArguments,
    known: &Known,
    (speed, whole): (f64, Option<f64>),
    last: Option<&Epoch>,
    (real, devices): (bool, &Opened),
) {
    let cost = known.net.describe().cost();
    let ns = 1e9 / (speed * cost.unrolled as f64 * known.frames as f64);
    let seconds = EPOCH as f64 / speed;
    let threads = rayon::current_num_threads();
    let accuracy = last.filter(|_| real).map(|epoch| epoch.frozen);
    let memory = peak_memory();
    if arguments.json {
        let object = serde_json::json!({
            "net": known.name,
            "backend": devices.first().name(),
            "device": devices.name(),
            "exchange": devices.exchange(),
            "isa": lutweave::backend::Isa::best().name(),
            "threads": threads,
            "images_per_s": speed,
            "epoch_s": seconds,
            "epoch_with_evaluation_s": whole,
            "ns_per_lut_frame": ns,
            "test_accuracy": accuracy,
            "peak_memory_bytes": memory,
        });
        say!("{object:#}");
        return;
    }
    say!(
        "{}: {} LUTs, {} with all positions, {} frames an image, batches of {}, {threads} threads, {}, {}",
        known.name,
        grouped(cost.luts as usize),
        grouped(cost.unrolled as usize),
        known.frames,
        known.batch,
        devices.name(),
        lutweave::backend::Isa::best()
    );
    devices.announce();
    say!(
        "{} images/s; an epoch of {} images takes {seconds:.2} s",
        grouped(speed as usize),
        grouped(EPOCH)
    );
    if let Some(whole) = whole {
        say!("{whole:.2} s with what is evaluated after it");
    }
    say!("{ns:.2} ns per LUT and frame for a whole step");
    if let Some(accuracy) = accuracy {
        say!("{} of the test images right", percent(accuracy));
    }
    if let Some(memory) = memory {
        say!("peak memory {} MB", memory / 1_000_000);
    }
}

/// The most memory this process has had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
