//! Memory aligned to 64 bytes, seen as words of any plain type.

use std::fmt;

use bytemuck::{Pod, Zeroable};

use crate::{Element, Error, Result, recycle};

/// Bytes of one line: one AVX-512 register, one cache line.
pub(crate) const LINE_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE_BYTES]);

/// Zeroed lines of 64 bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Storage {
    lines: Vec<Line>,
}

impl Drop for Storage {
    fn drop(&mut self) {
        recycle::give(std::mem::take(&mut self.lines));
    }
}

impl fmt::Debug for Storage {
    /// The size: the numbers would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.lines.len() * LINE_BYTES)
    }
}

impl Storage {
    /// Zeroed memory of at least `bytes`.
    pub(crate) fn zeroed(bytes: usize) -> Result<Self> {
        let mut storage = Self::default();
        storage.reset(bytes)?;
        Ok(storage)
    }

    /// Zeroes everything and changes the size, keeping the allocation where it suffices. Nothing
    /// changes when there is too little memory.
    pub(crate) fn reset(&mut self, bytes: usize) -> Result<()> {
        let lines = bytes.div_ceil(LINE_BYTES);
        if lines > self.lines.capacity()
            && let Some(kept) = recycle::take(lines)
        {
            recycle::give(std::mem::replace(&mut self.lines, kept));
        }
        let more = lines.saturating_sub(self.lines.len());
        self.lines.try_reserve_exact(more).map_err(|_| Error::Memory { bytes })?;
        self.lines.clear();
        self.lines.resize(lines, Line::zeroed());
        Ok(())
    }

    pub(crate) fn as_slice<T: Element>(&self) -> &[T] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(crate) fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}
