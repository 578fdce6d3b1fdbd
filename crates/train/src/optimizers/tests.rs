use approx::assert_relative_eq;
use lutweave_backend::power_of_two;

use super::*;

const CLOSE: f64 = 1e-4;

fn parameter(values: Vec<f32>) -> Parameter {
    Parameter::new("weights", values, None)
}

fn all() -> Vec<Box<dyn Optimizer>> {
    vec![
        Box::new(Sgd::new(0.01)),
        Box::new(Sgd::new(0.01).momentum(0.9).nesterov(true).weight_decay(0.1)),
        Box::new(AdaGrad::new(0.01)),
        Box::new(Adam::new(0.01)),
        Box::new(AdamW::new(0.01)),
        Box::new(ShiftAdaMax::new(0.01)),
        Box::new(Bop::new(0.1, 1e-3)),
        Box::new(Clip::by_norm(Adam::new(0.01), 1.0)),
        Box::new(Clip::by_value(Sgd::new(0.01).momentum(0.5), 0.5)),
        Box::new(
            Groups::new(Adam::new(0.01)).group(Sgd::new(0.1), |parameter| parameter.name == "bias"),
        ),
    ]
}

/// A rule in f64: the new value, given value, gradient, the number of the step and memory.
type Formula = fn(f64, f64, i32, &mut [f64; 2]) -> f64;

/// Ten steps of one number against the formulas in f64.
#[test]
fn optimizers_are_their_formulas() {
    struct Case {
        optimizer: Box<dyn Optimizer>,
        formula: Formula,
    }
    let case = |optimizer, formula| Case { optimizer, formula };
    let cases = [
        case(Box::new(Sgd::new(0.01)) as Box<dyn Optimizer>, |p, g, _, _| p - 0.01 * g),
        case(Box::new(Sgd::new(0.01).momentum(0.9).weight_decay(0.5)), |p, g, _, [m, _]| {
            *m = 0.9 * *m + g + 0.5 * p;
            p - 0.01 * *m
        }),
        case(Box::new(Sgd::new(0.01).momentum(0.9).nesterov(true)), |p, g, _, [m, _]| {
            *m = 0.9 * *m + g;
            p - 0.01 * (g + 0.9 * *m)
        }),
        case(Box::new(AdaGrad::new(0.01)), |p, g, _, [h, _]| {
            *h += g * g;
            p - 0.01 * g / (h.sqrt() + 1e-7)
        }),
        case(Box::new(Adam::new(0.01)), |p, g, t, [m, v]| {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            let rate = 0.01 * (1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t));
            p - rate * *m / (v.sqrt() + 1e-7)
        }),
        case(Box::new(AdamW::new(0.01).betas(0.8, 0.99)), |p, g, t, [m, v]| {
            *m = 0.8 * *m + 0.2 * g;
            *v = 0.99 * *v + 0.01 * g * g;
            let (m, v) = (*m / (1.0 - 0.8f64.powi(t)), *v / (1.0 - 0.99f64.powi(t)));
            p - 0.01 * 0.01 * p - 0.01 * m / (v.sqrt() + 1e-8)
        }),
        case(Box::new(ShiftAdaMax::new(0.01)), |p, g, t, [m, v]| {
            let nearest = |x: f64| x.log2().round().exp2();
            *m = 0.875 * *m + 0.125 * g;
            *v = (1023.0 / 1024.0 * *v).max(g.abs());
            if *v == 0.0 {
                p
            } else {
                p - nearest(0.01 / (1.0 - 0.875f64.powi(t))) * *m * nearest(1.0 / *v)
            }
        }),
        case(Box::new(Clip::by_value(Sgd::new(0.01), 1.5)), |p, g, _, _| {
            p - 0.01 * g.clamp(-1.5, 1.5)
        }),
    ];
    for Case { mut optimizer, formula } in cases {
        // More copies than fit into registers at once, and an odd rest.
        let mut number = parameter(vec![0.1; 70]);
        let (mut p, mut memory) = (0.1f64, [0f64; 2]);
        for t in 1..=10 {
            let g = f64::from(t * t % 7) - 3.0;
            number.gradient = vec![g as f32; 70].into();
            optimizer.update(vec![&mut number], optimizer.learning_rate()).unwrap();
            p = formula(p, g, t, &mut memory);
            for &value in &number.values {
                assert_relative_eq!(f64::from(value), p, max_relative = CLOSE, epsilon = 1e-6);
            }
            assert!(number.gradient.iter().all(|g| g.to_bits() == 0));
        }
    }
}

#[test]
fn powers_of_two_are_the_nearest() {
    let cases = [
        (1.0, 1.0),
        (std::f32::consts::SQRT_2, 1.0), // just below the root
        (std::f32::consts::SQRT_2.next_up(), 2.0),
        (3.0, 4.0),
        (0.7, 0.5),
        (0.75, 1.0),
        (1e-3, 1.0 / 1024.0),
        (f32::MIN_POSITIVE, f32::MIN_POSITIVE),
        (f32::MIN_POSITIVE / 2.0, 0.0),
        (f32::MAX, f32::INFINITY),
        (0.0, 0.0),
        (f32::INFINITY, f32::INFINITY),
    ];
    for (x, want) in cases {
        assert_eq!(power_of_two(x).to_bits(), f32::to_bits(want), "{x}");
    }
}

#[test]
fn bop_flips_what_the_gradient_is_against() {
    // At −1 and +1, gradients of either sign; then below the threshold; then a value in between.
    let mut weights = parameter(vec![1.0, 1.0, -1.0, -1.0, 1.0, 0.0]);
    weights.gradient = vec![1.0, -1.0, 1.0, -1.0, 1e-3, 0.0].into();
    let mut bop = Bop::new(0.5, 0.01);
    bop.update(vec![&mut weights], 0.5).unwrap();
    assert_eq!(weights.values, [-1.0, 1.0, -1.0, 1.0, 1.0, 1.0]);
    let mut bits = Parameter::new("bits", vec![1.0, 0.0], Some((0.0, 1.0)));
    bits.gradient = vec![1.0, -1.0].into();
    Bop::new(1.0, 0.0).update(vec![&mut bits], 1.0).unwrap();
    assert_eq!(bits.values, [0.0, 1.0]);
    // Nothing flips without a gradient, even at threshold 0.
    Bop::new(1.0, 0.0).update(vec![&mut bits], 1.0).unwrap();
    assert_eq!(bits.values, [0.0, 1.0]);
}

#[test]
fn values_stay_in_range_and_frozen_ones_as_they_are() {
    for mut optimizer in all() {
        let mut live = Parameter::new("weights", vec![0.999, 0.001], Some((0.0, 1.0)));
        let mut frozen = Parameter::new("bias", vec![0.5, 0.5], None);
        frozen.frozen = true;
        for _ in 0..3 {
            live.gradient = vec![-1.0, 1.0].into();
            frozen.gradient = vec![-1.0, 1.0].into();
            let rate = 10.0 * optimizer.learning_rate();
            optimizer.update(vec![&mut live, &mut frozen], rate).unwrap();
        }
        assert_eq!(live.values, [1.0, 0.0], "{optimizer:?}");
        assert_eq!(frozen.values, [0.5, 0.5], "{optimizer:?}");
        assert_eq!((&live.gradient[..], &frozen.gradient[..]), (&[0.0; 2][..], &[0.0; 2][..]));
        // Thawed, it moves.
        frozen.frozen = false;
        frozen.gradient = vec![-1.0, 1.0].into();
        optimizer.update(vec![&mut live, &mut frozen], optimizer.learning_rate()).unwrap();
        assert!(frozen.values[0] > 0.5, "{optimizer:?}");
    }
    // A range that runs backwards or is no number does not panic.
    for range in [(1.0, 0.0), (f32::NAN, f32::NAN)] {
        let mut odd = Parameter::new("weights", vec![0.5], Some(range));
        for mut optimizer in all() {
            let _ = optimizer.update(vec![&mut odd], 0.1);
        }
    }
}

/// Two parameters after so many steps, from a fresh optimizer or one that was stopped half-way.
fn train(optimizer: &mut dyn Optimizer, pair: &mut [Parameter; 2], steps: std::ops::Range<u32>) {
    for step in steps {
        for (number, parameter) in pair.iter_mut().enumerate() {
            for (i, g) in parameter.gradient.iter_mut().enumerate() {
                *g = ((i as u32 * 31 + step * 17 + number as u32) % 13) as f32 / 6.0 - 1.0;
            }
        }
        let rate = optimizer.learning_rate();
        optimizer.update(pair.iter_mut().collect(), rate).unwrap();
    }
}

fn pair(length: usize) -> [Parameter; 2] {
    let values: Vec<f32> = (0..length).map(|i| (i % 19) as f32 / 10.0 - 0.9).collect();
    let bias = Parameter::new("bias", vec![0.25; 3], None);
    [Parameter::new("weights", values, Some((-1.0, 1.0))), bias]
}

#[test]
fn restored_state_goes_on_where_it_stopped() {
    for ((mut whole, mut first), mut second) in all().into_iter().zip(all()).zip(all()) {
        let (mut want, mut got) = (pair(50), pair(50));
        train(whole.as_mut(), &mut want, 0..6);
        train(first.as_mut(), &mut got, 0..3);
        let state = first.state();
        second.restore(&state).unwrap();
        assert_eq!(second.state(), state);
        train(second.as_mut(), &mut got, 3..6);
        assert_eq!(got, want, "{whole:?}");
        let mut names: Vec<&str> = state.iter().map(|tensor| tensor.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), state.len(), "{names:?}");
    }
}

#[test]
fn state_of_something_else_is_refused() {
    let mut adam = Adam::new(0.1);
    train(&mut adam, &mut pair(50), 0..2);
    let good = adam.state();
    let with = |change: fn(&mut Vec<StateTensor>)| {
        let mut state = good.clone();
        change(&mut state);
        state
    };
    let cases = [
        with(Vec::clear),
        with(|state| drop(state.remove(0))),
        with(|state| drop(state.pop())),
        with(|state| state.swap(1, 2)),
        with(|state| state[1].data = lutweave_nn::StateData::F32(vec![f32::NAN; 50])),
        with(|state| state[1].data = lutweave_nn::StateData::F32(vec![0.0; 49])),
        with(|state| state[1].data = lutweave_nn::StateData::U32(vec![0; 50])),
        with(|state| state.push(StateTensor::f32("2.m", &[0.0]))),
    ];
    for (number, state) in cases.iter().enumerate() {
        let mut fresh = adam.clone();
        assert!(fresh.restore(state).is_err(), "{number}");
        assert_eq!(fresh.state(), good, "{number}");
        assert!(Sgd::new(0.1).restore(state).is_err() || number > 1, "{number}");
    }
    let mut groups = all().pop().unwrap();
    train(groups.as_mut(), &mut pair(50), 0..1);
    let kept = groups.state();
    let mut wrong = kept.clone();
    wrong.pop();
    assert!(groups.restore(&wrong).is_err() && groups.restore(&good).is_err());
    assert_eq!(groups.state(), kept);
    // Parameters other than those before.
    let mut other = pair(51);
    let error = adam.update(other.iter_mut().collect(), 0.1).unwrap_err().to_string();
    assert_eq!(error, "adam: expected 50 numbers of parameter 0, as before, got 51");
    assert!(adam.update(vec![&mut other[1]], 0.1).is_err());
    other[1].gradient.resize(1).unwrap();
    assert!(Adam::new(0.1).update(vec![&mut other[1]], 0.1).is_err());
}

#[test]
fn groups_have_optimizers_of_their_own() {
    let [mut weights, mut bias] = pair(4);
    (weights.gradient, bias.gradient) = (vec![1.0; 4].into(), vec![1.0; 3].into());
    let is_bias = |parameter: &Parameter| parameter.name == "bias";
    let mut groups = Groups::new(Sgd::new(0.5)).group(Sgd::new(0.1), is_bias);
    groups.update(vec![&mut bias, &mut weights], 0.25).unwrap(); // a schedule at one half
    assert_relative_eq!(bias.values[0], 0.25 - 0.05);
    assert_relative_eq!(weights.values[3], -0.6 - 0.25);
    let twice = Groups::new(Sgd::new(0.5)).group(Sgd::new(0.1), is_bias);
    let mut twice = twice.group(Sgd::new(0.2), |_| true);
    assert!(twice.update(vec![&mut bias, &mut weights], 0.5).is_err());
    let mut none = Groups::new(Sgd::new(0.5)).group(Sgd::new(0.1), |_| false);
    let error = none.update(vec![&mut bias], 0.5).unwrap_err().to_string();
    assert_eq!(error, "groups: expected parameters for group 0, got none");
}

#[test]
fn clipping_by_norm_scales_all_gradients_alike() {
    let mut parameters = [parameter(vec![0.0; 2]), parameter(vec![0.0])];
    let mut clip = Clip::by_norm(Sgd::new(1.0), 2.5);
    let step = |parameters: &mut [Parameter; 2], clip: &mut Adjusted<Sgd, Clip>, last: f32| {
        parameters[0].gradient = vec![3.0, 0.0].into();
        parameters[1].gradient = vec![last].into();
        clip.update(parameters.iter_mut().collect(), 1.0)
    };
    step(&mut parameters, &mut clip, 4.0).unwrap(); // norm 5
    assert_relative_eq!(parameters[0].values[0], -1.5, max_relative = 1e-6);
    assert_relative_eq!(parameters[1].values[0], -2.0, max_relative = 1e-6);
    assert!(step(&mut parameters, &mut clip, f32::NAN).is_err());
    assert!(step(&mut parameters, &mut clip, f32::INFINITY).is_err());
}

#[test]
fn threads_do_not_change_a_bit() {
    for index in 0..all().len() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut optimizer, mut parameters) = (all().remove(index), pair(100_003));
                train(optimizer.as_mut(), &mut parameters, 0..3);
                parameters
            })
        };
        assert!(run(1) == run(4), "{:?}", all()[index]);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let cases: Vec<Box<dyn Optimizer>> = vec![
        Box::new(Sgd::new(0.1).momentum(1.0)),
        Box::new(Sgd::new(0.1).weight_decay(-1.0)),
        Box::new(AdaGrad::new(0.1).epsilon(f32::NAN)),
        Box::new(Adam::new(0.1).betas(0.9, 1.0)),
        Box::new(Adam::new(0.1).epsilon(0.0)),
        Box::new(AdamW::new(0.1).weight_decay(f32::INFINITY)),
        Box::new(ShiftAdaMax::new(0.1).betas(-0.1, 0.5)),
        Box::new(Bop::new(1.5, 0.0)),
        Box::new(Bop::new(0.5, -1.0)),
        Box::new(Clip::by_norm(Sgd::new(0.1), 0.0)),
        Box::new(Clip::by_value(Sgd::new(0.1), f32::NAN)),
        Box::new(Groups::new(Sgd::new(f32::NAN))),
    ];
    for mut optimizer in cases {
        let (mut number, rate) = (parameter(vec![0.5]), optimizer.learning_rate());
        let refused = optimizer.update(vec![&mut number], rate);
        let is_nan_group = rate.is_nan(); // a factor of nothing: the trainer refuses the rate
        assert!(refused.is_err() || is_nan_group, "{optimizer:?}");
        assert_eq!(number.values, [0.5]);
    }
    for rate in [f32::NAN, -1.0, f32::INFINITY] {
        for mut optimizer in all() {
            let mut number = Parameter::new("bias", vec![0.5], None);
            assert!(optimizer.update(vec![&mut number], rate).is_err(), "{optimizer:?} {rate}");
        }
    }
}
