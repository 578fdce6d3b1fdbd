//! The CUDA backend: the kernels of `lutweave-kernels`, on a GPU or emulated.
//!
//! One abstraction launches everything, `Device`; behind it stand the driver of a GPU and, for
//! tests, an emulation on the CPU. Activations, parameters and gradients stay on the device from kernel to
//! kernel ([`Remote`](lutweave_tensor::Remote)), tables of sources once they were sent; counts and sums
//! cross where the model between them runs on the host.

mod activation;
mod candidate;
#[cfg(feature = "cublas")]
mod cublas;
mod dense;
mod device;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(feature = "emulate")]
mod emulator;
mod encode;
mod finite;
mod gradient;
#[cfg(feature = "cuda")]
mod graph;
#[cfg(any(feature = "cuda", feature = "emulate"))]
mod library;
mod loss;
mod memory;
mod micro_mlp;
mod model;
mod modulate;
#[cfg(any(feature = "cuda", feature = "emulate"))]
mod nccl;
mod noise;
mod norm;
mod operands;
mod optimizer;
mod pool;
mod real;
#[cfg(any(feature = "cuda", feature = "emulate"))]
mod recorder;
mod row_norm;
mod rows;
mod sum;
mod table;
mod tables;
mod thresholds;
mod tie;
mod weights;
mod window;

use std::sync::Arc;

use lutweave_tensor::FrameBuffer;

#[cfg(any(feature = "cuda", feature = "emulate"))]
use self::device::Device;
use self::finite::Later;
use self::memory::Memory;
#[cfg(any(feature = "cuda", feature = "emulate"))]
pub(crate) use self::nccl::Exchange;
use self::tables::Tables;
use crate::{Backend, Result};

/// Runs kernels on a CUDA device.
///
/// Bits, tables and counts are those of every other backend. Numbers are the same bits each time, on
/// any device of one generation and for any schedule of its blocks: no float is added atomically.
#[derive(Debug)]
pub struct Cuda {
    memory: Arc<Memory>,
    tables: Arc<Tables>,
    name: Arc<str>,
    /// What is told at the end of a step, where this is one.
    later: Option<Later>,
    /// Products of dense layers, where they are not our own kernels'.
    #[cfg(feature = "cublas")]
    products: Option<Arc<cublas::Products>>,
}

/// The order in which an emulated device runs threads and blocks. A result that depends on it is a
/// mistake in a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// By number.
    Rising,
    /// By number, the last first.
    Falling,
    /// Shuffled by a seed.
    Shuffled(u16),
}

/// What a device was asked for, since its [`Cuda`] was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes copied to the device.
    pub sent: u64,
    /// Bytes copied to the host.
    pub fetched: u64,
    /// Kernels launched.
    pub launches: u64,
    /// Lists of launches handed to the device, where they are collected.
    pub lists: u64,
    /// Of these lists, those that were like one before: a device is given them as graphs.
    pub repeated: u64,
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            fetched: self.fetched - before.fetched,
            launches: self.launches - before.launches,
            lists: self.lists - before.lists,
            repeated: self.repeated - before.repeated,
        }
    }
}

impl Cuda {
    /// The device of this number, as the driver counts them.
    ///
    /// The driver and NVRTC are looked for when this is called. Kernels are compiled for the device
    /// when each is first used, which takes about 0.1 s a file. Launches are collected until an answer
    /// is wanted; lists that come again are launched as CUDA graphs.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) without the feature `cuda`, the driver, NVRTC, or such a device.
    pub fn new(ordinal: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return driver::Driver::new(ordinal).map(|driver| Self::recording(Arc::new(driver)));
        #[cfg(not(feature = "cuda"))]
        {
            let why = "this program was built without the feature `cuda`";
            let why = format!("device {ordinal}: {why}");
            Err(crate::Error::Unavailable { what: WHAT, why })
        }
    }

    /// As [`new`](Self::new), with every kernel launched when it is asked for.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn without_graphs(ordinal: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return driver::Driver::new(ordinal).map(|driver| Self::on(Arc::new(driver)));
        #[cfg(not(feature = "cuda"))]
        Self::new(ordinal)
    }

    /// The names of all devices, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) without the feature `cuda`, the driver or NVRTC.
    pub fn devices() -> Result<Vec<String>> {
        #[cfg(feature = "cuda")]
        return driver::Driver::names();
        #[cfg(not(feature = "cuda"))]
        {
            let why = "this program was built without the feature `cuda`".into();
            Err(crate::Error::Unavailable { what: WHAT, why })
        }
    }

    /// The kernels emulated on the CPU, on `threads` threads: for tests, a thousand times slower than
    /// the CPU backend. Memory that no kernel wrote is poisoned, and writing past the end of any is an
    /// error.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) without the feature `emulate`, or where there was no C++ compiler when
    /// it was built.
    pub fn emulated(schedule: Schedule, threads: u32) -> Result<Self> {
        #[cfg(feature = "emulate")]
        return emulator::Emulator::new(schedule, threads)
            .map(|emulator| Self::on(Arc::new(emulator)));
        #[cfg(not(feature = "emulate"))]
        {
            let why = format!("{schedule:?} on {threads} threads needs the feature `emulate`");
            Err(crate::Error::Unavailable { what: "the emulation of CUDA", why })
        }
    }

    /// As [`emulated`](Self::emulated), with kernels run in lists as a GPU is given them.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn emulated_lists(schedule: Schedule, threads: u32) -> Result<Self> {
        #[cfg(feature = "emulate")]
        return emulator::Emulator::new(schedule, threads)
            .map(|emulator| Self::recording(Arc::new(emulator)));
        #[cfg(not(feature = "emulate"))]
        Self::emulated(schedule, threads)
    }

    /// A device whose work waits until an answer is wanted.
    #[cfg(any(feature = "cuda", feature = "emulate"))]
    fn recording(device: Arc<dyn Device>) -> Self {
        Self::on(Arc::new(recorder::Recorder::new(device)))
    }

    #[cfg(any(feature = "cuda", feature = "emulate"))]
    fn on(device: Arc<dyn Device>) -> Self {
        let (name, tables) = (device.name().into(), Arc::default());
        Self {
            #[cfg(feature = "cublas")]
            products: cublas::Products::new(&*device).ok().map(Arc::new),
            memory: Arc::new(Memory::new(device)),
            tables,
            name,
            later: None,
        }
    }

    /// The same device, for something else.
    fn same(&self, later: Option<Later>) -> Self {
        Self {
            memory: self.memory.clone(),
            tables: self.tables.clone(),
            name: self.name.clone(),
            later,
            #[cfg(feature = "cublas")]
            products: self.products.clone(),
        }
    }

    /// Whether products of dense layers are those of cuBLAS, which is looked for when a device is made.
    /// Where it is not there they are our own kernels'.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) where they are our own, with the reason.
    pub fn cublas(&self) -> Result<()> {
        #[cfg(feature = "cublas")]
        return match &self.products {
            Some(_) => Ok(()),
            None => cublas::Products::new(self.memory.device()).map(|_| ()),
        };
        #[cfg(not(feature = "cublas"))]
        {
            let why = "this program was built without the feature `cublas`".into();
            Err(crate::Error::Unavailable { what: "cuBLAS", why })
        }
    }

    /// The same device with our own kernels for all products.
    #[must_use]
    pub fn without_cublas(&self) -> Self {
        Self {
            #[cfg(feature = "cublas")]
            products: None,
            ..self.same(None)
        }
    }

    /// The same device with this library as its cuBLAS.
    ///
    /// # Safety
    ///
    /// It has the functions of cuBLAS, for the memory of this device.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) where it cannot be loaded or lacks one of them.
    #[cfg(feature = "cublas")]
    #[allow(unsafe_code)]
    pub unsafe fn with_cublas(&self, path: &std::path::Path) -> Result<Self> {
        // SAFETY: as the caller promises.
        let products = unsafe { cublas::Products::with_library(path, self.memory.device())? };
        Ok(Self { products: Some(Arc::new(products)), ..self.same(None) })
    }

    /// What has crossed since this was made, and how many kernels were launched.
    pub fn traffic(&self) -> Traffic {
        let [sent, fetched, launches] =
            [0, 1, 2].map(|n| self.memory.traffic[n].load(std::sync::atomic::Ordering::Relaxed));
        let [lists, repeated] = self.memory.device().lists();
        Traffic { sent, fetched, launches, lists, repeated }
    }

    /// What the device calls itself.
    pub fn device_name(&self) -> &str {
        &self.name
    }

    /// Waits until the device has done all it was asked to.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) when any of it failed.
    pub fn synchronise(&self) -> Result<()> {
        self.memory.device().synchronise()?;
        self.memory.waited();
        Ok(())
    }

    /// Copies a buffer to the device ahead of the kernels that read it; without effect on one that is
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where it has too little memory.
    pub fn send(&self, x: &FrameBuffer) -> Result<()> {
        self.input(x).map(|_| ())
    }
}

#[cfg(not(feature = "cuda"))]
const WHAT: &str = "CUDA";

impl Backend for Cuda {
    fn name(&self) -> &'static str {
        "cuda"
    }

    /// Copies from pinned memory, on a stream of its own.
    fn prefetch(&self, x: &FrameBuffer) -> Result<()> {
        if x.remote().is_none() && !x.is_blank() {
            x.mirror(Arc::new(self.memory.send_ahead(&x.as_bytes()?[..x.bytes()])?));
        }
        Ok(())
    }

    /// The same device, with what is looked at told at the end.
    fn step(&self) -> Option<Box<dyn Backend>> {
        Some(Box::new(self.same(Some(Later::default()))))
    }
}
