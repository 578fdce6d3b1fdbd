//! Products of matrices by cuBLAS, where the machine has it.
//!
//! It knows columns first: a row of frames is a column to it, and `Y = W X` is `Yᵀ = Xᵀ Wᵀ`. Calls go to
//! the stream of the kernels, between the lists that these are handed over in.
#![allow(unsafe_code)]

use std::ffi::{OsStr, c_int, c_longlong, c_void};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fmt, ptr};

use super::device::Device;
use super::library::Loaded;
use super::memory::Buffer;
use super::operands::count;
use crate::{Error, Result};

/// What it is called in messages, and the names under which it is looked for.
const CUBLAS: &str = "cuBLAS";
const NAMES: [&str; 3] = ["libcublas.so.12", "libcublas.so.13", "libcublas.so"];

type Handle = *mut c_void;
type Create = unsafe extern "C" fn(*mut Handle) -> c_int;
type Destroy = unsafe extern "C" fn(Handle) -> c_int;
type SetStream = unsafe extern "C" fn(Handle, *mut c_void) -> c_int;
/// `cublasSgemmStridedBatched`: two forms, three sizes, α, two factors with leading dimension and distance of
/// groups each, β, the result likewise, and the number of groups.
type Gemm = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const f32,
    *const f32,
    c_int,
    c_longlong,
    *const f32,
    c_int,
    c_longlong,
    *const f32,
    *mut f32,
    c_int,
    c_longlong,
    c_int,
) -> c_int;

/// A matrix of each group as columns, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Matrices<'a> {
    pub(super) buffer: &'a Buffer,
    /// From one column to the next.
    pub(super) leading: usize,
    /// From one group to the next.
    pub(super) group: usize,
    /// Whether it is to be read as rows instead.
    pub(super) turned: bool,
}

/// A product for each group: `C = A B`, or added to `C`, of `rows` × `depth` and `depth` × `columns`.
pub(super) struct Product<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) a: Matrices<'a>,
    pub(super) b: Matrices<'a>,
    pub(super) c: Matrices<'a>,
    pub(super) adds: bool,
    pub(super) groups: usize,
}

/// The handle, which one thread uses at a time.
struct Owned(Handle);

// SAFETY: a handle may be used on any thread of the process that has its device, by one at a time: it is
// behind a lock.
unsafe impl Send for Owned {}

/// cuBLAS on one device.
pub(super) struct Products {
    handle: Mutex<Owned>,
    gemm: Gemm,
    destroy: Destroy,
    /// Last, since what stands above has functions of it.
    _library: Loaded,
}

impl fmt::Debug for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CUBLAS)
    }
}

impl Drop for Products {
    fn drop(&mut self) {
        let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: it was made by this library, and nobody else has it. There is nobody to tell of an error.
        let _ = unsafe { (self.destroy)(handle.0) };
    }
}

fn check(op: &'static str, status: c_int) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Error::Device { op, why: format!("status {status}") }) }
}

impl Products {
    /// That of the machine, for a GPU.
    pub(super) fn new(device: &dyn Device) -> Result<Self> {
        if device.place().is_none() {
            let why = format!("{} is no GPU", device.name());
            return Err(Error::Unavailable { what: CUBLAS, why });
        }
        // SAFETY: a library of the machine's, by the name that cuBLAS has.
        unsafe { Self::of(&NAMES.map(OsStr::new), device) }
    }

    /// This library.
    ///
    /// # Safety
    ///
    /// It has the functions of cuBLAS, for the memory of this device.
    pub(super) unsafe fn with_library(path: &Path, device: &dyn Device) -> Result<Self> {
        // SAFETY: as the caller promises.
        unsafe { Self::of(&[path.as_os_str()], device) }
    }

    unsafe fn of(names: &[&OsStr], device: &dyn Device) -> Result<Self> {
        // SAFETY: as the caller promises.
        let library = unsafe { Loaded::open(CUBLAS, names)? };
        // SAFETY: of this type in the header.
        let create: Create = unsafe { library.function("cublasCreate_v2")? };
        // SAFETY: as above.
        let destroy: Destroy = unsafe { library.function("cublasDestroy_v2")? };
        // SAFETY: as above.
        let set_stream: SetStream = unsafe { library.function("cublasSetStream_v2")? };
        // SAFETY: as above.
        let gemm: Gemm = unsafe { library.function("cublasSgemmStridedBatched")? };
        device.flush()?; // makes the device that of this thread
        let mut handle = ptr::null_mut();
        // SAFETY: the place is there to be written.
        check("cublasCreate", unsafe { create(&raw mut handle) })?;
        let made = Self { handle: Mutex::new(Owned(handle)), gemm, destroy, _library: library };
        let stream = device.place().unwrap_or_default().stream;
        let stream = ptr::with_exposed_provenance_mut(stream as usize);
        // SAFETY: the handle was just made, and the stream is that of the device.
        check("cublasSetStream", unsafe { set_stream(handle, stream) })?;
        Ok(made)
    }

    /// Computes products after all that the device was asked for before.
    pub(super) fn multiply(&self, device: &dyn Device, product: &Product<'_>) -> Result<()> {
        device.flush()?;
        let size = |size: usize| count(size).map(u32::cast_signed);
        let apart = |matrices: &Matrices<'_>| c_longlong::try_from(matrices.group);
        let Product { rows, columns, depth, a, b, c, adds, groups } = product;
        let failed = |_| Error::Device { op: "cublasSgemm", why: "a group is too large".into() };
        let [from_a, from_b] = [a, b].map(|from| {
            ptr::with_exposed_provenance::<f32>(from.buffer.address_of::<f32>(0) as usize)
        });
        let to = ptr::with_exposed_provenance_mut::<f32>(c.buffer.address_of::<f32>(0) as usize);
        let (alpha, beta) = (1.0f32, f32::from(u8::from(*adds)));
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the buffers have as many numbers as the sizes say, which the checks of the operands have
        // shown; α and β are on the host, where a handle looks for them unless told otherwise.
        let done = unsafe {
            (self.gemm)(
                handle.0,
                c_int::from(a.turned),
                c_int::from(b.turned),
                size(*rows)?,
                size(*columns)?,
                size(*depth)?,
                &raw const alpha,
                from_a,
                size(a.leading)?,
                apart(a).map_err(failed)?,
                from_b,
                size(b.leading)?,
                apart(b).map_err(failed)?,
                &raw const beta,
                to,
                size(c.leading)?,
                apart(c).map_err(failed)?,
                size(*groups)?,
            )
        };
        check("cublasSgemm", done)
    }
}
