//! The folder of a training: its settings, checkpoint, log, report and model.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use lutweave::store;
use lutweave::train::Epoch;
use serde_json::json;

use crate::device::Devices;
use crate::error::{Error, Result};

/// The settings as they were, `--set` included.
pub(crate) const CONFIG: &str = "config.toml";
/// What training goes on from.
pub(crate) const CHECKPOINT: &str = "checkpoint.lutweave";
/// The folder of the training that comes before a descent.
pub(crate) const TRAINING: &str = "training";
/// One line of JSON for each epoch.
pub(crate) const LOG: &str = "log.jsonl";
/// The page that grows while it trains.
pub(crate) const REPORT: &str = "report.html";
/// The trained network.
pub(crate) const MODEL: &str = "model.lutweave";
/// Its netlist in LUTs, where there is a budget of them.
pub(crate) const NETLIST: &str = "small.netlist";
/// All files that a training writes.
const FILES: [&str; 6] = [CONFIG, CHECKPOINT, LOG, REPORT, MODEL, NETLIST];

/// A folder that belongs to one training.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes a folder for a training that begins: a new or empty one, or with `overwrite` that of
    /// an earlier training, whose files go.
    pub(super) fn begin(path: &Path, overwrite: bool) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        fs::create_dir_all(path).map_err(Error::io("make output folder", path))?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(Error::io("look at output folder", path))? {
            let entry = entry.map_err(Error::io("look at output folder", path))?;
            entries.push(entry.file_name().to_string_lossy().into_owned());
        }
        entries.sort();
        let own = entries.iter().any(|entry| entry == CONFIG);
        match entries.into_iter().next() {
            None => {}
            Some(_) if own && overwrite => {
                for file in FILES {
                    let path = folder.file(file);
                    match fs::remove_file(&path) {
                        Err(error) if error.kind() != ErrorKind::NotFound => {
                            return Err(Error::io("remove", &path)(error));
                        }
                        _ => {}
                    }
                }
            }
            Some(_) if own => return Err(Error::Earlier { path: path.to_owned() }),
            Some(entry) => return Err(Error::Foreign { path: path.to_owned(), entry }),
        }
        Ok(folder)
    }

    /// The folder of a training that goes on.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(store::write_atomic(&self.file(name), bytes)?)
    }

    /// Where the log that there is says that epochs were trained, which checkpoints do not know.
    fn logged_devices(&self) -> BTreeMap<usize, String> {
        let text = fs::read_to_string(self.file(LOG)).unwrap_or_default();
        let device = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let device = line["device"].as_str().filter(|on| on.parse::<Devices>().is_ok())?;
            Some((usize::try_from(line["epoch"].as_u64()?).ok()?, device.to_owned()))
        };
        text.lines().filter_map(device).collect()
    }

    /// Begins the log with the epochs that are done, and goes on with those on a device.
    pub(super) fn log(
        &self,
        done: &[Epoch],
        luts: usize,
        part: &'static str,
        device: &str,
    ) -> Result<Log> {
        let devices = self.logged_devices();
        let line =
            |epoch: &Epoch| line(epoch, luts, part, devices.get(&epoch.epoch).map(|on| &**on));
        let lines: String = done.iter().map(line).collect();
        self.write(LOG, lines.as_bytes())?;
        let path = self.file(LOG);
        let file = File::options().append(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(Log { path, file, luts, part, device: device.to_owned() })
    }
}

/// The log of a training.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    luts: usize,
    /// What the samples are called on which the network is looked at.
    part: &'static str,
    device: String,
}

impl Log {
    pub(super) fn add(&mut self, epoch: &Epoch) -> Result<()> {
        let line = line(epoch, self.luts, self.part, Some(&self.device));
        self.file.write_all(line.as_bytes()).map_err(Error::io("write", &self.path))
    }
}

/// `accuracy`, or `mean_squared_error`, after which the figures are named.
pub(super) fn key(epoch: &Epoch) -> String {
    epoch.metric.replace(' ', "_")
}

fn line(epoch: &Epoch, luts: usize, part: &str, device: Option<&str>) -> String {
    let metric = key(epoch);
    let mut object = json!({
        "epoch": epoch.epoch,
        "seconds": epoch.seconds,
        "loss": epoch.loss,
        "learning_rate": epoch.learning_rate,
        "gap": epoch.gap,
        "images_per_s": epoch.images_per_s,
        "luts": luts,
        "flip_ratio": epoch.flips,
    });
    if let Some(device) = device {
        object["device"] = json!(device);
    }
    object[format!("train_{metric}")] = json!(epoch.train);
    object[format!("{part}_{metric}")] = json!(epoch.soft);
    object[format!("frozen_{metric}")] = json!(epoch.frozen);
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        let folder = Folder::begin(&path, false).unwrap();
        Folder::begin(&path, false).unwrap();
        folder.write(CONFIG, b"seed = 1").unwrap();
        fs::write(path.join("note"), "mine").unwrap();
        let text = Folder::begin(&path, false).unwrap_err().text();
        assert!(text.contains("--resume") && text.contains("--overwrite"), "{text}");
        Folder::begin(&path, true).unwrap();
        assert!(path.join("note").exists() && !path.join(CONFIG).exists());
        let text = Folder::begin(&path, true).unwrap_err().text();
        assert!(text.contains("`note`"), "{text}");
    }

    #[test]
    fn a_line_has_all_figures() {
        let epoch = Epoch {
            epoch: 3,
            epochs: 4,
            seconds: 1.5,
            loss: 0.25,
            train: 0.5,
            soft: 0.75,
            frozen: 0.625,
            gap: 0.125,
            metric: "accuracy".to_owned(),
            learning_rate: 0.01,
            images_per_s: 100.0,
            flips: Some(0.03125),
        };
        let line = line(&epoch, 900, "test", Some("cuda:0,cuda:1"));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["device"], "cuda:0,cuda:1");
        for (key, value) in [
            ("epoch", 3.0),
            ("seconds", 1.5),
            ("loss", 0.25),
            ("train_accuracy", 0.5),
            ("test_accuracy", 0.75),
            ("frozen_accuracy", 0.625),
            ("images_per_s", 100.0),
            ("luts", 900.0),
            ("flip_ratio", 0.03125),
        ] {
            assert_eq!(line[key].as_f64(), Some(value), "{key}");
        }
        // A training that goes on elsewhere keeps where its epochs were trained.
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::of(home.path());
        for (logged, kept) in [("cuda:0,cuda:1", true), ("elsewhere", false)] {
            folder.write(LOG, super::line(&epoch, 900, "test", Some(logged)).as_bytes()).unwrap();
            folder.log(std::slice::from_ref(&epoch), 900, "test", "cpu").unwrap();
            let log = fs::read_to_string(folder.file(LOG)).unwrap();
            assert!(log.lines().count() == 1 && log.contains(logged) == kept, "{log}");
        }
    }
}
