//! How much work is worth handing to another thread.

/// Operations that take some ten microseconds: waking a thread costs about as much.
const WORTH: usize = 1 << 15;

/// The fewest items that a thread takes at a time, where each is about `work` simple operations, for
/// rayon's `with_min_len`: small batches stay on one thread.
pub(super) fn grain(work: usize) -> usize {
    (WORTH / work.max(1)).max(1)
}
