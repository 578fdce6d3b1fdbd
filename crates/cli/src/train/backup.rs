//! Dated copies of the checkpoint, of which the newest are kept.

use std::cell::Cell;
use std::path::Path;
use std::time::SystemTime;

use lutweave::nn::Network;
use lutweave::store::{self, Backups, date_name};
use lutweave::train::{Checkpoint, Epoch};

use super::config::BackupConfig;
use super::folder::CHECKPOINT;

/// The folder of dated folders, inside that of the training.
pub(super) const BACKUPS: &str = "backups";
/// Copies that are kept unless another number is asked for.
const KEEP: usize = 10;

/// What makes them.
#[derive(Debug)]
pub(super) struct Copies {
    backups: Backups,
    /// Epochs from one to the next.
    every: usize,
    due: Cell<bool>,
}

impl Copies {
    /// As the settings say; `keep` of the command line comes before theirs.
    pub(super) fn new(
        out: &Path,
        config: Option<BackupConfig>,
        keep: Option<usize>,
    ) -> Option<Self> {
        if config.is_none() && keep.is_none() {
            return None;
        }
        let config = config.unwrap_or_default();
        let keep = keep.or(config.keep).unwrap_or(KEEP);
        let backups = Backups::new(out.join(BACKUPS)).keep((keep > 0).then_some(keep));
        let every = config.epochs.map_or(1, usize::from);
        Some(Self { backups, every, due: Cell::new(false) })
    }

    /// Whether a copy is due after this epoch; the next [`save`](Self::save) makes it.
    pub(super) fn is_due(&self, epoch: &Epoch) -> bool {
        let due = epoch.epoch.is_multiple_of(self.every) || epoch.epoch == epoch.epochs;
        self.due.set(due);
        due
    }

    /// Makes the copy that is due. Names are by the second: where there is one of this second
    /// already, as with epochs that are shorter, that one is enough.
    pub(super) fn save(
        &self,
        net: &Network,
        checkpoint: &Checkpoint,
        now: SystemTime,
    ) -> store::Result<()> {
        if !self.due.take() || self.backups.has(&date_name(now)) {
            return Ok(());
        }
        let fill = |folder: &Path| store::save_checkpoint(folder.join(CHECKPOINT), net, checkpoint);
        self.backups.save(&date_name(now), fill).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use lutweave::prelude::*;

    use super::*;

    fn epoch(epoch: usize) -> Epoch {
        let figures = serde_json::json!({
            "epoch": epoch, "epochs": 7, "seconds": 1.0, "loss": 1.0, "train": 0.5, "soft": 0.5,
            "frozen": 0.5, "gap": 0.0, "metric": "accuracy", "learning_rate": 0.1,
            "images_per_s": 1.0, "flips": null,
        });
        serde_json::from_value(figures).unwrap()
    }

    #[test]
    fn the_newest_copies_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let net = Sequential::new(&[4]).reading(DType::Bit).then(LutLayer::new(6)).build(1);
        let net = net.unwrap();
        assert!(Copies::new(home.path(), None, None).is_none());
        let config = BackupConfig { keep: Some(5), epochs: std::num::NonZeroUsize::new(2) };
        let copies = Copies::new(home.path(), Some(config), Some(2)).unwrap();
        let time = |second| UNIX_EPOCH + Duration::from_secs(second);
        for number in 1..=7 {
            copies.is_due(&epoch(number));
            // The fourth falls into the second of the one before.
            let second = if number == 4 { 2 } else { number as u64 };
            copies.save(&net, &Checkpoint::default(), time(second)).unwrap();
        }
        let folders = Backups::new(home.path().join(BACKUPS)).list().unwrap();
        let names: Vec<_> = folders.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["19700101_000006", "19700101_000007"]);
        assert!(store::load_checkpoint(folders[0].join(CHECKPOINT)).is_ok());
    }
}
