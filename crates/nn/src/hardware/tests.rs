use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_lut::{Border, Evaluator, Padding};
use lutweave_tensor::{FrameBuffer, rng};

use super::*;
use crate::models::HardTable;
use crate::{
    Add, AveragePool, BatchNormalization, Binarize, BinaryToReal, BitEncode, BitValues,
    Concatenate, Convolution, Dense, Differences, Dropout, DropoutScale, Generator, Graph,
    GroupSum, HardTanh, InsertBitError, IntegerFilter, LutLayer, LutTree, MaxPool, Pad, Precision,
    Quantise, RealToBinary, Reduce, Relu, Reshape, Sequential, Shuffle, Sigmoid, Slice, Softmax,
    Spread, StateData, Switcher, Thermometer, TopBits, UpSample,
};

/// Frames compared: those of one word.
const FRAMES: usize = 64;

/// Gives a network weights of both signs, and statistics of some training.
pub(super) fn spread(mut net: Network, seed: u64) -> Network {
    let mut stream = rng::stream(seed, &[5]);
    for parameter in net.parameters_mut() {
        parameter.values.fill_with(|| 0.7 * rng::normal(&mut stream));
        if parameter.name == "gamma" {
            parameter.values[0] = 0.0; // a constant
        }
    }
    let mut state = net.state();
    for tensor in &mut state {
        let of_lut = tensor.name.contains("lut");
        let StateData::F32(values) = &mut tensor.data else { continue };
        if tensor.name.ends_with("running_mean") && !of_lut {
            values.fill_with(|| 2.0 * rng::normal(&mut stream));
        } else if tensor.name.ends_with("running_variance") && !of_lut {
            values.fill_with(|| 0.1 + 4.0 * rng::uniform(&mut stream));
        }
    }
    net.restore(&state).unwrap();
    net
}

/// A random batch of bits or bytes.
pub(super) fn batch(signal: &Signal, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[6]);
    let count = signal.nodes() * frames;
    if signal.dtype == DType::Bit {
        let bits: Vec<bool> = (0..count).map(|_| rng::uniform(&mut stream) < 0.5).collect();
        return FrameBuffer::from_frame_bits(&signal.shape, &bits).unwrap();
    }
    let bytes: Vec<u8> = (0..count).map(|_| rng::below(&mut stream, 256) as u8).collect();
    FrameBuffer::from_frames(&signal.shape, &bytes).unwrap()
}

/// The bits of an input port for 64 frames.
fn port(x: &FrameBuffer, width: usize) -> Vec<u64> {
    let mut words = Vec::new();
    for node in 0..x.nodes() {
        if x.dtype() == DType::Bit {
            words.push(x.rows::<u64>().unwrap()[node * x.stride()]);
            continue;
        }
        let row = x.row::<u8>(node).unwrap();
        words.extend((0..width).map(|bit| {
            let largest = (1u32 << width) - 1;
            let set = |&v: &u8| u64::from(u32::from(v).min(largest) >> bit & 1);
            row.iter().enumerate().fold(0, |all, (frame, v)| all | set(v) << frame)
        }));
    }
    words
}

/// The words of all output ports in the clock of the answer, `[port][word][frame]`.
fn run(hardware: &Hardware, x: &[Arc<FrameBuffer>]) -> Vec<Vec<Vec<u64>>> {
    let netlist = &hardware.netlist;
    let inputs: Vec<u64> =
        x.iter().zip(netlist.inputs()).flat_map(|(x, input)| port(x, input.width)).collect();
    let mut evaluator = Evaluator::clocked(netlist);
    // Twice over: the second sample must find the registers as the first did.
    for clock in 0..2 * hardware.clocks {
        evaluator.settle(&inputs).unwrap();
        if clock + 1 < 2 * hardware.clocks {
            evaluator.step(&inputs).unwrap();
        }
    }
    let ports = netlist.outputs().iter().enumerate();
    let word = |bits: &[u64]| {
        let number = |frame: usize| {
            bits.iter().enumerate().fold(0, |all, (bit, word)| all | (word >> frame & 1) << bit)
        };
        (0..FRAMES).map(number).collect()
    };
    ports
        .map(|(number, port)| {
            let bits: Vec<u64> = evaluator.output(number).collect();
            bits.chunks(port.width).map(word).collect()
        })
        .collect()
}

/// The class along axis 0 at one point.
pub(super) fn class(y: &FrameBuffer, point: usize, frame: usize) -> u64 {
    let points = y.nodes() / y.shape()[0];
    let value = |class: usize| match y.dtype() {
        DType::Bit => f32::from(y.bit(class * points + point, frame).unwrap()),
        _ => y.row::<f32>(class * points + point).unwrap()[frame],
    };
    (1..y.shape()[0]).fold(0, |best, class| if value(class) > value(best) { class } else { best })
        as u64
}

/// Compares words, and classes where asked for, with the network, for random inputs. Gives how many
/// different answers there were.
fn agrees(net: &Network, classes: bool, seed: u64) -> usize {
    let inputs = net.inputs().iter().zip(seed..);
    let x: Vec<_> = inputs.map(|(input, seed)| Arc::new(batch(input, FRAMES, seed))).collect();
    let want = net.evaluate_all(&x, &Cpu::new()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    if net.to_hardware("t", Answer::Words).is_ok() || !classes {
        let hardware = net.to_hardware("t", Answer::Words).unwrap();
        for ((y, got), head) in want.iter().zip(run(&hardware, &x)).zip(&hardware.heads) {
            assert_eq!(got.len(), y.nodes());
            for (node, words) in got.iter().enumerate() {
                for (frame, &word) in words.iter().enumerate() {
                    seen.insert((node, word));
                    if y.dtype() == DType::Bit {
                        assert_eq!(word, u64::from(y.bit(node, frame).unwrap()), "node {node}");
                    } else {
                        let (got, y) = (head.values[node][word as usize], y.row::<f32>(node));
                        let y = y.unwrap()[frame];
                        assert!(got.eq(&y), "node {node}: {got}, {y}");
                    }
                }
            }
        }
    }
    if classes {
        let hardware = net.to_hardware("t", Answer::Class).unwrap();
        let netlist = &hardware.netlist;
        assert_eq!(Netlist::from_text(&netlist.to_text()).unwrap(), *netlist);
        let luts = Hardware { netlist: netlist.expand(), ..hardware.clone() };
        assert_eq!(run(&luts, &x), run(&hardware, &x), "made of LUTs alone");
        for (y, got) in want.iter().zip(run(&hardware, &x)) {
            for (point, words) in got.iter().enumerate() {
                for (frame, &word) in words.iter().enumerate() {
                    seen.insert((point, word));
                    assert_eq!(word, class(y, point, frame), "point {point}, frame {frame}");
                }
            }
        }
    }
    seen.len()
}

fn bits(shape: &[usize]) -> Sequential {
    Sequential::new(shape).reading(DType::Bit)
}

fn lut(nodes: usize) -> LutLayer {
    LutLayer::new(nodes).fan_in(3).model(HardTable::default()).batch_norm(None)
}

fn sign_dense(nodes: &[usize]) -> Dense {
    Dense::new(nodes).binary_weights(true).bits_as(BitValues::Signs)
}

fn quantised(bits: u32) -> Quantise {
    let precision = Some(Precision { bits, step: None });
    Quantise { weights: precision, ..Quantise::default() }
}

/// Binarised networks: counts of equal bits and a threshold found in the real expression.
#[test]
fn batch_norm_and_sign_are_one_comparison() {
    for seed in 0..6 {
        let net = bits(&[37])
            .then(sign_dense(&[20]).bias(seed % 2 == 0))
            .then(BatchNormalization::new())
            .then(Binarize::new())
            .then(Dense::new(&[18]).binary_weights(true).bias(seed % 3 == 0))
            .then(BatchNormalization::new())
            .then(HardTanh::new())
            .then(Binarize::new().threshold(0.1).levels(-1.0, 1.0))
            .then(Dense::new(&[12]).binary_weights(true).binary_inputs(true).bias(false))
            .then(BatchNormalization::new())
            .then(Relu::new().bits(true))
            .then(GroupSum::new(3));
        let net = spread(net.build(seed).unwrap(), seed);
        assert!(agrees(&net, true, seed) > 5);
        // No comparator more than a bit, and no wide table.
        let netlist = net.to_netlist("t").unwrap();
        let compared =
            netlist.cells().iter().filter(|c| matches!(c.op, lutweave_lut::Op::AtLeast(_)));
        assert!(compared.count() <= 20 + 18 + 12);
    }
}

/// Affine heads of whole weights, with real, rounded and no bias, and layers of several bits.
#[test]
fn affine_heads_are_sums_of_whole_weights() {
    for seed in 0..4 {
        let hidden = |net: Sequential| match seed % 2 {
            0 => net.then(LutLayer::new(24).fan_in(4)),
            _ => net
                .then(Dense::new(&[8]).quantise(quantised(3)))
                .then(HardTanh::new())
                .then(Dropout::new(0.5).scale(DropoutScale::Inference)),
        };
        let input = Some(Precision { bits: 4, step: Some(0.125) });
        let round = Quantise { inputs: input, ..quantised(5) };
        let heads = [
            Dense::new(&[5]).quantise(quantised(4)),
            Dense::new(&[5]).binary_weights(true),
            Dense::new(&[5]).quantise(Quantise { outputs: input, ..quantised(8) }),
            Dense::new(&[6]).groups(2).quantise(quantised(2)).bits_as(BitValues::Signs),
        ];
        for (number, head) in heads.into_iter().enumerate() {
            let head = match (seed % 2, number) {
                (1, 1) => head.binary_inputs(true),
                (1, _) => head.quantise(Quantise { outputs: None, ..round }),
                _ => head,
            };
            let net = hidden(bits(&[16])).then(head);
            let net = spread(net.build(seed).unwrap(), seed);
            assert!(agrees(&net, true, seed) > 4, "{number}");
        }
    }
}

/// Scores of different scales are ranked, those of one scale compared as they are.
#[test]
fn scores_of_different_scales_are_ranked() {
    for seed in 0..4 {
        let scores = || bits(&[20]).then(sign_dense(&[4]).bias(true));
        let nets = [
            scores().then(BatchNormalization::new()),
            scores().then(Sigmoid::new()),
            scores().then(Relu::new()),
            bits(&[20]).then(GroupSum::new(5).temperature(2.0)).then(Softmax::new()),
            bits(&[20]).then(Reduce::to_shape(&[4])),
            scores().then(Binarize::new()),
        ];
        for (number, net) in nets.into_iter().enumerate() {
            let net = spread(net.build(seed).unwrap(), seed);
            assert!(agrees(&net, true, seed) >= 3, "{number}");
        }
    }
}

/// Images: convolutions, pooling of bits and numbers, moves, skips.
#[test]
fn layers_of_images_are_what_they_are_in_software() {
    let body = |net: Sequential, number: u64| -> Sequential {
        let dense = || sign_dense(&[4]).bias(false);
        let same = Convolution::new([3, 3], dense()).padding(Padding::Same);
        let reals = Convolution::new([2, 2], Dense::new(&[3]).binary_weights(true));
        let norm = BatchNormalization::new().per_channel(true);
        match number {
            0 => net.then(same).then(norm).then(Binarize::new()).then(MaxPool::new([2, 2])),
            1 => net
                .then(same.border(Border::Replicate))
                .then(MaxPool::new([2, 2]))
                .then(reals.padding(Padding::Same).border_value(1.0))
                .then(norm)
                .then(Binarize::new()),
            2 => net.then(AveragePool::new([2, 3])).then(Binarize::new().threshold(0.3)),
            3 => net
                .then(AveragePool::new([2, 2]).by_present())
                .then(AveragePool::new([2, 2]).stride([1, 1])),
            4 => net
                .then(Shuffle::new(2))
                .then(Pad::new([1, 0, 2, 1]).value(1.0))
                .then(UpSample::new([2, 1]))
                .then(LutTree::new(3).layer(lut(1))),
            5 => net
                .then(Convolution::new([3, 2], lut(4)).groups(2))
                .then(Convolution::new([1, 1], lut(4).real_output(true)))
                .then(Convolution::new([2, 2], lut(5))),
            6 => net
                .then(Convolution::new([1, 1], Dense::new(&[4]).binary_weights(true).bias(false)))
                .then(Spread::new([2, 2], [1, 2]))
                .then(Pad::new([1, 1, 0, 0]).value(0.5))
                .then(Binarize::new()),
            _ => net
                .then(Switcher::new().choice("a", InsertBitError::new(0.1)))
                .then(Slice::channels(0..1))
                .then(Reshape::flat()),
        }
    };
    for number in 0..8 {
        let net = spread(body(bits(&[2, 5, 6]), number).build(number).unwrap(), number);
        assert!(agrees(&net, false, number) > 4, "{number}");
    }
}

/// A layer alone is a network too.
#[test]
fn a_layer_alone_has_a_name() {
    let net = Network::build(&sign_dense(&[3]), Signal::bits(&[6]), 1).unwrap();
    assert!(agrees(&spread(net, 1), true, 1) > 3);
}

/// Skips, sums, several inputs and heads.
#[test]
fn graphs_have_a_port_for_each_head() {
    for seed in 0..3 {
        let net = Graph::new()
            .input("x", Signal::bits(&[12]))
            .input("z", Signal { dtype: DType::U8, shape: vec![3] })
            .node("a", sign_dense(&[6]).bias(false), &["x"])
            .node("b", Binarize::new().levels(-2.0, 2.0), &["a"])
            .node("skip", Add::new(), &["a", "b"])
            .node("code", BitEncode::new(2), &["z"])
            .node("bits", Binarize::new(), &["skip"])
            .node("all", Concatenate::new(), &["bits", "code"])
            .node("map", LutLayer::new(10).fan_in(4), &["all"])
            .node("scores", GroupSum::new(5), &["map"])
            .output("map")
            .output("scores")
            .output("skip");
        let net = spread(net.build(seed).unwrap(), seed);
        assert!(agrees(&net, true, seed) > 10);
        let netlist = net.to_netlist("t").unwrap();
        let names: Vec<&str> = netlist.outputs().iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["y0", "class1", "class2"]);
        let names: Vec<&str> = netlist.inputs().iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["x0", "x1"]);
    }
}

/// One frame of a modulation a clock, thresholds from a table, and sums over the clocks.
#[test]
fn modulations_take_a_frame_a_clock() {
    let drawn = Generator::Uniform { low: -0.1, high: 1.1 };
    let normal = Generator::Normal { mean: 0.5, deviation: 0.3 };
    let new = || RealToBinary::new().range(0.0, 255.0);
    let cases = [
        new().frames(5),
        new().frames(8).depth(2),
        new().frames(7).generator(drawn),
        new().frames(3).generator(normal).framewise(true),
        new().frames(6).generator(Generator::Diffusion),
        new().depth(2).generator(drawn),
        new().depth(3).binary(false),
    ];
    for (number, encoder) in cases.into_iter().enumerate() {
        let seed = number as u64;
        let frames = [5, 8, 7, 3, 6, 1, 1][number];
        let net = Sequential::new(&[6]).then(encoder);
        let net = if number == 6 { net.then(Binarize::new().threshold(0.4)) } else { net };
        let net = net.then(lut(12)).then(BinaryToReal::new().frames(frames).output(&[3]));
        let net = spread(net.build(seed).unwrap(), seed);
        assert!(agrees(&net, true, seed) > 5, "{number}");
        assert_eq!(net.to_hardware("t", Answer::Auto).unwrap().clocks, frames);
    }
}

/// Layers between a modulation and its sums work on the frame of the clock, whatever they are, and
/// each sum has its own registers.
#[test]
fn frames_pass_through_images_and_graphs() {
    for seed in 0..2 {
        let net = Graph::new()
            .input("x", Signal { dtype: DType::U8, shape: vec![1, 4, 4] })
            .node("frames", RealToBinary::new().range(0.0, 255.0).frames(4), &["x"])
            .node("map", Convolution::new([2, 2], lut(3)).padding(Padding::Same), &["frames"])
            .node("signs", Convolution::new([1, 1], sign_dense(&[2])), &["map"])
            .node("small", MaxPool::new([2, 2]), &["signs"])
            .node("bits", Binarize::new(), &["small"])
            .node("both", Concatenate::new(), &["bits", "bits"])
            .node("scores", BinaryToReal::new().frames(4).output(&[4]), &["both"])
            .node("pixels", BinaryToReal::new().frames(4), &["map"])
            .output("scores")
            .output("pixels");
        let net = spread(net.build(seed).unwrap(), seed);
        assert!(agrees(&net, true, seed) > 10);
        assert_eq!(net.to_hardware("t", Answer::Auto).unwrap().clocks, 4);
    }
}

#[test]
fn what_has_no_form_says_what_to_do() {
    let error = |net: Sequential| net.build(1).unwrap().to_netlist("t").unwrap_err().to_string();
    let numbers = || Sequential::new(&[4]);
    let cases: [(Sequential, &str); 8] = [
        (bits(&[4]).then(Dense::new(&[2])), "its weights are real numbers"),
        (
            bits(&[4]).then(Dense::new(&[2]).quantise(Quantise {
                weights: Some(Precision { bits: 8, step: Some(0.1) }),
                ..Quantise::default()
            })),
            "a step that is a power of two",
        ),
        (
            bits(&[4]).then(GroupSum::new(2).temperature(3.0)).then(sign_dense(&[2])),
            "no whole multiples of one power of two",
        ),
        (
            bits(&[4])
                .then(GroupSum::new(2))
                .then(LutLayer::new(2).fan_in(2).real_inputs(true).model(crate::models::Average)),
            "switch `real_inputs` off",
        ),
        (numbers().reading(DType::F32).then(Binarize::new()), "scale the data to u8"),
        (numbers().then(RealToBinary::new().frames(2)), "end it with binary_to_real over 2 frames"),
        (
            numbers().then(RealToBinary::new().frames(6)).then(BinaryToReal::new().frames(3)),
            "it gives means over 3 frames and reads 6 a sample",
        ),
        (
            bits(&[6, 1]).then(GroupSum::new(6).temperature(1e7)).then(Softmax::new()),
            "leave the softmax out",
        ),
    ];
    for (net, want) in cases {
        let got = error(net);
        assert!(got.contains(want) && got.contains("cannot be frozen"), "{got}");
    }
}

/// Filters of bytes are an encoder: sums of words, and one comparison for each threshold.
#[test]
fn thresholds_on_differences_are_comparisons_of_sums() {
    let shape = [3, 5, 6];
    let fitted = |filter: &Sequential| {
        let signal = Signal { dtype: DType::U8, shape: shape.to_vec() };
        let frames: Vec<u8> = batch(&signal, 50, 3).to_frames().unwrap();
        let targets = lutweave_tensor::Targets::Classes { count: 1, labels: vec![0; 50] };
        let data = Dataset::new("t", &shape, Numbers::U8(frames), targets).unwrap();
        filter.clone().build(0).unwrap().outputs_over(&data).unwrap()
    };
    for seed in 0..3 {
        let image = || Sequential::new(&shape);
        let edges = Differences::new().distances([1, 2]).colour(true);
        let odd = IntegerFilter::new([
            vec![[0, 0, 0, 7], [1, -1, 2, -5], [2, 1, 0, 3], [2, 1, 0, 1]],
            vec![[1, 2, 2, -6]],
            vec![[1, -9, 0, 4], [2, 0, -9, 2]],
        ]);
        let chain = |filter: Sequential| {
            let seen = fitted(&filter);
            let encoder = match seed {
                0 => Thermometer::fit_channels(&seen, 3),
                1 => Thermometer::fit(&seen, 2),
                _ => Thermometer::uniform(&seen, 4),
            };
            filter.then(encoder.unwrap())
        };
        let of_edges = image().named("encoder", Sequential::inner().then(edges));
        for filter in [of_edges, image().then(odd.clone()), image().then(odd.clone()).then(odd)] {
            let net = chain(filter).then(lut(60)).then(GroupSum::new(3)).build(seed).unwrap();
            assert!(agrees(&spread(net, seed), true, seed) > 5);
        }
        for image in [image(), image().then(TopBits::new(4))] {
            let bits = chain(image.then(Differences::new().of_each())).build(seed).unwrap();
            assert!(agrees(&bits, false, seed) > 1000);
            let netlist = bits.to_netlist("t").unwrap();
            assert!(netlist.groups().iter().take(2).all(|group| group.role == Role::Encoder));
        }
    }
}

/// Thresholds that were learned are comparisons as fitted ones are, wherever training took them.
#[test]
fn learned_thresholds_are_comparisons_too() {
    for seed in 0..6 {
        let signal = Signal { dtype: DType::U8, shape: vec![2, 4] };
        let frames: Vec<u8> = batch(&signal, 50, seed).to_frames().unwrap();
        let targets = lutweave_tensor::Targets::Classes { count: 1, labels: vec![0; 50] };
        let data = Dataset::new("t", &[2, 4], Numbers::U8(frames), targets).unwrap();
        let encoder = match seed % 3 {
            0 => Thermometer::fit_channels(&data, 3),
            1 => Thermometer::fit(&data, 2),
            _ => Thermometer::uniform(&data, 4),
        };
        let encoder = encoder.unwrap().learn_over(&data).unwrap();
        let chain = || Sequential::new(&[2, 4]).then(encoder.clone());
        let bits = spread(chain().build(seed).unwrap(), seed);
        assert!(agrees(&bits, false, seed) > 4);
        let net = chain().then(lut(30)).then(GroupSum::new(3));
        let net = spread(net.build(seed).unwrap(), seed);
        assert!(agrees(&net, true, seed) > 3);
        // A network of the same settings takes its state over.
        let mut other = Network::build(net.spec(), net.input().clone(), 0).unwrap();
        other.restore(&net.state()).unwrap();
        assert_eq!(other.to_netlist("t").unwrap(), net.to_netlist("t").unwrap());
    }
}

/// What nothing reads is not there: of the sums of an image those that a threshold needs.
#[test]
fn a_difference_costs_an_adder_and_a_comparison() {
    let luts = |step: u8, kernels: Vec<Vec<crate::Tap>>, pixels: std::ops::Range<usize>| {
        // The pixels of one sample are all alike, those of the other rise.
        let data = [0, step].map(|step| (1..9).map(|k| k * step).collect::<Vec<_>>()).concat();
        let targets = lutweave_tensor::Targets::Classes { count: 1, labels: vec![0; 2] };
        let data = Dataset::new("t", &[1, 1, 8], Numbers::U8(data), targets).unwrap();
        let net = Sequential::new(&[1, 1, 8]).then(IntegerFilter::new(kernels));
        let seen = net.clone().build(0).unwrap().outputs_over(&data).unwrap();
        let net = net.then(Thermometer::uniform(&seen, 1).unwrap()).then(Slice::crop(0..1, pixels));
        let netlist = net.build(0).unwrap().to_netlist("t").unwrap();
        netlist.cells().iter().filter(|cell| matches!(cell.op, lutweave_lut::Op::Lut(_))).count()
    };
    let edge = || vec![[0, 0, 1, 1], [0, 0, -1, -1]];
    // A table for each of nine bits, and one for each carry from three or two digits to the next.
    assert_eq!(luts(20, vec![edge()], 3..4), 12);
    assert_eq!(luts(20, vec![edge()], 3..6), 36);
    // A threshold of zero needs the last carry only.
    assert_eq!(luts(0, vec![edge()], 3..4), 4);
    // At a border too; at an image of one column both taps are the same pixel, and cancel.
    assert_eq!(luts(20, vec![edge()], 0..1), 12);
    assert_eq!(luts(20, vec![vec![[0, 1, 0, 1], [0, -1, 0, -1]]], 0..8), 0);
    // A pixel is wires.
    assert_eq!(luts(20, vec![vec![[0, 0, 0, 4]]], 0..8), 0);
}
