//! Layers that pool, move and join nodes: true gradients against difference quotients, netlists
//! against what the layers compute.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_lut::{Border, Evaluator, NetlistBuilder, Padding};
use lutweave_nn::{
    Add, AveragePool, Concatenate, Frozen, Layer, LayerSpec, MaxPool, Pad, Reshape, Shuffle,
    Signal, Site, Slice, StochasticMaxPool, UpSample, registry,
};
use lutweave_tensor::{DType, FrameBuffer, rng};

/// Absolute tolerance of difference quotients of f32 numbers around 1.
const CLOSE: f64 = 1e-4;
/// The image of every test.
const SHAPE: [usize; 3] = [2, 3, 4];
const NODES: usize = 24;

fn build(spec: &dyn LayerSpec, dtype: DType, inputs: usize) -> Box<dyn Layer> {
    let signal = Signal { dtype, shape: SHAPE.to_vec() };
    let mut site = Site::alone(signal.clone(), "1.layer", 0);
    site.inputs = vec![signal; inputs];
    site.ancestors = vec![Vec::new(); inputs];
    spec.build(&site).unwrap()
}

/// Layers whose output is linear in each input, so that the quotient is exact.
fn linear() -> Vec<(Box<dyn LayerSpec>, usize)> {
    let overlapping = AveragePool::new([3, 3]).stride([1, 2]).padding(Padding::Same);
    let around = [1, 2, 3, 4];
    vec![
        (Box::new(AveragePool::new([2, 2])), 1),
        (Box::new(overlapping.by_present()), 1),
        (Box::new(StochasticMaxPool::new([2, 3])), 1),
        (Box::new(UpSample::new([2, 3])), 1),
        (Box::new(UpSample::new([2, 3]).sparse()), 1),
        (Box::new(Shuffle::new(4)), 1),
        (Box::new(Slice::crop(1..3, 0..2).axis(0, 1..2)), 1),
        (Box::new(Pad::new(around).value(0.5)), 1),
        (Box::new(Pad::new(around).border(Border::Reflect)), 1),
        (Box::new(Pad::new(around).border(Border::Reflect101)), 1),
        (Box::new(Pad::new(around).border(Border::Wrap)), 1),
        (Box::new(Reshape::flat()), 1),
        (Box::new(Concatenate::new()), 2),
        (Box::new(Add::new()), 3),
    ]
}

#[test]
fn gradients_are_slopes() {
    for (spec, inputs) in linear() {
        let again = registry::spec(spec.kind(), &spec.config()).unwrap();
        assert_eq!(again.config(), spec.config());
        let mut layer = build(again.as_ref(), DType::F32, inputs);
        let mut stream = rng::stream(11, &[]);
        let mut draw = |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
        let frames = 3;
        let x: Vec<Vec<f32>> = (0..inputs).map(|_| draw(NODES * frames)).collect();
        let dy = draw(layer.output().nodes() * frames);
        let batch = |x: &[Vec<f32>]| -> Vec<Arc<FrameBuffer>> {
            let one = |x: &Vec<f32>| Arc::new(FrameBuffer::from_frames(&SHAPE, x).unwrap());
            x.iter().map(one).collect()
        };
        let dy_rows = FrameBuffer::from_frames(&layer.output().shape.clone(), &dy).unwrap();
        let (_, saved) = layer.forward_all(&batch(&x), &Cpu::new()).unwrap();
        let dx = layer.backward_all(saved, &[Some(dy_rows)], true, &Cpu::new()).unwrap();
        let loss = |x: &[Vec<f32>]| -> f64 {
            let y = layer.evaluate_all(&batch(x), &Cpu::new()).unwrap()[0].to_frames::<f32>();
            y.unwrap().iter().zip(&dy).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum()
        };
        for (input, dx) in dx.into_iter().enumerate() {
            for (i, dx) in dx.unwrap().to_frames::<f32>().unwrap().into_iter().enumerate() {
                let (mut high, mut low) = (x.clone(), x.clone());
                high[input][i] += 0.125;
                low[input][i] -= 0.125;
                let slope = (loss(&high) - loss(&low)) / 0.25;
                assert!((f64::from(dx) - slope).abs() < CLOSE, "{spec:?}: {dx} {slope}");
            }
        }
    }
}

#[test]
fn netlists_compute_the_same() {
    let around = [1, 0, 2, 1];
    let specs: [(&dyn LayerSpec, usize); 10] = [
        (&MaxPool::new([2, 2]), 1),
        (&StochasticMaxPool::new([3, 3]).stride([1, 1]).padding(Padding::Same), 1),
        (&UpSample::new([2, 1]), 1),
        (&UpSample::new([2, 2]).sparse(), 1),
        (&Shuffle::new(3), 1),
        (&Slice::channels(1..2), 1),
        (&Pad::new(around).value(1.0), 1),
        (&Pad::new(around).border(Border::Wrap), 1),
        (&Reshape::flat(), 1),
        (&Concatenate::new(), 2),
    ];
    for (spec, inputs) in specs {
        let layer = build(spec, DType::Bit, inputs);
        let (frames, nodes) = (40, NODES * inputs);
        let mut stream = rng::stream(12, &[]);
        let bits: Vec<bool> =
            (0..nodes * frames).map(|_| rng::uniform(&mut stream) < 0.3).collect();
        let all = FrameBuffer::from_frame_bits(&[nodes], &bits).unwrap();
        let part = |input: usize| {
            let nodes = all.node_range(input * NODES..(input + 1) * NODES).unwrap();
            Arc::new(nodes.reshape(&SHAPE).unwrap())
        };
        let x: Vec<Arc<FrameBuffer>> = (0..inputs).map(part).collect();
        let y = layer.evaluate_all(&x, &Cpu::new()).unwrap()[0].to_frame_bits().unwrap();

        let mut build = NetlistBuilder::new("t").unwrap();
        let nets = build.input("x", nodes, 1).unwrap();
        let frozen = |nets: &[_]| Frozen::of_bits(nets.iter().copied());
        let read: Vec<Frozen> = nets.chunks(NODES).map(frozen).collect();
        let words = layer.freeze_all("layer", &read, &mut build).unwrap().remove(0).words;
        build.output("y", 1, &words.concat()).unwrap();
        let netlist = build.finish().unwrap();
        let words: Vec<u64> = bits.iter().map(|&bit| u64::from(bit)).collect();
        let got = Evaluator::new(&netlist).unwrap().frames(&words).unwrap();
        assert!(got.iter().map(|&bit| bit == 1).eq(y), "{spec:?}");
    }
}

/// Raw bytes can be moved before they are encoded.
#[test]
fn bytes_move_too() {
    let x = FrameBuffer::from_frames(&SHAPE, &(0..24).collect::<Vec<u8>>()).unwrap();
    for spec in [&Slice::crop(0..1, 0..4) as &dyn LayerSpec, &UpSample::new([1, 2])] {
        let layer = build(spec, DType::U8, 1);
        assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap().dtype(), DType::U8);
        assert_eq!(layer.input_width(), Some(8));
    }
}
