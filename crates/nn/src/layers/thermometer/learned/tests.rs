use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_tensor::{Dataset, Targets, Values, rng};

use super::*;
use crate::{Layer, LayerSpec as _, Signal, Thermometer};

/// Agreement of gradients with differences, as part of the largest; samples that lie on a threshold
/// have a kink there.
const CLOSE: f64 = 1e-3;

/// Bytes of shape `[2, 3]`, the first of them always zero and so one that has no quantiles.
fn data(samples: usize, dtype: DType) -> Dataset {
    let mut stream = rng::stream(3, &[]);
    let bytes: Vec<u8> = (0..6 * samples)
        .map(|place| if place % 6 == 0 { 0 } else { rng::below(&mut stream, 200) as u8 })
        .collect();
    let numbers = || bytes.iter().map(|&byte| f32::from(byte) / 50.0 - 1.0).collect();
    let values =
        if dtype == DType::U8 { Values::U8(bytes.clone()) } else { Values::F32(numbers()) };
    let targets = Targets::Classes { count: 1, labels: vec![0; samples] };
    Dataset::new("t", &[2, 3], values, targets).unwrap()
}

fn batch(data: &Dataset) -> FrameBuffer {
    match data.values() {
        Values::U8(values) => FrameBuffer::from_frames(&[2, 3], values).unwrap(),
        Values::F32(values) => FrameBuffer::from_frames(&[2, 3], values).unwrap(),
        _ => unreachable!("made above"),
    }
}

/// Encoders of thresholds that all inputs share, those of a channel, and none.
fn encoders(data: &Dataset, levels: usize) -> [Thermometer; 3] {
    [
        Thermometer::uniform(data, levels).unwrap(),
        Thermometer::fit_channels(data, levels).unwrap(),
        Thermometer::fit(data, levels).unwrap(),
    ]
}

fn built(spec: &Thermometer, dtype: DType) -> Box<dyn Layer> {
    let signal = Signal { dtype, shape: vec![2, 3] };
    spec.build(&Site::alone(signal, "0.thermometer", 1)).unwrap()
}

#[test]
fn it_begins_with_the_bits_that_were_fitted() {
    for dtype in [DType::U8, DType::F32] {
        let data = data(200, dtype);
        for levels in [1, 2, 7] {
            for (number, fixed) in encoders(&data, levels).into_iter().enumerate() {
                // Real numbers lie on quantiles, where the last bit of a threshold decides.
                if dtype == DType::F32 && number > 0 {
                    continue;
                }
                let learned = fixed.clone().learn_over(&data).unwrap();
                let bits = |spec| built(spec, dtype).evaluate(&batch(&data), &Cpu::new()).unwrap();
                assert_eq!(bits(&fixed), bits(&learned), "{levels} levels, encoder {number}");
                let groups = [1, 2, 6][number];
                let layer = built(&learned, dtype);
                let sizes: Vec<usize> = layer.parameters().iter().map(|p| p.values.len()).collect();
                let want = [groups, groups * (levels - 1)];
                assert_eq!(sizes, want[..if levels > 1 { 2 } else { 1 }]);
            }
        }
    }
}

/// `Σ dy · h((x − t) / w)` with the smooth step that the gradient is of.
fn smooth(layer: &dyn Layer, x: &FrameBuffer, dy: &FrameBuffer, width: f64) -> f64 {
    let step = |z: f64| {
        let half = (1.0 - z.abs()).max(0.0).powi(2) / 2.0;
        if z < 0.0 { half } else { 1.0 - half }
    };
    let (parameters, levels) = (layer.parameters(), dy.nodes() / x.nodes());
    let first = &parameters[0].values;
    let mut sum = 0.0;
    for node in 0..x.nodes() {
        let group = node * first.len() / x.nodes();
        let mut threshold = width * f64::from(first[group]);
        for level in 0..levels {
            if level > 0 {
                let gap = parameters[1].values[group * (levels - 1) + level - 1];
                threshold += width * f64::from(gap).exp().ln_1p();
            }
            let row = dy.row::<f32>((node / 3 * levels + level) * 3 + node % 3).unwrap();
            for (frame, &dy) in row.iter().enumerate() {
                let x = match x.dtype() {
                    DType::U8 => f64::from(x.row::<u8>(node).unwrap()[frame]),
                    _ => f64::from(x.row::<f32>(node).unwrap()[frame]),
                };
                sum += f64::from(dy) * step((x - threshold) / width);
            }
        }
    }
    sum
}

#[test]
fn the_gradient_is_that_of_the_smooth_step() {
    let mut stream = rng::stream(7, &[]);
    for (frames, dtype) in [(1, DType::U8), (63, DType::F32), (64, DType::U8), (65, DType::F32)] {
        let data = data(frames, dtype);
        let x = batch(&data);
        for spec in encoders(&data, 3) {
            let width = if dtype == DType::U8 { 50.0f32 } else { 0.75 };
            let mut layer = built(&spec.learn(width), dtype);
            let dy: Vec<f32> = (0..18 * frames).map(|_| rng::normal(&mut stream)).collect();
            let dy = FrameBuffer::from_frames(&[6, 3], &dy).unwrap();
            let (_, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
            assert!(layer.backward(saved, &dy, false, &Cpu::new()).unwrap().is_none());
            for number in 0..2 {
                let count = layer.parameters()[number].values.len();
                let largest =
                    layer.parameters()[number].gradient.iter().fold(1f32, |m, g| m.max(g.abs()));
                for place in 0..count {
                    let now = layer.parameters()[number].values[place];
                    let step = 1e-4f32.max(now.abs() * 1e-4);
                    let mut at = |value: f32| {
                        layer.parameters_mut()[number].values[place] = value;
                        (smooth(layer.as_ref(), &x, &dy, f64::from(width)), f64::from(value))
                    };
                    let ((high, to), (low, from)) = (at(now + step), at(now - step));
                    at(now);
                    let want = (high - low) / (to - from);
                    let got = f64::from(layer.parameters()[number].gradient[place]);
                    let error = (got - want).abs();
                    assert!(error < CLOSE * f64::from(largest), "{got} for {want}");
                }
            }
        }
    }
}

#[test]
fn thresholds_keep_their_order_whatever_the_steps() {
    let data = data(100, DType::U8);
    let mut stream = rng::stream(9, &[]);
    for spec in encoders(&data, 5) {
        let mut layer = built(&spec.learn_over(&data).unwrap(), DType::U8);
        let x = batch(&data);
        for step in [1.0, 1e2, 1e4, 1e30] {
            for parameter in layer.parameters_mut() {
                for value in &mut parameter.values {
                    *value += step * rng::normal(&mut stream);
                }
                parameter.project();
            }
            // In rising order a bit is only there with all those below it.
            let y = layer.evaluate(&x, &Cpu::new()).unwrap();
            for node in 0..6 {
                for level in 1..5 {
                    let row = |level: usize| (node / 3 * 5 + level) * 3 + node % 3;
                    for frame in 0..100 {
                        let (low, high) = (
                            y.bit(row(level - 1), frame).unwrap(),
                            y.bit(row(level), frame).unwrap(),
                        );
                        assert!(low || !high, "node {node}, level {level}, frame {frame}");
                    }
                }
            }
        }
        for parameter in layer.parameters_mut() {
            parameter.values.fill(f32::NAN);
        }
        let error = layer.evaluate(&x, &Cpu::new()).unwrap_err().to_string();
        assert!(error.contains("learned thresholds"), "{error}");
    }
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let data = data(50, DType::U8);
    let site = || Site::alone(Signal { dtype: DType::U8, shape: vec![2, 3] }, "t", 1);
    for width in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-6, 1e35] {
        let spec = Thermometer::uniform(&data, 2).unwrap().learn(width);
        let error = spec.build(&site()).unwrap_err().to_string();
        assert!(error.starts_with("t: expected learn to be"), "{error}");
    }
    let falling = serde_json::json!({
        "levels": 2, "width": 8, "thresholds": {"shared": [9.0, 3.0]}, "learn": 1.0
    });
    let spec = crate::registry::spec("thermometer", &falling).unwrap();
    assert!(spec.build(&site()).unwrap_err().to_string().contains("rising"));
    // State of another kind of encoder, either way.
    let fixed = Thermometer::uniform(&data, 2).unwrap();
    let (mut fixed, mut learned) =
        (built(&fixed, DType::U8), built(&fixed.clone().learn(9.0), DType::U8));
    assert!(fixed.restore(&learned.state()).is_err() && learned.restore(&[]).is_err());
    assert!(fixed.restore(&[]).is_ok());
}
