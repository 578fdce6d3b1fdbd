//! Clipping, penalties and forms of weights: every backend against the reference.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, Candidates, Cpu, FixedPoint, Form, GradientKernels, Isa, Reference,
};
use lutweave_tensor::{Array, rng};

/// Relative tolerance of f32 against the f64 reference.
const CLOSE: f32 = 1e-6;

fn draw(length: usize, seed: u64) -> Array {
    let mut stream = rng::stream(seed, &[length as u64]);
    (0..length).map(|_| rng::normal(&mut stream)).collect()
}

fn close(what: &str, got: &[Array], want: &[Array], tolerance: f32) {
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let near = (got - want).abs() <= tolerance * want.abs().max(1.0);
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            assert!(near || same, "{what} at {i}: {got} {want}");
        }
    }
}

/// Compares all backends with the reference, and with one another where they are to agree in every bit.
fn compare(what: &str, exact: bool, run: impl Fn(&dyn Backend) -> Vec<Array>) {
    let (want, cpu) = (run(&Reference), run(&Cpu::new()));
    close(what, &cpu, &want, CLOSE);
    for &isa in Isa::available() {
        close(what, &run(&Cpu::with(isa).unwrap()), &cpu, 0.0);
    }
    for cuda in common::devices() {
        let got = run(&cuda);
        let stay = got.iter().all(|array| array.is_empty() || array.remote().is_some());
        assert!(stay, "{what}: they stay there");
        close(what, &got, &cpu, if exact { 0.0 } else { CLOSE });
        cuda.synchronise().unwrap();
    }
}

#[test]
fn gradients_are_clipped_by_their_norm() {
    // Over several blocks and arrays; one of them is empty, one was never written.
    let lengths = [1, 300, 0, 40_000, 17];
    for limit in [1e-3, 50.0, 1e6] {
        compare("norm", false, |backend| {
            let mut all: Vec<Array> = lengths.iter().map(|&length| draw(length, 1)).collect();
            all.push(Array::zeros(9).unwrap());
            let norm = backend.clip_norm(all.iter_mut().collect(), limit).unwrap();
            assert_eq!(norm.is_some(), backend.name() != "cuda", "nobody waits for it there");
            all
        });
    }
    let mut all = [draw(300, 1), draw(20, 2)];
    Cpu::new().clip_norm(all.iter_mut().collect(), 0.5).unwrap();
    let norm = Reference.clip_norm(all.iter_mut().collect(), 1.0).unwrap().unwrap();
    assert!((norm - 0.5).abs() < 1e-6, "{norm}");
    // One that is not finite changes nothing.
    for odd in [f32::NAN, f32::INFINITY] {
        compare("not finite", true, |backend| {
            let mut all = [Array::from(vec![1.0, odd, -3.0]), draw(5, 3)];
            let norm = backend.clip_norm(all.iter_mut().collect(), 0.5).unwrap();
            assert!(norm.is_none_or(|norm| !norm.is_finite()));
            assert!(all[0][2] < -2.9);
            // Read above: what a device has is still there.
            all.into()
        });
    }
}

#[test]
fn gradients_are_clipped_one_by_one() {
    compare("value", true, |backend| {
        let mut all = [draw(1000, 1), Array::from(vec![f32::NAN, f32::INFINITY, -9.0, -0.0])];
        backend.clip_value(all.iter_mut().collect(), 0.25).unwrap();
        all.into()
    });
}

#[test]
fn penalties_of_degree_agree() {
    for entries in [2, 4, 16, 64, 256] {
        for coefficients in [false, true] {
            let what = format!("{entries} {coefficients}");
            compare(&what, true, |backend| {
                let (values, mut gradient) = (draw(5 * entries, 1), draw(5 * entries, 2));
                let added =
                    backend.walsh_penalty(&values, entries, coefficients, 0.75, &mut gradient);
                added.unwrap();
                vec![gradient]
            });
        }
    }
    // Ŵ of degree d, one at a time.
    let mut gradient = Array::zeros(4).unwrap();
    Reference.walsh_penalty(&vec![1.0; 4].into(), 4, true, 1.0, &mut gradient).unwrap();
    assert_eq!(gradient, [0.0, 2.0, 2.0, 4.0]);
    // The slope of the penalty itself, Σ |S| Ŵ_S² from the definition.
    let table: Vec<f64> = (0..16).map(|k| f64::from(k * k % 7) / 7.0).collect();
    let penalty = |table: &[f64]| -> f64 {
        let each = (0..table.len()).map(|set| {
            let sign = |k: usize| if (set & k).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
            let sum: f64 = table.iter().enumerate().map(|(k, value)| sign(k) * value).sum();
            f64::from(set.count_ones()) * (sum / table.len() as f64).powi(2)
        });
        each.sum()
    };
    let single: Array = table.iter().map(|&value| value as f32).collect();
    let mut gradient = Array::from(vec![1.0; 16]);
    Reference.walsh_penalty(&single, 16, false, 0.5, &mut gradient).unwrap();
    for k in 0..16 {
        let at = |h: f64| {
            let mut table = table.clone();
            table[k] += h;
            penalty(&table)
        };
        let slope = 1.0 + 0.5 * (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!((f64::from(gradient[k]) - slope).abs() < 1e-5, "{k}");
    }
}

#[test]
fn costs_of_an_encoder_agree() {
    for (slots, count) in [(1, 1), (90, 3), (700, 17)] {
        let mut stream = rng::stream(7, &[slots as u64]);
        let mut of_slots = Vec::new();
        for _ in 0..slots {
            let mut sources: Vec<u32> = (0..40).collect();
            rng::shuffle(&mut stream, &mut sources);
            of_slots.extend_from_slice(&sources[..count]);
        }
        let scores: Array = (0..slots * count).map(|_| rng::below(&mut stream, 4) as f32).collect();
        compare("encoder", true, |backend| {
            let mut gradient = draw(slots * count, 2);
            let (of_slots, scores) = (&of_slots[..], &scores.clone());
            let candidates = Candidates { sources: 40, fan_in: 1, count, of_slots, scores };
            backend.encoder_cost(candidates, 0.5, &mut gradient).unwrap();
            vec![gradient]
        });
    }
    // Three inputs of three candidates; they read 5, 5 and 7.
    let of_slots = &[5, 6, 7, 6, 5, 8, 7, 5, 6];
    let scores = &Array::from(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.9, 0.0]);
    let mut gradient = Array::zeros(9).unwrap();
    let candidates = Candidates { sources: 9, fan_in: 3, count: 3, of_slots, scores };
    Reference.encoder_cost(candidates, 6.0, &mut gradient).unwrap();
    assert_eq!(gradient, [3.0, 6.0, 3.0, 6.0, 3.0, 6.0, 6.0, 2.0, 6.0]);
}

#[test]
fn forms_of_weights_agree() {
    let odd = [f32::NAN, -0.0, 0.0, 1e-45, -1e-45, 1.0, -1.0, 1.0 + f32::EPSILON, f32::INFINITY];
    let weights: Array = odd.into_iter().chain(draw(600, 1).to_vec()).collect();
    let to = FixedPoint::new(4, Some(0.3)).unwrap();
    let forms = [Form::Real, Form::Sign, Form::Rounded(to), Form::Bit];
    compare("forms", true, |backend| {
        let form = |form| {
            let mut out = Array::zeros(weights.len()).unwrap();
            backend.form_weights(&weights.clone(), form, 2.0, &mut out).unwrap();
            out
        };
        forms.into_iter().map(form).collect()
    });
    assert!([0.0, -0.0, -1e-45].map(|w| Form::Sign.of(w) > 0.0) == [true, true, false]);
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let (long, mut short) = (draw(8, 1), draw(7, 1));
    let cuda = &common::devices()[0];
    for backend in [&Cpu::new() as &dyn Backend, &Reference, cuda] {
        for entries in [0, 1, 3, 512] {
            assert!(backend.walsh_penalty(&long, entries, false, 1.0, &mut long.clone()).is_err());
        }
        assert!(backend.walsh_penalty(&long, 4, false, 1.0, &mut short).is_err());
        let candidates =
            Candidates { sources: 3, fan_in: 1, count: 2, of_slots: &[1; 8], scores: &long };
        let mut out = long.clone();
        assert!(backend.encoder_cost(candidates, 1.0, &mut short).is_err());
        let of_slots = &[3; 8];
        assert!(
            backend.encoder_cost(Candidates { of_slots, ..candidates }, 1.0, &mut out).is_err()
        );
        assert!(
            backend.encoder_cost(Candidates { count: 3, ..candidates }, 1.0, &mut out).is_err()
        );
        assert!(
            backend.encoder_cost(Candidates { count: 0, ..candidates }, 1.0, &mut out).is_err()
        );
        assert!(backend.form_weights(&long, Form::Sign, 1.0, &mut short).is_err());
        assert!(out == long);
    }
}
