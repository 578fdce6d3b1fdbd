//! Sums over GPUs by NCCL, the library of NVIDIA's for that, where the machine has it.
//!
//! One process, a communicator for each device, all calls of an exchange in one group. Nothing waits on
//! the host: calls go to the streams that the kernels are on.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fmt;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use lutweave_tensor::Array;

use super::Cuda;
use super::library::Loaded;
use super::memory::Buffer;
use super::operands::give;
use crate::check::check_size;
use crate::reduce::Reduce;
use crate::{Error, Result};

/// What it is called in messages, and the names under which it is looked for.
const NCCL: &str = "NCCL";
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

/// `ncclFloat32`, `ncclSum`, and the device that sums go to and that is shared from.
const FLOAT32: c_int = 7;
const SUM: c_int = 0;
const ROOT: c_int = 0;

type Communicator = *mut c_void;
type Stream = *mut c_void;

/// The functions that are used, as `nccl.h` declares them: results, types and operations are C enums.
#[derive(Clone, Copy)]
struct Functions {
    get_error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    comm_init_all: unsafe extern "C" fn(*mut Communicator, c_int, *const c_int) -> c_int,
    comm_destroy: unsafe extern "C" fn(Communicator) -> c_int,
    group_start: unsafe extern "C" fn() -> c_int,
    group_end: unsafe extern "C" fn() -> c_int,
    reduce: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        c_int,
        c_int,
        c_int,
        Communicator,
        Stream,
    ) -> c_int,
    broadcast: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        c_int,
        c_int,
        Communicator,
        Stream,
    ) -> c_int,
}

impl Functions {
    /// # Safety
    ///
    /// The library is NCCL, or has its functions.
    unsafe fn of(library: &Loaded) -> Result<Self> {
        // SAFETY: the types are those of the header, as the caller promises of the library.
        unsafe {
            Ok(Self {
                get_error_string: library.function("ncclGetErrorString")?,
                comm_init_all: library.function("ncclCommInitAll")?,
                comm_destroy: library.function("ncclCommDestroy")?,
                group_start: library.function("ncclGroupStart")?,
                group_end: library.function("ncclGroupEnd")?,
                reduce: library.function("ncclReduce")?,
                broadcast: library.function("ncclBroadcast")?,
            })
        }
    }

    /// What a result says.
    fn check(&self, op: &'static str, result: c_int) -> Result<()> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: it takes any number, and gives a text that lives as long as the library, or null.
        let text = unsafe { (self.get_error_string)(result) };
        let why = if text.is_null() {
            format!("NCCL error {result}")
        } else {
            // SAFETY: a text of C's, as above.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        Err(Error::Device { op, why })
    }
}

/// Communicators, by device.
struct Communicators(Vec<Communicator>);

// SAFETY: NCCL takes its communicators on any thread, as long as it is on one at a time: they are behind a
// lock.
unsafe impl Send for Communicators {}

/// Sums over GPUs, and shares from the first, by way of NVLink or the bus and past the host.
pub(crate) struct Exchange {
    devices: Vec<Cuda>,
    functions: Functions,
    communicators: Mutex<Communicators>,
    /// Last, since what stands above has functions of it.
    _library: Loaded,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NCCL between {} devices", self.devices.len())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let all = self.communicators.get_mut().unwrap_or_else(PoisonError::into_inner);
        for communicator in all.0.drain(..) {
            // SAFETY: it was made by this library, and nobody else has it. There is nobody to tell of an
            // error.
            let _ = unsafe { (self.functions.comm_destroy)(communicator) };
        }
    }
}

impl Exchange {
    /// Whether the machine has an NCCL with all functions.
    #[cfg(feature = "cuda")]
    pub(crate) fn available() -> Result<()> {
        // SAFETY: a library of the machine's, by the name that NCCL has.
        let library = unsafe { Loaded::open(NCCL, &NAMES.map(OsStr::new))? };
        // SAFETY: as above.
        unsafe { Functions::of(&library) }.map(|_| ())
    }

    /// Between GPUs, with the machine's NCCL.
    pub(crate) fn new(devices: &[&Cuda]) -> Result<Self> {
        if let Some(other) = devices.iter().find(|cuda| cuda.memory.device().place().is_none()) {
            let why = format!("{} is no GPU", other.device_name());
            return Err(Error::Unavailable { what: NCCL, why });
        }
        // SAFETY: a library of the machine's, by the name that NCCL has.
        unsafe { Self::of(&NAMES.map(OsStr::new), devices) }
    }

    /// With this library.
    ///
    /// # Safety
    ///
    /// It has NCCL's functions, for the memory of these devices.
    pub(crate) unsafe fn with_library(path: &Path, devices: &[&Cuda]) -> Result<Self> {
        // SAFETY: as the caller promises.
        unsafe { Self::of(&[path.as_os_str()], devices) }
    }

    unsafe fn of(names: &[&OsStr], devices: &[&Cuda]) -> Result<Self> {
        if devices.len() < 2 {
            let why = format!("it is for two devices or more, not {}", devices.len());
            return Err(Error::Unavailable { what: NCCL, why });
        }
        // SAFETY: as the caller promises.
        let library = unsafe { Loaded::open(NCCL, names)? };
        // SAFETY: as above.
        let functions = unsafe { Functions::of(&library)? };
        let place = |cuda: &&Cuda| cuda.memory.device().place().unwrap_or_default();
        let ordinals: Vec<c_int> = devices.iter().map(|cuda| place(cuda).ordinal).collect();
        let count = c_int::try_from(devices.len()).unwrap_or(c_int::MAX);
        let mut all = vec![ptr::null_mut(); devices.len()];
        // SAFETY: as many places and numbers as are said.
        let made = unsafe { (functions.comm_init_all)(all.as_mut_ptr(), count, ordinals.as_ptr()) };
        functions.check("ncclCommInitAll", made)?;
        let communicators = Mutex::new(Communicators(all));
        let devices = devices.iter().map(|cuda| cuda.same(None)).collect();
        Ok(Self { devices, functions, communicators, _library: library })
    }

    /// Calls a function for every device, in one group: device, its communicator, its stream.
    fn group(
        &self,
        op: &'static str,
        call: impl Fn(usize, Communicator, Stream) -> c_int,
    ) -> Result<()> {
        // What was asked for before goes before; it may still be a list.
        self.devices.iter().try_for_each(|cuda| cuda.memory.device().flush())?;
        let all = self.communicators.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: it takes nothing.
        self.functions.check("ncclGroupStart", unsafe { (self.functions.group_start)() })?;
        let mut done = Ok(());
        for (number, &communicator) in all.0.iter().enumerate() {
            let place = self.devices[number].memory.device().place().unwrap_or_default();
            let stream = ptr::with_exposed_provenance_mut(place.stream as usize);
            if done.is_ok() {
                done = self.functions.check(op, call(number, communicator, stream));
            }
        }
        // A group that was begun is ended, whatever happened in it.
        // SAFETY: as above.
        let ended = unsafe { (self.functions.group_end)() };
        done.and(self.functions.check("ncclGroupEnd", ended))
    }

    /// Checks that there is an array a device, all equally long.
    fn check(&self, op: &'static str, first: &Array, others: &[&mut Array]) -> Result<()> {
        check_size(op, "the others", "devices", self.devices.len() - 1, others.len())?;
        others
            .iter()
            .try_for_each(|other| check_size(op, "an array", "values", first.len(), other.len()))
    }
}

/// Where the numbers of a buffer are, as NCCL takes it.
fn pointer(buffer: &Buffer) -> *mut c_void {
    ptr::with_exposed_provenance_mut(buffer.address_of::<f32>(0) as usize)
}

impl Reduce for Exchange {
    fn name(&self) -> &'static str {
        "nccl"
    }

    fn sum(&self, first: &mut Array, others: Vec<&mut Array>) -> Result<()> {
        let op = "ncclReduce";
        self.check(op, first, &others)?;
        if first.is_empty() {
            return Ok(());
        }
        let mut there: Vec<Arc<Buffer>> = vec![self.devices[0].changed(&*first)?];
        for (cuda, other) in self.devices[1..].iter().zip(&others) {
            there.push(cuda.input(&**other)?);
        }
        let length = first.len();
        self.group(op, |number, communicator, stream| {
            let own = pointer(&there[number]);
            // SAFETY: a buffer of this device, of as many numbers; only that of the first is written, which
            // nobody else has.
            unsafe {
                (self.functions.reduce)(own, own, length, FLOAT32, SUM, ROOT, communicator, stream)
            }
        })?;
        give(first, there.swap_remove(0));
        for other in others {
            other.clear();
        }
        Ok(())
    }

    fn share(&self, first: &Array, others: Vec<&mut Array>) -> Result<()> {
        let op = "ncclBroadcast";
        self.check(op, first, &others)?;
        if first.is_empty() {
            return Ok(());
        }
        let mut there: Vec<Arc<Buffer>> = vec![self.devices[0].input(first)?];
        for (cuda, other) in self.devices[1..].iter().zip(&others) {
            there.push(Arc::new(cuda.output(&**other)?));
        }
        let length = first.len();
        self.group(op, |number, communicator, stream| {
            let own = pointer(&there[number]);
            // SAFETY: a buffer of this device, of as many numbers; those of the others are new.
            unsafe {
                (self.functions.broadcast)(own, own, length, FLOAT32, ROOT, communicator, stream)
            }
        })?;
        for (other, there) in others.into_iter().zip(there.into_iter().skip(1)) {
            give(other, there);
        }
        Ok(())
    }
}
