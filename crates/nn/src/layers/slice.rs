//! Slice: some channels, or a part of an image.
//!
//! Along each axis that is named, a range of it; the other axes are whole. The gradient of what is
//! left out is zero. It takes any type of element. In hardware it is wires.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::moved::{self, Moved};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Settings of a slice.
///
/// ```
/// use lutweave_nn::{Sequential, Slice};
///
/// // Two channels of three, without the outermost pixels.
/// let slice = Slice::channels(0..2).axis(1, 1..7).axis(2, 1..7);
/// let net = Sequential::new(&[3, 8, 8]).then(slice).build(1)?;
/// assert_eq!(net.output().shape, [2, 6, 6]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    ranges: Vec<AxisRange>,
}

/// A range of one axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisRange {
    axis: usize,
    start: usize,
    end: usize,
}

impl Slice {
    /// A range of axis 0: of the channels of an image, or of the nodes of a row.
    pub fn channels(range: Range<usize>) -> Self {
        Self { ranges: Vec::new() }.axis(0, range)
    }

    /// A part of an image `[channels, height, width]`: these rows and columns.
    pub fn crop(rows: Range<usize>, columns: Range<usize>) -> Self {
        Self { ranges: Vec::new() }.axis(1, rows).axis(2, columns)
    }

    /// A range of one more axis.
    #[must_use]
    pub fn axis(mut self, axis: usize, range: Range<usize>) -> Self {
        self.ranges.push(AxisRange { axis, start: range.start, end: range.end });
        self
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("slice", config)
    }
}

impl LayerSpec for Slice {
    fn kind(&self) -> &'static str {
        "slice"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let input = &site.input().shape;
        moved::check_shape(site, "input", input)?;
        let mut ranges: Vec<Range<usize>> = input.iter().map(|&size| 0..size).collect();
        for (number, &AxisRange { axis, start, end }) in self.ranges.iter().enumerate() {
            let Some(range) = ranges.get_mut(axis) else {
                let expected = format!("below {}, the axes of the input", input.len());
                return Err(site.option_error("axis", expected, axis));
            };
            if self.ranges[..number].iter().any(|other| other.axis == axis) {
                return Err(site.option_error("axis", "one that has no range yet", axis));
            }
            if start >= end || end > input[axis] {
                let expected = format!("a part of 0..{}, axis {axis} of the input", input[axis]);
                return Err(site.option_error("range", expected, start..end));
            }
            *range = start..end;
        }
        // Axis by axis: the numbers of the nodes that are left.
        let mut table = vec![0u32];
        for (range, &size) in ranges.iter().zip(input) {
            let along = |&node: &u32| range.clone().map(move |at| node * size as u32 + at as u32);
            table = table.iter().flat_map(along).collect();
        }
        let shape: Vec<usize> = ranges.iter().map(Range::len).collect();
        Ok(Moved::build(self.clone(), site, &shape, table, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::Cpu;
    use lutweave_tensor::FrameBuffer;

    use super::*;
    use crate::Signal;

    fn build(spec: &Slice, shape: &[usize]) -> Result<Box<dyn Layer>> {
        spec.build(&Site::alone(Signal::bits(shape), "1.slice", 0))
    }

    #[test]
    fn only_what_is_inside_is_left() {
        let mut layer = build(&Slice::crop(0..1, 1..3).axis(0, 1..2), &[2, 2, 3]).unwrap();
        assert_eq!(layer.output().shape, [1, 1, 2]);
        let bits = [false, true, true, true, true, true, true, true, false, true, true, true];
        let x = FrameBuffer::from_frame_bits(&[2, 2, 3], &bits).unwrap();
        let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        assert_eq!(y.to_frame_bits().unwrap(), [true, false]);
        let dy = FrameBuffer::from_frames(&[1, 1, 2], &[3f32, 4.0]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        let want = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0];
        assert_eq!(dx.to_frames::<f32>().unwrap(), want);
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn ranges_lie_inside() {
        let error = |spec: Slice| build(&spec, &[4, 2]).unwrap_err().to_string();
        assert_eq!(
            error(Slice::channels(2..5)),
            "1.slice: expected range to be a part of 0..4, axis 0 of the input, got 2..5"
        );
        assert!(error(Slice::crop(0..1, 0..1)).contains("expected axis to be below 2"));
        assert!(error(Slice::channels(1..1)).contains("got 1..1"));
        assert!(error(Slice::channels(3..1)).contains("got 3..1"));
        assert!(error(Slice::channels(0..1).axis(0, 0..1)).contains("no range yet"));
    }
}
