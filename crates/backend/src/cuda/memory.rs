//! Memory of a device, and what the host knows of it.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Pod;
use lutweave_tensor::Remote;

use super::device::{Argument, Device};
use crate::Result;

/// Sizes are whole multiples of it, so that those of small arrays are often the same.
const UNIT: usize = 256;
/// Most bytes that are sent ahead without being asked to: pinned memory is held for them.
const SMALL: usize = 64 << 10;

/// The memory of one device. What is given back is kept for the next that asks for as much: steps of a
/// training ask for the same again and again, and the device does everything in order, so that nothing
/// still uses it.
pub(super) struct Memory {
    device: Arc<dyn Device>,
    /// Addresses by size. The lowest is handed out first: steps that ask for the same in the same order
    /// find it at the same addresses, so that less of a graph has to be set anew.
    kept: Mutex<BTreeMap<usize, BTreeSet<u64>>>,
    /// Addresses with their sizes for copies ahead of time, and how often the host had waited for the
    /// device when each was given back. Once it has waited again, nothing uses them.
    ahead: Mutex<Vec<(u64, usize, u64)>>,
    waits: AtomicU64,
    /// Bytes that went up and came down, and kernels launched.
    pub(super) traffic: [AtomicU64; 3],
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory of {:?}", self.device)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
    }
}

impl Memory {
    #[cfg(any(feature = "cuda", feature = "emulate"))]
    pub(super) fn new(device: Arc<dyn Device>) -> Self {
        Self {
            device,
            kept: Mutex::default(),
            ahead: Mutex::default(),
            waits: AtomicU64::new(0),
            traffic: [const { AtomicU64::new(0) }; 3],
        }
    }

    pub(super) fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// Memory that holds anything.
    pub(super) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let size = bytes.max(1).next_multiple_of(UNIT);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let again = kept.get_mut(&size).and_then(BTreeSet::pop_first);
        drop(kept);
        let address = match again {
            Some(address) => address,
            None => self.device.allocate(size).or_else(|_| {
                self.release(); // what was kept may be what is missing
                self.device.allocate(size)
            })?,
        };
        Ok(Buffer {
            memory: self.clone(),
            address,
            bytes,
            size,
            ahead: false,
            finite: AtomicBool::new(false),
        })
    }

    /// A copy of an array of the host, made while the device goes on with what it was asked for.
    pub(super) fn send_ahead(self: &Arc<Self>, bytes: &[u8]) -> Result<Buffer> {
        let (size, waits) =
            (bytes.len().max(1).next_multiple_of(UNIT), self.waits.load(Ordering::Acquire));
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let free = ahead.iter().position(|&(_, own, then)| own == size && then < waits);
        let again = free.map(|at| ahead.remove(at).0);
        drop(ahead);
        let address = again.map_or_else(|| self.device.allocate(size), Ok)?;
        let memory = self.clone();
        let buffer = Buffer {
            memory,
            address,
            bytes: bytes.len(),
            size,
            ahead: true,
            finite: AtomicBool::new(false),
        };
        // SAFETY: the buffer has as many bytes, and is new or its last work is done.
        unsafe { self.device.upload_ahead(buffer.address, bytes)? };
        self.traffic[0].fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Says that the host has waited for all that was asked for before.
    pub(super) fn waited(&self) {
        self.waits.fetch_add(1, Ordering::Release);
    }

    /// Zeroes.
    pub(super) fn zeroed(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let buffer = self.allocate(bytes)?;
        // SAFETY: the buffer has as many bytes.
        unsafe { self.device.clear(buffer.address, bytes)? };
        Ok(buffer)
    }

    /// A copy of an array of the host. Small ones go past the work that waits, which they would break in
    /// two.
    pub(super) fn send<T: Pod>(self: &Arc<Self>, values: &[T]) -> Result<Buffer> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if bytes.len() <= SMALL {
            return self.send_ahead(bytes);
        }
        let buffer = self.allocate(bytes.len())?;
        // SAFETY: the buffer has as many bytes.
        unsafe { self.device.upload(buffer.address, bytes)? };
        self.traffic[0].fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Gives everything back to the device.
    fn release(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (size, addresses) in std::mem::take(&mut *kept) {
            for address in addresses {
                // SAFETY: it was allocated with this size, and whoever had it gave it back.
                unsafe { self.device.free(address, size) };
            }
        }
        drop(kept);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        for (address, size, _) in std::mem::take(&mut *ahead) {
            // SAFETY: as above.
            unsafe { self.device.free(address, size) };
        }
    }
}

/// Memory of a device, given back when dropped.
pub(super) struct Buffer {
    memory: Arc<Memory>,
    address: u64,
    bytes: usize,
    size: usize,
    /// Whether it is for copies ahead of time.
    ahead: bool,
    /// Whether its numbers were found to be finite, and have not changed since.
    pub(super) finite: AtomicBool,
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes on {}", self.bytes, self.memory.device.name())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.ahead {
            let waits = self.memory.waits.load(Ordering::Acquire);
            let mut ahead = self.memory.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            ahead.push((self.address, self.size, waits));
            return;
        }
        if self.memory.device.recycles() {
            let mut kept = self.memory.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.entry(self.size).or_default().insert(self.address);
            return;
        }
        // SAFETY: it was allocated with this size, and nobody else has it.
        unsafe { self.memory.device.free(self.address, self.size) };
    }
}

impl Buffer {
    /// Whether it is memory of that device.
    pub(super) fn is_of(&self, memory: &Arc<Memory>) -> bool {
        Arc::ptr_eq(&self.memory, memory)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where an element is; that it is one of the buffer's is the caller's promise.
    pub(super) fn address_of<T>(&self, element: usize) -> u64 {
        self.address + (element * size_of::<T>()) as u64
    }

    /// Copies everything to an array of the host, which must have as many bytes.
    pub(super) fn read_to<T: Pod>(&self, to: &mut [T]) -> Result<()> {
        let to: &mut [u8] = bytemuck::cast_slice_mut(to);
        let length = to.len().min(self.bytes);
        self.memory.traffic[1].fetch_add(length as u64, Ordering::Relaxed);
        // SAFETY: no more bytes than the buffer has.
        unsafe { self.memory.device.download(self.address, &mut to[..length])? };
        self.memory.waited();
        Ok(())
    }
}

impl Remote for Buffer {
    fn read(&self, to: &mut [u8]) -> std::result::Result<(), String> {
        self.read_to(to).map_err(|error| error.to_string())
    }
}

impl From<&Buffer> for Argument {
    fn from(buffer: &Buffer) -> Self {
        buffer.address.into()
    }
}

impl From<&Arc<Buffer>> for Argument {
    fn from(buffer: &Arc<Buffer>) -> Self {
        buffer.address.into()
    }
}
