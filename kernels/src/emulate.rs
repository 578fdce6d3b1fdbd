//! The kernels on the CPU, for tests: compiled by the C++ compiler of the machine, every CUDA thread a
//! fiber. See `host/emulate.h` for what that shows and what it does not.
#![allow(unsafe_code)]

use std::ffi::c_void;
#[cfg(lutweave_emulate)]
use std::ffi::{c_char, c_int};

/// The order in which threads of a block, and blocks, run. A result that depends on it is a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By number.
    Rising,
    /// By number, the last first.
    Falling,
    /// Shuffled by a seed.
    Shuffled(u16),
}

impl Order {
    fn number(self) -> u32 {
        match self {
            Self::Rising => 0,
            Self::Falling => 1,
            Self::Shuffled(seed) => 2 + u32::from(seed),
        }
    }
}

/// Says why kernels cannot run here, if so: without a C++ compiler there is nothing to run.
///
/// # Errors
///
/// What kept the kernels from being compiled when this crate was built.
pub fn available() -> Result<(), &'static str> {
    match option_env!("LUTWEAVE_EMULATE_MISSING") {
        None => Ok(()),
        Some(why) => Err(why),
    }
}

#[cfg(lutweave_emulate)]
unsafe extern "C" {
    fn lutweave_emulate(
        name: *const c_char,
        name_bytes: usize,
        grid: *const u32,
        block: *const u32,
        arguments: *const *mut c_void,
        sizes: *const usize,
        count: usize,
        order: u32,
        threads: u32,
        message: *mut c_char,
        message_bytes: usize,
    ) -> c_int;
}

/// Runs a kernel over a grid of blocks, on `threads` threads of the system.
///
/// `arguments` are pointers to the arguments, `sizes` their sizes in bytes.
///
/// # Errors
///
/// A sentence: there is no such kernel, the arguments have other sizes or another number, the grid or
/// the blocks are larger than a device takes, a thread waits for ever, or see [`available`].
///
/// # Safety
///
/// Pointers among the arguments must point to memory that is as large as the kernel reads or writes
/// with these arguments, and that nothing else uses meanwhile.
pub unsafe fn launch(
    name: &str,
    grid: [u32; 3],
    block: [u32; 3],
    (arguments, sizes): (&[*mut c_void], &[usize]),
    order: Order,
    threads: u32,
) -> Result<(), String> {
    available()?;
    let count = arguments.len().min(sizes.len());
    #[cfg(lutweave_emulate)]
    {
        let mut message = [0u8; 256];
        // SAFETY: all pointers are to what they name, of the sizes given; the callee checks names,
        // sizes and grid, and what the kernel does is the caller's promise.
        let failed = unsafe {
            lutweave_emulate(
                name.as_ptr().cast(),
                name.len(),
                grid.as_ptr(),
                block.as_ptr(),
                arguments.as_ptr(),
                sizes.as_ptr(),
                count,
                order.number(),
                threads.clamp(1, 64),
                message.as_mut_ptr().cast(),
                message.len(),
            )
        };
        if failed == 0 {
            return Ok(());
        }
        let end = message.iter().position(|&byte| byte == 0).unwrap_or(message.len());
        Err(String::from_utf8_lossy(&message[..end]).into_owned())
    }
    #[cfg(not(lutweave_emulate))]
    Err(format!("{name} {grid:?} {block:?} {count} {} {threads}: not built", order.number()))
}

#[cfg(all(test, lutweave_emulate))]
mod tests {
    use super::*;

    fn run(
        name: &str,
        grid: [u32; 3],
        block: [u32; 3],
        values: &[u64],
        sizes: &[usize],
    ) -> Result<(), String> {
        let mut values = values.to_vec();
        let pointers: Vec<*mut c_void> =
            values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
        // SAFETY: the calls below fail before a kernel runs, or pass memory of the size it takes.
        unsafe { launch(name, grid, block, (&pointers, sizes), Order::Rising, 1) }
    }

    #[test]
    fn what_does_not_fit_a_kernel_is_an_error() {
        let error = |name, grid, block, sizes: &[usize]| {
            run(name, grid, block, &[0; 16], sizes).unwrap_err()
        };
        assert_eq!(error("nothing", [1; 3], [1; 3], &[8]), "there is no kernel nothing");
        let name = "affine_backward_bias";
        assert!(error(name, [1; 3], [64, 1, 1], &[8, 4, 4, 8]).contains("at most 32"));
        assert!(error(name, [1, 70_000, 1], [32, 1, 1], &[8, 4, 4, 8]).contains("grid"));
        assert!(error(name, [1; 3], [32, 1, 1], &[8, 4, 4]).contains("3 arguments of 4"));
        assert!(error(name, [1; 3], [32, 1, 1], &[8, 4, 8, 8]).contains("argument 2"));
    }

    /// Half a warp of a kernel that exchanges between all lanes: nothing waits for those not there;
    /// a whole one adds up.
    #[test]
    fn a_warp_adds_up() {
        let values: Vec<f32> = (0..64).map(|v| v as f32).collect();
        let mut sum = [1f32];
        for order in [Order::Rising, Order::Falling, Order::Shuffled(3)] {
            sum[0] = 1.0;
            let mut arguments = [values.as_ptr() as u64, 64, 50, sum.as_mut_ptr() as u64];
            let pointers: Vec<*mut c_void> =
                arguments.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
            // SAFETY: one row of 64 numbers and one sum, as the kernel takes them.
            unsafe {
                launch(
                    "affine_backward_bias",
                    [1; 3],
                    [32, 1, 1],
                    (&pointers, &[8, 4, 4, 8]),
                    order,
                    1,
                )
            }
            .unwrap();
            assert_eq!(sum[0].to_bits(), (1.0f32 + 49.0 * 25.0).to_bits(), "{order:?}");
        }
    }
}
