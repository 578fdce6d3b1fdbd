//! The CUDA devices that the suites run on.

#![allow(clippy::panic, clippy::print_stderr)]

use lutweave_backend::{Cuda, Schedule};

/// The kernels emulated, one by one and in lists, under two schedules, and the first GPU where there is one; its absence is
/// said. Where `LUTWEAVE_REQUIRE_CUDA` is 1, the GPU alone, and its absence fails.
pub(crate) fn devices() -> Vec<Cuda> {
    let required = std::env::var("LUTWEAVE_REQUIRE_CUDA").is_ok_and(|value| value == "1");
    let gpu = Cuda::new(0);
    if required {
        let gpu = gpu.unwrap_or_else(|error| panic!("LUTWEAVE_REQUIRE_CUDA is 1, but {error}"));
        return with_and_without_cublas(gpu);
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
        Ok(cuda) => devices.extend(with_and_without_cublas(cuda)),
        Err(error) => eprintln!("skipped on a GPU: {error}"),
    }
    devices
}

/// Products by our own kernels, and those of cuBLAS where it is there.
fn with_and_without_cublas(gpu: Cuda) -> Vec<Cuda> {
    let own = gpu.without_cublas();
    if gpu.cublas().is_ok() { vec![own, gpu] } else { vec![own] }
}
