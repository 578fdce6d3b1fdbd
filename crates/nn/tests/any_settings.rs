//! Whatever settings and shapes a layer is given, it is built or refused; it never panics, and takes
//! neither gigabytes nor minutes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_lut::{Border, Padding};
use lutweave_nn::models::{Average, GateMixture, HardTable, Light, Max, MicroMlp, Walsh};
use lutweave_nn::{
    Add, AveragePool, BatchNormalization, Binarize, BinaryToReal, BitEncode, Concatenate,
    Convolution, Dense, Differences, Dropout, Graph, GroupSum, HardTanh, Initialise,
    InsertBitError, IntegerFilter, LayerSpec, LutLayer, LutTree, MaxPool, Network, Pad, Precision,
    Quantise, RealToBinary, Recurrent, Reduce, Relu, Reshape, Result, Sequential, Shuffle, Sigmoid,
    Signal, Slice, Softmax, Spread, StochasticBatchNormalization, StochasticMaxPool, Switcher,
    Thermometer, Tie, TopBits, UpSample, WiringRule, registry,
};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Targets, Values};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A good specification, and what it may read.
struct Good {
    spec: Box<dyn LayerSpec>,
    inputs: Vec<Signal>,
}

fn on(input: Signal, spec: impl LayerSpec + 'static) -> Good {
    Good { spec: Box::new(spec), inputs: vec![input] }
}

fn bits(shape: &[usize], spec: impl LayerSpec + 'static) -> Good {
    on(Signal::bits(shape), spec)
}

fn reals(shape: &[usize], spec: impl LayerSpec + 'static) -> Good {
    on(Signal::reals(shape), spec)
}

/// One good specification of every kind of layer, and every model.
fn good() -> Vec<Good> {
    let labels = Targets::Classes { count: 1, labels: vec![0; 4] };
    let data = Dataset::new("t", &[2, 3], Values::U8((0..24).collect()), labels).unwrap();
    let bytes = || Signal { dtype: DType::U8, shape: vec![2, 3] };
    let picture = || Signal { dtype: DType::U8, shape: vec![2, 4, 3] };
    let lut = || LutLayer::new(12).fan_in(2).batch_norm(None);
    let tree = || LutTree::new(2).layer(LutLayer::new(1).fan_in(2));
    let image = [2, 4, 3];
    let graph = Graph::new()
        .any_input("x")
        .node("a", lut(), &["x"])
        .again("b", "a", &["a"])
        .node("head", GroupSum::new(3), &["b"])
        .output("head")
        .output("a");
    let switcher =
        Switcher::new().choice("hard", lut().model(HardTable::default())).choice("soft", lut());
    let two = || vec![Signal::reals(&[2, 3]); 2];
    vec![
        on(bytes(), Thermometer::fit(&data, 2).unwrap()),
        on(bytes(), Thermometer::fit_channels(&data, 2).unwrap()),
        on(bytes(), Thermometer::fit(&data, 3).unwrap().learn(5.0)),
        on(picture(), TopBits::new(5)),
        on(picture(), Differences::new().of_channels([1, 0]).distances([1, 2])),
        on(picture(), IntegerFilter::new([vec![[0, 1, -1, 2], [1, 0, 1, -3]], vec![[1, 0, 0, 1]]])),
        on(bytes(), Thermometer::uniform(&data, 3).unwrap()),
        bits(&[9], LutLayer::new(12).fan_in(4)),
        bits(&image, lut().wiring(WiringRule::Windows { height: 2, width: 2 })),
        bits(&[9], lut().wiring(WiringRule::Learned { candidates: Some(3) })),
        bits(&[9], lut().model(HardTable::default())),
        bits(&[9], lut().model(Walsh::default())),
        bits(&[9], lut().model(Light::default())),
        bits(&[9], lut().model(GateMixture::default())),
        reals(&[9], lut().model(MicroMlp::default()).real_inputs(true)),
        reals(&[9], lut().model(Average).real_inputs(true)),
        bits(&[9], lut().model(Max).real_output(true)),
        bits(&[9], GroupSum::new(3)),
        reals(&[6], RealToBinary::new().frames(3).depth(2)),
        bits(&[6], BinaryToReal::new().depth(2)),
        reals(&[6], BitEncode::new(4)),
        reals(&[6], Reduce::by(2)),
        bits(&[6], InsertBitError::new(0.1)),
        bits(&[9], Sequential::new(&[1]).then(lut()).then(GroupSum::new(3))),
        bits(&[12], graph),
        bits(&[9], switcher),
        bits(&[4, 2], Recurrent::new(12, lut())),
        reals(&[4, 2], Recurrent::new(3, Dense::new(&[3])).every_step(true)),
        bits(&image, Convolution::new([2, 2], lut()).padding(Padding::Same)),
        reals(&image, Convolution::new([2, 1], Dense::new(&[3])).stride([1, 2])),
        bits(&image, Convolution::new([3, 3], tree())),
        bits(&image, tree().leaf_channels(1)),
        reals(&[8, 2, 3], Spread::new([2, 2], [1, 2])),
        reals(
            &[2, 3],
            Dense::new(&[2, 3]).groups(2).quantise(Quantise {
                outputs: Some(Precision { bits: 8, step: Some(0.5) }),
                ..Quantise::default()
            }),
        ),
        reals(&[5], Dense::new(&[4]).binary_weights(true).initialise(Initialise::Uniform(0.5))),
        reals(&image, BatchNormalization::new().per_channel(true)),
        reals(&[6], StochasticBatchNormalization::new()),
        reals(&[6], Binarize::new().levels(-1.0, 1.0)),
        reals(&[6], Sigmoid::new()),
        reals(&[6], Relu::new().binary(true)),
        reals(&[6], HardTanh::new()),
        reals(&[6], Softmax::new()),
        reals(&[6], Dropout::new(0.5)),
        bits(&image, MaxPool::new([2, 2])),
        reals(&image, AveragePool::new([2, 1]).padding(Padding::Same)),
        reals(&image, StochasticMaxPool::new([1, 3]).stride([2, 1])),
        reals(&image, UpSample::new([2, 3]).sparse()),
        reals(&[4, 2], Shuffle::new(2)),
        bits(&[6], Tie::new()),
        bits(&[9], Tie::of(lut())),
        reals(&image, Slice::channels(0..1).axis(2, 1..2)),
        reals(&image, Pad::new([1, 0, 2, 1]).border(Border::Wrap)),
        bits(&[12], Reshape::to(&[2, 6])),
        Good { spec: Box::new(Concatenate::new()), inputs: two() },
        Good { spec: Box::new(Add::new()), inputs: two() },
    ]
}

/// Builds a layer and does with it all that networks do.
fn use_it(spec: &dyn LayerSpec, inputs: &[Signal], frames: usize) -> Result<()> {
    let mut net = Network::with_inputs(spec, inputs.to_vec(), 1)?;
    let zeros = |signal: &Signal| FrameBuffer::zeros(signal.dtype, &signal.shape, frames);
    let x = inputs.iter().map(|input| Ok(Arc::new(zeros(input)?))).collect::<Result<Vec<_>>>()?;
    let _ = net.to_netlist("any");
    let _ = net.to_stages("any");
    let cpu = Cpu::new();
    net.evaluate_all(&x, &cpu)?;
    for frozen in [false, true] {
        net.freeze(|_| frozen);
        let (y, saved) = net.forward_all(&x, &cpu)?;
        let gradient = |y: &Arc<FrameBuffer>| FrameBuffer::zeros(DType::F32, y.shape(), y.frames());
        let dy = y.iter().map(|y| Ok(Some(gradient(y)?))).collect::<Result<Vec<_>>>()?;
        net.backward_all(saved, &dy, true, &cpu)?;
    }
    let state = net.state();
    net.restore(&state)
}

#[test]
fn every_kind_is_here_and_good() {
    let good = good();
    let here: BTreeSet<&str> = good.iter().map(|good| good.spec.kind()).collect();
    assert_eq!(here, registry::kinds().collect());
    for Good { spec, inputs } in good {
        let again = registry::spec(spec.kind(), &spec.config()).unwrap();
        assert_eq!(again.config(), spec.config());
        if let Err(error) = use_it(again.as_ref(), &inputs, 65) {
            panic!("{} {}: {error}", spec.kind(), spec.config());
        }
    }
}

/// Values at the edges of what a setting may be, and past them.
fn edges() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(8),
        json!(9),
        json!(63),
        json!(-1),
        json!(65_537),
        json!(u32::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(-0.0),
        json!(f32::MAX),
        json!(1e308),
        json!(1e-300),
        json!(""),
        json!("x"),
        json!("serial"),
        json!([]),
        json!([0, 1, 2]),
        json!([u32::MAX]),
        json!({}),
    ]
}

/// The paths of the leaves of a value.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{number}"), found);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                leaves(field, &format!("{path}/{name}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_settings_panic(
        kind: prop::sample::Index,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
        fits: bool,
        shape in proptest::collection::vec(prop::sample::select(vec![1usize, 2, 3, 4, 6, 7]), 0..4),
        dtype in prop::sample::select(vec![DType::Bit, DType::U8, DType::F32, DType::I64]),
        frames in prop::sample::select(vec![1usize, 2, 64, 65]),
    ) {
        let mut good = good();
        let Good { spec, mut inputs } = good.swap_remove(kind.index(good.len()));
        let mut config = spec.config();
        for (place, edge) in changes {
            let mut found = Vec::new();
            leaves(&config, "", &mut found);
            if let Some(leaf) = config.pointer_mut(&found[place.index(found.len())]) {
                *leaf = edge.get(&edges()).clone();
            }
        }
        if !fits {
            inputs.fill(Signal { dtype, shape });
        }
        // What can be read from a file is used, or refused with a reason.
        if let Ok(spec) = registry::spec(spec.kind(), &config) {
            let _ = use_it(spec.as_ref(), &inputs, frames);
        }
    }
}
