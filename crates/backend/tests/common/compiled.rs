//! Libraries that stand for those of a machine with GPUs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a shared library with the machine's C compiler, as the kernels are.
pub(crate) fn compile(source: &Path, folder: &Path) -> PathBuf {
    let library = folder.join(source.with_extension("so").file_name().unwrap());
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let flags = ["-shared", "-fPIC", "-O1", "-o"];
    let mut command = Command::new(&compiler);
    let done = command.args(flags).arg(&library).arg(source).status();
    assert!(done.is_ok_and(|status| status.success()), "{compiler}: install a C compiler");
    library
}
