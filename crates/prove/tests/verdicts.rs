//! Verdicts on random netlists against what trying all inputs says, and on some made to be hard.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use lutweave_lut::opt::{Options, decompose, simplify};
use lutweave_lut::{Evaluator, Net, Netlist, NetlistBuilder, Op, Role, TruthTable};
use lutweave_prove::{Error, Limits, Method, Outcome, equivalent, simulate};
use proptest::prelude::*;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// A netlist of `bits` inputs with cells of every kind; registers, where asked for, may feed back.
fn random(seed: u64, bits: usize, cells: usize, registers: bool) -> Netlist {
    let mut numbers = Numbers(seed);
    let mut build = NetlistBuilder::new("random").unwrap();
    let mut nets = build.input("x", 1, bits.min(4)).unwrap();
    if bits > 4 {
        nets.extend(build.input("y", bits - 4, 1).unwrap());
    }
    build.group("g", Role::Core).unwrap();
    for cell in 0..cells {
        let word: Vec<Net> =
            (0..=numbers.below(6)).map(|_| nets[numbers.below(nets.len())]).collect();
        let op = match numbers.below(10) {
            0 => Op::AtLeast(numbers.below(1 << word.len()) as u64),
            1 => Op::Popcount,
            2 if word.len() % 2 == 0 => Op::Argmax { words: 2 },
            3 | 4 if registers => Op::Register { initial: numbers.below(2) == 0 },
            _ => Op::Lut(TruthTable::from_fn(word.len(), |_| numbers.below(2) == 0).unwrap()),
        };
        let word = if matches!(op, Op::Register { .. }) {
            // Sometimes what comes next, so that there are loops.
            let itself = build.next_net();
            if numbers.below(2) == 0 { vec![itself] } else { word[..1].to_vec() }
        } else {
            word
        };
        nets.extend(build.cell(format!("c{cell}"), op, &word).unwrap());
    }
    let last: Vec<Net> = nets.iter().rev().take(4).copied().collect();
    build.output("last", 2, &last[..last.len() / 2 * 2]).unwrap();
    build.output("one", 1, &[nets[numbers.below(nets.len())]]).unwrap();
    build.finish().unwrap()
}

/// The same netlist with one entry of one table flipped, if it has a table.
fn mutated(netlist: &Netlist, seed: u64) -> Option<Netlist> {
    let mut numbers = Numbers(seed);
    let text = netlist.to_text();
    let lines: Vec<usize> =
        text.lines().enumerate().filter(|(_, l)| l.starts_with("lut ")).map(|(i, _)| i).collect();
    let line = *lines.get(numbers.below(lines.len().max(1)))?;
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(index, text)| {
            if index != line {
                return text.to_owned();
            }
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            let entries = 1 << (words.len() - 3);
            let bit = numbers.below(entries);
            let at = words[2].len() - 1 - bit / 4;
            let digit = u32::from_str_radix(&words[2][at..=at], 16).unwrap() ^ 1 << (bit % 4);
            words[2].replace_range(at..=at, &format!("{digit:x}"));
            words.join(" ")
        })
        .collect();
    Some(Netlist::from_text(&(changed.join("\n") + "\n")).unwrap())
}

fn limits() -> Limits {
    Limits { rounds: 2, ..Limits::default() }
}

/// Whether the outputs are equal for all inputs, which are few.
fn all_equal(a: &Netlist, b: &Netlist) -> bool {
    let bits = a.input_bits();
    let frames: Vec<u64> = (0..1u64 << bits)
        .flat_map(|k| [k & 15].into_iter().chain((4..bits).map(move |bit| k >> bit & 1)))
        .collect();
    let run = |netlist| Evaluator::new(netlist).unwrap().frames(&frames).unwrap();
    run(a) == run(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn verdicts_are_those_of_trying_all_inputs(seed: u64, bits in 4usize..12, cells in 1usize..40) {
        let netlist = random(seed, bits, cells, false);
        for options in [
            Options::default(),
            Options { expand: true, ..Options::default() },
            Options { inputs: 4, expand: true, ..Options::default() },
        ] {
            let (best, _) = netlist.optimise(&options).unwrap();
            let verdict = equivalent(&netlist, &best, &limits()).unwrap();
            prop_assert!(verdict.is_proved(), "{}\n{verdict}", netlist.to_text());
            prop_assert_eq!(verdict.cones.len(), netlist.outputs().iter().map(|p| p.nets.len()).sum::<usize>());
        }
        if let Some(other) = mutated(&netlist, seed) {
            // No simulation, so that the proof has to find it.
            let none = Limits { rounds: 0, ..Limits::default() };
            let verdict = equivalent(&netlist, &other, &none).unwrap();
            prop_assert_eq!(verdict.is_proved(), all_equal(&netlist, &other));
            prop_assert_eq!(verdict.is_proved(), !verdict.is_different());
        }
    }

    #[test]
    fn wide_cones_go_to_the_solver(seed: u64) {
        let netlist = random(seed, 40, 120, false);
        let (best, _) = netlist.optimise(&Options { expand: true, ..Options::default() }).unwrap();
        let verdict = equivalent(&netlist, &best, &limits()).unwrap();
        prop_assert!(verdict.is_proved(), "{}\n{verdict}", netlist.to_text());
        let other = mutated(&netlist, seed).unwrap();
        let verdict = equivalent(&netlist, &other, &limits()).unwrap();
        prop_assert_eq!(verdict.is_proved(), !verdict.is_different());
        if let Some(found) = simulate(&netlist, &other, 200, seed).unwrap() {
            prop_assert!(verdict.is_different());
            prop_assert!(!found.differences.is_empty());
        }
    }

    #[test]
    fn state_machines_are_equal_cycle_for_cycle(seed: u64, cells in 1usize..40) {
        let netlist = random(seed, 6, cells, true);
        let (best, _) = netlist.optimise(&Options { expand: true, ..Options::default() }).unwrap();
        let verdict = equivalent(&netlist, &best, &limits()).unwrap();
        prop_assert!(verdict.is_proved(), "{}\n{}\n{verdict}", netlist.to_text(), best.to_text());
        if let Some(other) = mutated(&netlist, seed) {
            let verdict = equivalent(&netlist, &other, &limits()).unwrap();
            if simulate(&netlist, &other, 100, seed).unwrap().is_some() {
                prop_assert!(!verdict.is_proved());
            }
        }
    }
}

/// Whether `bits` inputs are this number, as a chain of ANDs.
fn is_number(bits: usize, number: u64) -> Netlist {
    let mut build = NetlistBuilder::new("is").unwrap();
    let x = build.input("x", bits, 1).unwrap();
    build.group("g", Role::Core).unwrap();
    let mut all = build.constant("begin", true).unwrap();
    for (bit, &net) in x.iter().enumerate() {
        let want = number >> bit & 1 == 1;
        let table = TruthTable::from_fn(2, |k| k & 1 == 1 && (k >> 1 == 1) == want).unwrap();
        all = build.lut(format!("a{bit}"), &[all, net], table).unwrap();
    }
    build.output("y", 1, &[all]).unwrap();
    build.finish().unwrap()
}

#[test]
fn one_input_in_a_million_millions_is_found() {
    let number = 0x5a_1234_89ab;
    let (a, b) = (is_number(40, number), is_number(40, number ^ 1 << 20));
    assert_eq!(simulate(&a, &b, 100, 3).unwrap(), None);
    let verdict = equivalent(&a, &b, &Limits::default()).unwrap();
    let found = verdict.counterexample.unwrap();
    let words = &found.cycles[0][0].words;
    let got: u64 = words.iter().enumerate().map(|(bit, word)| word << bit).sum();
    assert_eq!(got | 1 << 20, number | 1 << 20);
    assert_eq!(
        (found.differences.len(), found.differences[0].first != found.differences[0].second),
        (1, true)
    );
    assert_eq!(verdict.cones[0].outcome, Outcome::Different);
    assert_eq!(verdict.cones[0].support, 40);
}

#[test]
fn counts_in_another_order_are_equal() {
    // The number of ones of 24 bits in two orders, at least a half: no inner net is the same.
    let count = |step: usize| {
        let mut build = NetlistBuilder::new("count").unwrap();
        let x = build.input("x", 24, 1).unwrap();
        build.group("g", Role::Head).unwrap();
        let turned: Vec<Net> = (0..24).map(|i| x[i * step % 24]).collect();
        let sum = build.popcount("sum", &turned).unwrap();
        let y = build.at_least("half", &sum, 12).unwrap();
        build.output("y", 1, &[y]).unwrap();
        build.finish().unwrap()
    };
    let verdict = equivalent(&count(1), &count(5), &limits()).unwrap();
    assert_eq!(verdict.proved_by(Method::Sat), 1, "{verdict}");
}

#[test]
fn pipelines_are_compared_as_functions() {
    let plain = random(7, 8, 30, false);
    let staged = plain.pipeline(&[0]).unwrap();
    let verdict = equivalent(&plain, &staged, &limits()).unwrap();
    assert!(verdict.is_proved());
    assert_eq!(verdict.latencies, Some((0, 1)));
    assert!(verdict.to_string().contains("the first takes 0 clock cycles, the second 1"));
    let split = decompose(&simplify(&staged).unwrap(), 3).unwrap();
    let verdict = equivalent(&staged, &split, &limits()).unwrap();
    assert_eq!((verdict.is_proved(), verdict.latencies), (true, Some((1, 1))));
}

#[test]
fn machines_differ_where_they_begin_differently() {
    let toggle = |initial: u8| {
        let text = format!(
            "lutweave-netlist 1\nnetlist t\ninput x 1 x 1\ngroup g core\nregister q n {initial}\n\
             lut n 0x6 q x\noutput y 1 x 1 q\nend\n"
        );
        Netlist::from_text(&text).unwrap()
    };
    assert!(equivalent(&toggle(1), &toggle(1), &limits()).unwrap().is_proved());
    let verdict = equivalent(&toggle(0), &toggle(1), &limits()).unwrap();
    assert_eq!(verdict.counterexample.unwrap().cycles.len(), 1);

    // A toggle, and two that are complements of each other and of it.
    let other = "lutweave-netlist 1\nnetlist t\ninput x 1 x 1\ngroup g core\nregister p m 1\n\
                 register r o 0\nlut m 0x9 r x\nlut o 0x9 p x\nlut y 0x1 p\noutput y 1 x 1 y\nend\n";
    let verdict = equivalent(&toggle(0), &Netlist::from_text(other).unwrap(), &limits()).unwrap();
    assert!(verdict.is_proved(), "{verdict}");
    assert_eq!(verdict.registers, Some((3, 2)));
}

#[test]
fn what_the_limit_does_not_allow_is_not_proved() {
    let a = random(11, 40, 100, false);
    let (b, _) = a.optimise(&Options { inputs: 3, expand: true, ..Options::default() }).unwrap();
    let none = Limits { total: Duration::ZERO, rounds: 1, ..Limits::default() };
    let start = Instant::now();
    let verdict = equivalent(&a, &b, &none).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!verdict.is_proved() && !verdict.is_different() && verdict.unproved() > 0);
    assert!(verdict.to_string().ends_with("NOT PROVED"));
}

#[test]
fn other_ports_are_refused() {
    let a = random(1, 4, 3, false);
    let b = random(1, 5, 3, false);
    let error = equivalent(&a, &b, &limits()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert_eq!(error.to_string(), "compare netlists: input `y` is in `random` only");
}
