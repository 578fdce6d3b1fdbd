//! Wiring rules that know the shape of the input, `[channels, height, width]`.

use super::deal::{deal, shuffled};
use super::{Below, Wiring, check, draw};
use crate::{Error, MAX_NETS, Result};

/// Positions drawn for one input of a Gaussian node before the nearest free one is taken.
const TRIES: usize = 64;

impl Wiring {
    /// All inputs of a node come from one pixel: output node `(k, y, x)` reads channels at
    /// `(y, x)`, random and each once before any twice (`BinaryBrain`'s rule `pointwise`).
    ///
    /// `input` is `[channels, height, width]`; the output is `[channels, height, width]` with the
    /// given number of channels.
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have.
    pub fn pointwise(
        input: [usize; 3],
        channels: usize,
        fan_in: usize,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        let [depth, height, width] = input;
        let (sources, nodes) = (volume(&input)?, volume(&[channels, height, width])?);
        check(sources, nodes, fan_in)?;
        let pixels = height * width;
        let mut table = vec![0; nodes * fan_in];
        for pixel in 0..pixels {
            let own = deal(depth, channels, fan_in, below, None);
            for (channel, own) in own.chunks(fan_in).enumerate() {
                let node = &mut table[(channel * pixels + pixel) * fan_in..][..fan_in];
                for (source, own) in node.iter_mut().zip(own) {
                    *source = own * pixels as u32 + pixel as u32;
                }
            }
        }
        Ok(Self { sources, fan_in, table })
    }

    /// All inputs of a node come from its own channel: output node `(c, ..)` reads positions of
    /// input channel `c`, random and each once before any twice (`BinaryBrain`'s rule
    /// `depthwise`).
    ///
    /// Both shapes are `[channels, height, width]`, with as many channels.
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have, and when the numbers of channels differ.
    pub fn depthwise(
        input: [usize; 3],
        output: [usize; 3],
        fan_in: usize,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        let (sources, nodes) = (volume(&input)?, volume(&output)?);
        check(sources, nodes, fan_in)?;
        let channels = input[0];
        if output[0] != channels {
            let what = format!("expected {channels} output channels, got {}", output[0]);
            return Err(Error::Wiring { what });
        }
        let (pixels, own_nodes) = (sources / channels, nodes / channels);
        let mut table = Vec::with_capacity(nodes * fan_in);
        for channel in 0..channels {
            let first = (channel * pixels) as u32;
            let own = deal(pixels, own_nodes, fan_in, below, None);
            table.extend(own.into_iter().map(|source| first + source));
        }
        Ok(Self { sources, fan_in, table })
    }

    /// Inputs of a node lie around its own place: along each axis at
    /// `place · (in − 1) / (out − 1) + N(0, in / out)`, around the ends (`BinaryBrain`'s rule
    /// `gauss`). An output axis of one has its place in the middle.
    ///
    /// The shapes have the same number of axes. The inputs of a node are distinct where there are
    /// enough sources: where the draws do not find a new one, the next free source is taken. The
    /// normal distribution is that of twelve uniform numbers' sum, which needs no transcendental
    /// function and so is the same everywhere.
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have, and for different numbers of axes.
    pub fn gauss(
        input: &[usize],
        output: &[usize],
        fan_in: usize,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        let (sources, nodes) = (volume(input)?, volume(output)?);
        check(sources, nodes, fan_in)?;
        if input.len() != output.len() {
            let what = format!("expected an output of {} axes, got {output:?}", input.len());
            return Err(Error::Wiring { what });
        }
        let mut table: Vec<u32> = Vec::with_capacity(nodes * fan_in);
        let mut place = vec![0; output.len()];
        for node in 0..nodes {
            let first = node * fan_in;
            for _ in 0..fan_in {
                let mut source = near(input, output, &place, below);
                for _ in 1..TRIES {
                    if !table[first..].contains(&source) {
                        break;
                    }
                    source = near(input, output, &place, below);
                }
                while fan_in <= sources && table[first..].contains(&source) {
                    source = (source + 1) % sources as u32;
                }
                table.push(source);
            }
            advance(&mut place, output);
        }
        Ok(Self { sources, fan_in, table })
    }

    /// Each node reads distinct inputs of a random window of the image, across all channels.
    ///
    /// `input` is `[channels, height, width]`, `window` is `[height, width]`. `live` marks the
    /// inputs that vary over the training set, one for each input, or is empty where all do. Only
    /// live inputs are read, and only windows with at least `fan_in` of them are used: each once
    /// before any twice, in random order.
    ///
    /// ```
    /// use lutweave_lut::Wiring;
    ///
    /// let mut below = |bound| bound / 2;
    /// let wiring = Wiring::windows([1, 28, 28], 500, 6, [7, 7], &[], &mut below)?;
    /// let rows: Vec<u32> = wiring.node(0).iter().map(|source| source / 28).collect();
    /// assert!(rows.iter().max() < rows.iter().min().map(|least| least + 7).as_ref());
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Wiring`] for sizes that no layer can have, a window larger than the image, a mask
    /// of another length, or when no window has enough live inputs.
    pub fn windows(
        input: [usize; 3],
        nodes: usize,
        fan_in: usize,
        window: [usize; 2],
        live: &[bool],
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Result<Self> {
        let sources = volume(&input)?;
        check(sources, nodes, fan_in)?;
        let ([_, height, width], [tall, wide]) = (input, window);
        if !(1..=height).contains(&tall) || !(1..=width).contains(&wide) {
            let what = format!("expected a window within {height} x {width}, got {tall} x {wide}");
            return Err(Error::Wiring { what });
        }
        if !live.is_empty() && live.len() != sources {
            let what = format!("expected {sources} live marks, got {}", live.len());
            return Err(Error::Wiring { what });
        }
        let pixels = height * width;
        let is_live = |source: usize| live.is_empty() || live[source];
        let counts = live_counts(input, window, &is_live);
        let corners: Vec<usize> = (0..counts.len()).filter(|&w| counts[w] >= fan_in).collect();
        if corners.is_empty() {
            let what = format!("no window of {tall} x {wide} has {fan_in} live inputs");
            return Err(Error::Wiring { what });
        }
        let across = width - wide + 1;
        let mut table = Vec::with_capacity(nodes * fan_in);
        let (mut order, mut inside) = (Vec::new(), Vec::new());
        for node in 0..nodes {
            if node % corners.len() == 0 {
                order = shuffled(corners.len(), below);
            }
            let corner = corners[order[node % corners.len()] as usize];
            let (top, left) = (corner / across, corner % across);
            inside.clear();
            for first in (0..sources).step_by(pixels) {
                for y in top..top + tall {
                    let row = first + y * width;
                    let row = row + left..row + left + wide;
                    inside.extend(row.filter(|&source| is_live(source)).map(|s| s as u32));
                }
            }
            for taken in 0..fan_in {
                let pick = taken + draw(below, inside.len() - taken);
                inside.swap(taken, pick);
            }
            table.extend_from_slice(&inside[..fan_in]);
        }
        Ok(Self { sources, fan_in, table })
    }
}

/// Live inputs of the window at every corner, row by row.
fn live_counts(
    [channels, height, width]: [usize; 3],
    [tall, wide]: [usize; 2],
    is_live: &dyn Fn(usize) -> bool,
) -> Vec<usize> {
    // `sums` at (y, x): live inputs above and left of the pixel.
    let (stride, pixels) = (width + 1, height * width);
    let mut sums = vec![0usize; (height + 1) * stride];
    for y in 0..height {
        let mut row = 0;
        for x in 0..width {
            let pixel = y * width + x;
            row += (0..channels).filter(|channel| is_live(channel * pixels + pixel)).count();
            sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
        }
    }
    let mut counts = Vec::with_capacity((height - tall + 1) * (width - wide + 1));
    for y in 0..=height - tall {
        for x in 0..=width - wide {
            let at = |y: usize, x: usize| sums[y * stride + x];
            counts.push(at(y + tall, x + wide) + at(y, x) - at(y + tall, x) - at(y, x + wide));
        }
    }
    counts
}

/// A source near the place of an output node.
#[allow(clippy::cast_sign_loss)] // a remainder is not negative
fn near(input: &[usize], output: &[usize], place: &[usize], below: Below<'_>) -> u32 {
    let mut source = 0;
    for ((&input, &output), &place) in input.iter().zip(output).zip(place) {
        let (size, last) = (input as f64, (input - 1) as f64);
        let share = if output > 1 { place as f64 / (output - 1) as f64 } else { 0.5 };
        let at = share * last + normal(below) * (size / output as f64);
        source = source * input + (at.rem_euclid(size) as usize).min(input - 1);
    }
    source as u32
}

/// About standard normal: the sum of twelve uniform numbers, less its mean.
fn normal(below: Below<'_>) -> f64 {
    const STEPS: usize = 1 << 24;
    let sum: usize = (0..12).map(|_| draw(below, STEPS)).sum();
    (sum as f64 + 6.0) / STEPS as f64 - 6.0
}

/// The next place, last axis first.
fn advance(place: &mut [usize], shape: &[usize]) {
    for (place, &size) in place.iter_mut().zip(shape).rev() {
        *place += 1;
        if *place < size {
            return;
        }
        *place = 0;
    }
}

fn volume(shape: &[usize]) -> Result<usize> {
    let nodes = shape.iter().try_fold(1usize, |nodes, &size| nodes.checked_mul(size));
    nodes.filter(|&nodes| nodes > 0 && nodes <= MAX_NETS).ok_or_else(|| Error::Wiring {
        what: format!("expected a shape of 1 to {MAX_NETS} nodes, got {shape:?}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_below as below;
    use super::*;

    fn channel_and_pixel(source: u32, [_, height, width]: [usize; 3]) -> (usize, usize) {
        (source as usize / (height * width), source as usize % (height * width))
    }

    proptest! {
        #[test]
        fn pointwise_stays_in_its_pixel(
            c in 1usize..9, h in 1usize..5, w in 1usize..5, k in 1usize..9, fan_in in 1usize..=8,
            seed: u64,
        ) {
            let wiring = Wiring::pointwise([c, h, w], k, fan_in, &mut below(seed)).unwrap();
            prop_assert_eq!((wiring.sources(), wiring.nodes()), (c * h * w, k * h * w));
            for node in 0..wiring.nodes() {
                for &source in wiring.node(node) {
                    prop_assert_eq!(channel_and_pixel(source, [c, h, w]).1, node % (h * w));
                }
            }
            let summary = wiring.summary();
            prop_assert!(summary.max_fan_out - summary.min_fan_out <= 1);
            prop_assert!(fan_in > c || summary.repeating == 0);
        }

        #[test]
        fn depthwise_stays_in_its_channel(
            c in 1usize..6, h in 1usize..5, w in 1usize..5, oh in 1usize..5, ow in 1usize..5,
            fan_in in 1usize..=8, seed: u64,
        ) {
            let (input, output) = ([c, h, w], [c, oh, ow]);
            let wiring = Wiring::depthwise(input, output, fan_in, &mut below(seed)).unwrap();
            for node in 0..wiring.nodes() {
                for &source in wiring.node(node) {
                    prop_assert_eq!(channel_and_pixel(source, input).0, node / (oh * ow));
                }
            }
            let summary = wiring.summary();
            prop_assert!(summary.max_fan_out - summary.min_fan_out <= 1);
            prop_assert!(fan_in > h * w || summary.repeating == 0);
        }

        #[test]
        fn gauss_ends_and_is_distinct(
            input in prop::collection::vec(1usize..7, 1..4), seed: u64, fan_in in 1usize..=8,
            grow in 1usize..3,
        ) {
            let output: Vec<usize> = input.iter().map(|size| 1 + size / grow / 2).collect();
            let wiring = Wiring::gauss(&input, &output, fan_in, &mut below(seed)).unwrap();
            prop_assert_eq!(wiring.nodes(), output.iter().product::<usize>());
            prop_assert!(fan_in > wiring.sources() || wiring.summary().repeating == 0);
        }

        #[test]
        fn windows_are_small_live_and_distinct(
            c in 1usize..4, h in 1usize..9, w in 1usize..9, nodes in 1usize..30,
            fan_in in 1usize..=8, tall in 1usize..9, wide in 1usize..9, dead in 0usize..9,
            seed: u64,
        ) {
            let mut random = below(seed);
            let live: Vec<bool> = (0..c * h * w).map(|_| random(10) >= dead).collect();
            let made = Wiring::windows([c, h, w], nodes, fan_in, [tall, wide], &live, &mut random);
            let Ok(wiring) = made else {
                let fits = tall <= h && wide <= w;
                let all = live.iter().filter(|&&live| live).count();
                prop_assert!(!fits || [tall, wide] != [h, w] || all < fan_in);
                return Ok(());
            };
            prop_assert_eq!(wiring.summary().repeating, 0);
            for node in 0..nodes {
                let pixels = wiring.node(node).iter().map(|&s| channel_and_pixel(s, [c, h, w]).1);
                let (ys, xs): (Vec<usize>, Vec<usize>) = pixels.map(|p| (p / w, p % w)).unzip();
                prop_assert!(ys.iter().max().unwrap() - ys.iter().min().unwrap() < tall);
                prop_assert!(xs.iter().max().unwrap() - xs.iter().min().unwrap() < wide);
                prop_assert!(wiring.node(node).iter().all(|&source| live[source as usize]));
            }
        }

        #[test]
        fn no_shape_panics(
            shape in prop::array::uniform3(prop_oneof![0usize..4, Just(usize::MAX), Just(1 << 30)]),
            other in prop::array::uniform3(prop_oneof![0usize..4, Just(usize::MAX)]),
            fan_in in 0usize..11,
        ) {
            let mut random = below(1);
            let random: Below<'_> = &mut random;
            let _ = Wiring::pointwise(shape, other[0], fan_in, random);
            let _ = Wiring::depthwise(shape, other, fan_in, random);
            let _ = Wiring::gauss(&shape, &other, fan_in, random);
            let _ = Wiring::gauss(&shape[..2], &other, fan_in, random);
            let _ = Wiring::windows(shape, other[0], fan_in, [other[1], other[2]], &[], random);
        }
    }

    #[test]
    fn gauss_lies_around_its_place() {
        let wiring = Wiring::gauss(&[1, 400], &[1, 100], 2, &mut below(3)).unwrap();
        for node in 5..95 {
            let place = node as f64 * 399.0 / 99.0;
            for &source in wiring.node(node) {
                assert!((f64::from(source) - place).abs() <= 6.0 * 4.0 + 1.0, "{node}: {source}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |made: Result<Wiring>| made.unwrap_err().to_string();
        let windows =
            |window, live: &[bool]| Wiring::windows([1, 4, 5], 3, 6, window, live, &mut below(1));
        assert_eq!(
            error(windows([5, 5], &[])),
            "wiring: expected a window within 4 x 5, got 5 x 5"
        );
        assert_eq!(error(windows([2, 2], &[])), "wiring: no window of 2 x 2 has 6 live inputs");
        assert_eq!(error(windows([3, 3], &[true])), "wiring: expected 20 live marks, got 1");
        assert_eq!(
            error(Wiring::depthwise([2, 4, 4], [3, 1, 1], 2, &mut below(1))),
            "wiring: expected 2 output channels, got 3"
        );
        assert_eq!(
            error(Wiring::gauss(&[4], &[2, 2], 2, &mut below(1))),
            "wiring: expected an output of 1 axes, got [2, 2]"
        );
    }
}
