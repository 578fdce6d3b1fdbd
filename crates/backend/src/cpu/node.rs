//! What the kernels of one node are given.

/// Packed rows, and where one node reads in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    rows: &'a [u64],
    stride: usize,
    sources: &'a [u32],
}

impl<'a> Node<'a> {
    /// A node that reads rows `sources` of `rows`, each of `stride` words.
    ///
    /// # Panics
    ///
    /// If a source has no row: the kernels rely on it.
    pub(super) fn new(rows: &'a [u64], stride: usize, sources: &'a [u32]) -> Self {
        let count = rows.len() / stride;
        assert!(sources.iter().all(|&source| (source as usize) < count), "a source has no row");
        Self { rows, stride, sources }
    }

    pub(super) fn fan_in(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn sources(&self) -> &'a [u32] {
        self.sources
    }

    /// The packed row of input `i`, padding included.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [u64] {
        &self.rows[self.sources[i] as usize * self.stride..][..self.stride]
    }

    /// One packed word of input `i`.
    #[inline(always)]
    pub(super) fn word(&self, i: usize, word: usize) -> u64 {
        self.rows[self.sources[i] as usize * self.stride + word]
    }
}

/// How the gradient of one node becomes that of its inputs, over a block of frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread<'a> {
    /// First packed word of the block in the input rows.
    pub(super) first_word: usize,
    /// Gradient of the output over the block.
    pub(super) dy: &'a [f32],
    /// `[2^fan_in]`.
    pub(super) scale: &'a [f32],
    /// `[2^fan_in]`.
    pub(super) offset: &'a [f32],
    /// `[fan_in][2^fan_in]`.
    pub(super) slopes: &'a [f32],
    /// Whether the slope along an input does not depend on that input.
    pub(super) folded: bool,
}
