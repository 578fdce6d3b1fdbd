//! `lutweave data fetch`: the files of a data set, from the first mirror that gives them.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lutweave::data::{self, Known, Published};

use super::download::{Wanted, agent, download, sha256};
use super::error::Failure;
use super::{Error, FetchArguments, in_bytes, unpack};
use crate::error::{self, Result};
use crate::report::grouped;

/// Times that all mirrors of a file are tried.
const ROUNDS: usize = 2;

const TEMPLATE: &str =
    "{bar:28.cyan/dim} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";

/// Fetches a data set, unless it is there.
pub(super) fn run(arguments: &FetchArguments) -> Result<()> {
    let fetchable = || data::known().iter().filter(|known| !known.files.is_empty());
    let Some(known) = fetchable().find(|known| known.name == arguments.name) else {
        let known: Vec<&str> = fetchable().map(|known| known.name).collect();
        let (name, known) = (arguments.name.clone(), known.join(", "));
        return Err(Error::Unknown { name, known }.into());
    };
    let data_dir = arguments.data_dir.as_deref();
    if let Ok((train, test)) = data::open(known.name, data_dir) {
        let (train, test) = (grouped(train.len()), grouped(test.len()));
        let folder = data::find_folder(known.name, data_dir)?;
        say!("{}: already in `{}`: {train} + {test} samples", known.name, folder.display());
        return Ok(());
    }
    let folder = folder(known, data_dir)?;
    fetch(known, &folder, arguments.url.as_deref())?;
    let (train, test) = data::open(known.name, data_dir)?;
    let (train, test) = (grouped(train.len()), grouped(test.len()));
    say!("{}: {train} + {test} samples in `{}`", known.name, folder.display());
    say!("source: {}", known.source);
    Ok(())
}

/// The folder of a data set, made where it is not there.
fn folder(known: &Known, data_dir: Option<&Path>) -> Result<PathBuf> {
    match data::find_folder(known.name, data_dir) {
        Err(data::Error::Folder { path, .. }) => {
            fs::create_dir_all(&path).map_err(error::Error::io("make folder", &path))?;
            Ok(path)
        }
        found => Ok(found?),
    }
}

/// Fetches the files of a data set that are not in `folder` yet.
fn fetch(known: &'static Known, folder: &Path, url: Option<&str>) -> Result<()> {
    let base = url.map(|url| format!("{}/", url.trim_end_matches('/')));
    for file in known.files {
        let bases: Vec<&str> = match &base {
            Some(base) => vec![base],
            None => file.mirrors.to_vec(),
        };
        let path = folder.join(file.name);
        let there = fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes)
            && sha256(&path).is_ok_and(|hash| hash == file.sha256);
        if !there {
            one(file.name, wanted(file), &bases, &path, url.is_none()).map_err(|source| {
                let urls = known
                    .files
                    .iter()
                    .map(|file| format!("{}{}", file.mirrors.first().unwrap_or(&""), file.name));
                let (set, urls, folder) = (known.name, urls.collect(), folder.to_path_buf());
                let source = Box::new(source);
                Error::Fetch { set, file: file.name, folder, urls, source }
            })?;
        }
        if !file.members.is_empty() {
            unpack::unpack(&path, folder, file.members)?;
            fs::remove_file(&path).map_err(error::Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// What a published file must be.
fn wanted(file: &Published) -> Wanted<'_> {
    Wanted { bytes: file.bytes, sha256: file.sha256 }
}

/// Fetches one file from one of the folders `bases` to `path`, where it appears whole.
fn one(
    name: &str,
    wanted: Wanted<'_>,
    bases: &[&str],
    path: &Path,
    secure: bool,
) -> std::result::Result<(), Failure> {
    let part = path.with_file_name(format!("{name}.part"));
    let (agent, bar) = (agent(secure), bar(name, wanted.bytes));
    let mut failure = None;
    for base in std::iter::repeat_n(bases, ROUNDS).flatten() {
        let url = format!("{base}{name}");
        let progress = &mut |there| {
            if let Some(bar) = &bar {
                bar.set_position(there);
            }
        };
        match download(&agent, &url, wanted, &part, progress) {
            Ok(()) => {
                if let Some(bar) = &bar {
                    bar.finish_and_clear();
                }
                eprintln!("{name}  {}  checked", in_bytes(wanted.bytes));
                return fs::rename(&part, path)
                    .map_err(|cause| Failure::Write { path: path.to_path_buf(), cause });
            }
            // No other mirror helps where the disk is full.
            Err(error @ Failure::Write { .. }) => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    let nowhere = || Failure::Answer { url: name.to_owned(), what: "no address".to_owned() };
    Err(failure.unwrap_or_else(nowhere))
}

/// A bar on a terminal; nothing elsewhere.
fn bar(name: &str, bytes: u64) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        // The template is fixed and right; without it there would still be a bar.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.with_message(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::download::tests::{Answer, serve};
    use super::*;

    #[test]
    fn the_next_mirror_goes_on_where_the_first_broke_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.gz");
        let content: Vec<u8> = (0..100_000u32).map(|i| (i % 7) as u8).collect();
        fs::write(&path, &content).unwrap();
        let sha256 = sha256(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let wanted = Wanted { bytes: 100_000, sha256: &sha256 };
        let missing = vec![Answer::Status("404 Not Found"), Answer::Status("503 Busy")];
        let (first, one_server) = serve(content.clone(), missing);
        let (second, other_server) = serve(content.clone(), vec![Answer::Breaks(9), Answer::Right]);
        one("file.gz", wanted, &[&first, &second], &path, false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
        assert_eq!(one_server.join().unwrap().len(), 2);
        assert!(other_server.join().unwrap()[0].starts_with("GET /file.gz"));
        let error = one("file.gz", wanted, &[], &path, false).unwrap_err();
        assert!(error.to_string().contains("no address"), "{error}");
    }
}
