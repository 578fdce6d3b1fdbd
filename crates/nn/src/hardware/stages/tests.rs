use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_tensor::{Dataset, FrameBuffer, Targets, Values as Numbers};

use super::super::tests::{batch, class, spread};
use super::*;
use crate::{
    Add, AveragePool, BatchNormalization, Binarize, BinaryToReal, BitEncode, BitValues,
    Concatenate, Convolution, Dense, Differences, Generator, Graph, GroupSum, IntegerFilter,
    LutLayer, LutTree, MaxPool, Pad, RealToBinary, Relu, Reshape, Sequential, Slice, Spread,
    Switcher, Thermometer, TopBits, UpSample,
};

fn bytes(shape: &[usize]) -> Sequential {
    Sequential::new(shape)
}

fn bits(shape: &[usize]) -> Sequential {
    bytes(shape).reading(DType::Bit)
}

fn signs(nodes: usize) -> Dense {
    Dense::new(&[nodes]).binary_weights(true).bits_as(BitValues::Signs).bias(false)
}

fn lut(nodes: usize) -> LutLayer {
    LutLayer::new(nodes).fan_in(3).model(crate::models::HardTable::default()).batch_norm(None)
}

fn levels(count: usize) -> Thermometer {
    let labels = Targets::Classes { count: 1, labels: vec![0; 2] };
    let data = Dataset::new("t", &[1, 1, 1], Numbers::U8(vec![0, 255]), labels).unwrap();
    Thermometer::uniform(&data, count).unwrap()
}

/// The words of one frame of an image.
fn words(x: &FrameBuffer) -> Vec<u64> {
    match x.dtype() {
        DType::Bit => x.to_frame_bits().unwrap().into_iter().map(u64::from).collect(),
        _ => x.to_frames::<u8>().unwrap().into_iter().map(u64::from).collect(),
    }
}

/// What the network's pixels show: classes of numbers, or bits, one output after the other.
fn answer(net: &Network, x: &FrameBuffer) -> Vec<u64> {
    let all = net.evaluate_all(&[Arc::new(x.clone())], &Cpu::new()).unwrap();
    let one = |y: &Arc<FrameBuffer>| match y.dtype() {
        DType::Bit => words(y),
        _ => (0..y.nodes() / y.shape()[0]).map(|point| class(y, point, 0)).collect(),
    };
    all.iter().flat_map(one).collect()
}

/// The part `[h, w]` of an image at a place.
fn crop(x: &[u64], image: [usize; 3], [y, x0]: [usize; 2], [h, w]: [usize; 2]) -> Vec<u64> {
    let [channels, height, width] = image;
    let pixel =
        |c: usize, row: usize, column: usize| x[(c * height + y + row) * width + x0 + column];
    let rows = (0..channels).flat_map(|c| (0..h).map(move |row| (c, row)));
    rows.flat_map(|(c, row)| (0..w).map(move |column| pixel(c, row, column))).collect()
}

fn buffer(signal: &Signal, words: &[u64]) -> FrameBuffer {
    if signal.dtype == DType::Bit {
        let bits: Vec<bool> = words.iter().map(|&word| word == 1).collect();
        return FrameBuffer::from_frame_bits(&signal.shape, &bits).unwrap();
    }
    let bytes: Vec<u8> = words.iter().map(|&word| word as u8).collect();
    FrameBuffer::from_frames(&signal.shape, &bytes).unwrap()
}

/// Networks as filters give the network's answer at its own size; with windows that stay within the
/// image and a step of `step` pixels, on a larger one that of every crop.
fn slides(net: &Sequential, step: Option<usize>, seed: u64) -> (Stages, usize) {
    network_slides(net.clone().build(seed).unwrap(), step, seed)
}

fn network_slides(net: Network, step: Option<usize>, seed: u64) -> (Stages, usize) {
    let net = spread(net, seed);
    let stages = net.to_stages("filter").unwrap();
    let input = net.input().clone();
    let [channels, height, width] = [input.shape[0], input.shape[1], input.shape[2]];
    let mut seen = std::collections::BTreeSet::new();
    for frame in 0..12 {
        let x = batch(&input, 1, 20 * seed + frame);
        let got = stages.evaluate([height, width], &words(&x)).unwrap();
        assert_eq!(got, answer(&net, &x), "seed {seed}");
        seen.insert(got);
    }
    let answers = seen.len();
    let Some(step) = step else { return (stages, answers) };
    let large = [height + 2 * step, width + 3 * step];
    let signal = Signal { dtype: input.dtype, shape: vec![channels, large[0], large[1]] };
    let x = words(&batch(&signal, 1, seed + 99));
    let got = stages.evaluate(large, &x).unwrap();
    let field = *stages.images(large).unwrap().last().unwrap();
    let small = *stages.images([height, width]).unwrap().last().unwrap();
    assert_eq!([field[0] - small[0], field[1] - small[1]], [2, 3]);
    for (y0, x0) in [(0, 0), (1, 2), (2, 3)] {
        let part =
            crop(&x, [channels, large[0], large[1]], [y0 * step, x0 * step], [height, width]);
        let want = answer(&net, &buffer(&input, &part));
        let output = [want.len() / (small[0] * small[1]), field[0], field[1]];
        assert_eq!(crop(&got, output, [y0, x0], small), want, "seed {seed} at {y0}, {x0}");
    }
    (stages, answers)
}

#[test]
fn a_classifier_is_a_filter_over_larger_images() {
    let mut different = 0;
    for seed in 0..3 {
        let pooled = bytes(&[1, 8, 8])
            .then(levels(3))
            .then(Convolution::new([3, 3], Sequential::inner().then(lut(8)).then(lut(6))))
            .then(Convolution::new([1, 1], lut(6)))
            .then(MaxPool::new([2, 2]))
            .then(lut(12))
            .then(GroupSum::new(3));
        let (stages, answers) = slides(&pooled, Some(2), seed);
        different += answers;
        let names: Vec<&str> = stages.stages().iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["thermometer0", "convolution0", "max_pool0", "lut0"]);

        let binarised = bits(&[2, 7, 6])
            .then(Convolution::new([3, 2], signs(4)))
            .then(BatchNormalization::new().per_channel(true))
            .then(Binarize::new())
            .then(Convolution::new([2, 2], LutTree::new(3).depth(1).layer(lut(1))).groups(2))
            .then(Switcher::new().choice("a", Slice::channels(0..4)))
            .then(Reshape::flat())
            .then(signs(9))
            .then(BatchNormalization::new())
            .then(Relu::new().bits(true))
            .then(GroupSum::new(3));
        different += slides(&binarised, Some(1), seed).1;
    }
    assert!(different > 9, "answers differ: {different}");
}

#[test]
fn numbers_pass_from_stage_to_stage() {
    let mut different = 0;
    for seed in 0..3 {
        let scores = bits(&[2, 6, 7])
            .then(Convolution::new([3, 3], signs(3)))
            .then(BatchNormalization::new().per_channel(true));
        different += slides(&scores, Some(1), seed).1;
        let averaged = bits(&[3, 6, 6])
            .then(Convolution::new([1, 1], signs(4)))
            .then(AveragePool::new([2, 2]).padding(Padding::Valid))
            .then(Binarize::new().threshold(0.2).levels(-1.0, 1.0))
            .then(Convolution::new([2, 2], signs(4)))
            .then(MaxPool::new([2, 2]))
            .then(Binarize::new());
        different += slides(&averaged, None, seed).1;
    }
    assert!(different > 9, "answers differ: {different}");
}

#[test]
fn maps_of_the_same_size_come_out() {
    let mut different = 0;
    for seed in 0..3 {
        let kernel = || Sequential::inner().then(lut(6)).then(lut(4));
        let map = bytes(&[2, 6, 8])
            .then(RealToBinary::new().range(0.0, 255.0).depth(2))
            .then(Convolution::new([3, 3], kernel()).padding(Padding::Same).border_value(1.0))
            .then(MaxPool::new([2, 2]))
            .then(Pad::new([1, 0, 1, 2]).border(Border::Reflect))
            .then(UpSample::new([2, 3]))
            .then(Convolution::new([1, 1], lut(2)));
        different += slides(&map, None, seed).1;
        let code = bytes(&[1, 5, 5]).then(BitEncode::new(3)).then(Slice::channels(1..3));
        different += slides(&code, Some(1), seed).1;
    }
    assert!(different > 9, "answers differ: {different}");
}

#[test]
fn filters_are_windows_with_the_nearest_pixels_outside() {
    let mut different = 0;
    for seed in 0..3 {
        let thresholds = |net: Sequential, count: usize| {
            let data = batch(&Signal { dtype: DType::U8, shape: vec![3, 6, 6] }, 30, 7);
            let data = Numbers::U8(data.to_frames().unwrap());
            let labels = Targets::Classes { count: 1, labels: vec![0; 30] };
            let data = Dataset::new("t", &[3, 6, 6], data, labels).unwrap();
            let seen = net.clone().build(0).unwrap().outputs_over(&data).unwrap();
            net.then(Thermometer::fit_channels(&seen, count).unwrap())
        };
        let edges = bytes(&[3, 6, 6]).then(Differences::new().colour(true));
        let edges =
            thresholds(edges, 2).then(Convolution::new([3, 3], lut(5))).then(MaxPool::new([2, 2]));
        different += slides(&edges, None, seed).1;
        let coarse = bytes(&[3, 6, 6]).then(TopBits::new(5)).then(Differences::new());
        let coarse = thresholds(coarse, 3).then(Convolution::new([2, 2], lut(4)));
        different += slides(&coarse, None, seed).1;
        let lower = IntegerFilter::new([vec![[0, 1, 2, 1], [1, 2, 2, -2]], vec![[2, 1, 0, 3]]]);
        let lower =
            thresholds(bytes(&[3, 6, 6]).then(lower), 3).then(Convolution::new([1, 1], lut(3)));
        let (stages, answers) = slides(&lower, None, seed);
        different += answers;
        let names: Vec<&str> = stages.stages().iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["integer_filter0"]);
    }
    assert!(different > 9, "answers differ: {different}");
}

#[test]
fn frames_are_made_and_added_up() {
    let generators =
        [Generator::Ramp, Generator::Diffusion, Generator::Uniform { low: 0.0, high: 1.0 }];
    let mut different = 0;
    for (seed, generator) in (0..).zip(generators) {
        let frames = |frames: usize| {
            let modulation = RealToBinary::new().range(0.0, 255.0).frames(frames);
            bytes(&[1, 8, 8]).then(modulation.generator(generator).framewise(true))
        };
        // A classifier, and a map of as many pixels as go in.
        let classes = frames(3)
            .then(Convolution::new([3, 3], lut(8)))
            .then(MaxPool::new([2, 2]))
            .then(lut(12))
            .then(BinaryToReal::new().frames(3).output(&[4]));
        let (stages, answers) = slides(&classes, Some(2), seed);
        different += answers;
        let names: Vec<&str> = stages.stages().iter().map(|stage| stage.name.as_str()).collect();
        let last = "binary_to_real0_frames";
        assert_eq!(names[..3], ["real_to_binary0", "convolution0", "max_pool0"]);
        assert_eq!(names[3..], ["lut0", last, "answer"]);
        let map = frames(5)
            .then(Convolution::new([3, 3], lut(6)).padding(Padding::Same))
            .then(BinaryToReal::new().frames(5).depth(2));
        different += slides(&map, None, seed).1;
    }
    assert!(different > 20, "answers differ: {different}");
    let flat = bytes(&[1, 1, 1])
        .then(RealToBinary::new().range(0.0, 255.0).frames(7).depth(2))
        .then(BinaryToReal::new().frames(7));
    assert_eq!(slides(&flat, None, 3).0.stages()[0].frames, 7);
}

#[test]
fn branches_meet_again() {
    let same = |nodes| Convolution::new([3, 3], lut(nodes)).padding(Padding::Same);
    let mut different = 0;
    for seed in 0..3 {
        // A skip over two windows, a shared layer, and two heads; over frames.
        let frames = RealToBinary::new().range(0.0, 255.0).frames(3).depth(2);
        let segments = Graph::new()
            .input("x", Signal { dtype: DType::U8, shape: vec![1, 6, 7] })
            .node("frames", frames, &["x"])
            .node("a", same(4), &["frames"])
            .node("b", same(4), &["a"])
            .again("c", "b", &["b"])
            .node("skip", Concatenate::new(), &["frames", "c", "a"])
            .node("mixed", Convolution::new([1, 1], lut(6)), &["skip"])
            .node("map", BinaryToReal::new().frames(3).depth(2), &["mixed"])
            .node("edge", Convolution::new([1, 1], lut(2)), &["mixed"])
            .node("ink", BinaryToReal::new().frames(3).depth(2), &["edge"])
            .node("above", Binarize::new().threshold(0.4), &["ink"])
            .output("map")
            .output("above");
        let (stages, answers) = network_slides(segments.build(seed).unwrap(), None, seed);
        different += answers;
        assert!(!stages.is_chain());
        // Sums of numbers, branches that end at one place, and a branch within a window.
        let inner = Graph::new().any_input("x").node("a", lut(3), &["x"]).node("b", lut(2), &["a"]);
        let inner = inner.node("both", Concatenate::new(), &["b", "a"]).output("both");
        let residual = Graph::new()
            .any_input("x")
            .node("a", Convolution::new([3, 3], signs(4)).padding(Padding::Same), &["x"])
            .node("b", Convolution::new([1, 1], signs(4)), &["x"])
            .node("sum", Add::new(), &["a", "b", "a"])
            .output("sum");
        let ends = Graph::new()
            .any_input("x")
            .node("all", lut(9), &["x"])
            .node("pool", MaxPool::new([2, 2]), &["x"])
            .node("part", lut(6), &["pool"])
            .node("both", Concatenate::new(), &["all", "part"])
            .output("both");
        let net = bits(&[2, 6, 6])
            .then(residual)
            .then(Binarize::new().threshold(0.5))
            .then(Convolution::new([2, 2], inner))
            .then(ends)
            .then(GroupSum::new(3));
        different += slides(&net, None, seed).1;
        let up = Spread::up_convolution([2, 2], [3, 2], lut(8));
        let laid = bits(&[2, 4, 3]).then(up).then(Convolution::new([2, 2], lut(3)));
        different += slides(&laid, None, seed).1;
    }
    assert!(different > 40, "answers differ: {different}");
}

#[test]
fn heads_are_channels_side_by_side() {
    let net = Graph::new()
        .input("x", Signal::bits(&[3, 4, 4]))
        .node("b", lut(5), &["x"])
        .node("c", Convolution::new([4, 4], lut(2)), &["x"])
        .output("c")
        .output("b");
    let large = net.clone().output("a").node("a", Convolution::new([1, 1], signs(3)), &["x"]);
    let filter = net.build(1).unwrap().to_filter("t", Answer::Auto).unwrap();
    let ports: Vec<&str> = filter.heads.iter().map(|head| head.port.as_str()).collect();
    assert_eq!((ports, filter.channels), (vec!["y0", "y1"], vec![2, 5]));
    let error = large.build(1).unwrap().to_stages("t").unwrap_err().to_string();
    assert!(error.contains("its outputs come out together"), "{error}");
}

#[test]
fn what_cannot_slide_says_why() {
    let error =
        |net: Sequential| spread(net.build(1).unwrap(), 1).to_stages("t").unwrap_err().to_string();
    let image = || bits(&[2, 4, 4]);
    let labels = Targets::Classes { count: 1, labels: vec![0; 4] };
    let noise = (0..64u32).map(|v| (v * 89 % 251) as u8).collect();
    let data = Dataset::new("t", &[1, 4, 4], Numbers::U8(noise), labels).unwrap();
    let conv = || Convolution::new([2, 2], signs(2));
    let modulated = |drawn| {
        let drawn =
            if drawn { Generator::Uniform { low: 0.0, high: 1.0 } } else { Generator::Ramp };
        RealToBinary::new().range(0.0, 255.0).frames(3).generator(drawn)
    };
    let frames = |drawn| bytes(&[1, 4, 4]).then(modulated(drawn));
    let frames_again =
        || Sequential::inner().then(BinaryToReal::new()).then(RealToBinary::new().frames(2));
    let cases = [
        (bits(&[9]).then(lut(3)), "a filter reads images of shape"),
        (bytes(&[1, 4, 4]).then(Thermometer::fit(&data, 2).unwrap()), "differ from pixel to pixel"),
        (image().then(conv()).then(BatchNormalization::new()), "differ from pixel to pixel"),
        (image().then(Slice::channels(0..1).axis(2, 1..2)), "it moves pixels of an image"),
        (image().then(UpSample::new([2, 2]).sparse()), "it moves pixels of an image"),
        (image().then(AveragePool::new([3, 3]).by_present()), "divide by all of the window"),
        (frames(false), "it gives 3 frames a sample; end it with binary_to_real over 3 frames"),
        (frames(true), "its thresholds differ from pixel to pixel"),
        (
            frames(false).then(BinaryToReal::new().frames(2)),
            "means over 2 frames and reads 3 a sample",
        ),
        (frames(false).then(frames_again()), "use one modulation over frames"),
        (
            image().then(Convolution::new([2, 2], frames_again())),
            "a layer within its windows makes frames",
        ),
        (image().then(conv()).then(Spread::new([1, 1], [1, 1])), "for which a filter has no form"),
        (
            image().then(conv()).then(conv().padding(Padding::Same).border_value(0.25)),
            "its border is 0.25, which no word of a pixel stands for",
        ),
    ];
    for (net, want) in cases {
        let got = error(net);
        assert!(got.contains(want), "{got}");
    }
}
