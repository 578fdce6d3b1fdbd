//! Noise on parameters, as kernels take it.

use lutweave_tensor::rng;

use super::Cuda;
use super::device::{Argument, arguments};
use super::memory::Buffer;
use super::operands::count;
use crate::Result;
use crate::noise::{Draw, MOST_PARTS, NodeNoise, NodeStreams};

/// Most parameters of a node that kernels draw for.
const MOST_SIZE: usize = 256;

/// Whether kernels can draw it for nodes of `size` parameters and as many `entries`.
pub(super) fn is_known(noise: &NodeNoise<'_>, size: usize, entries: usize) -> bool {
    let NodeNoise { noise, streams, .. } = noise;
    let fits = size <= MOST_SIZE && streams.after.len() <= MOST_PARTS;
    fits && (!noise.transformed || size == entries)
}

/// Arguments of `NOISE_ARGUMENTS`; `out` is where noisy parameters go.
pub(super) fn noise_arguments(
    noise: Option<&NodeNoise<'_>>,
    out: Option<&Buffer>,
) -> Result<Vec<Argument>> {
    const NONE: u64 = 0;
    let (Some(NodeNoise { noise, streams, .. }), Some(out)) = (noise, out) else {
        return Ok(arguments![0u32, 0u32, 0f32, NONE, 0u32, NONE, NONE, NONE, NONE, NONE].to_vec());
    };
    let draw = match noise.draw {
        Draw::Gumbel => 1u32,
        Draw::Logistic => 2,
    };
    let NodeStreams { seed, before, after } = *streams;
    let mut parts = [0u64; MOST_PARTS];
    parts[..after.len()].copy_from_slice(after);
    Ok(arguments![
        draw,
        u32::from(noise.transformed),
        noise.scale,
        rng::key(seed, before),
        count(after.len())?,
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        out,
    ]
    .to_vec())
}

impl Cuda {
    /// Memory for the parameters with noise, where there is noise.
    pub(super) fn noisy(
        &self,
        noise: Option<&mut NodeNoise<'_>>,
        length: usize,
    ) -> Result<Option<Buffer>> {
        let Some(noise) = noise else { return Ok(None) };
        noise.noisy.resize(length)?;
        Ok(Some(self.output(&*noise.noisy)?))
    }
}
