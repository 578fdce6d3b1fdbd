//! A GPU, through the CUDA driver and NVRTC of the machine, both loaded when first asked for.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaModule, CudaStream, DriverError, LaunchConfig,
    PushKernelArg, result,
};
use cudarc::nvrtc::{self, CompileError, CompileOptions, Ptx};
use lutweave_kernels::Source;

use super::device::{Argument, Device, Place, Shape, Work};
use super::graph::{Graphs, Step};
use crate::{Error, Result};

const WHAT: &str = "CUDA";

/// Oldest and newest generations that kernels are compiled for; newer devices translate the newest.
const GENERATIONS: (i32, i32) = (75, 90);

/// One GPU. All it is asked for goes to one stream, in order.
pub(super) struct Driver {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    name: String,
    generation: i32,
    /// Compiled sources and the kernels found in them, by name.
    modules: Mutex<HashMap<&'static str, Arc<CudaModule>>>,
    functions: Mutex<HashMap<String, CudaFunction>>,
    graphs: Mutex<Graphs>,
    /// Of copies ahead of time.
    copies: Arc<CudaStream>,
    staging: Mutex<Vec<Pinned>>,
}

/// Memory of the host that copies are made from, and the event after the last of them.
struct Pinned {
    memory: *mut c_void,
    bytes: usize,
    copied: CudaEvent,
}

// SAFETY: memory that one staging area has alone, behind a lock.
unsafe impl Send for Pinned {}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.copied.synchronize();
        // SAFETY: it was allocated with `malloc_host`, and no copy reads it. There is nobody to tell of
        // an error.
        let _ = unsafe { result::free_host(self.memory) };
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of generation {}", self.name, self.generation)
    }
}

fn unavailable(why: impl Into<String>) -> Error {
    Error::Unavailable { what: WHAT, why: why.into() }
}

fn failed(op: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| Error::Device { op, why: error.to_string() }
}

/// Looks for the libraries: asking them for anything while they are missing would be a panic.
fn libraries() -> Result<()> {
    // SAFETY: loads a library of the system by its name, whose initialisers it is known to survive.
    if !unsafe { cudarc::driver::sys::is_culib_present() } {
        return Err(unavailable("no driver (libcuda) was found"));
    }
    // SAFETY: as above.
    if !unsafe { nvrtc::sys::is_culib_present() } {
        let why = "the driver is there, but no NVRTC (libnvrtc, of the CUDA toolkit)";
        return Err(unavailable(why));
    }
    Ok(())
}

/// Compiles a source with NVRTC, for a generation or the newest before it.
fn compile(source: &Source, generation: i32) -> Result<Ptx> {
    let generation = generation.min(GENERATIONS.1);
    let options = CompileOptions {
        // Products and sums are fused where the source says so, and nowhere else.
        fmad: Some(false),
        options: vec![format!("--gpu-architecture=compute_{generation}"), "--std=c++17".into()],
        name: Some(format!("{}.cu", source.name)),
        ..CompileOptions::default()
    };
    nvrtc::compile_ptx_with_opts(source.program(), options).map_err(|error| {
        let why = match &error {
            CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
            other => other.to_string(),
        };
        Error::Device { op: "compile", why: format!("{}: {why}", source.name) }
    })
}

impl Driver {
    pub(super) fn new(ordinal: usize) -> Result<Self> {
        libraries()?;
        let because = |error: DriverError| unavailable(format!("device {ordinal}: {error}"));
        let count = CudaContext::device_count().map_err(because)?;
        if i32::try_from(ordinal).map_or(true, |ordinal| ordinal >= count) {
            return Err(unavailable(format!("there is no device {ordinal}, of {count}")));
        }
        let context = CudaContext::new(ordinal).map_err(because)?;
        let (major, minor) = context.compute_capability().map_err(because)?;
        let (name, generation) = (context.name().map_err(because)?, 10 * major + minor);
        if generation < GENERATIONS.0 {
            let why = format!("{name} is of generation {generation}, before {}", GENERATIONS.0);
            return Err(unavailable(why));
        }
        let stream = context.default_stream();
        let (modules, functions) = (Mutex::default(), Mutex::default());
        let (graphs, staging) = (Mutex::default(), Mutex::default());
        let copies = context.new_stream().map_err(because)?;
        Ok(Self { context, stream, name, generation, modules, functions, graphs, copies, staging })
    }

    pub(super) fn names() -> Result<Vec<String>> {
        libraries()?;
        let because = |error: DriverError| unavailable(error.to_string());
        let count = CudaContext::device_count().map_err(because)?;
        let name = |ordinal| {
            let device = result::device::get(ordinal)?;
            result::device::get_name(device)
        };
        (0..count).map(|ordinal| name(ordinal).map_err(because)).collect()
    }

    /// A kernel, compiled with its source when one of that is first asked for.
    fn function(&self, source: &Source, kernel: &str) -> Result<CudaFunction> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(kernel) {
            return Ok(function.clone());
        }
        let module = self.module(source)?;
        let function = module.load_function(kernel).map_err(failed("find a kernel"))?;
        functions.insert(kernel.to_owned(), function.clone());
        Ok(function)
    }

    fn module(&self, source: &Source) -> Result<Arc<CudaModule>> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(source.name) {
            return Ok(module.clone());
        }
        let ptx = compile(source, self.generation)?;
        let module = self.context.load_module(ptx).map_err(failed("load"))?;
        modules.insert(source.name, module.clone());
        Ok(module)
    }

    /// Pinned memory that no copy reads: some that is there, or new.
    fn pinned(&self, bytes: usize) -> Result<Pinned> {
        let op = "pinned memory";
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |pinned: &Pinned| pinned.bytes >= bytes && pinned.copied.is_complete();
        if let Some(at) = staging.iter().position(free) {
            return Ok(staging.remove(at));
        }
        drop(staging);
        let copied = self.context.new_event(None).map_err(failed(op))?;
        // SAFETY: what it holds is written before it is read.
        let memory = unsafe { result::malloc_host(bytes, 0) }.map_err(failed(op))?;
        Ok(Pinned { memory, bytes, copied })
    }

    /// Makes the device that of this thread, as its driver wants it.
    fn bind(&self, op: &'static str) -> Result<()> {
        self.context.bind_to_thread().map_err(failed(op))
    }
}

impl Device for Driver {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn recycles(&self) -> bool {
        true
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.bind("allocate")?;
        // SAFETY: what it holds is never read before it is written.
        unsafe { result::malloc_sync(bytes) }.map_err(failed("allocate"))
    }

    unsafe fn free(&self, address: u64, _bytes: usize) {
        if self.bind("free").is_ok() {
            // SAFETY: as the caller promises; it waits for what still uses the memory. There is
            // nobody to tell of an error.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    unsafe fn upload(&self, address: u64, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.bind("upload")?;
        // SAFETY: as the caller promises; the driver has read pageable memory when this returns.
        let done = unsafe { result::memcpy_htod_async(address, from, self.stream.cu_stream()) };
        done.map_err(failed("upload"))
    }

    /// By way of pinned memory, which the device reads by itself.
    unsafe fn upload_ahead(&self, address: u64, from: &[u8]) -> Result<()> {
        let op = "upload ahead";
        if from.is_empty() {
            return Ok(());
        }
        self.bind(op)?;
        let pinned = self.pinned(from.len())?;
        // SAFETY: as many bytes, of memory that nobody else has and no copy reads.
        unsafe { pinned.memory.cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        // SAFETY: as many bytes, which stay as they are until the event below.
        let staged = unsafe { std::slice::from_raw_parts(pinned.memory.cast::<u8>(), from.len()) };
        // SAFETY: as the caller promises.
        let done = unsafe { result::memcpy_htod_async(address, staged, self.copies.cu_stream()) };
        let done = done.and_then(|()| pinned.copied.record(&self.copies));
        let done = done.and_then(|()| self.stream.wait(&pinned.copied));
        self.staging.lock().unwrap_or_else(PoisonError::into_inner).push(pinned);
        done.map_err(failed(op))
    }

    unsafe fn download(&self, address: u64, to: &mut [u8]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        self.bind("download")?;
        // SAFETY: as the caller promises; it is waited for below, while `to` is borrowed.
        let done = unsafe { result::memcpy_dtoh_async(to, address, self.stream.cu_stream()) };
        done.map_err(failed("download"))?;
        self.stream.synchronize().map_err(failed("download"))
    }

    unsafe fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.bind("clear")?;
        // SAFETY: as the caller promises.
        let done = unsafe { result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) };
        done.map_err(failed("clear"))
    }

    unsafe fn launch(
        &self,
        source: &Source,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<()> {
        let function = self.function(source, kernel)?;
        let mut launch = self.stream.launch_builder(&function);
        for argument in arguments {
            // A kernel reads as many bytes as it declares, the low ones first.
            launch.arg(&argument.bits);
        }
        let (grid, block) = (shape.grid, shape.block);
        let config = LaunchConfig {
            grid_dim: (grid[0], grid[1], grid[2]),
            block_dim: (block[0], block[1], block[2]),
            shared_mem_bytes: 0,
        };
        // SAFETY: as the caller promises.
        unsafe { launch.launch(config) }.map(|_| ()).map_err(failed("launch"))
    }

    /// As a graph, where the list has been met before.
    unsafe fn replay(&self, work: Vec<Work>) -> Result<()> {
        self.bind("replay")?;
        let step = |work: &Work| -> Result<Step> {
            Ok(match work {
                Work::Launch { source, kernel, shape, arguments } => {
                    let function = self.function(source, kernel)?.cu_function();
                    Step::Launch { function, shape: *shape, arguments: arguments.clone() }
                }
                Work::Clear { address, bytes } => Step::Clear { address: *address, bytes: *bytes },
            })
        };
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (self.stream.cu_stream(), self.context.cu_ctx());
        // SAFETY: the context is bound above; the rest is as the caller promises.
        let left = unsafe { graphs.launch(work, place, step)? };
        drop(graphs);
        for work in left.iter().flatten() {
            // SAFETY: as the caller promises.
            unsafe { work.run(self)? };
        }
        Ok(())
    }

    fn synchronise(&self) -> Result<()> {
        self.stream.synchronize().map_err(failed("synchronise"))
    }

    /// Nothing waits here; other libraries look for the device of their thread.
    fn flush(&self) -> Result<()> {
        self.bind("flush")
    }

    fn place(&self) -> Option<Place> {
        let ordinal = i32::try_from(self.context.ordinal()).ok()?;
        Some(Place { ordinal, stream: self.stream.cu_stream().expose_provenance() as u64 })
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr, clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Needs NVRTC alone, no driver and no GPU.
    #[test]
    fn kernels_compile_where_nvrtc_is() {
        // SAFETY: as in `libraries`.
        if !unsafe { nvrtc::sys::is_culib_present() } {
            eprintln!("skipped: no NVRTC (libnvrtc) was found");
            return;
        }
        for source in lutweave_kernels::ALL {
            let ptx = compile(source, 120).unwrap().to_src();
            assert!(ptx.contains(".entry ") && ptx.contains(".target sm_90"), "{}", source.name);
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        // Nothing here may panic, whatever of CUDA the machine has.
        if let Err(error) = libraries() {
            assert_eq!(Driver::names().unwrap_err(), error);
            assert_eq!(Driver::new(0).unwrap_err(), error);
        } else if let Ok(names) = Driver::names() {
            let error = Driver::new(names.len()).unwrap_err().to_string();
            assert!(error.contains("there is no device"), "{error}");
        }
        assert!(Driver::new(usize::MAX).is_err());
    }
}
