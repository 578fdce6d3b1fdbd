//! Noise on parameters.

use lutweave_kernels::NOISE;
use lutweave_tensor::{Array, rng};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give};
use crate::Result;
use crate::noise::{Draw, MOST_PARTS, NodeStreams, Noise, NoiseKernels, check_noise};

/// Threads of a block, a parameter each: nodes of more are not known to the kernel.
const THREADS: u32 = 256;

impl NoiseKernels for Cuda {
    fn add_noise(
        &self,
        parameters: &Array,
        size: usize,
        noise: Noise,
        streams: NodeStreams<'_>,
        out: &mut Array,
    ) -> Result<bool> {
        check_noise(parameters, size, out)?;
        let NodeStreams { seed, before, after } = streams;
        let known = size.is_power_of_two() && size <= THREADS as usize;
        if !known || after.len() > MOST_PARTS || parameters.is_empty() {
            return Ok(false);
        }
        let mut parts = [0u64; MOST_PARTS];
        parts[..after.len()].copy_from_slice(after);
        let (there, made) = (self.input(parameters)?, self.output(&*out)?);
        let blocks = parameters.len().div_ceil(THREADS as usize);
        self.launch(
            &NOISE,
            "add_noise",
            Shape::blocks([blocks, 1, 1], THREADS)?,
            arguments![
                &there,
                parameters.len() as u64,
                count(size)?,
                u32::from(noise.draw == Draw::Gumbel),
                u32::from(noise.transformed),
                noise.scale,
                rng::key(seed, before),
                count(after.len())?,
                parts[0],
                parts[1],
                parts[2],
                parts[3],
                &made,
            ],
        )?;
        give(out, made);
        Ok(true)
    }
}
