//! Sums in a fixed order that the compiler can make vectors of.

/// Partial sums; part of the numeric contract.
const LANES: usize = 8;

/// The sum of `f(k)` over `0..length` in f64: every eighth term in one of eight partial sums, these then
/// one after the other. The same bits on every instruction set.
#[inline(always)]
pub fn lane_sum(length: usize, f: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0f64; LANES];
    let whole = length / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += f(start + lane);
        }
    }
    for k in whole..length {
        lanes[k - whole] += f(k);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_counts_once() {
        for length in 0..20 {
            let want: usize = (0..length).map(|k| k * k).sum();
            assert!((lane_sum(length, |k| (k * k) as f64) - want as f64).abs() < 1e-9);
        }
    }
}
