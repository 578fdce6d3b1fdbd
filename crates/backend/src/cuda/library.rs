//! Libraries of the machine, loaded when they are asked for.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fmt;

use libloading::Library;

use crate::{Error, Result};

/// A library, and what it is called in messages.
pub(super) struct Loaded {
    what: &'static str,
    library: Library,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Loaded {
    /// The first of these libraries that is there.
    ///
    /// # Safety
    ///
    /// Loading it does nothing but what loading a library should.
    pub(super) unsafe fn open(what: &'static str, names: &[&OsStr]) -> Result<Self> {
        let mut why = String::from("no name to look for");
        for name in names {
            // SAFETY: as the caller promises.
            match unsafe { Library::new(*name) } {
                Ok(library) => return Ok(Self { what, library }),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    let cause = cause.unwrap_or_else(|| error.to_string());
                    why = format!("{}: {cause}", name.display());
                }
            }
        }
        Err(Error::Unavailable { what, why })
    }

    /// A function of it. It must not be called after the library is dropped.
    ///
    /// # Safety
    ///
    /// `F` is a function pointer, and the function is of that type.
    pub(super) unsafe fn function<F: Copy>(&self, name: &str) -> Result<F> {
        // SAFETY: as the caller promises.
        let found = unsafe { self.library.get::<F>(name.as_bytes()) };
        found.map(|symbol| *symbol).map_err(|error| {
            let why = format!("it has no {name}: {error}");
            Error::Unavailable { what: self.what, why }
        })
    }
}
