//! A batch of frames, one row per node.
//!
//! Nodes are numbered row-major, the last axis fastest: node `(c, y, x)` of shape `[c, h, w]` is
//! `(c * h + y) * w + x`. Row `n` holds the values of node `n` in all frames. A bit row holds 64
//! frames a `u64`, frame `f` in bit `f % 64` of word `f / 64`.
//!
//! Rows begin at 64-byte boundaries and are padded with **zeros** to whole 64-byte lines, to whole
//! multiples of 64 frames, and, from 1 KiB on, to an odd number of them, which spreads rows over the
//! cache. Nothing may write other values there: sums over padded rows rely on it.

mod bits;
mod convert;
mod place;
mod range;
mod reduce;
#[cfg(test)]
mod tests;

use crate::storage::{LINE_BYTES, Storage};
use crate::{DType, Element, Error, Result};

/// Frames of one packed word, and the multiple to which rows of any type are padded.
pub const WORD: usize = 64;

/// A number above it becomes bit 1 where no other threshold is given.
pub const THRESHOLD: f64 = 0.5;

/// Most bytes of one buffer.
pub(crate) const MAX_BYTES: usize = 1 << 46;

/// A batch: `frames` values for each node of `shape`.
///
/// ```
/// use lutweave_tensor::FrameBuffer;
///
/// // Two frames of three nodes, given frame after frame.
/// let x = FrameBuffer::from_frames(&[3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(x.row::<f32>(1)?, [2.0, 5.0]);
/// # Ok::<(), lutweave_tensor::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FrameBuffer {
    dtype: DType,
    shape: Vec<usize>,
    nodes: usize,
    frames: usize,
    row_bytes: usize,
    storage: Storage,
}

/// The number of nodes of a shape.
///
/// # Errors
///
/// [`Error::Shape`] when the shape is empty, has a zero axis, or its product overflows.
pub fn node_count(op: &'static str, shape: &[usize]) -> Result<usize> {
    let error = || Error::Shape { op, shape: shape.iter().copied().take(8).collect() };
    if shape.is_empty() {
        return Err(error());
    }
    let nodes = shape.iter().try_fold(1usize, |nodes, &axis| nodes.checked_mul(axis));
    nodes.filter(|&nodes| nodes > 0).ok_or_else(error)
}

impl FrameBuffer {
    /// A buffer of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an empty or overflowing shape, [`Error::Frames`] for no frames or too
    /// many, [`Error::Memory`] when there is too little memory.
    pub fn zeros(dtype: DType, shape: &[usize], frames: usize) -> Result<Self> {
        let (nodes, row_bytes) = Self::size(dtype, shape, frames)?;
        let storage = Storage::zeroed(nodes * row_bytes)?;
        Ok(Self { dtype, shape: shape.to_vec(), nodes, frames, row_bytes, storage })
    }

    /// Makes this a buffer of zeros of another size, reusing its memory where it suffices.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros); the buffer is then as it was.
    pub fn reset(&mut self, dtype: DType, shape: &[usize], frames: usize) -> Result<()> {
        let (nodes, row_bytes) = Self::size(dtype, shape, frames)?;
        self.storage.reset(nodes * row_bytes)?;
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        (self.dtype, self.nodes, self.frames, self.row_bytes) = (dtype, nodes, frames, row_bytes);
        Ok(())
    }

    fn size(dtype: DType, shape: &[usize], frames: usize) -> Result<(usize, usize)> {
        let op = "frame buffer";
        let nodes = node_count(op, shape)?;
        let bytes = frames
            .checked_next_multiple_of(WORD)
            .and_then(|padded| padded.checked_mul(dtype.bits()))
            .and_then(|bits| bits.div_ceil(8).checked_next_multiple_of(LINE_BYTES))
            .and_then(|bytes| bytes.checked_add(Self::skew(dtype, bytes)));
        let total = bytes.and_then(|bytes| bytes.checked_mul(nodes));
        match (bytes, total) {
            (Some(bytes), Some(total)) if frames > 0 && total <= MAX_BYTES => Ok((nodes, bytes)),
            _ => {
                let expected = format!("1 to {MAX_BYTES} bytes of");
                Err(Error::Frames { op, expected, got: frames })
            }
        }
    }

    /// Bytes added to a row so that rows do not lie a power of two apart: the same frames of many
    /// rows would then share a few cache sets, and writing to one row after the other (as the
    /// gradient of a layer's inputs is) would miss the cache every time.
    fn skew(dtype: DType, row_bytes: usize) -> usize {
        let unit = (WORD * dtype.bits() / 8).max(LINE_BYTES);
        if row_bytes >= 1024 && row_bytes.is_multiple_of(2 * unit) { unit } else { 0 }
    }

    /// A buffer from numbers, one frame after the other, each with the nodes in order.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros), or [`Error::Length`] when `values` is no whole number of frames.
    pub fn from_frames<T: Element>(shape: &[usize], values: &[T]) -> Result<Self> {
        let frames = whole_frames("from frames", shape, values.len())?;
        let mut buffer = Self::zeros(T::DTYPE, shape, frames)?;
        let (nodes, stride) = (buffer.nodes, buffer.row_bytes / size_of::<T>());
        transpose(values, frames, nodes, nodes, buffer.storage.as_mut_slice(), stride);
        Ok(buffer)
    }

    /// A bit buffer from truth values, one frame after the other.
    ///
    /// # Errors
    ///
    /// As [`from_frames`](Self::from_frames).
    pub fn from_frame_bits(shape: &[usize], values: &[bool]) -> Result<Self> {
        let frames = whole_frames("from frame bits", shape, values.len())?;
        let mut buffer = Self::zeros(DType::Bit, shape, frames)?;
        let (nodes, stride) = (buffer.nodes, buffer.stride());
        bits::pack(values, nodes, buffer.storage.as_mut_slice(), stride);
        Ok(buffer)
    }

    /// The numbers, one frame after the other: the inverse of [`from_frames`](Self::from_frames).
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are of another type.
    pub fn to_frames<T: Element>(&self) -> Result<Vec<T>> {
        self.expect::<T>("to frames")?;
        let mut values = vec![T::zeroed(); self.nodes * self.frames];
        let stride = self.row_bytes / size_of::<T>();
        let (nodes, frames) = (self.nodes, self.frames);
        transpose(self.storage.as_slice(), nodes, frames, stride, &mut values, nodes);
        Ok(values)
    }

    /// The bits, one frame after the other: the inverse of
    /// [`from_frame_bits`](Self::from_frame_bits).
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are no bits.
    pub fn to_frame_bits(&self) -> Result<Vec<bool>> {
        self.expect_bits("to frame bits")?;
        let mut values = vec![false; self.nodes * self.frames];
        bits::unpack(self.storage.as_slice(), self.stride(), self.nodes, &mut values);
        Ok(values)
    }

    /// The bits of some nodes, one frame after the other, each frame in whole words: bit `i % 64` of
    /// word `i / 64` is that of `nodes[i]`, and bits past the last node are zero.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are no bits, [`Error::Index`] for a node that does not exist.
    pub fn frame_words(&self, nodes: &[u32]) -> Result<Vec<u64>> {
        self.expect_bits("frame words")?;
        if let Some(&index) = nodes.iter().find(|&&node| node as usize >= self.nodes) {
            let (op, index, len) = ("frame words", index as usize, self.nodes);
            return Err(Error::Index { op, index, len });
        }
        let mut words = vec![0; nodes.len().div_ceil(WORD) * self.frames];
        bits::columns(self.storage.as_slice(), self.stride(), nodes, self.frames, &mut words);
        Ok(words)
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Shape of one frame.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Nodes of one frame.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Bytes of memory, padding included.
    pub fn bytes(&self) -> usize {
        self.nodes * self.row_bytes
    }

    /// Gives the nodes another shape of the same count.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] when the counts differ.
    pub fn reshape(mut self, shape: &[usize]) -> Result<Self> {
        if node_count("reshape", shape)? != self.nodes {
            let (expected, got) = (self.shape, shape.to_vec());
            return Err(Error::ShapeMismatch { op: "reshape", expected, got });
        }
        self.shape = shape.to_vec();
        Ok(self)
    }

    /// The frames of one node, without padding.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for another type, [`Error::Index`] for a node that does not exist.
    pub fn row<T: Element>(&self, node: usize) -> Result<&[T]> {
        self.expect::<T>("row")?;
        self.check_node(node)?;
        Ok(&self.raw_row::<T>(node)[..self.frames])
    }

    /// The frames of one node, without padding, to write.
    ///
    /// # Errors
    ///
    /// As [`row`](Self::row).
    pub fn row_mut<T: Element>(&mut self, node: usize) -> Result<&mut [T]> {
        self.expect::<T>("row")?;
        self.check_node(node)?;
        let frames = self.frames;
        Ok(&mut self.raw_row_mut::<T>(node)[..frames])
    }

    /// The value of one bit.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] if the elements are no bits, [`Error::Index`] past the end.
    pub fn bit(&self, node: usize, frame: usize) -> Result<bool> {
        self.expect_bits("bit")?;
        self.check_node(node)?;
        if frame >= self.frames {
            return Err(Error::Index { op: "bit", index: frame, len: self.frames });
        }
        Ok(self.raw_row::<u64>(node)[frame / WORD] >> (frame % WORD) & 1 == 1)
    }

    /// Every row, padding included, one after the other: `nodes` rows of
    /// [`stride`](Self::stride) elements; for bits, of packed words (`T` = `u64`).
    ///
    /// # Errors
    ///
    /// [`Error::DType`] when `T` is neither the element type nor `u64` for bits.
    pub fn rows<T: Element>(&self) -> Result<&[T]> {
        self.expect_raw::<T>("rows")?;
        Ok(self.storage.as_slice())
    }

    /// Every row, padding included, to write. The padding must stay zero.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn rows_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        self.expect_raw::<T>("rows")?;
        Ok(self.storage.as_mut_slice())
    }

    /// Elements of one row of [`rows`](Self::rows): frames with padding; for bits, packed words.
    pub fn stride(&self) -> usize {
        match self.dtype {
            DType::Bit => self.row_bytes / size_of::<u64>(),
            dtype => self.row_bytes * 8 / dtype.bits(),
        }
    }

    /// The mask of the frames of packed word `word` that are no padding; zero past the end.
    pub fn frame_mask(&self, word: usize) -> u64 {
        match self.frames.saturating_sub(word.saturating_mul(WORD)) {
            0 => 0,
            rest if rest >= WORD => u64::MAX,
            rest => (1 << rest) - 1,
        }
    }

    fn raw_row<T: Element>(&self, node: usize) -> &[T] {
        let stride = self.row_bytes / size_of::<T>();
        &self.storage.as_slice()[node * stride..(node + 1) * stride]
    }

    fn raw_row_mut<T: Element>(&mut self, node: usize) -> &mut [T] {
        let stride = self.row_bytes / size_of::<T>();
        &mut self.storage.as_mut_slice()[node * stride..(node + 1) * stride]
    }

    fn check_node(&self, node: usize) -> Result<()> {
        if node < self.nodes {
            Ok(())
        } else {
            Err(Error::Index { op: "row", index: node, len: self.nodes })
        }
    }

    fn expect<T: Element>(&self, op: &'static str) -> Result<()> {
        if T::DTYPE == self.dtype {
            self.storage.fetch()
        } else {
            Err(Error::DType { op, expected: T::DTYPE.name(), got: self.dtype })
        }
    }

    fn expect_bits(&self, op: &'static str) -> Result<()> {
        if self.dtype == DType::Bit {
            self.storage.fetch()
        } else {
            Err(Error::DType { op, expected: "bit", got: self.dtype })
        }
    }

    fn expect_raw<T: Element>(&self, op: &'static str) -> Result<()> {
        if T::DTYPE == DType::U64 && self.dtype == DType::Bit {
            return self.storage.fetch();
        }
        self.expect::<T>(op)
    }
}

fn whole_frames(op: &'static str, shape: &[usize], values: usize) -> Result<usize> {
    let nodes = node_count(op, shape)?;
    if values == 0 || !values.is_multiple_of(nodes) {
        let expected = values.max(1).next_multiple_of(nodes);
        return Err(Error::Length { op, expected, got: values });
    }
    Ok(values / nodes)
}

/// Writes `to[c * to_stride + r] = from[r * from_stride + c]` for `rows` × `columns`, in tiles
/// that stay in the first-level cache.
fn transpose<T: Copy>(
    from: &[T],
    rows: usize,
    columns: usize,
    from_stride: usize,
    to: &mut [T],
    to_stride: usize,
) {
    const TILE: usize = 32;
    for r0 in (0..rows).step_by(TILE) {
        for c0 in (0..columns).step_by(TILE) {
            for c in c0..(c0 + TILE).min(columns) {
                for r in r0..(r0 + TILE).min(rows) {
                    to[c * to_stride + r] = from[r * from_stride + c];
                }
            }
        }
    }
}
