//! Segmentation: a network of 3 × 3 windows with a skip learns which pixels are ink, and becomes a video
//! filter with two heads: whether a pixel is ink, and whether it is surely paper, surely ink.
//!
//! Each image is shown in three frames of different thresholds, over which the scores are means.
//!
//! The images are mosaics of the embedded digits on a background that grows brighter from left to
//! right, under noise; the masks are the pixels of which the digit itself has at least half the ink.
//! No threshold of the brightness alone tells them apart well.
//!
//! `cargo run --release -p lutweave-examples --example segmentation -- [FOLDER]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use lutweave::backend::Cpu;
use lutweave::lut::Padding;
use lutweave::nn::{
    Answer, Binarize, BinaryToReal, Concatenate, Convolution, Graph, RealToBinary, Signal,
};
use lutweave::prelude::*;
use lutweave::rtl::{Simulator, Stream, Tool};
use lutweave::tensor::{DType, Targets, Values, rng};
use lutweave_examples::say;

/// Rows and columns of a digit.
const SIDE: usize = 8;
/// Rows and columns of the images to train on, in digits.
const SMALL: [usize; 2] = [2, 3];
/// Rows and columns of the image to stream, in digits.
const LARGE: [usize; 2] = [3, 6];

/// Scores above this are sure.
const SURE: f32 = 0.7;

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

/// The network for images of any size: it has the same parameters for all. With `heads`, a second
/// output says which scores are high.
fn network(shape: &[usize], heads: bool) -> anyhow::Result<Network> {
    let window = |wide: usize, nodes: usize| {
        let luts = Sequential::inner().then(LutLayer::new(wide)).then(LutLayer::new(nodes));
        Convolution::new([3, 3], luts).padding(Padding::Same)
    };
    let mixed = Sequential::inner().then(LutLayer::new(72)).then(LutLayer::new(12));
    let graph = Graph::new()
        .input("image", Signal { dtype: DType::U8, shape: shape.to_vec() })
        .node("frames", RealToBinary::new().range(0.0, 256.0).frames(3).depth(4), &["image"])
        .node("near", window(48, 16), &["frames"])
        .node("far", window(72, 12), &["near"])
        .node("skip", Concatenate::new(), &["far", "near", "frames"])
        .node("mixed", Convolution::new([1, 1], mixed), &["skip"])
        .node("scores", BinaryToReal::new().frames(3).depth(6), &["mixed"])
        .output("scores");
    let sure = |graph: Graph| {
        graph.node("sure", Binarize::new().threshold(SURE), &["scores"]).output("sure")
    };
    Ok(if heads { sure(graph) } else { graph }.build(1)?)
}

fn main() -> anyhow::Result<()> {
    let (digits, others) = data::digits()?;
    let (train, test) = (mosaics(&digits, SMALL, 400, 1)?, mosaics(&others, SMALL, 60, 2)?);
    let mut net = network(train.shape(), false)?;
    let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).epochs(12).batch(20);
    trainer.fit(&mut net, &train, &test)?;
    let right = accuracy(&net, &test)?;
    say!("{} LUTs: {:.1} % of the test pixels right", net.luts(), 100.0 * right);
    let threshold = best_threshold(&test);
    say!("the best threshold of the brightness: {:.1} %", 100.0 * threshold);
    ensure!(right > threshold, "the network has learnt nothing");

    // As a filter over a larger image: every pixel is that of a network of this size.
    let mut both = network(train.shape(), true)?;
    both.restore(&net.state())?;
    let filter = both.to_filter("ink", Answer::Auto)?;
    let ports: Vec<&str> = filter.heads.iter().map(|head| head.port.as_str()).collect();
    say!("heads {} of {:?} channels", ports.join(", "), filter.channels);
    let stages = filter.stages;
    let scene = mosaics(&others, LARGE, 1, 3)?;
    let image = [LARGE[0] * SIDE, LARGE[1] * SIDE];
    let points = image[0] * image[1];
    let words = net.port_words(&scene)?;
    let mask = stages.evaluate(image, &words)?;
    let mut large = network(scene.shape(), true)?;
    large.restore(&net.state())?;
    let answers = large.evaluate_all(&[Arc::new(large.batch(&scene, &[0])?)], &Cpu::new())?;
    let (scores, sure) = (answers[0].to_frames::<f32>()?, answers[1].to_frame_bits()?);
    let (paper, ink) = scores.split_at(points);
    let equal = |&at: &usize| {
        let class = mask[at] == u64::from(ink[at] > paper[at]);
        class && [at, at + points].iter().all(|&at| mask[points + at] == u64::from(sure[at]))
    };
    let equal = (0..points).filter(equal).count();
    ensure!(equal == points, "{equal} of {points} pixels of the filter equal");
    say!("{} x {} pixels: the filter equals the network at all {equal}", image[0], image[1]);
    for row in 0..SIDE {
        let shade = |at: usize| match (mask[at], mask[points + at] + mask[2 * points + at]) {
            (0, 0) => ' ',
            (0, _) => '.',
            (_, 0) => '+',
            _ => '#',
        };
        say!("  {}", (row * image[1]..(row + 1) * image[1]).map(shade).collect::<String>());
    }

    // In hardware: a pixel and its three frames in, three bits out.
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("lutweave-segmentation"));
    let stream = Stream::new("ink").image(image).frames(&words);
    let info = stream.info(&stages)?;
    let files = stream.write(&stages, &folder)?;
    say!(
        "{}: {} clocks an image, latency {}, {} bits of line buffers and queues",
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
