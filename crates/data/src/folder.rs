//! Where data sets lie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The environment variable that names the folder of data sets when none is given.
pub const DATA_VARIABLE: &str = "LUTWEAVE_DATA";

/// The folder of data set `name`: `name` in `data_dir`, or in the folder that the environment
/// variable `LUTWEAVE_DATA` names when `data_dir` is `None`.
///
/// A folder that is itself called `name` and holds no folder `name` is taken as it is, so both
/// `data` and `data/mnist` find `mnist`.
///
/// ```
/// use std::path::Path;
///
/// let error = lutweave_data::find_folder("mnist", Some(Path::new("nowhere"))).unwrap_err();
/// assert!(error.to_string().starts_with("mnist: no folder `nowhere"));
/// ```
///
/// # Errors
///
/// [`Error::NoFolder`] when `data_dir` is `None` and the variable is unset or empty;
/// [`Error::Folder`] when the folder does not exist.
pub fn find_folder(name: &str, data_dir: Option<&Path>) -> Result<PathBuf> {
    find(name, data_dir, std::env::var_os(DATA_VARIABLE))
}

fn find(name: &str, data_dir: Option<&Path>, variable: Option<OsString>) -> Result<PathBuf> {
    let base = data_dir
        .map(Path::to_path_buf)
        .or_else(|| variable.filter(|value| !value.is_empty()).map(PathBuf::from))
        .ok_or_else(|| Error::NoFolder { name: name.to_owned(), variable: DATA_VARIABLE })?;
    let path = base.join(name);
    if path.is_dir() {
        return Ok(path);
    }
    if base.is_dir() && base.file_name().is_some_and(|last| last == name) {
        return Ok(base);
    }
    Err(Error::Folder { name: name.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_folder_comes_before_the_environment() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        std::fs::create_dir_all(a.join("mnist")).unwrap();
        std::fs::create_dir_all(b.join("mnist")).unwrap();
        let variable = || Some(b.clone().into_os_string());
        assert_eq!(find("mnist", Some(&a), variable()).unwrap(), a.join("mnist"));
        assert_eq!(find("mnist", None, variable()).unwrap(), b.join("mnist"));
        assert_eq!(find("mnist", Some(&a.join("mnist")), None).unwrap(), a.join("mnist"));
    }

    #[test]
    fn an_error_says_where_to_put_it() {
        let root = tempfile::tempdir().unwrap();
        let error = find("mnist", Some(root.path()), None).unwrap_err();
        assert!(matches!(error, Error::Folder { path, .. } if path == root.path().join("mnist")));
        for variable in [None, Some(OsString::new())] {
            let error = find("mnist", None, variable).unwrap_err();
            assert!(error.to_string().contains("LUTWEAVE_DATA"), "{error}");
        }
    }
}
