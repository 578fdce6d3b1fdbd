use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_tensor::{DType, FrameBuffer};

use super::*;
use crate::{Signal, StateTensor};

fn build(spec: &Dense, dtype: DType, shape: &[usize]) -> Result<Box<dyn Layer>> {
    spec.build(&Site::alone(Signal { dtype, shape: shape.to_vec() }, "0.dense", 1))
}

/// A layer of these numbers.
fn with(spec: &Dense, input: Signal, weights: &[f32], bias: &[f32]) -> Box<dyn Layer> {
    let mut layer = spec.build(&Site::alone(input, "0.dense", 1)).unwrap();
    let state = [StateTensor::f32("weights", weights), StateTensor::f32("bias", bias)];
    layer.restore(&state).unwrap();
    assert_eq!(layer.state(), state);
    layer
}

/// The answer, the gradient of the input, and those of the weights and the bias.
fn step(layer: &mut dyn Layer, x: &FrameBuffer, dy: &[f32]) -> [Vec<f32>; 4] {
    let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    assert_eq!(layer.evaluate(x, &Cpu::new()).unwrap(), y);
    let shape = layer.output().shape.clone();
    let dy = FrameBuffer::from_frames(&shape, dy).unwrap();
    let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
    let gradients: Vec<_> = layer.parameters().iter().map(|p| p.gradient.clone()).collect();
    let [y, dx] = [y, dx].map(|b| b.to_frames::<f32>().unwrap());
    [y, dx, gradients[0].to_vec(), gradients[1].to_vec()]
}

/// The numbers of `BinaryBrain`'s own tests.
#[test]
fn known_sums() {
    let weights = [1f32, 2.0, 10.0, 20.0, 100.0, 200.0];
    let bias = [1000f32, 2000.0, 3000.0];
    let mut dense = with(&Dense::new(&[3]), Signal::reals(&[2]), &weights, &bias);
    let x = FrameBuffer::from_frames(&[2], &[1f32, 2.0]).unwrap();
    let [y, dx, dw, db] = step(dense.as_mut(), &x, &[998.0, 2042.0, 3491.0]);
    assert_eq!(y, [1005.0, 2050.0, 3500.0]);
    assert_eq!(dx, [370_518.0, 741_036.0]);
    assert_eq!(dw, [998.0, 1996.0, 2042.0, 4084.0, 3491.0, 6982.0]);
    assert_eq!(db, [998.0, 2042.0, 3491.0]);
    assert_eq!(dense.cost().macs, 6);

    let depthwise = Dense::new(&[3, 1]).groups(3);
    let mut depthwise = with(&depthwise, Signal::reals(&[3, 2]), &weights, &bias);
    let x: Vec<f32> = (1u8..=6).map(f32::from).collect();
    let x = FrameBuffer::from_frames(&[3, 2], &x).unwrap();
    let [y, dx, dw, _] = step(depthwise.as_mut(), &x, &[123.0, 456.0, 789.0]);
    assert_eq!(y, [1005.0, 2110.0, 4700.0]);
    assert_eq!(dx, [123.0, 246.0, 4560.0, 9120.0, 78_900.0, 157_800.0]);
    assert_eq!(dw, [123.0, 246.0, 1368.0, 1824.0, 3945.0, 4734.0]);
}

#[test]
fn bits_count_as_asked() {
    let x = FrameBuffer::from_frame_bits(&[3], &[true, false, true]).unwrap();
    let cases = [(BitValues::ZeroOne, 106.0, 1.0), (BitValues::Signs, 103.0, 2.0)];
    for (bits, want, factor) in cases {
        let spec = Dense::new(&[1]).bits_as(bits);
        let mut layer = with(&spec, Signal::bits(&[3]), &[1.0, 3.0, 5.0], &[100.0]);
        let [y, dx, dw, _] = step(layer.as_mut(), &x, &[2.0]);
        assert_eq!(y, [want]);
        // Turning a bit on changes the answer by this much.
        assert_eq!(dx, [2.0, 6.0, 10.0].map(|dx: f32| dx * factor));
        let low = if factor > 1.0 { -2.0 } else { 0.0 };
        assert_eq!(dw, [2.0, low, 2.0]);
    }
}

#[test]
fn rounding_is_of_copies_and_gradients_pass_through() {
    let eighths = Some(Precision { bits: 4, step: Some(0.125) });
    let all = Quantise { weights: eighths, inputs: eighths, outputs: eighths };
    for groups in [1, 2] {
        let spec = Dense::new(&[2]).groups(groups).quantise(all);
        let weights: &[f32] = if groups == 1 { &[0.3, 9.0, -0.3, -9.0] } else { &[0.3, -0.3] };
        let mut layer = with(&spec, Signal::reals(&[2]), weights, &[0.06, -0.06]);
        let x = FrameBuffer::from_frames(&[2], &[0.55f32, 0.1]).unwrap();
        let [y, dx, dw, db] = step(layer.as_mut(), &x, &[4.0, 8.0]);
        assert_eq!(x.to_frames::<f32>().unwrap(), [0.55, 0.1]);
        // 0.25 · 0.5 + 0.875 · 0.125 = 0.234 and −0.25 · 0.5 − 1 · 0.125 = −0.25, in eighths; the
        // bias rounds to 0.
        let want = if groups == 1 { [0.25, -0.25] } else { [0.125, 0.0] };
        assert_eq!(y, want);
        if groups == 1 {
            assert_eq!(dx, [4.0 * 0.25 - 8.0 * 0.25, 4.0 * 0.875 - 8.0]);
            assert_eq!(dw, [2.0, 0.5, 4.0, 1.0]);
        } else {
            assert_eq!(dx, [1.0, -2.0]);
            assert_eq!(dw, [2.0, 1.0]);
        }
        assert_eq!(db, [4.0, 8.0]);
    }
}

#[test]
fn signs_have_a_window() {
    let spec = Dense::new(&[1]).binary_weights(true).binary_inputs(true);
    let weights = [0.5, -0.25, 0.0, -1.0];
    let mut layer = with(&spec, Signal::reals(&[4]), &weights, &[0.5]);
    let x = FrameBuffer::from_frames(&[4], &[2f32, -1.0, -0.0, 0.1]).unwrap();
    let [y, dx, dw, _] = step(layer.as_mut(), &x, &[3.0]);
    // Signs of the weights 1, −1, 1, −1; of the inputs 1, −1, 1, 1.
    assert_eq!(y, [2.5]);
    assert_eq!(dx, [0.0, -3.0, 3.0, -3.0]);
    assert_eq!(dw, [3.0, -3.0, 3.0, 3.0]);
    assert_eq!(layer.parameters()[0].range, Some((-1.0, 1.0)));
    assert_eq!((layer.cost().macs, layer.cost().binary_macs), (0, 4));
}

#[test]
fn frozen_layers_pass_gradients_on_alone() {
    let mut layer = build(&Dense::new(&[2]), DType::F32, &[3]).unwrap();
    layer.base_mut().set_frozen(true);
    let x = FrameBuffer::from_frames(&[3], &[1f32; 6]).unwrap();
    let [_, dx, dw, db] = step(layer.as_mut(), &x, &[1.0; 4]);
    assert!(dx.iter().all(|&dx| dx.abs() > 0.0));
    assert!(dw.iter().chain(&db).all(|&d| d.abs() <= 0.0));
}

#[test]
fn initial_weights_have_their_spread() {
    let cases = [
        (Initialise::Default, 1f32 / 64.0 / 3.0),
        (Initialise::Normal(0.3), 0.09),
        (Initialise::Uniform(0.3), 0.09),
        (Initialise::He, 2.0 / 64.0),
        (Initialise::Xavier, 1.0 / 64.0),
    ];
    for (initialise, want) in cases {
        // Four groups of 64 inputs: the fan-in is that of a group.
        let spec = Dense::new(&[200]).groups(4).initialise(initialise);
        let layer = build(&spec, DType::F32, &[256]).unwrap();
        let weights = &layer.parameters()[0].values;
        let n = weights.len() as f32;
        let mean = weights.iter().sum::<f32>() / n;
        let variance = weights.iter().map(|w| w * w).sum::<f32>() / n;
        assert!(mean.abs() < 0.05 * want.sqrt() && (variance / want - 1.0).abs() < 0.05);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let rounded = |bits, step| {
        let precision = Some(Precision { bits, step });
        Dense::new(&[4]).quantise(Quantise { inputs: precision, ..Quantise::default() })
    };
    let refused = [
        (Dense::new(&[]), DType::F32, "shape"),
        (Dense::new(&[4, 0]), DType::F32, "shape"),
        (Dense::new(&[usize::MAX]), DType::F32, "so small that there are at most"),
        (Dense::new(&[4]).groups(0), DType::F32, "a divisor of 6 inputs and 4 outputs, got 0"),
        (Dense::new(&[4]).groups(3), DType::F32, "a divisor of 6 inputs and 4 outputs, got 3"),
        (Dense::new(&[4]).initialise(Initialise::Normal(-1.0)), DType::F32, "standard deviation"),
        (rounded(0, None), DType::F32, "1 to 24 bits"),
        (rounded(8, Some(0.0)), DType::F32, "1 to 24 bits"),
        (rounded(8, None), DType::Bit, "of one form"),
        (rounded(8, None).binary_inputs(true), DType::F32, "of one form"),
        (Dense::new(&[4]), DType::U8, "expected bits or numbers of f32, got u8 of shape [6]"),
    ];
    for (spec, dtype, message) in refused {
        let error = build(&spec, dtype, &[6]).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
