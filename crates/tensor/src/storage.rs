//! Memory aligned to 64 bytes, seen as words of any plain type.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    /// Empty where nobody has looked yet: all is then zero, or lies on a device alone.
    lines: OnceLock<Vec<Line>>,
    /// Memory set aside for lines that are yet to be made.
    spare: Mutex<Vec<Line>>,
    remote: OnceLock<Arc<dyn Remote>>,
    /// Whether nothing was written since all was zero.
    blank: bool,
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.release();
    }
}

impl Clone for Storage {
    fn clone(&self) -> Self {
        // What is on a device is shared: it is replaced there, never changed while two have it.
        let Self { count, lines, remote, blank, .. } = self;
        let (lines, remote) = (lines.clone(), remote.clone());
        Self { count: *count, lines, spare: Mutex::default(), remote, blank: *blank }
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

    /// A copy of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let count = bytes.len().div_ceil(LINE_BYTES);
        let mut lines = vec![Line::zeroed(); count];
        bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        let mut storage = Self::default();
        (storage.count, storage.lines) = (count, OnceLock::from(lines));
        storage
    }

    /// Zeroes everything and changes the size, keeping the allocation where it suffices. Nothing
    /// changes when there is too little memory.
    ///
    /// Memory is set aside; it is filled when someone looks, which on a device may be never.
    pub(crate) fn reset(&mut self, bytes: usize) -> Result<()> {
        let count = bytes.div_ceil(LINE_BYTES);
        let spare = self.spare.get_mut().unwrap_or_else(PoisonError::into_inner);
        if count > self.lines.get().map_or(spare.capacity(), Vec::capacity) {
            let mut memory = recycle::take(count).unwrap_or_default();
            memory.try_reserve_exact(count).map_err(|_| Error::Memory { bytes })?;
            self.release();
            self.spare = Mutex::new(memory);
        } else if let Some(mut lines) = self.lines.take() {
            lines.clear();
            *spare = lines;
        }
        self.remote.take();
        (self.count, self.blank) = (count, true);
        Ok(())
    }

    /// Zeroes everything, and keeps the host's memory if it has any.
    pub(crate) fn clear(&mut self) {
        if let Some(mut lines) = self.lines.take() {
            lines.clear();
            *self.spare.get_mut().unwrap_or_else(PoisonError::into_inner) = lines;
        }
        self.remote.take();
        self.blank = true;
    }

    /// Gives the memory back.
    fn release(&mut self) {
        let spare = self.spare.get_mut().unwrap_or_else(PoisonError::into_inner);
        recycle::give(std::mem::take(spare));
        recycle::give(self.lines.take().unwrap_or_default());
    }

    /// Bytes of all lines.
    pub(crate) fn bytes(&self) -> usize {
        self.count * LINE_BYTES
    }

    /// Makes the lines: zeros, or what lies on a device alone.
    pub(crate) fn fetch(&self) -> Result<()> {
        if self.lines.get().is_some() {
            return Ok(());
        }
        // One thread makes them, the others wait for it.
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lines.get().is_some() {
            return Ok(());
        }
        let mut lines = std::mem::take(&mut *spare);
        if lines.capacity() < self.count {
            lines = recycle::take(self.count).unwrap_or_default();
            let reserved = lines.try_reserve_exact(self.count);
            reserved.map_err(|_| Error::Memory { bytes: self.bytes() })?;
        }
        match self.remote.get() {
            Some(remote) if !self.blank => {
                lines.resize(self.count, LOST);
                let read = remote.read(bytemuck::cast_slice_mut(&mut lines));
                read.map_err(|why| Error::Device { op: "fetch", why })?;
            }
            _ => lines.resize(self.count, Line::zeroed()),
        }
        let _ = self.lines.set(lines); // nobody else has: they wait
        Ok(())
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
        self.release();
        (self.remote, self.blank) = (OnceLock::from(remote), false);
    }
}
