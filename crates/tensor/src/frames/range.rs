//! Parts of a buffer, several buffers joined, and copies between ranges.

use std::ops::Range;

use super::{FrameBuffer, bits};
use crate::numeric::with_type;
use crate::{Error, Result};

impl FrameBuffer {
    /// A copy of some frames of every node; all frames are allowed.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for a range that is empty, runs backwards or ends past the last frame,
    /// [`Error::Memory`] when there is too little memory.
    pub fn frame_range(&self, frames: Range<usize>) -> Result<Self> {
        check_range("frame range", &frames, self.frames)?;
        let mut part = Self::zeros(self.dtype, &self.shape, frames.len())?;
        part.copy_from(0, 0, self, 0..self.nodes, frames)?;
        Ok(part)
    }

    /// A copy of some nodes, as nodes of shape `[n]`; all nodes are allowed.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for a range that is empty, runs backwards or ends past the last node,
    /// [`Error::Memory`] when there is too little memory.
    pub fn node_range(&self, nodes: Range<usize>) -> Result<Self> {
        check_range("node range", &nodes, self.nodes)?;
        let mut part = Self::zeros(self.dtype, &[nodes.len()], self.frames)?;
        part.copy_from(0, 0, self, nodes, 0..self.frames)?;
        Ok(part)
    }

    /// The nodes of several buffers of the same frames, one buffer after the other, as nodes of
    /// shape `[n]`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for no buffer, [`Error::DType`] and [`Error::Frames`] when types or
    /// numbers of frames differ, [`Error::Shape`] and [`Error::Memory`] when the result is too
    /// large.
    pub fn concat_nodes(parts: &[&Self]) -> Result<Self> {
        let op = "concatenate nodes";
        let first = first(op, parts)?;
        let mut nodes = 0usize;
        for part in parts {
            if part.dtype != first.dtype {
                return Err(Error::DType { op, expected: first.dtype.name(), got: part.dtype });
            }
            if part.frames != first.frames {
                let expected = first.frames.to_string();
                return Err(Error::Frames { op, expected, got: part.frames });
            }
            nodes = nodes.saturating_add(part.nodes); // too large for `zeros`
        }
        let mut whole = Self::zeros(first.dtype, &[nodes], first.frames)?;
        let mut node = 0;
        for part in parts {
            whole.copy_from(node, 0, part, 0..part.nodes, 0..part.frames)?;
            node += part.nodes;
        }
        Ok(whole)
    }

    /// The frames of several buffers of the same shape, one buffer after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for no buffer, [`Error::DType`] and [`Error::ShapeMismatch`] when types
    /// or shapes differ, [`Error::Frames`] and [`Error::Memory`] when the result is too large.
    pub fn concat_frames(parts: &[&Self]) -> Result<Self> {
        let op = "concatenate frames";
        let first = first(op, parts)?;
        let mut frames = 0usize;
        for part in parts {
            if part.dtype != first.dtype {
                return Err(Error::DType { op, expected: first.dtype.name(), got: part.dtype });
            }
            if part.shape != first.shape {
                let (expected, got) = (first.shape.clone(), part.shape.clone());
                return Err(Error::ShapeMismatch { op, expected, got });
            }
            frames = frames.saturating_add(part.frames); // too large for `zeros`
        }
        let mut whole = Self::zeros(first.dtype, &first.shape, frames)?;
        let mut frame = 0;
        for part in parts {
            whole.copy_from(0, frame, part, 0..part.nodes, 0..part.frames)?;
            frame += part.frames;
        }
        Ok(whole)
    }

    /// Copies a block of `from` (these nodes in these frames) to the block of the same size that
    /// begins at `node` and `frame` of this buffer. Shapes need not agree; nodes are counted
    /// row-major. Bits may begin at any frame of either buffer.
    ///
    /// ```
    /// use lutweave_tensor::FrameBuffer;
    ///
    /// let from = FrameBuffer::from_frames(&[2], &[1u8, 2, 3, 4, 5, 6])?;
    /// let mut to = FrameBuffer::from_frames(&[2], &[0u8; 8])?;
    /// to.copy_from(0, 2, &from, 1..2, 0..2)?;
    /// assert_eq!(to.row::<u8>(0)?, [0, 0, 2, 4]);
    /// # Ok::<(), lutweave_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::DType`] when the types differ, [`Error::Range`] for a range that is empty, runs
    /// backwards or ends past the end of either buffer. Nothing is written then.
    pub fn copy_from(
        &mut self,
        node: usize,
        frame: usize,
        from: &Self,
        nodes: Range<usize>,
        frames: Range<usize>,
    ) -> Result<()> {
        if from.dtype != self.dtype {
            let (op, expected) = ("copy frames", self.dtype.name());
            return Err(Error::DType { op, expected, got: from.dtype });
        }
        check_range("copy from nodes", &nodes, from.nodes)?;
        check_range("copy from frames", &frames, from.frames)?;
        check_range("copy to nodes", &(node..node.saturating_add(nodes.len())), self.nodes)?;
        check_range("copy to frames", &(frame..frame.saturating_add(frames.len())), self.frames)?;
        self.storage.fetch()?;
        from.storage.fetch()?;
        for (to_node, from_node) in (node..).zip(nodes) {
            with_type!(self.dtype, T => {
                let from = &from.raw_row::<T>(from_node)[frames.clone()];
                self.raw_row_mut::<T>(to_node)[frame..frame + frames.len()].copy_from_slice(from);
            }, bit => {
                let (to, from) = (self.raw_row_mut(to_node), from.raw_row(from_node));
                bits::copy(to, frame, from, frames.start, frames.len());
            });
        }
        Ok(())
    }
}

fn first<'a>(op: &'static str, parts: &[&'a FrameBuffer]) -> Result<&'a FrameBuffer> {
    let expected = "at least one buffer";
    parts.first().copied().ok_or(Error::Argument { op, expected, got: "none".into() })
}

fn check_range(op: &'static str, range: &Range<usize>, len: usize) -> Result<()> {
    if range.start < range.end && range.end <= len {
        Ok(())
    } else {
        Err(Error::Range { op, start: range.start, end: range.end, len })
    }
}
