//! Reproducible random streams.
//!
//! There is no global generator. A stream is derived from a seed and a path that says what the
//! work *is* (for instance `[INIT, layer]`), never from which thread does it, so results do not
//! depend on the number of threads. The distributions are defined here, because those of the
//! `rand` family may change between versions.

/// The generator behind every stream.
pub use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Path of the initial parameters of a layer.
pub const INIT: u64 = 1;
/// Path of the wiring of a layer.
pub const WIRING: u64 = 2;
/// Path of the order of samples in an epoch.
pub const SHUFFLE: u64 = 3;
/// Path of the split of a data set.
pub const SPLIT: u64 = 4;

/// Path of the noise of a training step.
pub const NOISE: u64 = 5;
/// Path of the augmentation of a sample in an epoch.
pub const AUGMENT: u64 = 6;

/// The generator of one unit of work.
///
/// ```
/// use lutweave_tensor::rng;
///
/// let mut a = rng::stream(1, &[rng::INIT, 0]);
/// let mut b = rng::stream(1, &[rng::INIT, 1]);
/// assert_ne!(rng::uniform(&mut a), rng::uniform(&mut b));
/// ```
pub fn stream(seed: u64, path: &[u64]) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(key(seed, path))
}

/// What the generator of a path is seeded with. A path that goes on is that of its beginning with each
/// further part taken in, `key = mix(key ^ part)`: so kernels go on with a key of the host's.
pub fn key(seed: u64, path: &[u64]) -> u64 {
    path.iter().fold(mix(seed), |key, &part| mix(key ^ part))
}

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A whole random word.
pub fn word(rng: &mut Xoshiro256PlusPlus) -> u64 {
    rng.next_u64()
}

/// Uniform in `[0, 1)`, a multiple of 2⁻²⁴.
pub fn uniform(rng: &mut Xoshiro256PlusPlus) -> f32 {
    (rng.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
}

/// Standard normal by Box and Muller (1958), from two draws of 53 bits; the second of the pair is
/// not kept, so that a draw depends on the generator's state alone.
pub fn normal(rng: &mut Xoshiro256PlusPlus) -> f32 {
    const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
    let radius = ((rng.next_u64() >> 11) as f64 + 1.0) * UNIT; // (0, 1]: its logarithm is finite
    let angle = (rng.next_u64() >> 11) as f64 * UNIT;
    let deviate =
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(2.0 * std::f64::consts::PI * angle);
    deviate as f32
}

/// Uniform below `bound`, without bias (Lemire 2019, multiply and reject).
///
/// # Panics
///
/// If `bound` is zero.
pub fn below(rng: &mut Xoshiro256PlusPlus, bound: usize) -> usize {
    assert!(bound > 0, "a number below zero");
    let bound = bound as u64;
    let reject = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= reject {
            return (product >> 64) as usize;
        }
    }
}

/// Shuffles by Fisher and Yates.
pub fn shuffle<T>(rng: &mut Xoshiro256PlusPlus, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_pinned() {
        // A change here changes every trained network: it needs a "Numerics" entry in the changelog.
        let mut rng = stream(1, &[INIT, 0]);
        assert_eq!(word(&mut rng), 4_768_342_884_129_243_497);
        assert_eq!(below(&mut rng, 1000), 373);
        assert_eq!(uniform(&mut rng).to_bits(), 1_046_641_472);
        assert_eq!(normal(&mut rng).to_bits(), 1_064_404_166);
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let mut rng = stream(3, &[]);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n) - mean * mean;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[below(&mut rng, 7)] += 1;
        }
        assert!(seen.iter().all(|&count| (9_500..10_500).contains(&count)), "{seen:?}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut stream(5, &[]), &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
