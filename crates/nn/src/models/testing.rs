//! What the tests of the models have in common.

use approx::assert_relative_eq;
use lutweave_tensor::rng;

use crate::{LutModel, RealNode};

/// For f32 results against f64 formulas.
pub(super) const CLOSE: f64 = 2e-5;

/// Initial parameters of one node.
pub(crate) fn initial(model: &dyn LutModel, fan_in: usize, seed: u64) -> Vec<f32> {
    let mut params = vec![0.0; model.parameters(fan_in)];
    model.initialise(&mut rng::stream(seed, &[]), &mut params);
    params
}

/// Normal numbers.
pub(crate) fn normals(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = rng::stream(seed, &[]);
    (0..n).map(|_| rng::normal(&mut rng)).collect()
}

pub(crate) fn values(model: &dyn LutModel, fan_in: usize, params: &[f32]) -> Vec<f32> {
    let mut values = vec![f32::NAN; 1 << fan_in];
    model.values(params, &mut values);
    values
}

/// The finished table: bit `k` for pattern `k`.
pub(crate) fn table(model: &dyn LutModel, fan_in: usize, params: &[f32]) -> Vec<bool> {
    let mut values = vec![f32::NAN; 1 << fan_in];
    model.hardened(params, &mut values);
    values.into_iter().map(|value| value > 0.5).collect()
}

pub(crate) fn slopes(model: &dyn LutModel, params: &[f32], i: usize, values: &[f32]) -> Vec<f32> {
    let mut slopes = vec![f32::NAN; values.len()];
    model.slopes(params, values, i, &mut slopes);
    slopes
}

/// The inputs of pattern `k` as numbers.
pub(super) fn corner(k: usize, fan_in: usize) -> Vec<f64> {
    (0..fan_in).map(|i| (k >> i & 1) as f64).collect()
}

/// Central difference of `loss` in `x[i]`.
pub(super) fn slope(loss: impl Fn(&[f64]) -> f64, x: &[f64], i: usize) -> f64 {
    let h = 1e-5 * x[i].abs().max(1.0);
    let at = |d: f64| {
        let mut x = x.to_vec();
        x[i] += d;
        loss(&x)
    };
    (at(h) - at(-h)) / (2.0 * h)
}

/// Compares values, parameter gradient and slopes with those of `formula(params, x)`, the output
/// for real inputs in `[0, 1]`, at the corners of the cube.
pub(super) fn agrees_with_formula(
    model: &dyn LutModel,
    fan_in: usize,
    params: &[f32],
    formula: impl Fn(&[f64], &[f64]) -> f64,
) {
    let wide: Vec<f64> = params.iter().map(|&value| f64::from(value)).collect();
    let entries = 1usize << fan_in;
    let values = values(model, fan_in, params);
    for (k, &value) in values.iter().enumerate() {
        let want = formula(&wide, &corner(k, fan_in));
        assert_relative_eq!(f64::from(value), want, max_relative = CLOSE, epsilon = CLOSE);
    }
    let dvalues = normals(entries, 77);
    let loss = |params: &[f64]| -> f64 {
        let outputs = (0..entries).map(|k| formula(params, &corner(k, fan_in)));
        outputs.zip(&dvalues).map(|(value, &dvalue)| value * f64::from(dvalue)).sum()
    };
    let mut dparams = vec![1.0; params.len()]; // backward adds
    model.backward(params, &dvalues, &vec![1; entries], &mut dparams);
    for (j, &dparam) in dparams.iter().enumerate() {
        let want = 1.0 + slope(loss, &wide, j);
        assert_relative_eq!(f64::from(dparam), want, max_relative = CLOSE, epsilon = CLOSE);
    }
    for i in 0..fan_in {
        for (k, &got) in slopes(model, params, i, &values).iter().enumerate() {
            let want = slope(|x| formula(&wide, x), &corner(k, fan_in), i);
            assert_relative_eq!(f64::from(got), want, max_relative = CLOSE, epsilon = CLOSE);
        }
    }
}

/// Compares a model without parameters on zeros and ones as real numbers with its table, and checks
/// that lengths which do not fit are refused.
pub(super) fn agrees_with_table<M: LutModel + RealNode>(model: &M) {
    for fan_in in 1..=8 {
        let frames = 1usize << fan_in;
        let row = |i: usize| (0..frames).map(|k| (k >> i & 1) as f32).collect();
        let rows: Vec<Vec<f32>> = (0..fan_in).map(row).collect();
        let x: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let (mut y, dy) = (vec![0.0; frames], normals(frames, 3));
        RealNode::forward(model, &[], &x, &mut y).unwrap();
        let table = values(model, fan_in, &[]);
        assert_eq!(y, table, "{model:?}");
        let mut dx = vec![0.0; fan_in * frames];
        RealNode::backward(model, &[], &x, &dy, &mut [], &mut dx).unwrap();
        for (i, dx) in dx.chunks(frames).enumerate() {
            let slopes = slopes(model, &[], i, &table);
            let want: Vec<f32> = slopes.iter().zip(&dy).map(|(slope, dy)| slope * dy).collect();
            assert_eq!(dx, want, "{model:?}");
        }
        let refused = |x: &[&[f32]], dx: &mut [f32]| {
            assert!(RealNode::backward(model, &[], x, &dy, &mut [], dx).is_err());
        };
        refused(&x, &mut dx[1..]);
        refused(&[], &mut []);
        assert!(RealNode::forward(model, &[], &x, &mut y[1..]).is_err());
        assert!(RealNode::forward(model, &[], &[&rows[0][..]; 9], &mut y).is_err());
    }
}
