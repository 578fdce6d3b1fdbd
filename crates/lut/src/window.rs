//! Windows that slide over an image: which input each of their elements reads at each position.
//!
//! Along an axis of `n` pixels, with filter `f`, dilation `d`, stride `s` and offset `o`, element
//! `k` at position `p` reads pixel `p · s + k · d − o`; a window covers `e = d · (f − 1) + 1`
//! pixels.
//!
//! | [`Padding`] | positions | offset |
//! |---|---|---|
//! | `Valid` | `⌊(n − e) / s⌋ + 1` | 0 |
//! | `Partial` | `min(⌈max(n − e, 0) / s⌉ + 1, ⌈n / s⌉)` | 0 |
//! | `Same` | `⌈n / s⌉` | `⌊(e − 1) / 2⌋` |
//! | `Explicit` | `⌊(n + before + after − e) / s⌋ + 1` | `before` |
//!
//! `BinaryBrain`'s `ConvolutionIm2Col` has `Valid` and `Same` without dilation, its pooling
//! `Partial` with a stride equal to the filter. Unlike there, a pixel further outside than the
//! image is large is reflected or wrapped as often as it takes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, MAX_NETS, Result};

/// Stands for no input in a table of [`Window::sources`] or [`Window::taps`].
pub const NO_SOURCE: u32 = u32::MAX;

/// How far windows reach over the edges of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Padding {
    /// Not at all.
    #[default]
    Valid,
    /// Over the right and the bottom, so that no pixel is left out (unless the stride skips it).
    Partial,
    /// With stride 1, the output is as large as the image.
    Same,
    /// As many pixels as given.
    Explicit {
        /// Rows above the image.
        top: usize,
        /// Columns left of it.
        left: usize,
        /// Rows below it.
        bottom: usize,
        /// Columns right of it.
        right: usize,
    },
}

/// What lies outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Border {
    /// One value, which is no input.
    #[default]
    Constant,
    /// The image mirrored at its edge: `c b a | a b c | c b a`.
    Reflect,
    /// The image mirrored at its outermost pixels: `d c b | a b c d | c b a`.
    Reflect101,
    /// The outermost pixel: `a a a | a b c | c c c`.
    Replicate,
    /// The image again: `a b c | a b c | a b c`.
    Wrap,
}

/// A window and how it slides over an image; pairs are `[height, width]` or `[y, x]`.
///
/// ```
/// use lutweave_lut::{NO_SOURCE, Padding, Window};
///
/// // An image of 1 × 2 pixels, a window of one row and three columns.
/// let window = Window::new([1, 3]).padding(Padding::Same);
/// assert_eq!(window.output([1, 1, 2])?, [1, 2]);
/// assert_eq!(window.sources([1, 1, 2])?, [NO_SOURCE, 0, 0, 1, 1, NO_SOURCE]);
/// # Ok::<(), lutweave_lut::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Size of the window.
    pub filter: [usize; 2],
    /// Pixels from one position to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Pixels from one element of the window to the next.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// How far it reaches over the edges.
    #[serde(default)]
    pub padding: Padding,
    /// What it finds there.
    #[serde(default)]
    pub border: Border,
}

fn ones() -> [usize; 2] {
    [1, 1]
}

impl Window {
    /// A window of this size with stride and dilation 1 that stays within the image.
    pub fn new(filter: [usize; 2]) -> Self {
        let (stride, dilation) = (ones(), ones());
        Self { filter, stride, dilation, padding: Padding::Valid, border: Border::Constant }
    }

    /// Sets the stride.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// Sets the dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        Self { dilation, ..self }
    }

    /// Sets the padding.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn border(self, border: Border) -> Self {
        Self { border, ..self }
    }

    /// Height and width of the output: positions of the window on an image of shape `[c, h, w]`.
    ///
    /// # Errors
    ///
    /// [`Error::Window`] for sizes that are zero or too large, a window that does not fit, and a
    /// border that the image is too small for.
    pub fn output(&self, image: [usize; 3]) -> Result<[usize; 2]> {
        let [y, x] = self.axes(image)?;
        Ok([y.positions, x.positions])
    }

    /// The input node that element `[channel, ky, kx]` reads at position `[y, x]`; none for a
    /// constant border.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output), or for an element or position that does not exist.
    pub fn source(
        &self,
        image: [usize; 3],
        element: [usize; 3],
        position: [usize; 2],
    ) -> Result<Option<usize>> {
        let [rows, columns] = self.axes(image)?;
        let ([channel, ky, kx], [y, x]) = (element, position);
        let elements = [image[0], rows.filter, columns.filter];
        if element.iter().zip(&elements).any(|(k, size)| k >= size) {
            return error(format!("element {element:?} is not within {elements:?}"));
        }
        let positions = [rows.positions, columns.positions];
        if y >= rows.positions || x >= columns.positions {
            return error(format!("position {position:?} is not within {positions:?}"));
        }
        let pixel = rows.pixel(ky, y).zip(columns.pixel(kx, x));
        Ok(pixel.map(|(y, x)| (channel * image[1] + y) * image[2] + x))
    }

    /// The input node of every window element at every position, `[c · fh · fw][oh · ow]`, all
    /// row-major; [`NO_SOURCE`] for a constant border. This is the lowering of a convolution.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output), or when the table has more than [`MAX_NETS`] entries.
    pub fn sources(&self, image: [usize; 3]) -> Result<Vec<u32>> {
        let [rows, _] = self.output(image)?;
        self.sources_of_rows(image, 0..rows)
    }

    /// The part of [`sources`](Self::sources) for some rows of the output, `[c · fh · fw][rows ·
    /// ow]`: large images are worked on in bands of rows, without the table of all of them.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output), for rows that the output has not, or when this part has more than
    /// [`MAX_NETS`] entries.
    pub fn sources_of_rows(&self, image: [usize; 3], band: Range<usize>) -> Result<Vec<u32>> {
        let [rows, columns] = self.axes(image)?;
        if band.start > band.end || band.end > rows.positions {
            return error(format!("rows {band:?} are not within 0..{}", rows.positions));
        }
        let mut table = self.table(image, [band.len(), columns.positions])?;
        for channel in 0..image[0] {
            for ky in 0..rows.filter {
                for kx in 0..columns.filter {
                    for y in band.clone().map(|at| rows.pixel(ky, at)) {
                        let xs = (0..columns.positions).map(|at| columns.pixel(kx, at));
                        table.extend(xs.map(|x| node(image, channel, y, x)));
                    }
                }
            }
        }
        Ok(table)
    }

    /// The input nodes of every window, channel by channel, `[c · oh · ow][fh · fw]`;
    /// [`NO_SOURCE`] for a constant border. This is what pooling reads.
    ///
    /// # Errors
    ///
    /// As [`sources`](Self::sources).
    pub fn taps(&self, image: [usize; 3]) -> Result<Vec<u32>> {
        let [rows, columns] = self.axes(image)?;
        let mut table = self.table(image, [rows.positions, columns.positions])?;
        for channel in 0..image[0] {
            for row in 0..rows.positions {
                for column in 0..columns.positions {
                    for y in (0..rows.filter).map(|ky| rows.pixel(ky, row)) {
                        let xs = (0..columns.filter).map(|kx| columns.pixel(kx, column));
                        table.extend(xs.map(|x| node(image, channel, y, x)));
                    }
                }
            }
        }
        Ok(table)
    }

    /// An empty table with room for all elements at these positions.
    fn table(&self, image: [usize; 3], output: [usize; 2]) -> Result<Vec<u32>> {
        let sizes = [image[0], self.filter[0], self.filter[1], output[0], output[1]];
        let entries = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let mut table = Vec::new();
        let room = entries.filter(|&entries| entries <= MAX_NETS);
        if room.is_none_or(|entries| table.try_reserve_exact(entries).is_err()) {
            return error(format!(
                "expected at most {MAX_NETS} elements in all, got {} channels of {:?} at {output:?} \
                 positions",
                image[0], self.filter
            ));
        }
        Ok(table)
    }

    /// The two axes, checked.
    fn axes(&self, image: [usize; 3]) -> Result<[Axis; 2]> {
        let nodes = image.iter().try_fold(1usize, |nodes, &size| nodes.checked_mul(size));
        if !nodes.is_some_and(|nodes| (1..=MAX_NETS).contains(&nodes)) {
            return error(format!("expected an image of 1 to {MAX_NETS} nodes, got {image:?}"));
        }
        let (before, after) = match self.padding {
            Padding::Explicit { top, left, bottom, right } => ([top, left], [bottom, right]),
            _ => ([0, 0], [0, 0]),
        };
        #[allow(clippy::cast_possible_wrap)] // at most MAX_NETS
        let axis = |i: usize, name: &str| {
            let size = image[i + 1];
            let (filter, stride, dilation) = (self.filter[i], self.stride[i], self.dilation[i]);
            for (what, got) in [("filter", filter), ("stride", stride), ("dilation", dilation)] {
                if !(1..=MAX_NETS).contains(&got) {
                    return error(format!("{name}: expected a {what} of at least 1, got {got}"));
                }
            }
            if before[i] > MAX_NETS || after[i] > MAX_NETS {
                return error(format!("{name}: expected a padding of at most {MAX_NETS}"));
            }
            let extent = dilation * (filter - 1) + 1; // below 2^56
            let (offset, padded) = match self.padding {
                Padding::Explicit { .. } => (before[i], size + before[i] + after[i]),
                Padding::Same => ((extent - 1) / 2, size),
                _ => (0, size),
            };
            let positions = match self.padding {
                Padding::Same => size.div_ceil(stride),
                Padding::Partial => {
                    let cover = size.saturating_sub(extent).div_ceil(stride) + 1;
                    cover.min(size.div_ceil(stride))
                }
                _ if extent <= padded => (padded - extent) / stride + 1,
                _ => {
                    return error(format!(
                        "{name}: a window of {extent} pixels does not fit in {padded}; expected a \
                         smaller filter or dilation, or more padding"
                    ));
                }
            };
            let axis =
                Axis { size, filter, stride, dilation, offset, positions, border: self.border };
            let outside = offset > 0 || axis.at(filter - 1, positions - 1) >= size as i64;
            if outside && size == 1 && self.border == Border::Reflect101 {
                return error(format!("{name}: reflect101 needs two pixels, the image has 1"));
            }
            Ok(axis)
        };
        Ok([axis(0, "height")?, axis(1, "width")?])
    }
}

/// A window along one axis; every number is below 2^56.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
    offset: usize,
    positions: usize,
    border: Border,
}

impl Axis {
    /// Where an element lies, before the border.
    #[allow(clippy::cast_possible_wrap)] // below 2^58
    fn at(&self, element: usize, position: usize) -> i64 {
        (position * self.stride + element * self.dilation) as i64 - self.offset as i64
    }

    /// The pixel that an element reads.
    #[allow(clippy::cast_possible_wrap)] // sizes are at most MAX_NETS
    fn pixel(&self, element: usize, position: usize) -> Option<usize> {
        let (at, size) = (self.at(element, position), self.size as i64);
        let mirrored = |last: i64, period: i64| {
            let at = at.rem_euclid(period);
            if at < size { at } else { last - at }
        };
        let pixel = match self.border {
            _ if (0..size).contains(&at) => at,
            Border::Constant => return None,
            Border::Reflect => mirrored(2 * size - 1, 2 * size),
            // An image of one pixel was refused; with one, the period would be zero.
            Border::Reflect101 => mirrored(2 * size - 2, (2 * size - 2).max(1)),
            Border::Replicate => at.clamp(0, size - 1),
            Border::Wrap => at.rem_euclid(size),
        };
        Some(pixel as usize)
    }
}

fn node([_, height, width]: [usize; 3], c: usize, y: Option<usize>, x: Option<usize>) -> u32 {
    y.zip(x).map_or(NO_SOURCE, |(y, x)| ((c * height + y) * width + x) as u32)
}

fn error<T>(what: String) -> Result<T> {
    Err(Error::Window { what })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BORDERS: [Border; 5] =
        [Border::Constant, Border::Reflect, Border::Reflect101, Border::Replicate, Border::Wrap];

    /// One row of `width` pixels under a window that reaches `before` and `after` it.
    fn line(width: usize, before: usize, after: usize, border: Border) -> Vec<i64> {
        let padding = Padding::Explicit { top: 0, left: before, bottom: 0, right: after };
        let window = Window::new([1, 1]).padding(padding).border(border);
        let sources = window.sources([1, 1, width]).unwrap();
        sources.iter().map(|&s| if s == NO_SOURCE { -1 } else { i64::from(s) }).collect()
    }

    #[test]
    fn borders_go_on_for_ever() {
        assert_eq!(line(3, 2, 1, Border::Constant), [-1, -1, 0, 1, 2, -1]);
        assert_eq!(line(2, 5, 3, Border::Reflect), [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]);
        assert_eq!(line(3, 5, 3, Border::Reflect101), [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]);
        assert_eq!(line(2, 2, 2, Border::Replicate), [0, 0, 0, 1, 1, 1]);
        assert_eq!(line(2, 3, 3, Border::Wrap), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(line(1, 2, 2, Border::Reflect), [0; 5]);
    }

    #[test]
    fn output_sizes() {
        struct Case(usize, usize, usize, usize, Padding, usize);
        use Padding::{Partial, Same, Valid};
        let around = Padding::Explicit { top: 2, left: 2, bottom: 1, right: 1 };
        // Pixels, filter, stride, dilation, padding, positions.
        let cases = [
            Case(5, 3, 1, 1, Valid, 3),
            Case(6, 3, 2, 1, Valid, 2),
            Case(7, 3, 1, 3, Valid, 1),
            Case(5, 2, 2, 1, Partial, 3),
            Case(4, 2, 2, 1, Partial, 2),
            Case(6, 3, 2, 1, Partial, 3),
            Case(5, 1, 3, 1, Partial, 2),
            Case(2, 5, 5, 1, Partial, 1),
            Case(5, 3, 2, 1, Same, 3),
            Case(2, 9, 1, 2, Same, 2),
            Case(5, 3, 2, 1, around, 3),
        ];
        for Case(size, filter, stride, dilation, padding, positions) in cases {
            let window = Window::new([filter, filter]).stride([stride, stride]);
            let window = window.dilation([dilation, dilation]).padding(padding);
            let got = window.output([1, size, size]).unwrap();
            assert_eq!(got, [positions, positions], "{size} {window:?}");
        }
    }

    /// Numbers of the specification, section 11: im2col of 5 × 7 pixels by 3 × 3, stride 2.
    #[test]
    fn sources_are_those_of_im2col() {
        let window = Window::new([3, 3]).stride([2, 2]);
        let sources = window.sources([2, 5, 7]).unwrap();
        let at = |element: usize, position: usize| sources[element * 6 + position];
        assert_eq!((at(0, 1), at(9, 4), at(17, 5)), (2, 35 + 16, 35 + 34));
        // "Same" with a stride: the middle of the window is pixel p · s.
        let same = Window::new([3, 3]).stride([2, 2]).padding(Padding::Same);
        assert_eq!(
            same.sources([1, 5, 5]).unwrap()[4 * 9..][..9],
            [0, 2, 4, 10, 12, 14, 20, 22, 24]
        );
        let same = Window::new([2, 3]).padding(Padding::Same);
        let source = |element| same.source([1, 2, 3], element, [0, 0]).unwrap();
        assert_eq!(
            (source([0, 0, 0]), source([0, 0, 1]), source([0, 1, 2])),
            (None, Some(0), Some(4))
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |window: Window, image| window.sources(image).unwrap_err().to_string();
        let window = Window::new([3, 3]);
        assert_eq!(
            error(window.dilation([1, 2]), [1, 4, 4]),
            "window: width: a window of 5 pixels does not fit in 4; expected a smaller filter or \
             dilation, or more padding"
        );
        assert_eq!(
            error(window.stride([0, 1]), [1, 4, 4]),
            "window: height: expected a stride of at least 1, got 0"
        );
        assert_eq!(
            error(window.padding(Padding::Same).border(Border::Reflect101), [1, 1, 4]),
            "window: height: reflect101 needs two pixels, the image has 1"
        );
        assert!(error(window, [0, 4, 4]).contains("expected an image of 1 to"));
        let wide = Padding::Explicit { top: 0, left: 0, bottom: MAX_NETS, right: MAX_NETS };
        assert!(error(window.padding(wide), [1, 1, 1]).contains("elements in all"));
    }

    proptest! {
        #[test]
        fn tables_agree_with_each_other(
            image in prop::array::uniform3(1usize..6), filter in prop::array::uniform2(1usize..5),
            stride in prop::array::uniform2(1usize..4), dilation in prop::array::uniform2(1usize..4),
            pad in 0usize..4, around in 0usize..6, border in 0usize..5,
        ) {
            let explicit =
                Padding::Explicit { top: around, left: around + 1, bottom: 2, right: around };
            let padding = [Padding::Valid, Padding::Partial, Padding::Same, explicit][pad];
            let window = Window { filter, stride, dilation, padding, border: BORDERS[border] };
            let Ok([high, wide]) = window.output(image) else {
                prop_assert!(window.sources(image).is_err() && window.taps(image).is_err());
                return Ok(());
            };
            let (sources, taps) = (window.sources(image).unwrap(), window.taps(image).unwrap());
            let nodes: usize = image.iter().product();
            prop_assert_eq!(sources.len(), image[0] * filter[0] * filter[1] * high * wide);
            let band = window.sources_of_rows(image, high / 2..high).unwrap();
            let lower = sources.chunks(high * wide).flat_map(|all| &all[high / 2 * wide..]);
            prop_assert!(band.iter().eq(lower));
            prop_assert!(window.sources_of_rows(image, 0..high + 1).is_err());
            for c in 0..image[0] {
                for (k, p) in (0..filter[0] * filter[1]).flat_map(|k| (0..high * wide).map(move |p| (k, p))) {
                    let element = [c, k / filter[1], k % filter[1]];
                    let one = window.source(image, element, [p / wide, p % wide]).unwrap();
                    let one = one.map_or(NO_SOURCE, |node| node as u32);
                    prop_assert_eq!(one, sources[(c * filter[0] * filter[1] + k) * high * wide + p]);
                    prop_assert_eq!(one, taps[(c * high * wide + p) * filter[0] * filter[1] + k]);
                    prop_assert!(one == NO_SOURCE || (one as usize) < nodes);
                    prop_assert!(one != NO_SOURCE || border == 0);
                }
            }
        }

        #[test]
        fn no_size_panics(
            image in prop::array::uniform3(size()), filter in prop::array::uniform2(size()),
            stride in prop::array::uniform2(size()), dilation in prop::array::uniform2(size()),
            pad in 0usize..4, around in prop::array::uniform4(size()), border in 0usize..5,
        ) {
            let [top, left, bottom, right] = around;
            let explicit = Padding::Explicit { top, left, bottom, right };
            let padding = [Padding::Valid, Padding::Partial, Padding::Same, explicit][pad];
            let window = Window { filter, stride, dilation, padding, border: BORDERS[border] };
            let _ = window.output(image);
            let _ = window.source(image, [top, left, bottom], filter);
            // Tables only of moderate size.
            let entries = window.output(image).map(|[h, w]| {
                [h, w, image[0], filter[0], filter[1]].iter().fold(1usize, |n, &m| n.saturating_mul(m))
            });
            if entries.is_ok_and(|entries| !(1 << 16..=MAX_NETS).contains(&entries)) {
                let _ = (window.sources(image), window.taps(image));
            }
        }
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![0usize..5, Just(1 << 20), Just(MAX_NETS), Just(MAX_NETS + 1), Just(usize::MAX)]
    }
}
