//! The chains of stages that the tests are made on.

use lutweave_lut::{
    Border, Net, Netlist, NetlistBuilder, Padding, Pixel, Role, Stages, TruthTable, Window,
};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A chain of one to four random stages, and a size of images that it fits. The same for the same
/// seed.
pub fn random_stages(name: &str, seed: u64) -> (Stages, [usize; 2]) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
    let image = [1 + random.below(10), 1 + random.below(10)];
    let width = random.one_of(&[1, 1, 3, 8]);
    let input = Pixel { channels: 1 + random.below(3), width };
    let mut stages = Stages::new(name, input).expect("a chain");
    let count = 1 + random.below(4);
    while stages.stages().len() < count {
        let index = stages.stages().len();
        let (mut more, pixel) = (stages.clone(), stages.output());
        if random.below(5) == 0 {
            let factors = [1 + random.below(3), 1 + random.below(3)];
            more.enlarge(format!("stage{index}"), factors).expect("a stage");
        } else {
            let window = random_window(&mut random);
            let words = pixel.channels * window.filter[0] * window.filter[1];
            let netlist = window_netlist(&mut random, words, pixel.width);
            let outside = random.below(1 << pixel.width) as u64;
            more.slide(format!("stage{index}"), window, outside, netlist).expect("a stage");
        }
        if streams(&more, image) {
            stages = more;
        }
    }
    (stages, image)
}

/// A random network of three to nine stages with frames, branches and joins, and a size of images
/// that it fits. The same for the same seed.
pub fn random_branches(name: &str, seed: u64) -> (Stages, [usize; 2]) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
    let image = [1 + random.below(9), 2 + random.below(8)];
    let input = Pixel { channels: 1 + random.below(2), width: random.one_of(&[1, 3]) };
    let mut stages = Stages::new(name, input).expect("a network");
    if random.below(3) > 0 {
        let frames = 2 + random.below(6);
        let netlist = frame_netlist(&mut random, input, frames);
        stages.modulate("frames", frames, netlist).expect("a stage");
    }
    for branch in 0..random.one_of(&[0, 1, 1, 2]) {
        let start = stages.present();
        let sides: Vec<usize> = (0..2 + random.below(2))
            .map(|side| {
                stages.read(start).expect("an image");
                for step in 0..random.below(3) {
                    // Of the same size, so that it can be joined.
                    let name = format!("b{branch}_{side}_{step}");
                    same_size(&mut stages, &name, image, &mut random);
                }
                stages.present()
            })
            .collect();
        stages.join(format!("join{branch}"), &sides).expect("a join");
    }
    let pixel = stages.output();
    let (mut more, filter) = (stages.clone(), [1 + random.below(2), 2]);
    let netlist = window_netlist(&mut random, pixel.channels * 2 * filter[0], pixel.width);
    let stride = random.one_of(&[[1, 1], [2, 1], [1, 2]]);
    let window = Window::new(filter).stride(stride);
    if more.slide("last", window, 0, netlist).is_ok() && more.images(image).is_ok() {
        stages = more;
    }
    let pixel = stages.output();
    match random.below(3) {
        0 => {
            let factors = [1 + random.below(3), 1 + random.below(3)];
            stages.enlarge("up", factors).expect("a stage");
        }
        1 => {
            let filter = [1, random.one_of(&[1, pixel.channels])];
            let stride = [1 + random.below(2), filter[1] + random.below(2)];
            stages.spread("up", filter, stride).expect("a stage");
        }
        _ => {}
    }
    if stages.frames(stages.present()) > 1 {
        let width = stages.output().width + 2;
        stages.sum("sum", width).expect("a stage");
    }
    (stages, image)
}

/// Adds a stage that keeps the size of its image.
fn same_size(stages: &mut Stages, name: &str, image: [usize; 2], random: &mut Random) {
    let pixel = stages.pixel(stages.present());
    let border = random.one_of(&[Border::Constant, Border::Replicate]);
    let filter = [1 + random.below(3), 1 + random.below(3)];
    let window = Window::new(filter).padding(Padding::Same).border(border);
    let netlist = window_netlist(random, pixel.channels * filter[0] * filter[1], pixel.width);
    let outside = random.below(1 << pixel.width) as u64;
    let mut more = stages.clone();
    more.slide(name, window, outside, netlist).expect("a stage");
    if more.images(image).is_ok() {
        *stages = more;
    }
}

/// Random LUTs of a pixel's bits and the number of a frame.
fn frame_netlist(random: &mut Random, pixel: Pixel, frames: usize) -> Netlist {
    let mut build = NetlistBuilder::new("frame").expect("a name");
    let mut pool = build.input("x", pixel.channels, pixel.width).expect("an input");
    let digits = lutweave_lut::bits_for(frames - 1);
    pool.extend(build.input("frame", 1, digits).expect("an input"));
    build.group("layer", Role::Encoder).expect("a group");
    let one = |node: usize| {
        let operands: Vec<Net> = (0..5).map(|_| pool[random.below(pool.len())]).collect();
        let bits = random.0.next_u64();
        let table = TruthTable::from_fn(5, |k| bits >> k & 1 == 1).expect("a table");
        build.lut(format!("n{node}"), &operands, table).expect("a LUT")
    };
    let y: Vec<Net> = (0..3).map(one).collect();
    build.output("y", 1, &y).expect("an output");
    build.finish().expect("a netlist")
}

fn random_window(random: &mut Random) -> Window {
    let filter = [1 + random.below(3), 1 + random.below(3)];
    let stride = random.one_of(&[[1, 1], [1, 1], [1, 1], [1, 2], [2, 2], [3, 1]]);
    let dilation =
        if random.below(3) == 0 { [1 + random.below(2), 1 + random.below(2)] } else { [1, 1] };
    let mut padding = || random.below(3);
    let explicit =
        Padding::Explicit { top: padding(), left: padding(), bottom: padding(), right: padding() };
    let padding = random.one_of(&[Padding::Valid, Padding::Partial, Padding::Same, explicit]);
    let border = random.one_of(&[
        Border::Constant,
        Border::Reflect,
        Border::Reflect101,
        Border::Replicate,
        Border::Wrap,
    ]);
    Window::new(filter).stride(stride).dilation(dilation).padding(padding).border(border)
}

/// Whether the chain fits images of this size, and has no border that cannot be streamed.
fn streams(stages: &Stages, image: [usize; 2]) -> bool {
    let stream = lutweave_rtl::Stream::new("chain").image(image);
    let fits = lutweave_rtl::stream::validate(stages, &stream).is_ok();
    fits && stages.images(image).is_ok_and(|images| images.iter().all(|[h, w]| h * w <= 400))
}

/// Up to two layers of random LUTs, each of whose words reads all over the window.
fn window_netlist(random: &mut Random, words: usize, width: usize) -> Netlist {
    let mut build = NetlistBuilder::new("window").expect("a name");
    let mut pool = build.input("x", words, width).expect("an input");
    let nodes = 1 + random.below(5);
    for layer in 0..=random.below(2) {
        build.group(format!("layer{layer}"), Role::Core).expect("a group");
        pool = (0..nodes)
            .map(|node| {
                let operands: Vec<Net> =
                    (0..4.min(pool.len())).map(|_| pool[random.below(pool.len())]).collect();
                let bits = random.0.next_u64();
                let table = TruthTable::from_fn(operands.len(), |k| bits >> k & 1 == 1);
                let name = format!("n{layer}_{node}");
                build.lut(name, &operands, table.expect("a table")).expect("a LUT")
            })
            .collect();
    }
    let word = if nodes.is_multiple_of(2) { 2 } else { 1 };
    build.output("y", word, &pool).expect("an output");
    build.finish().expect("a netlist")
}

/// A network as trained ones are: an encoder of single pixels of 8 bits, a convolution, pooling, a
/// convolution with a reflecting border, and a head over the whole map of 3 x 3 pixels that an image
/// of 6 x 6 leaves, which gives a class.
pub fn classifier() -> Stages {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(8));
    let mut stages = Stages::new("classify", Pixel { channels: 1, width: 8 }).expect("a chain");
    let mut build = NetlistBuilder::new("levels").expect("a name");
    let x = build.input("x", 1, 8).expect("an input");
    build.group("levels", Role::Encoder).expect("a group");
    let levels: Vec<Net> = [40, 100, 180]
        .iter()
        .map(|&level| build.at_least(format!("level{level}"), &x, level).expect("a level"))
        .collect();
    build.output("y", 1, &levels).expect("an output");
    let one = build.finish().expect("a netlist");
    stages.slide("encode", Window::new([1, 1]), 0, one).expect("a stage");

    let same = Window::new([3, 3]).padding(Padding::Same);
    stages.slide("first", same, 0, luts(&mut random, 27, 6)).expect("a stage");
    let pool = Window::new([2, 2]).stride([2, 2]).padding(Padding::Partial);
    stages.slide("pool", pool, 0, or(6, 4)).expect("a stage");
    let second = same.border(Border::Reflect101);
    stages.slide("second", second, 0, luts(&mut random, 54, 8)).expect("a stage");

    let mut build = NetlistBuilder::new("head").expect("a name");
    let x = build.input("x", 8 * 9, 1).expect("an input");
    build.group("sums", Role::Head).expect("a group");
    let sums: Vec<Vec<Net>> = x
        .chunks(18)
        .enumerate()
        .map(|(class, bits)| build.popcount(format!("sum{class}"), bits).expect("a sum"))
        .collect();
    build.group("best", Role::Head).expect("a group");
    let class = build.argmax("class", &sums).expect("a class");
    build.output("class", class.len(), &class).expect("an output");
    let head = build.finish().expect("a netlist");
    stages.slide("head", Window::new([3, 3]), 0, head).expect("a stage");
    stages
}

/// A layer of `nodes` random LUTs of six inputs over `words` bits.
fn luts(random: &mut Random, words: usize, nodes: usize) -> Netlist {
    let mut build = NetlistBuilder::new("window").expect("a name");
    let x = build.input("x", words, 1).expect("an input");
    build.group("layer", Role::Core).expect("a group");
    let mut y = Vec::new();
    for node in 0..nodes {
        let operands: Vec<Net> = (0..6).map(|_| x[random.below(words)]).collect();
        let bits = random.0.next_u64();
        let table = TruthTable::from_fn(6, |k| bits >> k & 1 == 1).expect("a table");
        y.push(build.lut(format!("n{node}"), &operands, table).expect("a LUT"));
    }
    build.output("y", 1, &y).expect("an output");
    build.finish().expect("a netlist")
}

/// The OR of each channel's elements.
fn or(channels: usize, elements: usize) -> Netlist {
    let mut build = NetlistBuilder::new("or").expect("a name");
    let x = build.input("x", channels * elements, 1).expect("an input");
    build.group("or", Role::Core).expect("a group");
    let table = TruthTable::from_fn(elements, |k| k > 0).expect("a table");
    let one = |(channel, bits)| build.lut(format!("or{channel}"), bits, table).expect("a LUT");
    let y: Vec<Net> = x.chunks(elements).enumerate().map(one).collect();
    build.output("y", 1, &y).expect("an output");
    build.finish().expect("a netlist")
}
