use approx::assert_relative_eq;
use lutweave_backend::Cpu;
use lutweave_lut::Evaluator;

use super::*;

/// Relative tolerance of a few f32 operations.
const CLOSE: f32 = 1e-5;

fn site(dtype: DType, shape: &[usize]) -> Site<'static> {
    let input = Signal { dtype, shape: shape.to_vec() };
    let ancestors = (0..input.nodes().min(100)).map(|i| vec![1 << (i % 64)]).collect();
    Site { ancestors: vec![ancestors], ..Site::alone(input, "0.real_to_binary", 5) }
}

fn build(spec: &RealToBinary, shape: &[usize]) -> Box<dyn Layer> {
    spec.build(&site(DType::F32, shape)).unwrap()
}

fn bits(layer: &dyn Layer, shape: &[usize], x: &[f32]) -> Vec<u8> {
    let x = FrameBuffer::from_frames(shape, x).unwrap();
    let y = layer.evaluate(&x, &Cpu::new()).unwrap();
    y.to_frame_bits().unwrap().into_iter().map(u8::from).collect()
}

/// Of a test of the C++ original: each output node's two frames.
const PAIRS: [[f32; 2]; 18] = [
    [0.6, 0.0],
    [1.0, 0.2],
    [1.0, 1.0], // depth 0 of channel 0, points 0 to 2
    [0.0, 0.0],
    [0.0, 0.0],
    [1.0, 0.0],
    [0.0, 0.0],
    [0.0, 0.0],
    [0.0, 0.0],
    [1.0, 1.0],
    [0.0, 0.0],
    [1.0, 1.0],
    [1.0, 1.0],
    [0.0, 0.0],
    [1.0, 1.0],
    [1.0, 1.0],
    [0.0, 0.0],
    [1.0, 0.4],
];

#[test]
fn frames_and_depth_share_a_number() {
    let x = [0.1f32, 0.2, 0.5, 1.0, 0.0, 0.9];
    let spec = RealToBinary::new().frames(2).depth(3);
    let layer = build(&spec.clone().binary(false), &[2, 3]);
    assert_eq!(layer.output(), &Signal { dtype: DType::F32, shape: vec![6, 3] });
    let batch = FrameBuffer::from_frames(&[2, 3], &x).unwrap();
    let y = layer.evaluate(&batch, &Cpu::new()).unwrap();
    for (node, pair) in PAIRS.iter().enumerate() {
        for (got, want) in y.row::<f32>(node).unwrap().iter().zip(pair) {
            assert_relative_eq!(got, want, max_relative = CLOSE, epsilon = CLOSE);
        }
    }
    let layer = build(&spec, &[2, 3]);
    assert_eq!(layer.output(), &Signal::bits(&[6, 3]));
    let want = [0, 1].map(|k| PAIRS.map(|pair| u8::from(pair[k] > 0.5))).concat();
    assert_eq!(bits(layer.as_ref(), &[2, 3], &x), want);
    let ancestors = layer.ancestors(&site(DType::F32, &[2, 3]).ancestors);
    assert_eq!((&ancestors[0][4], &ancestors[0][17]), (&vec![2], &vec![32]));
}

/// One case of the golden files, its first frames.
struct Case {
    spec: RealToBinary,
    shape: &'static [usize],
    x: &'static [f32],
    y: &'static [u8],
}

#[rustfmt::skip]
fn cases() -> [Case; 5] {
    [
        // real_to_binary_hybrid_2x3_f32
        Case {
            spec: RealToBinary::new().frames(2).depth(3),
            shape: &[2, 3],
            x: &[0.618_108_4, 0.187_697_32, 0.925_448_9, 0.051_756_967, 0.021_148_76, 0.634_764_4],
            y: &[1, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0,
                 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0],
        },
        // real_to_binary_range_frame3_f32
        Case {
            spec: RealToBinary::new().frames(3).range(-1.0, 2.0),
            shape: &[4],
            x: &[-0.222_561_87, -0.979_800_6, -0.491_115_45, 0.468_453_82,
                 1.292_151_2, 0.073_516_525, 0.528_300_34, 1.802_943_7],
            y: &[1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1],
        },
        // real_to_binary_frame7_bit
        Case {
            spec: RealToBinary::new().frames(7),
            shape: &[4],
            x: &[0.036_654_68, 0.457_776_58, 0.307_275_8, 0.423_918_6],
            y: &[0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        },
        // real_to_binary_depth4_bit
        Case {
            spec: RealToBinary::new().depth(4),
            shape: &[3],
            x: &[0.879_605_3, 0.584_389_6, 0.944_995_05, 0.471_862_64, 0.637_950_2, 0.250_412_55],
            y: &[1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0],
        },
        // real_to_binary_exact_half
        Case {
            spec: RealToBinary::new(),
            shape: &[4],
            x: &[1.0, 1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5],
            y: &[1, 1, 0, 0, 0, 0, 0, 0],
        },
    ]
}

#[test]
fn bits_are_those_of_binary_brain() {
    for case in cases() {
        let got = bits(build(&case.spec, case.shape).as_ref(), case.shape, case.x);
        assert_eq!(got, case.y, "{:?}", case.spec);
    }
    // real_to_binary_hybrid_real_f32, its first frame
    let layer = build(&RealToBinary::new().frames(2).depth(2).binary(false), &[2, 2]);
    let x = [0.949_179_77f32, 0.819_175_3, 0.832_203_9, 0.884_416_5];
    let y = layer.evaluate(&FrameBuffer::from_frames(&[2, 2], &x).unwrap(), &Cpu::new()).unwrap();
    let want = [
        1.0f32,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        0.796_719_1,
        0.276_701_2,
        1.0,
        1.0,
        0.328_815_7,
        0.537_666_1,
    ];
    for (got, want) in y.to_frames::<f32>().unwrap().into_iter().zip(want) {
        assert_relative_eq!(got, want, max_relative = CLOSE);
    }
}

#[test]
fn the_gradient_passes_where_nothing_is_spread() {
    let numbers = |n: usize| (0..n).map(|v| v as f32 - 3.5).collect::<Vec<f32>>();
    let new = RealToBinary::new;
    let cases = [
        (new(), true),
        (new().generator(Generator::Diffusion), true),
        (new().binary(false), true),
        (new().binary(false).frames(3), true),
        (new().frames(3), false),
        (new().depth(2), false),
        (new().depth(2).binary(false), false),
    ];
    for (spec, passes) in cases {
        let mut layer = build(&spec, &[2, 1]);
        let x = Arc::new(FrameBuffer::from_frames(&[2, 1], &numbers(8)).unwrap());
        let (y, saved) = layer.forward(x, &Cpu::new()).unwrap();
        let dy = numbers(y.nodes() * y.frames());
        let batch = FrameBuffer::from_frames(y.shape(), &dy).unwrap();
        let dx = layer.backward(saved, &batch, true, &Cpu::new()).unwrap().unwrap();
        let want = if passes { dy } else { vec![0.0; 8] };
        assert_eq!((dx.shape(), dx.to_frames::<f32>().unwrap()), (&[2, 1][..], want), "{spec:?}");
        assert!(layer.backward(Box::new(4usize), &batch, false, &Cpu::new()).unwrap().is_none());
    }
}

#[test]
fn real_mode_without_depth_is_the_input() {
    let layer = build(&RealToBinary::new().frames(4).binary(false), &[2]);
    let x = FrameBuffer::from_frames(&[2], &[-3.0f32, 0.25, 9.0, 1.0]).unwrap();
    assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), x);
}

#[test]
fn diffusion_carries_the_error() {
    let layer = build(&RealToBinary::new().frames(5).generator(Generator::Diffusion), &[2]);
    // 0.4: a = 0.4, 0.8, 0.2, 0.6, 0.0; 0.75: a = 0.75, 0.5, 1.25, 1, 0.75
    let want = [0, 1, 1, 0, 0, 1, 1, 1, 0, 1];
    assert_eq!(bits(layer.as_ref(), &[2], &[0.4, 0.75]), want);
}

#[test]
fn drawn_thresholds_are_new_in_training_and_fixed_in_evaluation() {
    let uniform = Generator::Uniform { low: 0.0, high: 1.0 };
    let normal = Generator::Normal { mean: 0.5, deviation: 0.2 };
    for (generator, framewise) in
        [(uniform, true), (uniform, false), (normal, true), (normal, false)]
    {
        let spec = RealToBinary::new().frames(3).generator(generator).framewise(framewise);
        let layer = build(&spec, &[40]);
        let x = Arc::new(FrameBuffer::from_frames(&[40], &[0.5f32; 40 * 50]).unwrap());
        let (first, _) = layer.forward(x.clone(), &Cpu::new()).unwrap();
        let (second, _) = layer.forward(x.clone(), &Cpu::new()).unwrap();
        assert_ne!(first, second);
        let share =
            first.to_frame_bits().unwrap().iter().filter(|&&bit| bit).count() as f64 / 6000.0;
        assert!((share - 0.5).abs() < 0.2, "{share}");
        let rows =
            |y: &FrameBuffer| (0..40).map(|n| y.rows::<u64>().unwrap()[n * y.stride()]).collect();
        let rows: Vec<u64> = rows(&first);
        assert_eq!(rows.iter().all(|&row| row == rows[0]), framewise);

        let mut again = build(&spec, &[40]);
        again.restore(&layer.state()).unwrap();
        let next = |layer: &dyn Layer| layer.forward(x.clone(), &Cpu::new()).unwrap().0;
        assert_eq!(next(again.as_ref()), next(layer.as_ref()), "goes on from stored state");

        // Evaluation: the frames of all samples are alike, and stay so.
        let y = layer.evaluate(&x, &Cpu::new()).unwrap();
        let frames = y.to_frame_bits().unwrap();
        assert!(frames.chunks(120).all(|sample| *sample == frames[..120]));
        assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), y);
    }
}

#[test]
fn one_threshold_holds_for_all_depths_of_a_point() {
    let generator = Generator::Uniform { low: 0.0, high: 1.0 };
    let layer = build(&RealToBinary::new().depth(2).generator(generator), &[1, 300]);
    // Both depths show the same part of their halves: 0.25 and 0.75 of the whole.
    let y = bits(layer.as_ref(), &[1, 300], &[0.25; 300]);
    let z = bits(layer.as_ref(), &[1, 300], &[0.75; 300]);
    assert_eq!(y[..300], z[300..]);
    assert!(y[300..].iter().all(|&bit| bit == 0) && z[..300].iter().all(|&bit| bit == 1));
}

#[test]
fn threads_do_not_change_a_bit() {
    let normal = Generator::Normal { mean: 0.5, deviation: 0.2 };
    let x = Arc::new(FrameBuffer::from_frames(&[40], &[0.5f32; 40 * 50]).unwrap());
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let layer = build(&RealToBinary::new().frames(15).generator(normal), &[40]);
        pool.install(|| layer.forward(x.clone(), &Cpu::new()).unwrap().0)
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn the_netlist_is_the_layer() {
    for (depth, low, high) in
        [(1, 0.0, 255.0), (7, 3.5, 199.0), (3, -100.0, 300.0), (2, 300.0, 400.0)]
    {
        let spec = RealToBinary::new().depth(depth).range(low, high);
        let layer = spec.build(&site(DType::U8, &[2, 1])).unwrap();
        assert_eq!(layer.input_width(), Some(8));
        let mut build = NetlistBuilder::new("modulation").unwrap();
        let nets = build.input("x", 2, 8).unwrap();
        let input = Frozen::new(nets.chunks(8).map(<[_]>::to_vec).collect());
        let frozen = layer.freeze("real_to_binary0", &input, &mut build).unwrap();
        build.output("y", 1, &frozen.bits("y").unwrap()).unwrap();
        let netlist = build.finish().unwrap();
        let values: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v]).collect();
        let words: Vec<u64> = values.iter().map(|&v| u64::from(v)).collect();
        let got = Evaluator::new(&netlist).unwrap().frames(&words).unwrap();
        let x = FrameBuffer::from_frames(&[2, 1], &values).unwrap();
        let want = layer.evaluate(&x, &Cpu::new()).unwrap().to_frame_bits().unwrap();
        assert_eq!(got, want.into_iter().map(u64::from).collect::<Vec<_>>(), "{spec:?}");
    }
}

#[test]
fn what_has_no_hardware_says_why() {
    let new = RealToBinary::new;
    let cases = [
        (DType::F32, new(), "it reads real numbers that hardware does not have"),
        (DType::U8, new().frames(1025), "it makes 1025 frames of 2 inputs; hardware takes at most"),
        (DType::U8, new().depth(2).frames(3).binary(false), "it gives real numbers"),
    ];
    for (dtype, spec, want) in cases {
        let layer = spec.build(&site(dtype, &[2])).unwrap();
        let mut build = NetlistBuilder::new("modulation").unwrap();
        let nets = build.input("x", 2, 8).unwrap();
        let input = Frozen::new(nets.chunks(8).map(<[_]>::to_vec).collect());
        let error = layer.freeze("r", &input, &mut build).unwrap_err().to_string();
        let want = format!("0.real_to_binary: cannot be frozen to a netlist: {want}");
        assert!(error.starts_with(&want), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = RealToBinary::new;
    let uniform = |low, high| Generator::Uniform { low, high };
    let normal = |mean, deviation| Generator::Normal { mean, deviation };
    let cases = [
        new().frames(0),
        new().depth(0),
        new().frames(MAX_SIZE + 1),
        new().range(1.0, 1.0),
        new().range(f32::NAN, 1.0),
        new().range(f32::MIN, f32::MAX),
        new().generator(uniform(1.0, 0.0)),
        new().generator(normal(0.0, -1.0)),
        new().generator(normal(f32::INFINITY, 1.0)),
        new().generator(Generator::Diffusion).binary(false),
    ];
    for spec in cases {
        assert!(spec.build(&site(DType::F32, &[2])).is_err(), "{spec:?}");
    }
    assert!(new().build(&site(DType::Bit, &[2])).is_err());
    assert!(
        new()
            .depth(MAX_SIZE)
            .build(&Site {
                inputs: vec![Signal { dtype: DType::U8, shape: vec![usize::MAX / 2] }],
                ..site(DType::U8, &[2])
            })
            .is_err()
    );
    let layer = build(&new(), &[2]);
    let x = FrameBuffer::zeros(DType::F32, &[3], 1).unwrap();
    assert!(layer.evaluate(&x, &Cpu::new()).is_err());
}

#[test]
fn modulation_layers_come_back_from_their_settings() {
    use crate::{BinaryToReal, BitEncode, InsertBitError, Reduce, registry};
    let normal = Generator::Normal { mean: 0.1, deviation: 0.7 };
    let spread = RealToBinary::new().frames(3).depth(2).range(-0.3, 2.1).framewise(true);
    let specs: [Arc<dyn LayerSpec>; 10] = [
        Arc::new(RealToBinary::default().binary(false)),
        Arc::new(spread.clone().generator(normal)),
        Arc::new(spread.clone().generator(Generator::Uniform { low: 0.0, high: 0.3 })),
        Arc::new(spread.generator(Generator::Diffusion)),
        Arc::new(BinaryToReal::new()),
        Arc::new(BinaryToReal::new().frames(15).depth(6).output(&[2, 5])),
        Arc::new(BitEncode::new(7)),
        Arc::new(Reduce::by(3)),
        Arc::new(Reduce::to_shape(&[3, 1])),
        Arc::new(InsertBitError::new(0.3).clearing().in_evaluation(true)),
    ];
    for made in specs {
        let text = made.config().to_string();
        let stored = serde_json::from_str(&text).unwrap();
        let again = registry::spec(made.kind(), &stored).unwrap();
        assert_eq!(format!("{again:?}"), format!("{made:?}"));
    }
    let odd = serde_json::json!({"bits": 3, "more": 1});
    assert!(registry::spec("bit_encode", &odd).is_err());
}
