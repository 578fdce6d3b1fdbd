//! Opening files that hold a netlist, or a network that becomes one.

use std::path::Path;

use lutweave::prelude::*;

use crate::error::{Error, Result};

/// The netlist of a model file, or of a file in any form of netlist.
pub(crate) fn open_netlist(path: &Path) -> Result<Netlist> {
    netlist(path, &std::fs::read(path).map_err(Error::io("read", path))?)
}

/// The netlist in the bytes of the file `path`.
pub(crate) fn netlist(path: &Path, bytes: &[u8]) -> Result<Netlist> {
    if bytes.starts_with(b"LUTWEAVE") {
        return Ok(store::from_bytes(bytes)?.to_netlist("model")?);
    }
    if rtl::Format::of(bytes).is_none() {
        return Err(Error::Unexpected("the file is no model, no netlist and no stored program"));
    }
    rtl::read(bytes).map_err(|source| Error::Open { path: path.to_owned(), source })
}
