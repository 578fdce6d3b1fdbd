//! What the kernels of one table are given.

use std::ops::Range;

use lutweave_lut::MAX_FAN_IN;

use crate::Sites;
use crate::sites::Rows;

/// One table: where it reads in packed rows, at each of its places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    rows: &'a Rows<'a, u64>,
    fan_in: usize,
    places: usize,
    /// `[places][fan_in]`.
    sources: &'a [u32],
}

impl<'a> Node<'a> {
    /// One table of a layer, whose sources have the rows given.
    pub(super) fn new(rows: &'a Rows<'a, u64>, sites: Sites<'a>, table: usize) -> Self {
        let (fan_in, places) = (sites.fan_in(), sites.share());
        Self { rows, fan_in, places, sources: sites.of_table(table) }
    }

    pub(super) fn fan_in(&self) -> usize {
        self.fan_in
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Words of a row of the input.
    pub(super) fn stride(&self) -> usize {
        self.rows.stride()
    }

    /// The sources of one place.
    #[inline(always)]
    pub(super) fn sources(&self, place: usize) -> &'a [u32] {
        &self.sources[place * self.fan_in..][..self.fan_in]
    }

    /// The packed rows of the first `N` inputs at one place, padding included; empty past the
    /// fan-in.
    #[inline(always)]
    pub(super) fn inputs<const N: usize>(&self, place: usize) -> [&'a [u64]; N] {
        let mut rows = [&[][..]; N];
        for (row, &source) in rows.iter_mut().zip(self.sources(place)) {
            *row = self.rows.row(source);
        }
        rows
    }

    /// The rows of all inputs at one place.
    #[inline(always)]
    pub(super) fn place(&self, place: usize) -> Inputs<'a> {
        Inputs { rows: self.inputs(place), fan_in: self.fan_in }
    }
}

/// The packed rows that are read at one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs<'a> {
    rows: [&'a [u64]; MAX_FAN_IN],
    fan_in: usize,
}

impl<'a> Inputs<'a> {
    /// One row an input.
    #[inline(always)]
    pub(super) fn rows(&self) -> &[&'a [u64]] {
        &self.rows[..self.fan_in]
    }

    /// One packed word of input `i`.
    #[inline(always)]
    pub(super) fn word(&self, i: usize, word: usize) -> u64 {
        self.rows[i][word]
    }
}

/// How the gradient of one table becomes that of its inputs, at some of its places and over a block
/// of frames.
#[derive(Debug, Clone)]
pub(super) struct Spread<'a> {
    pub(super) places: Range<usize>,
    /// First frame, at the beginning of a packed word, and how many; the rows of `dx` begin there.
    pub(super) first: usize,
    pub(super) frames: usize,
    /// Gradient of the output: one row a place of the table, of `dy_stride` frames.
    pub(super) dy: &'a [f32],
    pub(super) dy_stride: usize,
    /// `[2^fan_in]`.
    pub(super) scale: &'a [f32],
    /// `[2^fan_in]`.
    pub(super) offset: &'a [f32],
    /// `[fan_in][2^fan_in]`.
    pub(super) slopes: &'a [f32],
    /// Whether the slope along an input does not depend on that input.
    pub(super) folded: bool,
    /// Sources that have a row of `dx`. After these rows comes one for each input, to take what
    /// is not wanted: the gradient of constants.
    pub(super) sources: usize,
}

impl<'a> Spread<'a> {
    /// Gradient of the output at one place.
    #[inline(always)]
    pub(super) fn dy(&self, place: usize) -> &'a [f32] {
        &self.dy[place * self.dy_stride + self.first..][..self.frames]
    }

    /// The row to which the gradient of input `i` goes.
    #[inline(always)]
    pub(super) fn target(&self, i: usize, source: u32) -> usize {
        let source = source as usize;
        if source < self.sources { source } else { self.sources + i }
    }
}
