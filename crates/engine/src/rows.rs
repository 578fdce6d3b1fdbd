//! The memory of a program: one row of bits a slot.

/// 512 bits on one cache line: word `w` holds frames `64 w .. 64 w + 64`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u64; 8]);

/// Frames of a line.
pub(crate) const FRAMES: usize = 512;

/// Rows of `lines` lines each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) lines: Vec<Line>,
    /// Lines of a row: 1, 2 or 4.
    pub(crate) width: usize,
}

impl Rows {
    pub(crate) fn new(slots: usize, width: usize) -> Self {
        Self { lines: vec![Line::default(); slots * width], width }
    }

    /// The lines of a slot.
    pub(crate) fn row(&self, slot: usize) -> &[Line] {
        &self.lines[slot * self.width..][..self.width]
    }

    pub(crate) fn row_mut(&mut self, slot: usize) -> &mut [Line] {
        &mut self.lines[slot * self.width..][..self.width]
    }
}
