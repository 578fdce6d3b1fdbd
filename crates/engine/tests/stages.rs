//! Stages run one by one compute what `Stages::evaluate` computes.
#![allow(clippy::unwrap_used)]

mod common;

use common::Numbers;
use lutweave_engine::{Engine, Error, Isa};
use lutweave_lut::{
    Border, Net, Netlist, NetlistBuilder, Op, Padding, Pixel, Role, Stages, TruthTable, Window,
};
use proptest::prelude::*;

/// A netlist of one window: tables, a count and a comparison; some outputs are inputs or constants.
fn window(numbers: &mut Numbers, words: usize, width: usize, to: Pixel) -> Netlist {
    let mut build = NetlistBuilder::new("window").unwrap();
    let inputs = build.input("x", words, width).unwrap();
    build.group("g", Role::Core).unwrap();
    let mut nets: Vec<Net> = inputs.clone();
    nets.extend(build.cell("one", Op::Constant(true), &[]).unwrap());
    nets.extend(build.popcount("count", &inputs[..inputs.len().min(9)]).unwrap());
    nets.push(build.at_least("least", &inputs[..width], 1 + numbers.below(2) as u64).unwrap());
    for table in 0..8 + numbers.below(20) {
        let fan_in = 1 + numbers.below(7);
        let operands: Vec<Net> = (0..fan_in).map(|_| numbers.pick(&nets)).collect();
        let entries = TruthTable::from_fn(fan_in, |_| numbers.below(2) == 0).unwrap();
        nets.push(build.lut(format!("t{table}"), &operands, entries).unwrap());
    }
    let outputs: Vec<Net> = (0..to.bits()).map(|_| numbers.pick(&nets)).collect();
    build.output("y", to.width, &outputs).unwrap();
    build.finish().unwrap()
}

const BORDERS: [Border; 5] =
    [Border::Constant, Border::Reflect, Border::Reflect101, Border::Replicate, Border::Wrap];

/// A chain of windows of every kind, and an enlargement.
fn chain(seed: u64) -> Stages {
    let mut numbers = Numbers::new(seed);
    let pixel = |numbers: &mut Numbers| Pixel {
        channels: 1 + numbers.below(3),
        width: 1 + numbers.below(3),
    };
    let first = Pixel { channels: 1 + numbers.below(2), width: [1, 2, 8, 10][numbers.below(4)] };
    let mut stages = Stages::new("chain", first).unwrap();
    for stage in 0..numbers.below(5) {
        let name = format!("s{stage}");
        if numbers.below(4) == 0 {
            let factors = [1 + numbers.below(2), 1 + numbers.below(3)];
            stages.enlarge(name, factors).unwrap();
            continue;
        }
        let mut pair = |to: usize| [1 + numbers.below(to), 1 + numbers.below(to)];
        let (filter, stride, dilation) = (pair(3), pair(2), pair(2));
        let padding = match numbers.below(3) {
            0 => Padding::Same,
            1 => Padding::Partial,
            _ => Padding::Explicit { top: 2, left: 1, bottom: 3, right: 2 },
        };
        let border = numbers.pick(&BORDERS);
        let shape = Window::new(filter).stride(stride).dilation(dilation);
        let (from, to) = (stages.output(), pixel(&mut numbers));
        let outside = numbers.word() & ((1 << from.width) - 1);
        let words = filter[0] * filter[1] * from.channels;
        let netlist = window(&mut numbers, words, from.width, to);
        stages.slide(name, shape.padding(padding).border(border), outside, netlist).unwrap();
    }
    stages
}

proptest! {
    #[test]
    fn stages_compute_the_same(
        seed: u64, height in 3usize..9, width in 3usize..9, frames in 1usize..1100, threads in 1usize..3
    ) {
        let (stages, image) = (chain(seed), [height, width]);
        let Ok(engine) = Engine::compile_stages(&stages, image) else {
            prop_assert!(stages.images(image).is_err());
            return Ok(());
        };
        let mut numbers = Numbers::new(seed);
        let mask = (1u64 << stages.input().width.min(8)) - 1;
        let x: Vec<u8> =
            (0..frames * engine.input_words()).map(|_| (numbers.word() & mask) as u8).collect();
        // Some frames, among them the last.
        let some: Vec<usize> = (0..3).map(|_| numbers.below(frames)).chain([frames - 1]).collect();
        let words = engine.output_words();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for &isa in Isa::available() {
            let engine = engine.clone().on(isa).unwrap();
            let mut y = vec![u32::MAX; frames * words];
            pool.install(|| engine.run_u8(&x, &mut y)).unwrap();
            for &frame in &some {
                let x: Vec<u64> = x.chunks(engine.input_words()).nth(frame).unwrap().iter()
                    .map(|&x| x.into()).collect();
                let expected = stages.evaluate(image, &x).unwrap();
                let got: Vec<u64> = y[frame * words..][..words].iter().map(|&y| y.into()).collect();
                prop_assert_eq!(got, expected, "{} frame {}", isa, frame);
            }
        }
    }
}

#[test]
fn packed_frames_are_those_of_the_unrolled_netlist() {
    for seed in 0..20 {
        let (stages, image, frames) = (chain(seed), [5, 6], 700usize);
        let Ok(engine) = Engine::compile_stages(&stages, image) else { continue };
        let unrolled = Engine::compile(&stages.unroll(image).unwrap()).unwrap();
        let words = frames.div_ceil(64);
        let mut numbers = Numbers::new(seed);
        let x: Vec<u64> = (0..engine.input_bits() * words).map(|_| numbers.word()).collect();
        let mut y =
            [vec![1; engine.output_bits() * words], vec![2; unrolled.output_bits() * words]];
        // Twice, as memory is used again, and for numbers between.
        for _ in 0..2 {
            engine.run_packed(&x, frames, &mut y[0]).unwrap();
            unrolled.run_packed(&x, frames, &mut y[1]).unwrap();
            assert_eq!(y[0], y[1], "{seed}");
            let (x, mut one) = (vec![1; engine.input_words()], vec![0; engine.output_words()]);
            let mut expected = one.clone();
            engine.run_one(&x, &mut one).unwrap();
            unrolled.run_one(&x, &mut expected).unwrap();
            assert_eq!(one, expected, "{seed}");
        }
    }
}

#[test]
fn what_stages_cannot_do_is_an_error() {
    let mut stages = Stages::new("s", Pixel { channels: 1, width: 1 }).unwrap();
    let mut numbers = Numbers::new(1);
    let netlist = window(&mut numbers, 9, 1, Pixel { channels: 2, width: 1 });
    stages.slide("a", Window::new([3, 3]), 0, netlist).unwrap();
    assert!(matches!(Engine::compile_stages(&stages, [2, 9]), Err(Error::Netlist(_))));
    let large = Engine::compile_stages(&stages, [3000, 3000]).unwrap_err().to_string();
    assert!(large.starts_with("compile stages: 3000 x 3000 pixels need"), "{large}");
    let engine = Engine::compile_stages(&stages, [9, 9]).unwrap();
    let says = |error: Error| error.to_string();
    let whole = "stages have no program as a whole; unroll them to a netlist";
    assert_eq!(says(engine.to_c().unwrap_err()), format!("write source text: {whole}"));
    assert_eq!(says(engine.to_bytes().unwrap_err()), format!("store a program: {whole}"));
    assert!(engine.with_machine_code().is_err());
}
