//! `lutweave zoo train`: an entry from its settings to its figures.

use std::path::Path;
use std::process::ExitCode;

use lutweave::backend::Cpu;
use lutweave::nn::Answer;
use lutweave::prelude::*;
use lutweave::zoo::{self, Entry, Record};

use super::{ZooTrainArguments, measure};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::grouped;
use crate::train::source::Source;
use crate::train::{TrainOptions, Trained, train};

/// Most bytes of a netlist that travels with the source.
const TRAVELS: usize = 250_000;
/// The figures, in the folder of the training and in that of the source.
const RESULTS: &str = "results.json";

/// Trains, measures, and records where that is asked for.
pub(super) fn run(arguments: &ZooTrainArguments) -> Result<ExitCode> {
    let entry = zoo::find(&arguments.name)?;
    let interrupt = Interrupt::listen();
    arguments.options.set_threads()?;
    let mut options = arguments.options.clone();
    let out = options.out.clone().unwrap_or_else(|| Path::new("out").join(entry.name));
    options.out = Some(out.clone());
    let Some(trained) = train_entry(&interrupt, entry, &options, &arguments.options)? else {
        return Ok(ExitCode::FAILURE);
    };
    let (record, netlist) = measured(entry, &trained, !arguments.no_synthesis)?;
    let luts = record.luts.map_or("not synthesised".to_owned(), |luts| {
        let zoo::Luts { core, encoder, head } = luts;
        let total = grouped(luts.total());
        format!("{total}: core {core}, encoder {encoder}, head {head}")
    });
    say!(
        "{}: {} of {} right, {:.2} %; LUTs: {luts}",
        entry.name,
        grouped(record.right),
        grouped(record.samples),
        100.0 * record.accuracy()
    );
    write_json(&out.join(RESULTS), &[&record])?;
    if let Some(folder) = &arguments.record {
        keep(folder, record, netlist.as_ref())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains an entry; `given` is what the user asked for, for the command that goes on.
fn train_entry(
    interrupt: &Interrupt,
    entry: &Entry,
    options: &TrainOptions,
    given: &TrainOptions,
) -> Result<Option<Trained>> {
    let file = format!("{}.toml of the zoo", entry.name);
    let source = Source::of(file, entry.settings.to_owned(), &options.set)?;
    let command = ["zoo", "train", entry.name].map(str::to_owned);
    train(interrupt, entry.name, &source, &command, options, &given.set)
}

/// The figures of a network, and its netlist where a clock is enough for a sample.
fn measured(
    entry: &Entry,
    trained: &Trained,
    synthesis: bool,
) -> Result<(Record, Option<Netlist>)> {
    let Trained { net, test, steps, seconds, device } = trained;
    let share = lutweave::train::evaluate(
        net,
        test,
        lutweave::train::metric_of(test).as_mut(),
        &Cpu::new(),
    )?;
    let mut record = Record {
        name: entry.name.to_owned(),
        samples: test.len(),
        right: (share * test.len() as f64).round() as usize,
        nodes: net.luts(),
        unrolled: Some(net.describe().cost().unrolled as usize).filter(|&all| all > net.luts()),
        frames: 1,
        luts: None,
        depth: None,
        steps: *steps,
        seconds: (seconds * 10.0).round() / 10.0,
        threads: rayon::current_num_threads(),
        device: Some(device.clone()).filter(|device| device != "cpu"),
    };
    let hardware = net.to_hardware(&entry.name.replace('-', "_"), Answer::Auto)?;
    record.frames = hardware.clocks;
    let single = hardware.clocks == 1;
    if single {
        let right = measure::right(&hardware.netlist, test)?;
        if right != record.right {
            return Err(Error::Unequal {
                equal: test.len() - right.abs_diff(record.right),
                total: test.len(),
            });
        }
    }
    record.depth = Some(measure::depth(&hardware.netlist)?);
    if synthesis {
        say!("synthesising");
        record.luts = measure::luts(&hardware.netlist)?;
    }
    Ok((record, single.then_some(hardware.netlist)))
}

/// Puts figures and netlist where the next build finds them.
fn keep(folder: &Path, record: Record, netlist: Option<&Netlist>) -> Result<()> {
    let path = folder.join(RESULTS);
    let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let mut records: Vec<Record> = serde_json::from_slice(&text).map_err(zoo::Error::from)?;
    if let Some(netlist) = netlist {
        let path = folder.join("models").join(format!("{}.netlist", record.name));
        let text = netlist.to_text();
        if text.len() <= TRAVELS {
            store::write_atomic(&path, text.as_bytes())?;
            say!("{} written", path.display());
        } else {
            say!(
                "the netlist has {} bytes, too many to travel with the source",
                grouped(text.len())
            );
        }
    }
    records.retain(|old| old.name != record.name);
    records.push(record);
    let place = |name: &str| zoo::ENTRIES.iter().position(|entry| entry.name == name);
    records.sort_by_key(|record| place(&record.name));
    write_json(&path, &records.iter().collect::<Vec<_>>())
}

fn write_json(path: &Path, records: &[&Record]) -> Result<()> {
    let mut text = serde_json::to_string_pretty(records).map_err(zoo::Error::from)?;
    text.push('\n');
    store::write_atomic(path, text.as_bytes())?;
    say!("{} written", path.display());
    Ok(())
}
