//! Layers of real numbers: gradients against central differences, and what each layer promises.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_nn::{
    BatchNormalization, Binarize, BitValues, Dense, Dropout, DropoutScale, HardTanh, Initialise,
    Layer, LayerSpec, Precision, Quantise, Relu, Sequential, Sigmoid, Signal, Site, Softmax,
    StochasticBatchNormalization, registry,
};
use lutweave_tensor::{DType, FrameBuffer, rng};

/// Step of the differences.
const STEP: f32 = 1e-2;
/// Relative tolerance of f32 differences.
const ROUGH: f64 = 2e-2;
const CLOSE: f32 = 1e-5;

fn build(spec: &dyn LayerSpec, shape: &[usize]) -> Box<dyn Layer> {
    spec.build(&Site::alone(Signal::reals(shape), "0.layer", 3)).unwrap()
}

fn draw(shape: &[usize], frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[]);
    let count = frames * shape.iter().product::<usize>();
    // Away from the kinks at −1, 0 and 1.
    let values: Vec<f32> = (0..count)
        .map(|_| {
            loop {
                let value = rng::normal(&mut stream);
                if [-1.0, 0.0, 1.0].iter().all(|kink| (value - kink).abs() > 2.0 * STEP) {
                    break value;
                }
            }
        })
        .collect();
    FrameBuffer::from_frames(shape, &values).unwrap()
}

fn numbers(x: &FrameBuffer) -> Vec<f32> {
    x.to_frames().unwrap()
}

fn close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= CLOSE * want.abs().max(1.0), "{what}: {got} {want}");
    }
}

/// `Σ y · dy` of a new layer with these parameters.
fn loss(
    spec: &dyn LayerSpec,
    shape: &[usize],
    parameters: &[Vec<f32>],
    x: &[f32],
    dy: &FrameBuffer,
) -> f64 {
    let mut layer = build(spec, shape);
    for (parameter, values) in layer.parameters_mut().into_iter().zip(parameters) {
        parameter.values = values.clone().into();
    }
    let x = FrameBuffer::from_frames(shape, x).unwrap();
    let (y, _) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
    numbers(&y).iter().zip(numbers(dy)).map(|(&y, dy)| f64::from(y) * f64::from(dy)).sum()
}

fn compare_slopes(what: &str, got: &[f32], at: &[f32], loss: impl Fn(&[f32]) -> f64) {
    let size = got.iter().fold(0.1f64, |size, &d| size.max(f64::from(d).abs()));
    for (i, &got) in got.iter().enumerate() {
        let moved = |by: f32| {
            let mut values = at.to_vec();
            values[i] += by;
            loss(&values)
        };
        let want = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
        assert!((f64::from(got) - want).abs() < ROUGH * size, "{what} at {i}: {got} {want}");
    }
}

#[test]
fn gradients_are_central_differences() {
    let image = [4, 2, 3];
    let specs: [(&dyn LayerSpec, &[usize]); 13] = [
        (&Dense::new(&[3]), &[5]),
        (&Dense::new(&[3, 2]).groups(2).bias(false), &image),
        (&BatchNormalization::new().gamma(0.7).beta(0.2), &[5]),
        (&BatchNormalization::new().per_channel(true), &image),
        (&BatchNormalization::new().bypass(true), &[5]),
        (&StochasticBatchNormalization::new(), &[5]),
        (&Sigmoid::new(), &image),
        (&Relu::new(), &image),
        (&HardTanh::new(), &image),
        (&Softmax::new(), &[5]),
        (&Softmax::new(), &image),
        (&Dropout::new(0.4), &image),
        (&Dropout::new(0.4).per_node(true).scale(DropoutScale::Inference), &image),
    ];
    for (spec, shape) in specs {
        let what = format!("{spec:?}");
        let mut layer = build(spec, shape);
        let x = draw(shape, 7, 1);
        let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        let dy = draw(y.shape(), 7, 2);
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        let parameters: Vec<Vec<f32>> =
            layer.parameters().iter().map(|p| p.values.to_vec()).collect();
        compare_slopes(&what, &numbers(&dx), &numbers(&x), |x| {
            loss(spec, shape, &parameters, x, &dy)
        });
        for (number, parameter) in layer.parameters().iter().enumerate() {
            let what = format!("{what}, {}", parameter.name);
            compare_slopes(&what, &parameter.gradient, &parameters[number], |values| {
                let mut all = parameters.clone();
                all[number] = values.to_vec();
                loss(spec, shape, &all, &numbers(&x), &dy)
            });
        }
        // Without a wish for dx the parameters learn the same.
        let (_, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
        let before: Vec<f32> =
            layer.parameters().iter().flat_map(|p| p.gradient.to_vec()).collect();
        assert!(layer.backward(saved, &dy, false, &Cpu::new()).unwrap().is_none(), "{what}");
        let after: Vec<f32> = layer.parameters().iter().flat_map(|p| p.gradient.to_vec()).collect();
        close(&what, &after, &before.iter().map(|d| 2.0 * d).collect::<Vec<_>>());
    }
}

/// The running mean and variance.
fn statistics(layer: &dyn Layer) -> [Vec<f32>; 2] {
    ["running_mean", "running_variance"].map(|name| {
        let state = layer.state();
        match &state.iter().find(|tensor| tensor.name == name).unwrap().data {
            lutweave_nn::StateData::F32(values) => values.clone(),
            lutweave_nn::StateData::U32(_) => Vec::new(),
        }
    })
}

#[test]
fn one_frame_is_normalised_to_beta() {
    let mut layer = build(&BatchNormalization::new().momentum(0.5).beta(0.25), &[2]);
    let x = FrameBuffer::from_frames(&[2], &[4f32, -6.0]).unwrap();
    let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    assert_eq!(numbers(&y), [0.25, 0.25]);
    let dx = layer.backward(saved, &x, true, &Cpu::new()).unwrap().unwrap();
    assert_eq!(numbers(&dx), [0.0, 0.0]);
    assert_eq!(statistics(layer.as_ref()), [vec![2.0, -3.0], vec![1.0, 1.0]]);
    // The pixels of a channel are several values of one frame.
    let mut layer = build(&BatchNormalization::new().momentum(0.5).per_channel(true), &[1, 2]);
    let x = x.reshape(&[1, 2]).unwrap();
    let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
    close("channel", &numbers(&y), &[1.0, -1.0]);
    layer.backward(saved, &y, true, &Cpu::new()).unwrap();
    assert_eq!(statistics(layer.as_ref()), [vec![-0.5], vec![25.5]]);
}

#[test]
fn batch_norm_used_twice_has_the_statistics_of_each_use() {
    let (a, b) = (draw(&[3], 9, 4), draw(&[3], 5, 5));
    let mut far = b.clone();
    (0..3).for_each(|n| far.row_mut(n).unwrap().iter_mut().for_each(|x: &mut f32| *x += 100.0));
    let specs: [&dyn LayerSpec; 2] =
        [&BatchNormalization::new(), &StochasticBatchNormalization::new()];
    for spec in specs {
        let mut once = build(spec, &[3]);
        let (y, saved) = once.forward(Arc::new(a.clone()), &Cpu::new()).unwrap();
        let want = once.backward(saved, &a, true, &Cpu::new()).unwrap().unwrap();
        let mut twice = build(spec, &[3]);
        let (y_a, saved_a) = twice.forward(Arc::new(a.clone()), &Cpu::new()).unwrap();
        let (_, saved_b) = twice.forward(Arc::new(far.clone()), &Cpu::new()).unwrap();
        twice.backward(saved_b, &b, true, &Cpu::new()).unwrap();
        let got = twice.backward(saved_a, &a, true, &Cpu::new()).unwrap().unwrap();
        assert!(y == y_a && got == want);
    }
}

#[test]
fn frozen_batch_norm_is_inference_both_ways() {
    let spec = BatchNormalization::new().momentum(0.0).gamma(3.0).beta(1.0);
    let mut layer = build(&spec, &[2]);
    let x = FrameBuffer::from_frames(&[2], &[0f32, 10.0, 2.0, 20.0]).unwrap();
    let (_, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    layer.backward(saved, &x, false, &Cpu::new()).unwrap();
    assert_eq!(statistics(layer.as_ref()), [vec![1.0, 15.0], vec![2.0, 50.0]]);
    layer.parameters_mut().into_iter().for_each(|p| p.gradient.fill(0.0));
    layer.base_mut().set_frozen(true);
    let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    assert_eq!(y, layer.evaluate(&x, &Cpu::new()).unwrap());
    let dy = FrameBuffer::from_frames(&[2], &[1f32, 1.0, -1.0, 2.0]).unwrap();
    let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
    let slopes = [3.0 / 2f32.sqrt(), 3.0 / 50f32.sqrt()];
    close("dx", &numbers(&dx), &[slopes[0], slopes[1], -slopes[0], 2.0 * slopes[1]]);
    assert!(layer.parameters().iter().all(|p| p.gradient == [0.0, 0.0]));
    assert_eq!(statistics(layer.as_ref()), [vec![1.0, 15.0], vec![2.0, 50.0]]);
}

#[test]
fn fixed_parameters_are_not_given_out_and_state_comes_back() {
    let spec = BatchNormalization::new().fixed(true, false);
    let mut layer = build(&spec, &[2]);
    let names = |layer: &dyn Layer| layer.parameters().iter().map(|p| p.name).collect::<Vec<_>>();
    assert_eq!(names(layer.as_ref()), ["beta"]);
    let x = draw(&[2], 6, 8);
    let (_, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
    layer.backward(saved, &x, false, &Cpu::new()).unwrap();
    let mut again = build(&spec, &[2]);
    again.restore(&layer.state()).unwrap();
    assert_eq!(again.evaluate(&x, &Cpu::new()).unwrap(), layer.evaluate(&x, &Cpu::new()).unwrap());
    assert!(again.restore(&layer.state()[..2]).is_err());
    assert!(build(&StochasticBatchNormalization::new(), &[2]).parameters().is_empty());
}

#[test]
fn thresholds_have_the_gradient_of_a_line() {
    let x = FrameBuffer::from_frames(&[1], &[-1.01f32, -0.9, -0.5, -0.1, 0.9, 1.01]).unwrap();
    let dy = FrameBuffer::from_frames(&[1], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let run = |spec: &dyn LayerSpec| {
        let mut layer = build(spec, &[1]);
        let (y, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        (y.convert(DType::F32).unwrap().row(0).unwrap().to_vec(), numbers(&dx))
    };
    let signs = vec![-1f32, -1.0, -1.0, -1.0, 1.0, 1.0];
    let bits = vec![0f32, 0.0, 0.0, 0.0, 1.0, 1.0];
    let (whole, half) = (vec![0f32, 2.0, 3.0, 4.0, 5.0, 0.0], vec![0f32, 1.0, 1.5, 2.0, 2.5, 0.0]);
    assert_eq!(run(&Binarize::new().levels(-1.0, 1.0)), (signs.clone(), whole.clone()));
    assert_eq!(run(&Binarize::new()), (bits.clone(), half.clone()));
    assert_eq!(run(&Binarize::new().slope(1.0)), (bits.clone(), whole.clone()));
    assert_eq!(run(&HardTanh::new().binary(true)), (signs, whole));
    for spec in [&HardTanh::new().bits(true) as &dyn LayerSpec, &Relu::new().binary(true)] {
        assert_eq!(run(spec), (bits.clone(), half.clone()));
    }
    assert_eq!(run(&Sigmoid::new().bits(true)), (bits, half));
    let high = run(&HardTanh::new().range(-0.95, -0.2).binary(true));
    assert_eq!(high.0, [-0.95, -0.95, -0.2, -0.2, -0.2, -0.2]);
    assert_eq!(high.1, [0.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
}

#[test]
fn binary_modes_are_switched_and_stored() {
    let specs: [&dyn LayerSpec; 3] = [&Sigmoid::new(), &Relu::new(), &HardTanh::new()];
    let x = draw(&[4], 5, 6);
    for spec in specs {
        let mut layer = build(spec, &[4]);
        let real = layer.evaluate(&x, &Cpu::new()).unwrap();
        let start = layer.state();
        assert!(layer.set_binary(true) && layer.mode() == "binary");
        let binary = layer.evaluate(&x, &Cpu::new()).unwrap();
        assert_ne!(real, binary);
        let mut again = build(spec, &[4]);
        again.restore(&layer.state()).unwrap();
        assert_eq!(again.evaluate(&x, &Cpu::new()).unwrap(), binary);
        // What a forward saved is of its own mode.
        let (_, saved) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        layer.restore(&start).unwrap();
        assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), real);
        let dx = layer.backward(saved, &x, true, &Cpu::new()).unwrap().unwrap();
        let (_, saved) = again.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        assert_eq!(dx, again.backward(saved, &x, true, &Cpu::new()).unwrap().unwrap());
    }
    assert!(!build(&Sigmoid::new().bits(true), &[4]).set_binary(true));
    assert!(!build(&Binarize::new(), &[4]).set_binary(true));
}

#[test]
fn dropout_keeps_sums_on_average() {
    let x = FrameBuffer::from_frames(&[50], &vec![1f32; 50 * 400]).unwrap();
    for spec in [Dropout::new(0.25), Dropout::new(0.25).per_node(true)] {
        for scale in [DropoutScale::Inverted, DropoutScale::Inference] {
            let layer = build(&spec.clone().scale(scale), &[50]);
            let sum = |y: &FrameBuffer| numbers(y).iter().sum::<f32>() / 20_000.0;
            let mut trained = 0.0;
            let mut first = Vec::new();
            for step in 0..40 {
                let (y, _) = layer.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
                trained += sum(&y) / 40.0;
                assert!(step == 0 || numbers(&y) != first, "a mask of its own in every step");
                first = numbers(&y);
            }
            let evaluated = sum(&layer.evaluate(&x, &Cpu::new()).unwrap());
            assert!((trained - evaluated).abs() < 0.05, "{scale:?}: {trained} {evaluated}");
        }
    }
}

#[test]
fn only_reals_are_read() {
    let specs: [&dyn LayerSpec; 8] = [
        &BatchNormalization::new(),
        &StochasticBatchNormalization::new(),
        &Binarize::new(),
        &Sigmoid::new(),
        &Relu::new(),
        &HardTanh::new(),
        &Softmax::new(),
        &Dropout::new(0.5),
    ];
    for spec in specs {
        for dtype in [DType::Bit, DType::U8, DType::F64] {
            let input = Signal { dtype, shape: vec![4] };
            let error = spec.build(&Site::alone(input, "0.layer", 1)).unwrap_err().to_string();
            assert!(error.contains("numbers of f32"), "{error}");
        }
    }
    let reals = |spec: &dyn LayerSpec| spec.build(&Site::alone(Signal::reals(&[4]), "0", 1));
    assert!(reals(&Dropout::new(1.0)).is_err() && reals(&Dropout::new(f64::NAN)).is_err());
    assert!(reals(&HardTanh::new().range(1.0, 1.0)).is_err());
    assert!(reals(&Binarize::new().window(0.0, f32::INFINITY)).is_err());
    assert!(reals(&Binarize::new().threshold(f32::NAN)).is_err());
    assert!(reals(&BatchNormalization::new().momentum(1.0)).is_err());
}

#[test]
fn settings_come_back() {
    let precision = Some(Precision { bits: 8, step: Some(0.5) });
    let quantise = Quantise { weights: precision, inputs: None, outputs: precision };
    let specs: [&dyn LayerSpec; 10] = [
        &Dense::new(&[2, 3]).groups(2).initialise(Initialise::Normal(0.1)).quantise(quantise),
        &Dense::new(&[3]).bits_as(BitValues::Signs).binary_weights(true).bias(false),
        &BatchNormalization::new().momentum(0.5).fixed(true, false).per_channel(true),
        &StochasticBatchNormalization::new().range(0.5, 0.25),
        &Binarize::new().levels(-1.0, 2.0).window(-0.5, 3.0).slope(1.0),
        &Sigmoid::new().binary(true),
        &Relu::new().bits(true),
        &HardTanh::new().range(-2.0, 0.5),
        &Softmax::new(),
        &Dropout::new(0.25).per_node(true).scale(DropoutScale::Inference),
    ];
    for spec in specs {
        let again = registry::spec(spec.kind(), &spec.config()).unwrap();
        assert_eq!((again.kind(), again.config()), (spec.kind(), spec.config()));
        assert_eq!(format!("{again:?}"), format!("{spec:?}"));
    }
}

/// Dense, batch norm and sign in a chain learn a rule of signs.
#[test]
fn a_binary_dense_network_learns() {
    let net = Sequential::new(&[4]).reading(DType::F32);
    let net = net.then(Dense::new(&[32]).bias(false)).then(BatchNormalization::new());
    let net = net.then(Binarize::new());
    let net = net.then(Dense::new(&[1]).bits_as(BitValues::Signs));
    let mut net = net.build(7).unwrap();
    let x = draw(&[4], 256, 9);
    let rows: Vec<Vec<f32>> = (0..2).map(|n| x.row(n).unwrap().to_vec()).collect();
    let want: Vec<f32> =
        rows[0].iter().zip(&rows[1]).map(|(a, b)| if a + b > 0.0 { 1.0 } else { -1.0 }).collect();
    for _ in 0..150 {
        let (y, saved) = net.forward(Arc::new(x.clone()), &Cpu::new()).unwrap();
        let dy: Vec<f32> = numbers(&y).iter().zip(&want).map(|(y, t)| (y - t) / 256.0).collect();
        let dy = FrameBuffer::from_frames(&[1], &dy).unwrap();
        net.backward(saved, &dy, &Cpu::new()).unwrap();
        for parameter in net.parameters_mut() {
            let gradient = std::mem::take(&mut parameter.gradient);
            parameter.gradient.reset(gradient.len()).unwrap();
            for (value, slope) in parameter.values.iter_mut().zip(&gradient) {
                *value -= 0.1 * slope;
            }
        }
    }
    let y = numbers(&net.evaluate(&x, &Cpu::new()).unwrap());
    let right = y.iter().zip(&want).filter(|(y, t)| **y * **t > 0.0).count();
    assert!(right > 235, "{right} of 256");
}
