//! Memory aligned to 64 bytes, seen as words of any plain type.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytemuck::{Pod, Zeroable};

use crate::{Element, Error, Remote, Result, recycle};

/// Bytes of one line: one AVX-512 register, one cache line.
pub(crate) const LINE_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE_BYTES]);

/// Bytes that stand for numbers a device failed to give: NaN in every type that has it.
const LOST: Line = Line([0xff; LINE_BYTES]);

/// Lines of 64 bytes, in the host's memory, on a device, or in both.
#[derive(Default)]
pub(crate) struct Storage {
    /// How many lines.
    count: usize,
    /// Empty only where `remote` is not.
    lines: OnceLock<Vec<Line>>,
    remote: OnceLock<Arc<dyn Remote>>,
    /// Whether nothing was written since all was zero.
    blank: bool,
}

impl Drop for Storage {
    fn drop(&mut self) {
        recycle::give(self.lines.take().unwrap_or_default());
    }
}

impl Clone for Storage {
    fn clone(&self) -> Self {
        let Self { count, lines, remote, blank } = self;
        // What is on a device is shared: it is replaced there, never changed while two have it.
        Self { count: *count, lines: lines.clone(), remote: remote.clone(), blank: *blank }
    }
}

impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.lines() == other.lines()
    }
}

impl fmt::Debug for Storage {
    /// The size: the numbers would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes())
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
        let count = bytes.div_ceil(LINE_BYTES);
        let mut lines = self.lines.take().unwrap_or_default();
        if count > lines.capacity()
            && let Some(kept) = recycle::take(count)
        {
            recycle::give(std::mem::replace(&mut lines, kept));
            lines.clear();
        }
        let reserved = lines.try_reserve_exact(count.saturating_sub(lines.len()));
        if reserved.is_err() {
            if lines.len() == self.count {
                self.lines = OnceLock::from(lines); // as it was; or it is on a device
            }
            return Err(Error::Memory { bytes });
        }
        lines.clear();
        lines.resize(count, Line::zeroed());
        self.remote.take();
        (self.count, self.lines, self.blank) = (count, OnceLock::from(lines), true);
        Ok(())
    }

    /// Bytes of all lines.
    pub(crate) fn bytes(&self) -> usize {
        self.count * LINE_BYTES
    }

    /// Fetches what lies on a device alone.
    pub(crate) fn fetch(&self) -> Result<()> {
        if self.lines.get().is_none()
            && let Some(remote) = self.remote.get()
        {
            let mut lines = self.memory()?;
            let why = remote.read(bytemuck::cast_slice_mut(&mut lines));
            why.map_err(|why| Error::Device { op: "fetch", why })?;
            let _ = self.lines.set(lines); // another thread may have been first, with the same
        }
        Ok(())
    }

    /// Lines to write in full.
    fn memory(&self) -> Result<Vec<Line>> {
        let mut lines = recycle::take(self.count).unwrap_or_default();
        lines.try_reserve_exact(self.count).map_err(|_| Error::Memory { bytes: self.bytes() })?;
        lines.resize(self.count, LOST);
        Ok(lines)
    }

    fn lines(&self) -> &[Line] {
        if self.fetch().is_err() {
            return self.lines.get_or_init(|| vec![LOST; self.count]);
        }
        self.lines.get().map_or(&[], Vec::as_slice)
    }

    /// All elements; those that a device does not give are NaN, or all ones. Who can say so calls
    /// [`fetch`](Self::fetch) before.
    pub(crate) fn as_slice<T: Element>(&self) -> &[T] {
        bytemuck::cast_slice(self.lines())
    }

    /// All elements, to write: what a device has of them is dropped.
    pub(crate) fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        self.lines();
        if self.blank || self.remote.get().is_some() {
            self.blank = false;
            self.remote.take();
        }
        self.lines.get_mut().map_or(&mut [], |lines| bytemuck::cast_slice_mut(lines))
    }

    /// What a device has of this, if one has.
    pub(crate) fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.remote.get()
    }

    /// Whether nothing was written since all was zero.
    pub(crate) fn is_blank(&self) -> bool {
        self.blank
    }

    /// Remembers that a device has the same; without effect where one has already.
    pub(crate) fn mirror(&self, remote: Arc<dyn Remote>) {
        let _ = self.remote.set(remote);
    }

    /// From here on the numbers are those of the device.
    pub(crate) fn move_to(&mut self, remote: Arc<dyn Remote>) {
        recycle::give(self.lines.take().unwrap_or_default());
        (self.remote, self.blank) = (OnceLock::from(remote), false);
    }
}
