//! What a layer inside a convolution reads, in place.

use std::sync::Arc;

use lutweave_lut::{NO_SOURCE, Window};

use super::Signal;
use crate::Result;

/// A window at all its positions over an image: which row of the image each of its elements is.
#[derive(Debug, Clone)]
pub struct Windows {
    /// What one window shows: for a window over an image, `[channels, height, width]`.
    pub seen: Signal,
    /// Height and width of the field of positions.
    pub field: [usize; 2],
    /// The row of each element at each position, `[elements][positions]`; [`NO_SOURCE`] for the
    /// border value.
    pub sources: Arc<Vec<u32>>,
    /// The number outside the image; a bit is one when it is above 0.5.
    pub border_value: f32,
}

impl Windows {
    /// The windows of a filter over the channels `channels` of an image `[c, h, w]`.
    ///
    /// # Errors
    ///
    /// When the window does not fit the image.
    pub fn new(
        window: &Window,
        image: &Signal,
        shape: [usize; 3],
        channels: std::ops::Range<usize>,
        border_value: f32,
    ) -> Result<Self> {
        let field = window.output(shape)?;
        let [height, width] = window.filter;
        let one = height * width * field[0] * field[1];
        let sources = window.sources(shape)?;
        let sources = sources[channels.start * one..channels.end * one].to_vec();
        let seen = Signal { dtype: image.dtype, shape: vec![channels.len(), height, width] };
        Ok(Self { seen, field, sources: Arc::new(sources), border_value })
    }

    /// The windows of one pixel each over what a layer at the same positions gives.
    pub fn pointwise(seen: Signal, field: [usize; 2]) -> Self {
        let rows = seen.nodes() * field[0] * field[1];
        let sources = (0..rows as u32).collect();
        Self { seen, field, sources: Arc::new(sources), border_value: 0.0 }
    }

    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.field[0] * self.field[1]
    }

    /// The shape of `nodes` at all positions.
    pub fn shape(&self, nodes: usize) -> Vec<usize> {
        vec![nodes, self.field[0], self.field[1]]
    }

    /// The rows of one element at all positions.
    pub fn rows(&self, element: usize) -> &[u32] {
        let positions = self.positions();
        &self.sources[element * positions..(element + 1) * positions]
    }

    /// Whether the border value is a one.
    pub fn border_bit(&self) -> bool {
        self.border_value > 0.5
    }

    /// The row that stands for a source in a wiring over the `rows` of an image: rows of zeros and
    /// of ones follow those of the image.
    pub fn row(&self, source: u32, rows: usize) -> u32 {
        match source {
            NO_SOURCE => (rows + usize::from(self.border_bit())) as u32,
            source => source,
        }
    }
}
