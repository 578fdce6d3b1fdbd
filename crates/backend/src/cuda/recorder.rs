//! Work that waits until an answer is wanted, and then goes to the device as one list.
//!
//! Steps of a training ask for the same kernels in the same order. Asked for one by one each costs a
//! launch; as a list they are a graph, which the driver takes as a whole and which is kept for the
//! next step, see [`Device::replay`].
#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lutweave_kernels::Source;

use super::device::{Argument, Device, Place, Shape, Work};
use crate::Result;

/// Most work that waits.
const MOST: usize = 1024;
/// Most lists remembered.
const MOST_MET: usize = 64;

/// A device behind a list.
#[derive(Debug)]
pub(super) struct Recorder {
    device: Arc<dyn Device>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    work: Vec<Work>,
    /// Hashes of the lists handed over, the latest last, how many there were, and how many came again.
    met: Vec<u64>,
    lists: [u64; 2],
    /// Memory that nobody has any more but, maybe, the work.
    unused: Vec<(u64, usize)>,
}

impl Waiting {
    /// Counts a list.
    fn note(&mut self, hash: u64) {
        let again = self.met.contains(&hash);
        self.lists[0] += 1;
        self.lists[1] += u64::from(again);
        if !again {
            self.met.push(hash);
            let old = self.met.len().saturating_sub(MOST_MET);
            self.met.drain(..old);
        }
    }
}

impl Recorder {
    pub(super) fn new(device: Arc<dyn Device>) -> Self {
        Self { device, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what waits.
    fn hand_over(&self) -> Result<()> {
        let mut waiting = self.waiting();
        let work = std::mem::take(&mut waiting.work);
        let done = if work.is_empty() {
            Ok(())
        } else {
            waiting.note(Work::hash(&work));
            // SAFETY: the work is as whoever asked for it promised, and memory that has been given
            // back since is freed below.
            unsafe { self.device.replay(work) }
        };
        for (address, bytes) in waiting.unused.drain(..) {
            // SAFETY: it was given back by whoever had it, and no work waits.
            unsafe { self.device.free(address, bytes) };
        }
        done
    }

    fn wait(&self, work: Work) -> Result<()> {
        let mut waiting = self.waiting();
        waiting.work.push(work);
        let full = waiting.work.len() >= MOST;
        drop(waiting);
        if full { self.hand_over() } else { Ok(()) }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // There is nobody to tell of an error.
        let _ = self.hand_over();
    }
}

impl Device for Recorder {
    fn name(&self) -> String {
        self.device.name()
    }

    fn recycles(&self) -> bool {
        self.device.recycles()
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.device.allocate(bytes)
    }

    unsafe fn free(&self, address: u64, bytes: usize) {
        self.waiting().unused.push((address, bytes));
    }

    unsafe fn upload(&self, address: u64, from: &[u8]) -> Result<()> {
        self.hand_over()?;
        // SAFETY: as the caller promises.
        unsafe { self.device.upload(address, from) }
    }

    /// Past what waits: the memory is not that of any work.
    unsafe fn upload_ahead(&self, address: u64, from: &[u8]) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe { self.device.upload_ahead(address, from) }
    }

    unsafe fn download(&self, address: u64, to: &mut [u8]) -> Result<()> {
        self.hand_over()?;
        // SAFETY: as the caller promises.
        unsafe { self.device.download(address, to) }
    }

    unsafe fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 { Ok(()) } else { self.wait(Work::Clear { address, bytes }) }
    }

    unsafe fn launch(
        &self,
        source: &Source,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<()> {
        let (source, kernel, arguments) = (*source, kernel.to_owned(), arguments.to_vec());
        self.wait(Work::Launch { source, kernel, shape, arguments })
    }

    fn lists(&self) -> [u64; 2] {
        self.waiting().lists
    }

    fn synchronise(&self) -> Result<()> {
        self.hand_over()?;
        self.device.synchronise()
    }

    fn flush(&self) -> Result<()> {
        self.hand_over()?;
        self.device.flush()
    }

    fn place(&self) -> Option<Place> {
        self.device.place()
    }
}
