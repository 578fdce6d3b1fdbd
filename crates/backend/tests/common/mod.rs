//! The CUDA devices that the suites run on.

#![allow(clippy::panic, clippy::print_stderr)]

use lutweave_backend::{Cuda, Schedule};

/// The kernels emulated, under two schedules, and the first GPU where there is one. Its absence is
/// said, and fails where `LUTWEAVE_REQUIRE_CUDA` is 1.
pub(crate) fn devices() -> Vec<Cuda> {
    let emulated = |schedule, threads| match Cuda::emulated(schedule, threads) {
        Ok(cuda) => cuda,
        Err(error) => panic!("{error}; install one and build again"),
    };
    let mut devices = vec![emulated(Schedule::Rising, 1), emulated(Schedule::Shuffled(3), 2)];
    match Cuda::new(0) {
        Ok(cuda) => devices.push(cuda),
        Err(error) => {
            let required = std::env::var("LUTWEAVE_REQUIRE_CUDA").is_ok_and(|value| value == "1");
            assert!(!required, "{error}");
            eprintln!("skipped on a GPU: {error}");
        }
    }
    devices
}
