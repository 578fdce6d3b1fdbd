use proptest::prelude::*;

use super::*;
use crate::sample::{Numbers, words};
use crate::{Border, Evaluator, NetlistBuilder, Padding, Role, TruthTable};

/// A netlist of `outputs` random LUTs over `inputs` words.
fn luts(numbers: &mut Numbers, inputs: usize, width: usize, outputs: usize) -> Netlist {
    let mut build = NetlistBuilder::new("window").unwrap();
    let x = build.input("x", inputs, width).unwrap();
    build.group("luts", Role::Core).unwrap();
    let mut y = Vec::new();
    for node in 0..outputs {
        let operands: Vec<_> = (0..3).map(|_| x[numbers.below(x.len())]).collect();
        let pattern = numbers.word();
        let table = TruthTable::from_fn(3, |k| pattern >> k & 1 == 1).unwrap();
        y.push(build.lut(format!("l{node}"), &operands, table).unwrap());
    }
    build.output("y", 1, &y).unwrap();
    build.finish().unwrap()
}

fn or(channels: usize, elements: usize) -> Netlist {
    let mut build = NetlistBuilder::new("or").unwrap();
    let x = build.input("x", channels * elements, 1).unwrap();
    build.group("or", Role::Core).unwrap();
    let table = TruthTable::from_fn(elements, |k| k > 0).unwrap();
    let one = |(c, x): (usize, &[crate::Net])| build.lut(format!("o{c}"), x, table).unwrap();
    let y: Vec<_> = x.chunks(elements).enumerate().map(one).collect();
    build.output("y", 1, &y).unwrap();
    build.finish().unwrap()
}

const BORDERS: [Border; 4] =
    [Border::Constant, Border::Reflect, Border::Reflect101, Border::Replicate];

/// Two bits of a 2-bit word, a convolution, pooling, enlargement, and one more.
fn chain(seed: u64, border: Border, outside: u64) -> Stages {
    let mut numbers = Numbers::new(seed);
    let mut stages = Stages::new("chain", Pixel { channels: 1, width: 2 }).unwrap();
    let same = Window::new([3, 2]).padding(Padding::Same).border(border);
    stages.slide("a", same, outside, luts(&mut numbers, 6, 2, 3)).unwrap();
    let pool = Window::new([2, 2]).stride([2, 2]).padding(Padding::Partial);
    stages.slide("pool", pool, 0, or(3, 4)).unwrap();
    stages.enlarge("up", [1, 2]).unwrap();
    let last = Window::new([1, 2]).dilation([1, 2]);
    stages.slide("b", last, 0, luts(&mut numbers, 6, 1, 2)).unwrap();
    stages
}

proptest! {
    #[test]
    fn unrolled_it_is_the_same(
        seed: u64, border in 0usize..4, outside in 0u64..4, height in 2usize..6, width in 3usize..7,
    ) {
        let stages = chain(seed, BORDERS[border], outside);
        let images = stages.images([height, width]).unwrap();
        let netlist = stages.unroll([height, width]).unwrap();
        let values: Vec<u64> = words(height * width, seed).iter().map(|word| word & 3).collect();
        let expected = stages.evaluate([height, width], &values).unwrap();
        let [rows, columns] = images[4];
        prop_assert_eq!(expected.len(), 2 * rows * columns);
        prop_assert_eq!(Evaluator::new(&netlist).unwrap().frames(&values).unwrap(), expected);
    }
}

#[test]
fn pixels_are_enlarged_and_pooled() {
    let mut stages = Stages::new("s", Pixel { channels: 1, width: 1 }).unwrap();
    stages.enlarge("up", [2, 3]).unwrap();
    let up = stages.evaluate([2, 2], &[1, 0, 0, 1]).unwrap();
    assert_eq!(up[..12], [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]);
    stages.slide("pool", Window::new([2, 2]).stride([2, 2]), 0, or(1, 4)).unwrap();
    assert_eq!(stages.probe([2, 2], &[1, 0, 0, 1]).unwrap()[1], [1, 1, 0, 0, 1, 1]);
    assert_eq!(stages.images([2, 2]).unwrap(), [[2, 2], [4, 6], [2, 3]]);
}

#[test]
fn bands_of_a_large_image_join() {
    let mut stages = Stages::new("s", Pixel { channels: 1, width: 1 }).unwrap();
    stages.slide("or", Window::new([2, 2]), 0, or(1, 4)).unwrap();
    let size = 600; // 4 * 599 * 599 sources: two bands
    let x: Vec<u64> = words(size * size, 7).iter().map(|word| u64::from(word % 4 == 0)).collect();
    let y = stages.evaluate([size, size], &x).unwrap();
    let at = |row: usize, column: usize| x[row * size + column];
    for (place, &bit) in y.iter().enumerate() {
        let (row, column) = (place / (size - 1), place % (size - 1));
        let pixels =
            [at(row, column), at(row, column + 1), at(row + 1, column), at(row + 1, column + 1)];
        assert_eq!(bit, pixels.into_iter().max().unwrap(), "{row}, {column}");
    }
}

#[test]
fn refusals_name_the_stage() {
    let mut stages = Stages::new("s", Pixel { channels: 2, width: 1 }).unwrap();
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let wrong = stages.slide("a", Window::new([3, 3]), 0, or(1, 4));
    assert_eq!(
        error(wrong),
        "stage `a`: a window of 3 x 3 pixels of 2 words of 1 bits needs as many words, got 4 words \
         of 1 bits"
    );
    let wide = stages.slide("a", Window::new([2, 2]), 2, or(2, 4));
    assert_eq!(error(wide), "stage `a`: 2 outside the image does not fit in 1 bits");
    stages.slide("a", Window::new([2, 2]), 1, or(2, 4)).unwrap();
    assert!(error(stages.enlarge("a", [1, 1])).contains("twice"));
    assert!(error(stages.enlarge("b", [0, 1])).starts_with("stage `b`: expected factors of 1"));
    stages.enlarge("b", [MAX_NETS, 1]).unwrap();
    let what = stages.images([1, 5]).unwrap_err().to_string();
    assert!(what.starts_with("stage `a`: window: height: a window of 2 pixels does not fit"));
    assert!(
        stages.images([3, 5]).unwrap_err().to_string().starts_with("stage `b`: expected an im")
    );
    assert!(Stages::new("s", Pixel { channels: usize::MAX, width: 2 }).is_err());
    assert!(Stages::new("s", Pixel { channels: 1, width: 0 }).is_err());
}

/// A modulation, a branch over one of its frames' images, a join, a spread, a sum, and two heads.
fn network(seed: u64, border: Border) -> Stages {
    let mut numbers = Numbers::new(seed);
    let mut stages = Stages::new("net", Pixel { channels: 2, width: 2 }).unwrap();
    let mut build = NetlistBuilder::new("ramp").unwrap();
    let x = build.input("x", 2, 2).unwrap();
    let frame = build.input("frame", 1, 2).unwrap();
    build.group("ramp", Role::Encoder).unwrap();
    let mut one = |name: &str, word: &[crate::Net]| {
        let operands = [word, &frame[..]].concat();
        let above = TruthTable::from_fn(4, |k| (k & 3) > k >> 2).unwrap();
        build.lut(name, &operands, above).unwrap()
    };
    let y = [one("a", &x[..2]), one("b", &x[2..])];
    build.output("y", 1, &y).unwrap();
    stages.modulate("ramp", 3, build.finish().unwrap()).unwrap();
    let same = Window::new([3, 3]).padding(Padding::Same).border(border);
    stages.slide("conv", same, 0, luts(&mut numbers, 18, 1, 4)).unwrap();
    stages.join("skip", &[2, 1]).unwrap();
    stages.slide("mix", Window::new([1, 1]), 0, luts(&mut numbers, 6, 1, 8)).unwrap();
    stages.spread("up", [2, 2], [3, 2]).unwrap();
    stages.sum("sum", 2).unwrap();
    stages.read(4).unwrap();
    stages.spread("other", [2, 2], [3, 2]).unwrap();
    stages.sum("counts", 3).unwrap();
    stages.join("heads", &[6, 8, 6]).unwrap();
    stages
}

proptest! {
    #[test]
    fn branches_and_frames_unrolled_are_the_same(
        seed: u64, border in 0usize..4, height in 2usize..5, width in 2usize..5,
    ) {
        let stages = network(seed, BORDERS[border]);
        prop_assert!(!stages.is_chain());
        let netlist = stages.unroll([height, width]).unwrap();
        let values: Vec<u64> = words(2 * height * width, seed).iter().map(|w| w & 3).collect();
        let all = stages.probe([height, width], &values).unwrap();
        let expected = &all[8];
        let [rows, columns] = *stages.images([height, width]).unwrap().last().unwrap();
        prop_assert_eq!([rows, columns], [3 * height - 1, 2 * width]);
        prop_assert_eq!(&Evaluator::new(&netlist).unwrap().frames(&values).unwrap(), expected);
        // Frame k of a word has a one where the word is above k; so their sum is the word.
        let pixels = height * width;
        for (at, &value) in values.iter().enumerate() {
            let sum: u64 = (0..3).map(|k| all[0][k * 2 * pixels + at]).sum();
            prop_assert_eq!(sum, value);
        }
        // Heads side by side, the third as the first.
        let one = 2 * rows * columns;
        prop_assert_eq!(&expected[..one], &expected[2 * one..]);
        prop_assert_eq!(&expected[..one], &all[5][..]);
        prop_assert_eq!(&expected[one..2 * one], &all[7][..]);
    }
}

#[test]
fn branches_and_frames_that_do_not_fit_are_refused() {
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let mut stages = network(1, Border::Constant);
    assert!(error(stages.join("j", &[])).contains("numbered 0 to 9"));
    assert!(error(stages.join("j", &[10])).contains("numbered 0 to 9"));
    assert!(error(stages.join("j", &[1, 9])).contains("as many frames each, got [3, 1]"));
    assert!(error(stages.sum("s", 8)).contains("several frames"));
    assert!(error(stages.read(10)).contains("numbered 0 to 9"));
    assert!(error(stages.spread("s", [2, 2], [2, 1])).contains("at least as far apart"));
    assert!(error(stages.spread("s", [4, 1], [4, 1])).contains("6 channels"));
    assert!(error(stages.modulate("m", 1, or(6, 1))).contains("one frame that becomes 2"));
    assert!(error(stages.modulate("m", 2, or(6, 1))).contains("got [[6, 1]]"));
    stages.join("sizes", &[0, 9]).unwrap();
    let got = stages.images([4, 4]).unwrap_err().to_string();
    assert!(got.contains("joins images of one size, got 4 x 4 and 11 x 8"), "{got}");
}
