//! Kernels emulated on the CPU: for tests.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::sync::Mutex;

use lutweave_kernels::Source;
use lutweave_kernels::emulate::{self, Order};

use super::Schedule;
use super::device::{Argument, Device, Shape};
use crate::{Error, Result};

/// Bytes on either side of all memory that no kernel may write.
const GUARD: usize = 16 << 10;
/// Devices align all memory to so many bytes.
const ALIGN: usize = 256;
/// What memory holds that nobody wrote: no small count, and NaN in halves of f64.
const POISON: u8 = 0xfb;

/// The host as a device.
#[derive(Debug)]
pub(super) struct Emulator {
    order: Order,
    threads: u32,
    /// The first thing that went wrong when memory was given back.
    overrun: Mutex<Option<String>>,
}

impl Emulator {
    pub(super) fn new(schedule: Schedule, threads: u32) -> Result<Self> {
        emulate::available()
            .map_err(|why| Error::Unavailable { what: "the emulation of CUDA", why: why.into() })?;
        let order = match schedule {
            Schedule::Rising => Order::Rising,
            Schedule::Falling => Order::Falling,
            Schedule::Shuffled(seed) => Order::Shuffled(seed),
        };
        Ok(Self { order, threads, overrun: Mutex::default() })
    }

    fn layout(bytes: usize) -> Result<Layout> {
        let size = bytes.checked_add(2 * GUARD).filter(|&size| size < isize::MAX as usize / 2);
        let layout = size.and_then(|size| Layout::from_size_align(size, ALIGN).ok());
        layout.ok_or_else(|| Error::Device { op: "allocate", why: format!("{bytes} bytes") })
    }

    /// The guards around memory.
    ///
    /// # Safety
    ///
    /// The address was allocated with as many bytes.
    unsafe fn guards(address: u64, bytes: usize) -> [*mut u8; 2] {
        let memory = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: a guard lies on either side.
        unsafe { [memory.sub(GUARD), memory.add(bytes)] }
    }
}

impl Device for Emulator {
    fn name(&self) -> String {
        format!("emulation, {:?} on {} threads", self.order, self.threads)
    }

    fn recycles(&self) -> bool {
        false // so that all memory is poisoned when it is new
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        let layout = Self::layout(bytes)?;
        // SAFETY: the guards alone make the size larger than zero.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            return Err(Error::Device { op: "allocate", why: format!("no {bytes} bytes") });
        }
        // SAFETY: all of it was just allocated.
        unsafe { memory.write_bytes(POISON, layout.size()) };
        // SAFETY: the guard before it is part of the allocation.
        Ok(unsafe { memory.add(GUARD) }.expose_provenance() as u64)
    }

    unsafe fn free(&self, address: u64, bytes: usize) {
        let Ok(layout) = Self::layout(bytes) else { return };
        // SAFETY: as the caller promises.
        let guards = unsafe { Self::guards(address, bytes) };
        for guard in guards {
            // SAFETY: a guard is that large, and was written when allocated.
            let guard = unsafe { std::slice::from_raw_parts(guard, GUARD) };
            if guard.iter().any(|&byte| byte != POISON)
                && let Ok(mut overrun) = self.overrun.lock()
            {
                overrun.get_or_insert(format!("a kernel wrote past the end of {bytes} bytes"));
            }
        }
        // SAFETY: it was allocated with this layout, from the first guard on.
        unsafe { dealloc(guards[0], layout) };
    }

    unsafe fn upload(&self, address: u64, from: &[u8]) -> Result<()> {
        let to = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: as the caller promises; memory of the device is no slice of the host's.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    unsafe fn download(&self, address: u64, to: &mut [u8]) -> Result<()> {
        let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: as for uploads.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, to.len()) };
        self.synchronise()
    }

    unsafe fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        let to = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: as the caller promises.
        unsafe { to.write_bytes(0, bytes) };
        Ok(())
    }

    unsafe fn launch(
        &self,
        source: &Source,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<()> {
        // A driver looks for the kernel in this source alone.
        let template = kernel.trim_end_matches(|c: char| c.is_ascii_digit());
        let text = source.text();
        if !text.contains(&format!(" {kernel},")) && !text.contains(&format!(" {template}##N,")) {
            let why = format!("{} has no kernel {kernel}", source.name);
            return Err(Error::Device { op: "launch", why });
        }
        let mut values: Vec<u64> = arguments.iter().map(|argument| argument.bits).collect();
        let sizes: Vec<usize> = arguments.iter().map(|argument| argument.bytes).collect();
        let pointers: Vec<*mut c_void> =
            values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
        let (grid, block, order) = (shape.grid, shape.block, self.order);
        // SAFETY: as the caller promises; pointers are to values that live until it returns.
        let done = unsafe {
            emulate::launch(kernel, grid, block, (&pointers, &sizes), order, self.threads)
        };
        done.map_err(|why| Error::Device { op: "launch", why })
    }

    fn synchronise(&self) -> Result<()> {
        match self.overrun.lock().map(|overrun| overrun.clone()) {
            Ok(Some(why)) => Err(Error::Device { op: "free", why }),
            _ => Ok(()),
        }
    }
}
