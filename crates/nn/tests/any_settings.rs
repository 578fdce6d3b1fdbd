//! Whatever settings and shapes a layer is given, it is built or refused; it never panics.
#![allow(clippy::unwrap_used)]

use lutweave_lut::{Border, Padding};
use lutweave_nn::models::{GateMixture, HardTable, Light, Max, MicroMlp, Walsh};
use lutweave_nn::{
    Add, AveragePool, BatchNormalization, Binarize, BinaryToReal, BitEncode, Concatenate, Dense,
    Dropout, GroupSum, HardTanh, Initialise, InsertBitError, LayerSpec, LutLayer, MaxPool, Network,
    Pad, Precision, Quantise, RealToBinary, Reduce, Relu, Reshape, Sequential, Shuffle, Sigmoid,
    Signal, Slice, Softmax, StochasticBatchNormalization, StochasticMaxPool, Thermometer, UpSample,
    WiringRule, registry,
};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Targets, Values};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One good specification of every kind of layer, and every model.
fn specs() -> Vec<Box<dyn LayerSpec>> {
    let labels = Targets::Classes { count: 1, labels: vec![0; 4] };
    let data = Dataset::new("t", &[2, 3], Values::U8((0..24).collect()), labels).unwrap();
    let lut = || LutLayer::new(12).fan_in(2).batch_norm(None);
    vec![
        Box::new(Thermometer::fit(&data, 2).unwrap()),
        Box::new(Thermometer::uniform(&data, 3).unwrap()),
        Box::new(LutLayer::new(12).fan_in(4)),
        Box::new(lut().wiring(WiringRule::Windows { height: 2, width: 2 })),
        Box::new(lut().wiring(WiringRule::Learned { candidates: Some(3) })),
        Box::new(lut().model(HardTable::default())),
        Box::new(lut().model(Walsh::default())),
        Box::new(lut().model(Light::default())),
        Box::new(lut().model(GateMixture::default())),
        Box::new(lut().model(MicroMlp::default()).real_inputs(true)),
        Box::new(lut().model(Max).real_output(true)),
        Box::new(GroupSum::new(3)),
        Box::new(RealToBinary::new().frames(3).depth(2)),
        Box::new(BinaryToReal::new().depth(2)),
        Box::new(BitEncode::new(4)),
        Box::new(Reduce::by(2)),
        Box::new(InsertBitError::new(0.1)),
        Box::new(Sequential::new(&[1]).then(lut()).then(GroupSum::new(3))),
        Box::new(Dense::new(&[2, 3]).groups(2).quantise(Quantise {
            outputs: Some(Precision { bits: 8, step: Some(0.5) }),
            ..Quantise::default()
        })),
        Box::new(Dense::new(&[4]).binary_weights(true).initialise(Initialise::Uniform(0.5))),
        Box::new(BatchNormalization::new().per_channel(true)),
        Box::new(StochasticBatchNormalization::new()),
        Box::new(Binarize::new().levels(-1.0, 1.0)),
        Box::new(Sigmoid::new()),
        Box::new(Relu::new().binary(true)),
        Box::new(HardTanh::new()),
        Box::new(Softmax::new()),
        Box::new(Dropout::new(0.5)),
        Box::new(MaxPool::new([2, 2])),
        Box::new(AveragePool::new([2, 1]).padding(Padding::Same)),
        Box::new(StochasticMaxPool::new([1, 3]).stride([2, 1])),
        Box::new(UpSample::new([2, 3]).sparse()),
        Box::new(Shuffle::new(2)),
        Box::new(Slice::channels(0..1).axis(2, 1..2)),
        Box::new(Pad::new([1, 0, 2, 1]).border(Border::Wrap)),
        Box::new(Reshape::to(&[2, 6])),
        Box::new(Concatenate::new()),
        Box::new(Add::new()),
    ]
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
        json!(u64::MAX),
        json!(1.5),
        json!(-0.0),
        json!(1e308),
        json!(1e-300),
        json!(""),
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
        shape in proptest::collection::vec(prop::sample::select(vec![1usize, 2, 3, 4, 6, 7]), 0..4),
        dtype in prop::sample::select(vec![DType::Bit, DType::U8, DType::F32, DType::I64]),
        frames in prop::sample::select(vec![1usize, 2, 64, 65]),
    ) {
        let mut specs = specs();
        let spec = specs.swap_remove(kind.index(specs.len()));
        let mut config = spec.config();
        for (place, edge) in changes {
            let mut found = Vec::new();
            leaves(&config, "", &mut found);
            if let Some(leaf) = config.pointer_mut(&found[place.index(found.len())]) {
                *leaf = edge.get(&edges()).clone();
            }
        }
        let Ok(spec) = registry::spec(spec.kind(), &config) else { return Ok(()) };
        let input = Signal { dtype, shape };
        let Ok(net) = Network::build(spec.as_ref(), input.clone(), 1) else { return Ok(()) };
        // What was built also runs, or says why not.
        let Ok(x) = FrameBuffer::zeros(input.dtype, &input.shape, frames) else { return Ok(()) };
        let cpu = lutweave_backend::Cpu::new();
        let _ = net.evaluate(&x, &cpu);
        let _ = net.forward(std::sync::Arc::new(x), &cpu);
        let _ = net.to_netlist("any");
    }
}
