//! Model files on disk.

use std::fs;
use std::io::Write;
use std::path::Path;

use lutweave_nn::Network;

use crate::{Error, Result, from_bytes, to_bytes};

/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 36;

/// Writes a network to a model file. The file is there whole or not at all: it is written under
/// another name in the same folder, synced to disk, then renamed.
///
/// # Errors
///
/// [`Error::Io`] when a step of that fails; what was there before is then still there.
pub fn save(path: impl AsRef<Path>, net: &Network) -> Result<()> {
    write_atomic(path.as_ref(), &to_bytes(net)?)
}

/// Reads a network from a model file.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read, [`Error::Malformed`] when it is not what was
/// written, naming the check that failed.
pub fn load(path: impl AsRef<Path>) -> Result<Network> {
    let path = path.as_ref();
    let error = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(error)?.len();
    if length > MAX_FILE {
        let what = format!("{length} bytes are more than {MAX_FILE}");
        return Err(Error::Malformed { check: "file length", what });
    }
    from_bytes(&fs::read(path).map_err(error)?)
}

/// Writes bytes to a file, whole or not at all.
///
/// # Errors
///
/// [`Error::Io`] when a step fails; what was there before is then still there.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let error = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file =
        tempfile::Builder::new().prefix(".lutweave-").tempfile_in(folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    set_mode(file.as_file()).map_err(error)?;
    file.persist(path).map_err(|failed| error(failed.error))?;
    Ok(())
}

/// Temporary files are private; a finished file is readable as files usually are.
#[cfg(unix)]
fn set_mode(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_mode(_file: &fs::File) -> std::io::Result<()> {
    Ok(())
}
