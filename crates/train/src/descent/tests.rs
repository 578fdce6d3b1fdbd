use std::collections::BTreeSet;

use lutweave_backend::Cpu;
use lutweave_nn::{Convolution, GroupSum, LutLayer, Sequential, Thermometer, models::Binary};
use lutweave_tensor::{DType, Targets, Values};
use proptest::prelude::*;

use super::*;

/// Samples of 12 numbers whose class follows from a few of them, with some noise.
fn data(samples: usize, seed: u64) -> Dataset {
    let mut stream = rng::stream(seed, &[]);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let sample: Vec<u8> = (0..12).map(|_| rng::below(&mut stream, 256) as u8).collect();
        let score =
            i32::from(sample[1] > 90) + i32::from(sample[4] > 150) + i32::from(sample[7] > 60);
        let noise = rng::below(&mut stream, 20) == 0;
        labels.push(if noise { 0 } else { score.min(2) as u32 });
        values.extend(sample);
    }
    let targets = Targets::Classes { labels, count: 3 };
    Dataset::new("made", &[12], Values::U8(values), targets).unwrap()
}

fn net(layers: &[usize], fan_in: usize, seed: u64) -> Network {
    let encoder = Thermometer::uniform(&data(100, 9), 3).unwrap();
    let mut net = Sequential::new(&[12]).named("encoder", encoder);
    for &nodes in layers {
        net = net.then(LutLayer::new(nodes).fan_in(fan_in).model(Binary).batch_norm(None));
    }
    net.then(GroupSum::new(3).temperature(2.0)).build(seed).unwrap()
}

/// The pieces of a sweep over some samples.
fn begun(net: &Network, samples: usize) -> (Nodes, Vec<Block>, Plan) {
    let descent = Descent::new().samples(samples);
    let train = data(samples, 1);
    let plan = descent.plan(net, &train, &train).unwrap();
    let tail = net.lut_tail().unwrap();
    let nodes = Nodes::new(&tail.layers, tail.classes);
    let blocks = descent.blocks(&tail, &nodes, &train, &plan).unwrap();
    (nodes, blocks, plan)
}

/// The loss when a node has this table.
fn loss_with(
    nodes: &mut Nodes,
    blocks: &mut [Block],
    (layer, node): (usize, usize),
    table: lutweave_lut::TruthTable,
    plan: &Plan,
) -> f64 {
    nodes.layers[layer].tables[node] = table;
    let cone = Cone::new(nodes, layer, node);
    for block in blocks.iter_mut() {
        block.settle(nodes, &cone, &plan.scale).unwrap();
    }
    total(blocks, &plan.scale).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_table_is_worth_what_it_takes_from_the_loss(seed: u64, depth in 1usize..4, pick: u64) {
        let net = net(&[9, 9, 9][..depth], 3, seed);
        let (mut nodes, mut blocks, plan) = begun(&net, 300);
        let at = (pick as usize % depth, (pick >> 8) as usize % 9);
        let cone = Cone::new(&nodes, at.0, at.1);
        for block in &mut blocks {
            block.weigh(&nodes, &cone, &plan.scale).unwrap();
            block.gather(&nodes.layers[at.0], at.0, at.1).unwrap();
        }
        let sums = Sums::of(&blocks, 3, 0);
        let table = |bit: bool| lutweave_lut::TruthTable::from_fn(3, |_| bit).unwrap();
        let best = sums.table(3).unwrap();
        let zeros = loss_with(&mut nodes, &mut blocks, at, table(false), &plan);
        let ones = loss_with(&mut nodes, &mut blocks, at, table(true), &plan);
        let least = loss_with(&mut nodes, &mut blocks, at, best, &plan);
        let all: f64 = blocks.iter().flat_map(|block| block.totals).sum();
        prop_assert!((zeros - ones - all).abs() < 0.02, "{zeros} - {ones}, {all}");
        prop_assert!((zeros - least - sums.worth()).abs() < 0.02, "{zeros} - {least}, {}", sums.worth());
    }

    #[test]
    fn a_switch_is_worth_what_it_promises(seed: u64, node in 0usize..9, first: bool) {
        let net = net(&[9, 9], 3, seed);
        let (mut nodes, mut blocks, plan) = begun(&net, 300);
        let layer = usize::from(!first);
        let candidates: Vec<u32> = (0..nodes.layers[layer].inputs() as u32).collect();
        let cone = Cone::new(&nodes, layer, node);
        let look = |nodes: &Nodes, blocks: &mut [Block]| {
            for block in blocks.iter_mut() {
                block.gather(&nodes.layers[layer], layer, node).unwrap();
                block.look().unwrap();
            }
            Sums::of(blocks, 3, candidates.len())
        };
        for block in &mut blocks {
            block.prepare(layer, &candidates, 8).unwrap();
            block.weigh(&nodes, &cone, &plan.scale).unwrap();
        }
        let sums = look(&nodes, &mut blocks);
        let found = sums.switch(&nodes.layers[layer], node, &candidates, 0.0, plan.cpu).unwrap();
        nodes.layers[layer].switch(node, found.input, candidates[found.candidate]);
        let worth = look(&nodes, &mut blocks).worth();
        prop_assert!((worth - found.worth).abs() < 0.01, "{worth}, {}", found.worth);
    }
}

#[test]
fn the_loss_only_falls_and_the_network_learns() {
    let (train, test) = (data(2000, 1), data(500, 2));
    for layers in [&[30][..], &[24, 30]] {
        let start = net(layers, 4, 3);
        let before = crate::accuracy(&start, &test).unwrap();
        let done = Descent::new().sweeps(4).fit(&start, &train, &test).unwrap();
        let losses: Vec<f32> = done.sweeps.iter().map(|sweep| sweep.loss).collect();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] + 1e-4), "{losses:?}");
        let last = &done.sweeps[3];
        assert!(last.frozen > 0.8 && last.frozen > before + 0.2, "{before}, {last:?}");
        assert!((crate::accuracy(&done.net, &test).unwrap() - last.frozen).abs() < 1e-9);
    }
}

#[test]
fn threads_and_a_break_change_nothing() {
    let (train, test) = (data(500, 1), data(100, 2));
    let start = net(&[18, 12], 4, 5);
    let descent = || Descent::new().sweeps(3).samples(900).candidates(Some(20)).seed(7);
    let whole = descent().fit(&start, &train, &test).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let threads = pool.install(|| descent().fit(&start, &train, &test)).unwrap();
    assert_eq!(whole.net.state(), threads.net.state());
    let mut half = None;
    let stopped = descent()
        .on_sweep(|sweep, net| {
            half = Some(net.state());
            Ok(if sweep.epoch == 2 { Flow::Stop } else { Flow::Continue })
        })
        .fit(&start, &train, &test)
        .unwrap();
    assert!(stopped.stopped && Some(stopped.net.state()) == half);
    let resumed = descent().resume(stopped.sweeps).fit(&stopped.net, &train, &test).unwrap();
    assert_eq!(resumed.net.state(), whole.net.state());
    assert_eq!(resumed.sweeps.len(), 3);
}

/// Images of 10 × 10 pixels in two colours, of which the second shows the class in every fourth pixel,
/// seven times in ten.
fn images(samples: usize, seed: u64) -> Dataset {
    let mut stream = rng::stream(seed, &[]);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let class = rng::below(&mut stream, 2);
        labels.push(class as u32);
        for place in 0..200 {
            let tells = place >= 100 && place / 10 % 2 == 0 && place % 2 == 0;
            let shown = if rng::below(&mut stream, 10) < 7 { class } else { 1 - class };
            let noise = rng::below(&mut stream, 2);
            values.push(if tells { shown } else { noise } as u8 * 255);
        }
    }
    let targets = Targets::Classes { labels, count: 2 };
    Dataset::new("images", &[2, 10, 10], Values::U8(values), targets).unwrap()
}

fn image_net(nodes: usize) -> Network {
    let encoder = Thermometer::uniform(&images(10, 9), 1).unwrap();
    let windows = lutweave_nn::WiringRule::Windows { height: 4, width: 4 };
    let layer = LutLayer::new(nodes).fan_in(3).wiring(windows).model(Binary).batch_norm(None);
    let net = Sequential::new(&[2, 10, 10]).named("encoder", encoder).then(layer);
    net.then(GroupSum::new(2).temperature(2.0)).build(4).unwrap()
}

#[test]
fn a_window_finds_what_all_sources_do() {
    let (train, test) = (images(600, 1), images(300, 2));
    let start = image_net(40);
    let right = |window| {
        let done = Descent::new().sweeps(4).window(window).fit(&start, &train, &test).unwrap();
        // What a node reads stays together where its window is small.
        let tail = done.net.lut_tail().unwrap();
        let far = |sources: &[u32]| {
            let rows = sources.iter().map(|&source| source / 10 % 10);
            rows.clone().max().unwrap_or(0) - rows.min().unwrap_or(0)
        };
        let wiring = tail.layers[0].wiring.table();
        (done.sweeps[3].frozen, wiring.chunks(3).map(far).max().unwrap())
    };
    let (all, near) = (right(None), right(Some([4, 4])));
    assert!(all.0 > 0.9 && near.0 > 0.9, "{all:?}, {near:?}");
    assert!(near.1 < all.1, "{all:?}, {near:?}");
}

#[test]
fn windows_and_fewer_samples_are_the_same_for_any_threads() {
    let (train, test) = (images(300, 1), images(50, 2));
    let start = image_net(10);
    let run = |threads: usize| {
        let fit = || {
            let descent =
                Descent::new().sweeps(2).samples(2 * block::samples(1) + 100).candidates(Some(20));
            let descent = descent.window(Some([3, 5])).look(Some(block::samples(1))).seed(3);
            descent.fit(&start, &train, &test).unwrap().net.state()
        };
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(fit)
    };
    let one = run(1);
    assert_eq!(one, run(3));
    assert_ne!(one, start.lut_tail().unwrap().rebuilt().unwrap().state());
}

/// Three-input nodes that slide over the images in steps of two pixels.
fn sliding_net(nodes: usize) -> Network {
    let encoder = Thermometer::uniform(&images(10, 9), 1).unwrap();
    let layer = LutLayer::new(nodes).fan_in(3).model(Binary).batch_norm(None);
    let slide = Convolution::new([6, 4], layer).stride([2, 2]);
    let net = Sequential::new(&[2, 10, 10]).named("encoder", encoder).then(slide);
    net.then(GroupSum::new(2).temperature(6.0)).build(4).unwrap()
}

#[test]
fn a_layer_that_slides_learns_what_it_counts() {
    let (train, test) = (images(400, 1), images(200, 2));
    let start = sliding_net(20);
    let run = |threads: usize| {
        let fit = || {
            let descent = Descent::new().sweeps(3).samples(400).window(Some([4, 4])).seed(3);
            descent.look(Some(6000)).fit(&start, &train, &test).unwrap()
        };
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(fit)
    };
    let one = run(1);
    assert_eq!(one.net.state(), run(3).net.state());
    let fell = one.sweeps.windows(2).all(|pair| pair[1].loss <= pair[0].loss + 1e-4);
    assert!(fell && one.sweeps[2].frozen > 0.9, "{:?}", one.sweeps);

    // The counts that are kept are those of the network.
    let descent = Descent::new();
    let plan = descent.plan(&one.net, &train, &test).unwrap();
    let tail = one.net.lut_tail().unwrap();
    let nodes = Nodes::new(&tail.layers, tail.classes);
    let blocks = descent.blocks(&tail, &nodes, &train, &plan).unwrap();
    let right = total(&blocks, &plan.scale).1 as f64 / 400.0;
    let mut metric = crate::trainer::metric_of(&train);
    let told = crate::trainer::evaluate(&one.net, &train, metric.as_mut(), &Cpu::new()).unwrap();
    assert!((right - told).abs() < 1e-9, "{right}, {told}");
}

#[test]
fn what_cannot_be_is_refused() {
    let (train, net) = (data(50, 1), net(&[9], 3, 1));
    let error = |descent: Descent<'_>| descent.fit(&net, &train, &train).unwrap_err().to_string();
    assert!(error(Descent::new().sweeps(0)).contains("sweeps"));
    assert!(error(Descent::new().samples(0)).contains("samples"));
    assert!(error(Descent::new().samples(usize::MAX)).contains("samples"));
    assert!(error(Descent::new().candidates(Some(0))).contains("candidates"));
    assert!(error(Descent::new().look(Some(0))).contains("look"));
    assert!(error(Descent::new().window(Some([3, 0]))).contains("3 × 0"));
    let flat = error(Descent::new().window(Some([3, 3])));
    assert!(flat.contains("[channels, height, width]") && flat.contains("[36]"), "{flat}");
    assert!(error(Descent::new().temperature(Some(f32::NAN))).contains("temperature"));
    let dense = Sequential::new(&[12]).reading(DType::F32).then(lutweave_nn::Dense::new(&[3]));
    let dense = dense.build(1).unwrap();
    let values = Values::F32(vec![0.0; 12]);
    let one = Dataset::new("one", &[12], values, train.select(&[0]).unwrap().targets().clone());
    let one = one.unwrap();
    let told = Descent::new().fit(&dense, &one, &one).unwrap_err().to_string();
    assert!(told.contains("dense"), "{told}");
}

#[test]
fn a_price_of_sources_makes_nodes_share_them() {
    let (train, test) = (data(2000, 1), data(500, 2));
    let start = net(&[30], 4, 3);
    let done = |price: f32| {
        let descent = Descent::new().sweeps(4).encoder(price);
        let done = descent.fit(&start, &train, &test).unwrap();
        let tail = done.net.lut_tail().unwrap();
        let read = tail.layers[0].wiring.table().iter().collect::<BTreeSet<_>>().len();
        let all: Vec<f32> = done.sweeps.iter().map(|sweep| sweep.loss).collect();
        (read, all)
    };
    let (free, dear) = (done(0.0), done(0.01));
    assert!(dear.0 < free.0, "{free:?} {dear:?}");
    // A source is given up where it gains less than it costs.
    let gap = f64::from(dear.1[3] - free.1[3]);
    assert!(gap < 0.01 * (free.0 - dear.0) as f64 + 0.02, "{free:?} {dear:?}");
    assert_eq!(done(1.0).0, 4, "as many as a node has inputs");
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        assert!(Descent::new().encoder(wrong).check(&start, &train, &test).is_err());
    }
}
