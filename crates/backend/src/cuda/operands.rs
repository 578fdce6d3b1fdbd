//! Operands of kernels: buffers of the host on the device, and launches.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lutweave_kernels::Source;
use lutweave_tensor::{Array, DType, Element, FrameBuffer, Remote};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use crate::{Error, Result};

/// Most elements of a row, and rows: kernels count either in 32 bits.
const MOST: usize = 0x7fff_ffff;

/// A number of rows, nodes or frames for a kernel.
pub(super) fn count(got: usize) -> Result<u32> {
    if got <= MOST {
        return Ok(got as u32);
    }
    let (op, operand, unit) = ("cuda", "an operand", "rows or columns at most");
    Err(Error::Size { op, operand, unit, expected: MOST, got })
}

/// The stride of rows as kernels count it: in elements; of bits, in words of 32.
pub(super) fn stride(x: &FrameBuffer) -> Result<u32> {
    count(if x.dtype() == DType::Bit { 2 * x.stride() } else { x.stride() })
}

/// Words of 32 frames that hold the frames of a buffer.
pub(super) fn words(x: &FrameBuffer) -> usize {
    x.frames().div_ceil(32)
}

/// Numbers that may lie on a device: rows of frames, and arrays.
pub(super) trait Numbers {
    fn remote(&self) -> Option<&Arc<dyn Remote>>;
    fn mirror(&self, remote: Arc<dyn Remote>);
    fn move_to(&mut self, remote: Arc<dyn Remote>);
    fn is_blank(&self) -> bool;
    fn bytes(&self) -> usize;
    fn host_bytes(&self) -> Result<&[u8]>;
}

/// The methods that both kinds have.
macro_rules! numbers {
    () => {
        fn remote(&self) -> Option<&Arc<dyn Remote>> {
            self.remote()
        }

        fn mirror(&self, remote: Arc<dyn Remote>) {
            self.mirror(remote);
        }

        fn move_to(&mut self, remote: Arc<dyn Remote>) {
            self.move_to(remote);
        }

        fn is_blank(&self) -> bool {
            self.is_blank()
        }

        fn bytes(&self) -> usize {
            self.bytes()
        }
    };
}

impl Numbers for FrameBuffer {
    numbers!();

    fn host_bytes(&self) -> Result<&[u8]> {
        Ok(&self.as_bytes()?[..self.bytes()])
    }
}

impl<T: Element> Numbers for Array<T> {
    numbers!();

    fn host_bytes(&self) -> Result<&[u8]> {
        Ok(bytemuck::cast_slice(self.fetch()?))
    }
}

impl Cuda {
    /// What kernels read of a buffer: copied to the device unless it is there.
    pub(super) fn input(&self, x: &impl Numbers) -> Result<Arc<Buffer>> {
        if let Some(remote) = x.remote() {
            let remote: Arc<dyn std::any::Any + Send + Sync> = remote.clone();
            if let Ok(buffer) = remote.downcast::<Buffer>()
                && buffer.is_of(&self.memory)
                && buffer.bytes() == x.bytes()
            {
                return Ok(buffer);
            }
        }
        let buffer = if x.is_blank() {
            self.memory.zeroed(x.bytes())?
        } else {
            self.memory.send(x.host_bytes()?)?
        };
        let buffer = Arc::new(buffer);
        x.mirror(buffer.clone());
        Ok(buffer)
    }

    /// What kernels write of a buffer, in full, padding included.
    pub(super) fn output(&self, y: &impl Numbers) -> Result<Buffer> {
        self.memory.allocate(y.bytes())
    }

    /// What kernels change of a buffer: nobody else's.
    pub(super) fn changed(&self, y: &impl Numbers) -> Result<Arc<Buffer>> {
        let buffer = self.input(y)?;
        // This one and that of `y`: every other belongs to a copy of `y`.
        if Arc::strong_count(&buffer) > 2 {
            return Ok(Arc::new(self.duplicate(&buffer)?));
        }
        buffer.finite.store(false, Ordering::Relaxed);
        Ok(buffer)
    }

    /// Another buffer with the same numbers.
    fn duplicate(&self, buffer: &Buffer) -> Result<Buffer> {
        const LINE: usize = 16;
        const THREADS: u32 = 256;
        let copy = self.memory.allocate(buffer.bytes())?;
        // Memory is of whole multiples of more than a line.
        let lines = buffer.bytes().div_ceil(LINE).max(1);
        let shape = Shape::blocks([lines.div_ceil(THREADS as usize), 1, 1], THREADS)?;
        let arguments = arguments![buffer, lines as u64, &copy];
        self.launch(&lutweave_kernels::GATHER_ROWS, "copy_lines", shape, arguments)?;
        Ok(copy)
    }

    /// Launches a kernel.
    pub(super) fn launch(
        &self,
        source: &Source,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<()> {
        self.memory.traffic[2].fetch_add(1, Ordering::Relaxed);
        // SAFETY: arguments are as the sources declare them, which the emulation checks in size and
        // number for every kernel; pointers are those of buffers, whose sizes the operands' checks
        // have shown to be those of the rows that the other arguments count.
        unsafe { self.memory.device().launch(source, kernel, shape, arguments) }
    }
}

/// Gives a buffer of the host the numbers that a kernel wrote.
pub(super) fn give(y: &mut impl Numbers, buffer: impl Into<Arc<Buffer>>) {
    y.move_to(buffer.into());
}
