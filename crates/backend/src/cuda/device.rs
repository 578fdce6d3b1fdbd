//! What the backend asks of a device.
#![allow(unsafe_code)]

use std::fmt::Debug;

use lutweave_kernels::Source;

use crate::{Error, Result};

/// A device that allocates memory, copies, and launches kernels, in the order it is asked to.
///
/// Addresses are the device's own. A call may return before it is done, but for downloads; an error
/// may come with a later call than the one that caused it.
pub(super) trait Device: Debug + Send + Sync {
    /// What it calls itself.
    fn name(&self) -> String;

    /// Whether memory that is given back may be handed out again as it is.
    fn recycles(&self) -> bool;

    /// Memory that holds anything.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back.
    ///
    /// # Safety
    ///
    /// `address` was allocated with as many bytes, and is not used after.
    unsafe fn free(&self, address: u64, bytes: usize);

    /// Copies from the host.
    ///
    /// # Safety
    ///
    /// There is as much memory at `address`.
    unsafe fn upload(&self, address: u64, from: &[u8]) -> Result<()>;

    /// Copies from the host while the device goes on with what it was asked for before; what it is
    /// asked for later finds the copy.
    ///
    /// # Safety
    ///
    /// There is as much memory at `address`, and nothing that was asked for before uses it.
    unsafe fn upload_ahead(&self, address: u64, from: &[u8]) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe { self.upload(address, from) }
    }

    /// Copies to the host, after all that was asked for before.
    ///
    /// # Safety
    ///
    /// There is as much memory at `address`.
    unsafe fn download(&self, address: u64, to: &mut [u8]) -> Result<()>;

    /// Zeroes memory.
    ///
    /// # Safety
    ///
    /// There is as much memory at `address`.
    unsafe fn clear(&self, address: u64, bytes: usize) -> Result<()>;

    /// Runs a kernel.
    ///
    /// # Safety
    ///
    /// The arguments are those the kernel takes, and there is as much memory behind each pointer as it
    /// reads or writes with these arguments and this grid.
    unsafe fn launch(
        &self,
        source: &Source,
        kernel: &str,
        shape: Shape,
        arguments: &[Argument],
    ) -> Result<()>;

    /// Runs a list of work, in order.
    ///
    /// # Safety
    ///
    /// As of [`clear`](Self::clear) and [`launch`](Self::launch), for each.
    #[allow(dead_code)] // where there is no device
    unsafe fn replay(&self, work: Vec<Work>) -> Result<()> {
        for work in &work {
            // SAFETY: as the caller promises.
            unsafe { work.run(self)? };
        }
        Ok(())
    }

    /// Lists handed over, and how many of them were like one before.
    fn lists(&self) -> [u64; 2] {
        [0; 2]
    }

    /// Waits until all is done.
    fn synchronise(&self) -> Result<()>;

    /// Hands over what waits, without waiting for it.
    #[allow(dead_code)] // where there is no device
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Where other libraries find it; none where it is no GPU.
    #[allow(dead_code)] // where there is no device
    fn place(&self) -> Option<Place> {
        None
    }
}

/// A GPU as the driver counts them, and the stream that its work is on.
#[allow(dead_code)] // where there is no device
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) ordinal: i32,
    pub(super) stream: u64,
}

/// Something to do that gives no answer.
#[allow(dead_code)] // where there is no device
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// See [`Device::launch`].
    Launch { source: Source, kernel: String, shape: Shape, arguments: Vec<Argument> },
    /// See [`Device::clear`].
    Clear { address: u64, bytes: usize },
}

impl Work {
    /// Whether two lists do the same, with whatever arguments.
    #[allow(dead_code)] // where there is no driver
    pub(super) fn alike(a: &[Self], b: &[Self]) -> bool {
        let same = |(a, b): (&Self, &Self)| match (a, b) {
            (
                Self::Launch { kernel: a, arguments: x, .. },
                Self::Launch { kernel: b, arguments: y, .. },
            ) => a == b && x.len() == y.len(),
            (Self::Clear { .. }, Self::Clear { .. }) => true,
            _ => false,
        };
        a.len() == b.len() && a.iter().zip(b).all(same)
    }

    /// A number that is the same for lists that are alike (Fowler, Noll and Vo's FNV-1a).
    #[allow(dead_code)] // where there is no device
    pub(super) fn hash(work: &[Self]) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for work in work {
            let name = match work {
                Self::Launch { kernel, .. } => kernel.as_bytes(),
                Self::Clear { .. } => b" ",
            };
            for &byte in name.iter().chain(b";") {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    /// Has a device do it.
    ///
    /// # Safety
    ///
    /// As of [`Device::clear`] and [`Device::launch`].
    #[allow(dead_code)] // where there is no device
    pub(super) unsafe fn run<D: Device + ?Sized>(&self, device: &D) -> Result<()> {
        match self {
            Self::Launch { source, kernel, shape, arguments } => {
                // SAFETY: as the caller promises.
                unsafe { device.launch(source, kernel, *shape, arguments) }
            }
            Self::Clear { address, bytes } => {
                // SAFETY: as the caller promises.
                unsafe { device.clear(*address, *bytes) }
            }
        }
    }
}

/// Blocks of a grid, and threads of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
}

/// Threads of a block of a kernel over rows.
const THREADS: usize = 256;
/// Most blocks along each axis of a grid.
const MOST: [usize; 3] = [0x7fff_ffff, 65_535, 65_535];

impl Shape {
    /// Blocks of so many threads in a row.
    pub(super) fn blocks(grid: [usize; 3], threads: u32) -> Result<Self> {
        let op = "cuda grid";
        for (&got, most) in grid.iter().zip(MOST) {
            if got > most {
                let (operand, unit, expected) = ("an axis", "blocks at most", most);
                return Err(Error::Size { op, operand, unit, expected, got });
            }
        }
        Ok(Self { grid: grid.map(|size| size as u32), block: [threads, 1, 1] })
    }

    /// A thread for each column of each row; blocks are as wide as rows where these are short.
    pub(super) fn rows(rows: usize, columns: usize) -> Result<Self> {
        let wide = columns.next_power_of_two().min(THREADS);
        let high = THREADS / wide;
        let shape = Self::blocks([rows.div_ceil(high), columns.div_ceil(wide), 1], 1)?;
        Ok(Self { block: [wide as u32, high as u32, 1], ..shape })
    }
}

/// An argument of a kernel: its bits, and how many bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // what is read of it depends on the devices there are
pub(super) struct Argument {
    pub(super) bits: u64,
    pub(super) bytes: usize,
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self { bits: value.into(), bytes: 4 }
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self { bits: value.to_bits().into(), bytes: 4 }
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self { bits: value.to_bits(), bytes: 8 }
    }
}

impl From<u64> for Argument {
    fn from(value: u64) -> Self {
        Self { bits: value, bytes: 8 }
    }
}

/// Arguments of a kernel, in their order.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => { &[$($crate::cuda::device::Argument::from($value)),*] };
}
pub(super) use arguments;

/// Arguments that come in parts, in their order.
pub(super) fn joined(parts: &[&[Argument]]) -> Vec<Argument> {
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_rows_and_columns() {
        for (rows, columns, block) in
            [(1, 16, [16, 16, 1]), (19, 64, [64, 4, 1]), (7, 1088, [256, 1, 1])]
        {
            let shape = Shape::rows(rows, columns).unwrap();
            assert_eq!(shape.block, block);
            assert!(shape.grid[0] * block[1] >= rows as u32);
            assert!(shape.grid[1] * block[0] >= columns as u32);
        }
        let error = Shape::blocks([1, 70_000, 1], 32).unwrap_err().to_string();
        assert_eq!(error, "cuda grid: expected an axis to have 65535 blocks at most, got 70000");
    }
}
