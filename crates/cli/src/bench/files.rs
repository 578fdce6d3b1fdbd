//! `lutweave bench files`: how long reading a data set and keeping a checkpoint take.

use std::path::Path;
use std::time::Instant;

use lutweave::nn::{Dense, StateTensor};
use lutweave::prelude::*;
use lutweave::train::{Checkpoint, Optimizer as _};

use super::FileArguments;
use crate::error::{Error, Result};
use crate::report::grouped;

/// Inputs and outputs of the dense layer, which has a bias besides.
const SIDE: usize = 3162;
/// Digits after the point that say something: milliseconds.
const DIGITS: usize = 3;

/// One line of the result.
struct Row {
    what: String,
    bytes: u64,
    seconds: f64,
}

/// Measures, and prints medians.
pub(super) fn run(arguments: &FileArguments) -> Result<()> {
    let mut rows = Vec::new();
    match data::find_folder("mnist", arguments.data_dir.as_deref()) {
        Ok(folder) => rows.push(mnist(&folder, arguments.runs)?),
        Err(error) if arguments.data_dir.is_some() => return Err(error.into()),
        Err(_) => eprintln!("no MNIST found (see --data-dir): checkpoints alone"),
    }
    rows.extend(checkpoint(&arguments.folder, arguments.runs)?);
    if arguments.json {
        let object = |row: &Row| {
            serde_json::json!({
                "what": row.what,
                "bytes": row.bytes,
                "seconds": row.seconds,
                "runs": arguments.runs,
            })
        };
        say!("{:#}", serde_json::Value::from(rows.iter().map(object).collect::<Vec<_>>()));
        return Ok(());
    }
    for Row { what, bytes, seconds } in rows {
        let megabytes = bytes as f64 / 1e6;
        say!("{what:<44} {megabytes:>7.1} MB {seconds:>8.DIGITS$} s");
    }
    Ok(())
}

/// The median of some runs of `work`, in seconds.
fn median(runs: u32, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds.get(seconds.len() / 2).copied().unwrap_or_default())
}

/// Reading all 70,000 images and labels.
fn mnist(folder: &Path, runs: u32) -> Result<Row> {
    let mut samples = 0;
    let mut bytes = 0;
    let seconds = median(runs, || {
        let (train, test) = data::mnist(folder)?;
        samples = train.len() + test.len();
        bytes = (samples * (train.sample_size() + 1)) as u64;
        Ok(())
    })?;
    let what = format!("read MNIST, {} images", grouped(samples));
    Ok(Row { what, bytes, seconds })
}

/// Writing a network of ten million parameters with the moments of Adam, synced to disk, and reading
/// it again.
fn checkpoint(folder: &Path, runs: u32) -> Result<[Row; 2]> {
    let mut net =
        Sequential::new(&[SIDE]).reading(DType::F32).then(Dense::new(&[SIDE])).build(1)?;
    let mut adam = Adam::new(1e-3);
    // After an update there is a moment of every kind for every parameter.
    for parameter in net.parameters_mut() {
        parameter.gradient.fill(1e-3);
    }
    adam.update(net.parameters_mut(), 1e-3)?;
    let optimizer: Vec<StateTensor> = adam.state();
    let checkpoint = Checkpoint { optimizer, ..Checkpoint::default() };
    let path = folder.join(format!("lutweave-bench-{}.checkpoint", std::process::id()));
    let measured: Result<_> = (|| {
        let write = median(runs, || Ok(store::save_checkpoint(&path, &net, &checkpoint)?))?;
        let bytes = std::fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
        let read = median(runs, || {
            let (back, _) = store::load_checkpoint(&path)?;
            debug_assert_eq!(back.output(), net.output());
            Ok(())
        })?;
        Ok((bytes, write, read))
    })();
    // What was written for the measurement goes in any case; its error is the one to tell.
    let removed = std::fs::remove_file(&path).map_err(Error::io("remove", &path));
    let (bytes, write, read) = measured?;
    removed?;
    let parameters = grouped(net.describe().parameters());
    let row = |what: &str, seconds| {
        let what = format!("{what} a checkpoint, {parameters} parameters");
        Row { what, bytes, seconds }
    };
    Ok([row("write", write), row("read", read)])
}
