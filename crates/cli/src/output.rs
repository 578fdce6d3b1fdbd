//! The folder that the results go to.
//!
//! Nothing of anyone else's is ever replaced: the folder must be new, empty, or carry the mark of
//! an earlier run. Every file appears whole, or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lutweave::store;

use crate::error::{Error, Result};

/// The file that marks a folder as written by this command.
pub(crate) const MARK: &str = ".lutweave-demo";
const MARK_TEXT: &str = "\
This folder was written by `lutweave demo`, which replaces these files when it runs again:
";
/// Bytes that must fit before work begins: more than all files of the demo and its simulation.
const ROOM: usize = 8 << 20;

/// A folder that was found fit to write to.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    path: PathBuf,
    names: Vec<&'static str>,
    written: Vec<(&'static str, u64)>,
}

impl OutputFolder {
    /// Makes or takes over the folder `path` for files called `names`, and tries it by writing.
    pub(crate) fn prepare(path: &Path, names: &[&'static str]) -> Result<Self> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => {
                return Err(Error::NotAFolder { path: path.to_owned() });
            }
            Ok(_) => refuse_foreign(path, names)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(Error::io("make output folder", path))?;
            }
            Err(error) => return Err(Error::io("look at output folder", path)(error)),
        }
        let folder = Self { path: path.to_owned(), names: names.to_vec(), written: Vec::new() };
        folder.try_room()?;
        let mark = format!("{MARK_TEXT}  {}\n", names.join("\n  "));
        store::write_atomic(&folder.path.join(MARK), mark.as_bytes())?;
        Ok(folder)
    }

    /// Writes as much as will be needed, and takes it away again.
    fn try_room(&self) -> Result<()> {
        let probe = self.path.join(format!(".lutweave-probe-{}", std::process::id()));
        let tried = (|| {
            let mut file = File::options().write(true).create_new(true).open(&probe)?;
            file.write_all(&vec![0; ROOM])?;
            file.sync_all()
        })();
        // What remains of a probe that failed is taken away as well; its error is the one to tell.
        let removed = fs::remove_file(&probe);
        tried.and(removed).map_err(Error::io("write to output folder", &self.path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes what only an earlier run wrote, so that files of two runs never stand side by side.
    pub(crate) fn remove_stale(&self) -> Result<()> {
        let stale = |name: &&&str| self.written.iter().all(|(written, _)| written != *name);
        for name in self.names.iter().filter(stale) {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&mut self, name: &'static str, bytes: &[u8]) -> Result<()> {
        store::write_atomic(&self.path.join(name), bytes)?;
        self.written.push((name, bytes.len() as u64));
        Ok(())
    }

    /// The files written by this run with their sizes in bytes, in order.
    pub(crate) fn written(&self) -> &[(&'static str, u64)] {
        &self.written
    }
}

/// An error when the folder holds anything without bearing the mark, or when a folder or link
/// stands where a file will go.
fn refuse_foreign(path: &Path, names: &[&str]) -> Result<()> {
    let io = |error| Error::io("look at output folder", path)(error);
    let marked = path.join(MARK).is_file();
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let kind = entry.file_type().map_err(io)?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let foreign = entries
        .into_iter()
        .find(|(name, kind)| !marked || (names.contains(&name.as_str()) && !kind.is_file()));
    match foreign {
        Some((entry, _)) => Err(Error::Foreign { path: path.to_owned(), entry }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["a.txt", "b.txt"];

    fn names_in(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn takes_new_empty_and_own_folders() {
        let home = tempfile::tempdir().unwrap();
        let new = home.path().join("one/two");
        let mut folder = OutputFolder::prepare(&new, &NAMES).unwrap();
        folder.write("a.txt", b"first").unwrap();
        assert_eq!(folder.written(), [("a.txt", 5)]);
        assert_eq!(names_in(&new), [MARK, "a.txt"]);

        let empty = home.path().join("empty");
        fs::create_dir(&empty).unwrap();
        OutputFolder::prepare(&empty, &NAMES).unwrap();

        // Again, with a note of the user's beside our files: it stays.
        fs::write(new.join("note"), "mine").unwrap();
        let mut folder = OutputFolder::prepare(&new, &NAMES).unwrap();
        folder.write("b.txt", b"second").unwrap();
        assert_eq!(fs::read(new.join("a.txt")).unwrap(), b"first", "untouched until the end");
        folder.remove_stale().unwrap();
        assert_eq!(names_in(&new), [MARK, "b.txt", "note"]);
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "mine").unwrap();
        let text = OutputFolder::prepare(&file, &NAMES).unwrap_err().text();
        assert!(text.contains("there is a file of this name") && text.contains("try:"), "{text}");

        // Even where it has the name of one of ours.
        let foreign = home.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("a.txt"), "mine").unwrap();
        let text = OutputFolder::prepare(&foreign, &NAMES).unwrap_err().text();
        assert!(text.contains("holds `a.txt`") && text.contains("--out"), "{text}");
        assert_eq!(fs::read(foreign.join("a.txt")).unwrap(), b"mine");
        assert_eq!(names_in(&foreign), ["a.txt"]);

        let marked = home.path().join("marked");
        OutputFolder::prepare(&marked, &NAMES).unwrap();
        fs::create_dir(marked.join("b.txt")).unwrap();
        let text = OutputFolder::prepare(&marked, &NAMES).unwrap_err().text();
        assert!(text.contains("holds `b.txt`"), "{text}");
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "mine").unwrap();
        let error = OutputFolder::prepare(&home.path().join("file/out"), &NAMES).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.text().contains("because:"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_unwritable_folder_is_found_out_before_work_begins() {
        // `/proc` refuses new files even to root.
        let error = OutputFolder::prepare(Path::new("/proc/lutweave"), &NAMES).unwrap_err();
        assert!(error.text().contains("/proc/lutweave"), "{}", error.text());
    }
}
