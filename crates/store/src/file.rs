//! Model files and checkpoints on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use lutweave_nn::Network;
use lutweave_train::Checkpoint;

use crate::format::{Content, Input, read_checkpoint, read_network};
use crate::{Error, Result};

/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 36;

/// Writes a network to a model file. The file is there whole or not at all: it is written under
/// another name in the same folder, synced to disk, then renamed, and the folder is synced.
///
/// # Errors
///
/// [`Error::Io`] when a step of that fails; what was there before is then still there.
pub fn save(path: impl AsRef<Path>, net: &Network) -> Result<()> {
    let content = Content::new(net, None)?;
    write_atomic_with(path.as_ref(), &mut |out| content.write(out))
}

/// Reads a network from a model file or checkpoint.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read, [`Error::Malformed`] when it is not what was
/// written, naming the check that failed.
pub fn load(path: impl AsRef<Path>) -> Result<Network> {
    read(path.as_ref(), read_network)
}

/// Writes a checkpoint: a network and all that its training needs to go on. As [`save`], whole or
/// not at all.
///
/// # Errors
///
/// As [`save`].
pub fn save_checkpoint(
    path: impl AsRef<Path>,
    net: &Network,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let content = Content::new(net, Some(checkpoint))?;
    write_atomic_with(path.as_ref(), &mut |out| content.write(out))
}

/// Reads a checkpoint.
///
/// # Errors
///
/// As [`load`]; [`Error::Malformed`] also when the file is a model without a training.
pub fn load_checkpoint(path: impl AsRef<Path>) -> Result<(Network, Checkpoint)> {
    read(path.as_ref(), read_checkpoint)
}

/// What a function reads of a file that is not too large.
fn read<T>(path: &Path, read: fn(&mut Input<'_>) -> Result<T>) -> Result<T> {
    let error = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(error)?;
    let length = file.metadata().map_err(error)?.len();
    if length > MAX_FILE {
        let what = format!("{length} bytes are more than {MAX_FILE}");
        return Err(Error::Malformed { check: "file length", what });
    }
    read(&mut Input::new(&mut file, length, path))
}

/// Writes bytes to a file, whole or not at all.
///
/// # Errors
///
/// [`Error::Io`] when a step fails; what was there before is then still there.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, &mut |out| out.write_all(bytes))
}

/// Writes a file by a function, whole or not at all.
pub(crate) fn write_atomic_with(
    path: &Path,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let error = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let folder = folder_of(path);
    let mut file =
        tempfile::Builder::new().prefix(".lutweave-").tempfile_in(folder).map_err(error)?;
    write(file.as_file_mut()).map_err(error)?;
    set_mode(file.as_file()).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(path).map_err(|failed| error(failed.error))?;
    sync_folder(folder);
    Ok(())
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a new name in a folder outlast a power cut, on systems that can. The file itself is on
/// disk already: should this fail, the old one is there after a power cut, or the new one.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Temporary files are private; a finished file is readable as files usually are.
#[cfg(unix)]
fn set_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_mode(_file: &File) -> io::Result<()> {
    Ok(())
}
