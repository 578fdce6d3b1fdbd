//! Dated folders, of which the newest are kept.
//!
//! A folder of BinaryBrain's `storage`: each save makes a folder named by date and time,
//! `20260131_235959`, and the oldest beyond a number go. Folders of other names are left alone; so
//! are those that hold a file called `__no_delete__`, which do not count.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::file::sync_folder;
use crate::{Error, Result};

/// A file of this name in a dated folder keeps it for ever.
pub const NO_DELETE: &str = "__no_delete__";

/// A folder of dated folders.
#[derive(Debug, Clone)]
pub struct Backups {
    path: PathBuf,
    keep: Option<usize>,
}

impl Backups {
    /// Dated folders in `path`, which is made when needed; the ten newest are kept.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), keep: Some(10) }
    }

    /// Keeps so many of the newest, at least the one just made; all of them if none is given.
    #[must_use]
    pub fn keep(self, keep: Option<usize>) -> Self {
        Self { keep, ..self }
    }

    /// Makes the folder `name`, normally a [`date_name`], with what `fill` writes into it. It is
    /// there whole or not at all: it is filled under another name, then renamed. Then the oldest
    /// dated folders are removed, should there be too many. Gives its path.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is something of this name, or the system refuses; the error of
    /// `fill` otherwise. The folders of before are then still there.
    pub fn save(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let target = self.path.join(name);
        let error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        fs::create_dir_all(&self.path).map_err(error("make", &self.path))?;
        if name.is_empty() || name.contains(['/', '\\']) || name == "." || name == ".." {
            let source = std::io::ErrorKind::InvalidInput.into();
            return Err(error("make", &target)(source));
        }
        let made = tempfile::Builder::new().prefix(".lutweave-").tempdir_in(&self.path);
        let made = made.map_err(error("write", &target))?;
        fill(made.path())?;
        sync_folder(made.path());
        if target.exists() {
            return Err(error("make", &target)(std::io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(made.path(), &target).map_err(error("make", &target))?;
        let _ = made.keep(); // it has another name now
        sync_folder(&self.path);
        if let Some(keep) = self.keep {
            self.remove(keep.max(1))?;
        }
        Ok(target)
    }

    /// Whether there is something of this name already, so that [`save`](Self::save) would refuse.
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// The dated folders, oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder cannot be read; one that does not exist has none.
    pub fn list(&self) -> Result<Vec<PathBuf>> {
        let error = |source| Error::Io { action: "read", path: self.path.clone(), source };
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(error(source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(error)?;
            let dated = entry.file_name().to_str().is_some_and(is_date_name);
            if dated && entry.file_type().map_err(error)?.is_dir() {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// The newest dated folder.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.list()?.pop())
    }

    fn remove(&self, keep: usize) -> Result<()> {
        let mut own = self.list()?;
        own.retain(|path| !path.join(NO_DELETE).exists());
        let many = own.len().saturating_sub(keep);
        for path in &own[..many] {
            let error = |source| Error::Io { action: "remove", path: path.clone(), source };
            fs::remove_dir_all(path).map_err(error)?;
        }
        Ok(())
    }
}

/// Whether a name is that of a dated folder: eight digits, `_`, six digits.
pub fn is_date_name(name: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('_').is_some_and(|(date, time)| {
        (date.len(), time.len()) == (8, 6) && digits(date) && digits(time)
    })
}

/// The name of a folder made at this time, `20260131_235959`, in UTC. Times before 1970 and after
/// 9999 count as these.
pub fn date_name(time: SystemTime) -> String {
    const LAST: u64 = 253_402_300_799; // 9999-12-31 23:59:59
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs()).min(LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's "civil from days": years begin in March, so that leap days are last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(backups: &Backups) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        backups.list().unwrap().iter().map(name).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "19700101_000000"),
            (951_782_400, "20000229_000000"),
            (1_709_164_799, "20240228_235959"),
            (4_107_542_399, "21000228_235959"),
            (u64::MAX / 4, "99991231_235959"),
        ];
        for (seconds, name) in cases {
            let made = date_name(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(made, name);
            assert!(is_date_name(name));
        }
        for other in ["", "best", "20240228-235959", "2024_0228", "2024022x_235959"] {
            assert!(!is_date_name(other), "{other}");
        }
    }

    #[test]
    fn the_newest_are_kept_and_others_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let backups = Backups::new(home.path().join("saves")).keep(Some(2));
        assert_eq!(backups.latest().unwrap(), None);
        let save = |name: &str| {
            backups.save(name, |path| {
                fs::write(path.join("note"), name).unwrap();
                Ok(())
            })
        };
        let first = save("20260101_000000").unwrap();
        fs::write(first.join(NO_DELETE), "").unwrap();
        save("best").unwrap();
        for name in ["20260102_000000", "20260103_000000", "20260104_000000"] {
            save(name).unwrap();
        }
        let kept = ["20260101_000000", "20260103_000000", "20260104_000000"];
        assert_eq!(names(&backups), kept);
        assert!(home.path().join("saves/best/note").is_file());
        assert!(backups.latest().unwrap().unwrap().ends_with("20260104_000000"));

        // Nothing is replaced, and nothing half written is left.
        assert!(save("20260104_000000").is_err() && save("../else").is_err());
        let failed = backups
            .save("20260105_000000", |path| crate::write_atomic(&path.join("no/such/folder"), b""));
        assert!(failed.is_err());
        assert_eq!(names(&backups), kept);
        assert_eq!(fs::read_dir(home.path().join("saves")).unwrap().count(), 4);
    }
}
