//! The CUDA devices that the suites run on.

#![allow(clippy::panic, clippy::print_stderr)]

use lutweave_backend::{Cuda, Schedule};

/// The kernels emulated, one by one and in lists, under two schedules, and the first GPU where there is one; its absence is
/// said. Where `LUTWEAVE_REQUIRE_CUDA` is 1, the GPU alone, and its absence fails.
pub(crate) fn devices() -> Vec<Cuda> {
    let required = std::env::var("LUTWEAVE_REQUIRE_CUDA").is_ok_and(|value| value == "1");
    let gpu = Cuda::new(0);
    if required {
        return vec![gpu.unwrap_or_else(|error| panic!("LUTWEAVE_REQUIRE_CUDA is 1, but {error}"))];
    }
    let emulated = |made: lutweave_backend::Result<Cuda>| match made {
        Ok(cuda) => cuda,
        Err(error) => panic!("{error}; install one and build again"),
    };
    let mut devices = vec![
        emulated(Cuda::emulated(Schedule::Rising, 1)),
        emulated(Cuda::emulated_lists(Schedule::Shuffled(3), 2)),
    ];
    match gpu {
        Ok(cuda) => devices.push(cuda),
        Err(error) => eprintln!("skipped on a GPU: {error}"),
    }
    devices
}
