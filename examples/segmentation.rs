//! Segmentation: a network of 3 × 3 windows learns which pixels are ink, and becomes a video filter
//! whose pixels are one bit.
//!
//! The images are mosaics of the embedded digits on a background that grows brighter from left to
//! right, under noise; the masks are the pixels of which the digit itself has at least half the ink.
//! No threshold of the brightness alone tells them apart well.
//!
//! `cargo run --release -p lutweave-examples --example segmentation -- [FOLDER]`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use lutweave::backend::Cpu;
use lutweave::lut::Padding;
use lutweave::nn::{BinaryToReal, Convolution};
use lutweave::prelude::*;
use lutweave::rtl::{Simulator, Stream, Tool};
use lutweave::tensor::{Targets, Values, rng};
use lutweave_examples::say;

/// Rows and columns of a digit.
const SIDE: usize = 8;
/// Rows and columns of the images to train on, in digits.
const SMALL: [usize; 2] = [2, 3];
/// Rows and columns of the image to stream, in digits.
const LARGE: [usize; 2] = [6, 10];

/// Mosaics of `grid` digits, and which of their pixels are ink.
fn mosaics(digits: &Dataset, grid: [usize; 2], count: usize, seed: u64) -> anyhow::Result<Dataset> {
    let Values::U8(ink) = digits.values() else { anyhow::bail!("the digits are bytes") };
    let [height, width] = [grid[0] * SIDE, grid[1] * SIDE];
    let mut stream = rng::stream(seed, &[]);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for image in 0..count {
        for y in 0..height {
            for x in 0..width {
                let digit = (image * grid[0] + y / SIDE) * grid[1] + x / SIDE;
                let at = digit % digits.len() * SIDE * SIDE + y % SIDE * SIDE + x % SIDE;
                let ground = 80.0 * x as f32 / width as f32;
                let noise = 60.0 * rng::uniform(&mut stream);
                pixels.push((ground + noise + 6.0 * f32::from(ink[at])) as u8);
                labels.push(u32::from(ink[at] >= 8));
            }
        }
    }
    let masks = Targets::Pixels { count: 2, shape: vec![height, width], labels };
    Ok(Dataset::new("mosaics", &[1, height, width], Values::U8(pixels), masks)?)
}

/// The share of pixels that the best single threshold of the brightness gets right.
fn best_threshold(data: &Dataset) -> f64 {
    let (Values::U8(pixels), Targets::Pixels { labels, .. }) = (data.values(), data.targets())
    else {
        return 0.0;
    };
    let right = |threshold: u8| {
        let pairs = pixels.iter().zip(labels);
        pairs.filter(|&(&pixel, &ink)| (pixel >= threshold) == (ink == 1)).count()
    };
    let best = (0..=255).map(right).max().unwrap_or(0);
    best as f64 / pixels.len() as f64
}

/// The network for images of any size: it has the same parameters for all.
fn network(train: &Dataset, shape: &[usize]) -> anyhow::Result<Network> {
    let window = |wide: usize, nodes: usize| {
        let luts = Sequential::inner().then(LutLayer::new(wide)).then(LutLayer::new(nodes));
        Convolution::new([3, 3], luts).padding(Padding::Same)
    };
    Ok(Sequential::new(shape)
        .then(Thermometer::uniform(train, 7)?)
        .then(window(48, 16))
        .then(window(72, 12))
        .then(BinaryToReal::new().depth(6))
        .build(1)?)
}

fn main() -> anyhow::Result<()> {
    let (digits, others) = data::digits()?;
    let (train, test) = (mosaics(&digits, SMALL, 400, 1)?, mosaics(&others, SMALL, 60, 2)?);
    let mut net = network(&train, train.shape())?;
    let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).epochs(12).batch(20);
    trainer.fit(&mut net, &train, &test)?;
    let right = accuracy(&net, &test)?;
    say!("{} LUTs: {:.1} % of the test pixels right", net.luts(), 100.0 * right);
    let threshold = best_threshold(&test);
    say!("the best threshold of the brightness: {:.1} %", 100.0 * threshold);
    ensure!(right > threshold, "the network has learnt nothing");

    // As a filter over a larger image: every pixel is that of a network of this size.
    let stages = net.to_stages("ink")?;
    let scene = mosaics(&others, LARGE, 1, 3)?;
    let image = [LARGE[0] * SIDE, LARGE[1] * SIDE];
    let words = net.port_words(&scene)?;
    let mask = stages.evaluate(image, &words)?;
    let mut large = network(&train, scene.shape())?;
    large.restore(&net.state())?;
    let scores = large.evaluate(&large.batch(&scene, &[0])?, &Cpu::new())?.to_frames::<f32>()?;
    let (paper, ink) = scores.split_at(mask.len());
    let equal = |&at: &usize| mask[at] == u64::from(ink[at] > paper[at]);
    let equal = (0..mask.len()).filter(equal).count();
    ensure!(equal == mask.len(), "{equal} of {} pixels of the filter equal", mask.len());
    say!("{} x {} pixels: the filter equals the network at all {equal}", image[0], image[1]);
    for row in mask.chunks(image[1]).take(SIDE) {
        let line: String = row.iter().map(|&bit| if bit == 1 { '#' } else { '.' }).collect();
        say!("  {line}");
    }

    // In hardware: a pixel a clock in, a bit a clock out.
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("lutweave-segmentation"));
    let stream = Stream::new("ink").image(image).frames(&words);
    let info = stream.info(&stages)?;
    let files = stream.write(&stages, &folder)?;
    say!(
        "{}: {} clocks an image, latency {}, {} bits of line buffers",
        files.module.display(),
        info.clocks_per_frame,
        info.latency,
        info.line_buffer_bits
    );
    if Tool::Icarus.find().is_err() {
        say!("Icarus Verilog is not installed: not simulated");
        return Ok(());
    }
    let limit = Duration::from_mins(5);
    let found = Simulator::Icarus.run(&files, folder.join("work"), &["+stalls=25"], limit)?;
    let found = found.verify().context("the stream")?;
    say!("simulated with stalls: {}/{} pixels equal", found.passed, found.total);
    Ok(())
}
