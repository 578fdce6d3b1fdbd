//! Optimizers: every backend against the reference, the device bit for bit with the CPU.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Backend, Cpu, Isa, Reference, Rule, Trained};
use lutweave_tensor::{Array, rng};

/// Relative tolerance of a few steps in f32 against the same in f64.
const CLOSE: f32 = 1e-5;

fn rules() -> Vec<Rule> {
    let (rate, beta1, beta2) = (0.05, 0.9, 0.99);
    vec![
        Rule::Sgd { rate, decay: 0.1 },
        Rule::Momentum { rate, decay: 0.1, momentum: 0.9, nesterov: false },
        Rule::Momentum { rate, decay: 0.0, momentum: 0.9, nesterov: true },
        Rule::AdaGrad { rate, epsilon: 0.0 },
        Rule::Adam { rate, beta1, beta2, epsilon: 1e-7 },
        Rule::AdamW { keep: 0.99, rate, root: 3.0, beta1, beta2, epsilon: 1e-8 },
        Rule::ShiftAdaMax { rate: 1.0 / 16.0, beta1: 0.875, beta2 },
        Rule::Bop { gamma: 0.25, threshold: 0.05 },
    ]
}

/// Values, then what is remembered, of two arrays after three steps, and whether all gradients are
/// zero then.
fn run(backend: &dyn Backend, rule: Rule, lengths: [usize; 2]) -> (Vec<Array>, bool) {
    let ranges = [None, Some((-0.5, 0.5))];
    let mut stream = rng::stream(4, &lengths.map(|length| length as u64));
    let mut draw = |length: usize| -> Array {
        (0..length).map(|_| rng::normal(&mut stream)).collect::<Vec<f32>>().into()
    };
    let mut values = lengths.map(&mut draw);
    let slots = || -> Vec<Array> { (0..rule.slots()).map(|_| Array::default()).collect() };
    let (mut first, mut second, mut cleared) = (slots(), slots(), true);
    for (first, second) in first.iter_mut().zip(&mut second) {
        first.reset(lengths[0]).unwrap();
        second.reset(lengths[1]).unwrap();
    }
    for step in 0..3 {
        let mut gradients = lengths.map(&mut draw);
        if let Some(zero) = gradients[0].get_mut(step) {
            *zero = 0.0;
        }
        let slots = [&mut first, &mut second];
        let all = values.iter_mut().zip(&mut gradients).zip(slots).zip(ranges);
        let trained = all.map(|(((values, gradient), slots), range)| Trained {
            values,
            gradient,
            slots,
            range,
        });
        backend.update(rule, trained.collect()).unwrap();
        cleared &= gradients.iter().flatten().all(|&g| g == 0.0);
    }
    (values.into_iter().chain(first).chain(second).collect(), cleared)
}

#[test]
fn backends_agree_with_the_reference_and_one_another() {
    for rule in rules() {
        for lengths in [[1, 300], [257, 40_000]] {
            let (want, _) = run(&Reference, rule, lengths);
            let (own, cleared) = run(&Cpu::new(), rule, lengths);
            assert!(cleared, "{rule:?}");
            for (own, want) in own.iter().zip(&want) {
                for (own, want) in own.iter().zip(want) {
                    assert!((own - want).abs() <= CLOSE * want.abs().max(1.0), "{rule:?}");
                }
            }
            for isa in Isa::available() {
                assert!(run(&Cpu::with(*isa).unwrap(), rule, lengths).0 == own, "{isa} {rule:?}");
            }
            if lengths[1] > 1000 {
                continue;
            }
            for cuda in common::devices() {
                let (got, cleared) = run(&cuda, rule, lengths);
                assert!(got.iter().all(|array| array.remote().is_some()), "they stay there");
                assert!(cleared && got == own, "{cuda:?} {rule:?}");
                cuda.synchronise().unwrap();
            }
        }
    }
}

#[test]
fn a_number_that_is_none_is_seen_and_lengths_are_checked() {
    let rule = Rule::Adam { rate: 0.1, beta1: 0.9, beta2: 0.9, epsilon: 1e-7 };
    let array = |values: &[f32]| Array::from(values);
    for backend in [&Cpu::new() as &dyn Backend, &common::devices()[0]] {
        let mut arrays = [array(&[0.0, 1.0]), array(&[f32::NAN, 1.0])];
        let mut slots = vec![array(&[0.0; 2]); 2];
        let [values, gradient] = &mut arrays;
        let range = Some((-0.5, 0.5));
        let trained = Trained { values, gradient, slots: &mut slots, range };
        backend.update(rule, vec![trained]).unwrap();
        assert!(arrays[0][0].is_nan() && arrays[0][1].to_bits() == 0.5f32.to_bits());
        let error = |slots: &mut [Array], gradient: usize| {
            let (mut values, mut gradient) = (array(&[0.0; 2]), array(&vec![0.0; gradient]));
            let trained = Trained { values: &mut values, gradient: &mut gradient, slots, range };
            backend.update(rule, vec![trained]).unwrap_err().to_string()
        };
        assert_eq!(error(&mut slots, 1), "update: expected gradient to have 2 values, got 1");
        assert!(error(&mut slots[..1], 2).contains("2 arrays, got 1"));
        assert!(error(&mut vec![array(&[0.0; 3]); 2], 2).contains("2 values, got 3"));
    }
}
