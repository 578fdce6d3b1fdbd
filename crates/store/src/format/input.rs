//! The bytes of a file in their order: numbers go straight to where they stay, so that a file is
//! never in memory twice.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::{malformed, padding};
use crate::{Error, Result};

/// What is left of a file.
pub(crate) struct Input<'i> {
    reader: &'i mut dyn Read,
    left: u64,
    /// For errors; empty for bytes in memory.
    path: &'i Path,
}

impl<'i> Input<'i> {
    /// A file of this many bytes.
    pub(crate) fn new(reader: &'i mut dyn Read, length: u64, path: &'i Path) -> Self {
        Self { reader, left: length, path }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Whether so many bytes are left; asked before anything is allocated for them.
    pub(super) fn has(&self, bytes: usize) -> bool {
        bytes as u64 <= self.left
    }

    /// Takes the next bytes.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if !self.has(bytes.len()) {
            let what = format!("{} bytes are wanted, {} left", bytes.len(), self.left);
            return malformed("file length", what);
        }
        match self.reader.read_exact(bytes) {
            Ok(()) => self.left -= bytes.len() as u64,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return malformed("file length", "the file was cut while it was read");
            }
            Err(source) => {
                return Err(Error::Io { action: "read", path: self.path.to_owned(), source });
            }
        }
        Ok(())
    }

    /// Takes the zeros that follow something of `length` bytes.
    pub(super) fn skip_padding(&mut self, length: usize) -> Result<()> {
        let mut zeros = [0u8; super::ALIGNMENT];
        let zeros = &mut zeros[..padding(length)];
        if !self.has(zeros.len()) {
            return malformed("file length", "the file ends inside padding");
        }
        self.fill(zeros)?;
        if zeros.iter().any(|&byte| byte != 0) {
            return malformed("padding", "bytes between arrays are not zero");
        }
        Ok(())
    }
}
