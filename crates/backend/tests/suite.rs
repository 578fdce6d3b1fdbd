//! One suite, many backends: every kernel of every backend against the reference.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, Cpu, Dispatch, EncodeKernels, Entries, Isa, MakeEntries, Reference, Sites, Slopes,
    TableGradient, TableKernels, table_words,
};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

/// Relative tolerance of f32 sums against the f64 reference.
const LOOSE: f32 = 1e-4;

#[derive(Debug)]
struct Case {
    fan_in: usize,
    sources: usize,
    /// Tables.
    nodes: usize,
    frames: usize,
    /// Places of each table.
    share: usize,
    constants: bool,
}

/// A layer whose nodes have tables of their own.
fn plain(fan_in: usize, sources: usize, nodes: usize, frames: usize) -> Case {
    Case { fan_in, sources, nodes, frames, share: 1, constants: false }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fan_in in 1..=8 {
        for frames in [1, 63, 64, 65, 511, 513, 1100] {
            let case = plain(fan_in, fan_in + 13, 19, frames);
            cases.push(Case { share: 7, nodes: 3, constants: true, ..case });
            cases.push(case);
        }
    }
    cases.push(plain(6, 3, 2, 70)); // sources read twice by a node
    cases.push(Case { share: 130, ..plain(6, 20, 3, 64) }); // several runs of sums
    cases
}

/// Operands of every kernel, from a seed that is the case.
struct Operands {
    x: FrameBuffer,
    wiring: Wiring,
    tables: Vec<u64>,
    dy: FrameBuffer,
    dx: FrameBuffer,
    scale: Array,
    offset: Array,
    slopes: Array,
}

impl Operands {
    fn sites(&self, case: &Case) -> Sites<'_> {
        Sites::shared(&self.wiring, case.share, case.constants).unwrap()
    }
}

fn operands(case: &Case) -> Operands {
    let path = [case.fan_in, case.sources, case.nodes, case.frames].map(|v| v as u64);
    let (places, constants) = (case.nodes * case.share, if case.constants { 2 } else { 0 });
    let mut stream = rng::stream(1, &path);
    let bits: Vec<bool> =
        (0..case.sources * case.frames).map(|_| rng::uniform(&mut stream) < 0.4).collect();
    let x = FrameBuffer::from_frame_bits(&[case.sources], &bits).unwrap();
    let wiring = Wiring::random(case.sources + constants, places, case.fan_in, &mut |bound| {
        rng::below(&mut stream, bound)
    })
    .unwrap();
    let entries = 1usize << case.fan_in;
    let mask = if entries >= 64 { u64::MAX } else { (1 << entries) - 1 };
    let words = case.nodes * table_words(case.fan_in);
    let tables = (0..words).map(|_| rng::word(&mut stream) & mask).collect();
    let mut normals = |n: usize| (0..n).map(|_| rng::normal(&mut stream)).collect::<Array>();
    let dy = FrameBuffer::from_frames(&[places], &normals(places * case.frames)).unwrap();
    let dx =
        FrameBuffer::from_frames(&[case.sources], &normals(case.sources * case.frames)).unwrap();
    let (scale, offset) = (normals(case.nodes * entries), normals(case.nodes * entries));
    let slopes = normals(case.nodes * entries * case.fan_in);
    Operands { x, wiring, tables, dy, dx, scale, offset, slopes }
}

/// Makes the slopes along each input the same for both values of that input.
fn fold(slopes: &[f32], fan_in: usize) -> Array {
    let entries = 1usize << fan_in;
    let at = |index: usize| {
        let (table, k) = (index / entries, index % entries);
        table * entries + (k & !(1 << (table % fan_in)))
    };
    (0..slopes.len()).map(|index| slopes[at(index)]).collect()
}

fn close(name: &str, case: &Case, got: &[f32], want: &[f32]) {
    let size = want.iter().fold(1e-3f32, |size, v| size.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= LOOSE * size, "{name} {case:?} at {i}: {got} {want}");
    }
}

fn compare(backend: &dyn Backend, case: &Case) {
    let o = operands(case);
    let (entries, sites, places) = (case.nodes << case.fan_in, o.sites(case), o.wiring.nodes());

    let (mut got, mut want) = (vec![7u32; entries], vec![9u32; entries]);
    backend.pattern_counts(&o.x, sites, &mut got).unwrap();
    Reference.pattern_counts(&o.x, sites, &mut want).unwrap();
    assert_eq!(got, want, "counts {case:?}");

    let mut got = FrameBuffer::zeros(DType::Bit, &[places], case.frames).unwrap();
    let mut want = got.clone();
    backend.table_forward(&o.x, sites, &o.tables, &mut got).unwrap();
    Reference.table_forward(&o.x, sites, &o.tables, &mut want).unwrap();
    assert_eq!(got, want, "outputs or padding {case:?}");

    let mut got = FrameBuffer::zeros(DType::F32, &[places], case.frames).unwrap();
    let mut want = got.clone();
    backend.value_forward(&o.x, sites, &o.scale, &mut got).unwrap();
    Reference.value_forward(&o.x, sites, &o.scale, &mut want).unwrap();
    assert_eq!(got, want, "values or padding {case:?}");

    let (mut got, mut want) = (vec![7f32; entries], vec![9f32; entries]);
    backend.pattern_sums(&o.x, sites, &o.dy, &mut got).unwrap();
    Reference.pattern_sums(&o.x, sites, &o.dy, &mut want).unwrap();
    close("sums", case, &got, &want);

    for folded in [false, true] {
        let values = if folded { fold(&o.slopes, case.fan_in) } else { o.slopes.clone() };
        let slopes = Slopes { scale: &o.scale, offset: &o.offset, slopes: &values, folded };
        let (mut got, mut want) = (o.dx.clone(), o.dx.clone());
        backend.table_backward(&o.x, sites, &o.dy, slopes, &mut got).unwrap();
        Reference.table_backward(&o.x, sites, &o.dy, slopes, &mut want).unwrap();
        close("dx", case, &got.to_frames::<f32>().unwrap(), &want.to_frames::<f32>().unwrap());
        let (rows, stride) = (got.rows::<f32>().unwrap(), got.stride());
        let zero = |row: &[f32]| row[case.frames..].iter().all(|&v| v == 0.0);
        assert!(rows.chunks(stride).all(zero), "padding {case:?}");
    }
}

/// The kernels that call back: what is made of the counts and sums of each table, and what follows.
fn compare_calls(backend: &dyn Backend, case: &Case) {
    let o = operands(case);
    let (entries, sites, places) = (1usize << case.fan_in, o.sites(case), o.wiring.nodes());
    let make = |table: usize, counts: &[u32], state: &mut [f32], own: Entries<'_>| {
        state.fill(table as f32);
        match own {
            Entries::Bits(bits) => {
                for (k, &count) in counts.iter().enumerate() {
                    bits[k / 64] |= u64::from((count + k as u32) & 1) << (k % 64);
                }
            }
            Entries::Values(values) => {
                for (value, &count) in values.iter_mut().zip(counts) {
                    *value = count as f32 + o.scale[table * entries];
                }
            }
        }
    };
    for dtype in [DType::Bit, DType::F32] {
        let run = |backend: &dyn Backend| {
            let mut y = FrameBuffer::zeros(dtype, &[places], case.frames).unwrap();
            let (mut counts, mut state) =
                (vec![7; case.nodes * entries], vec![0f32; 2 * case.nodes]);
            backend.counted_forward(&o.x, sites, &mut counts, &mut state, &make, &mut y).unwrap();
            (counts, state, y)
        };
        assert_eq!(run(backend), run(&Reference), "{case:?} {dtype}");
    }
    let run = |backend: &dyn Backend| {
        let mut sums = vec![7f32; case.nodes * entries];
        let mut made = vec![0f32; 3 * case.nodes];
        let (scale, offset, slopes) = (&mut [], &mut [], &mut []);
        let arrays =
            TableGradient { sums: &mut sums, scale, offset, slopes, parameters: &mut made };
        let make = |table: usize, own: TableGradient<'_>| {
            own.parameters.copy_from_slice(&[table as f32, own.sums[0], own.sums[1]]);
        };
        backend.summed_backward(&o.x, sites, &o.dy, arrays, &make).unwrap();
        (sums, made)
    };
    let (got, want) = (run(backend), run(&Reference));
    close("sums", case, &got.0, &want.0);
    close("made of sums", case, &got.1, &want.1);
}

fn compare_ends(backend: &dyn Backend, frames: usize) {
    let case = plain(2, 30, 1, frames);
    let o = operands(&case);
    let mut stream = rng::stream(2, &[frames as u64]);
    let pixels: Vec<u8> = (0..6 * frames).map(|_| rng::word(&mut stream) as u8).collect();
    let mut reals: Vec<f32> = pixels.iter().map(|&p| f32::from(p) - 99.5).collect();
    reals[0] = f32::NAN;
    let thresholds: Array = (0..18).map(|_| rng::below(&mut stream, 256) as f32 - 20.0).collect();
    for x in [
        FrameBuffer::from_frames(&[2, 3], &pixels).unwrap(),
        FrameBuffer::from_frames(&[2, 3], &reals).unwrap(),
    ] {
        let mut got = FrameBuffer::zeros(DType::Bit, &[6, 3], frames).unwrap();
        let mut want = got.clone();
        backend.threshold(&x, &thresholds, 3, &mut got).unwrap();
        Reference.threshold(&x, &thresholds, 3, &mut want).unwrap();
        assert_eq!(got, want, "threshold, {frames} frames of {}", x.dtype());
        assert!(backend.threshold(&x, &thresholds, 2, &mut got).is_err());
    }

    let mut got = FrameBuffer::zeros(DType::F32, &[5], frames).unwrap();
    let mut want = got.clone();
    backend.group_sum(&o.x, 0.25, &mut got).unwrap();
    Reference.group_sum(&o.x, 0.25, &mut want).unwrap();
    assert_eq!(got, want, "group sum, {frames} frames");
    let mut got = FrameBuffer::zeros(DType::F32, &[30], frames).unwrap();
    let mut again = got.clone();
    backend.group_sum_backward(&want, 0.25, &mut got).unwrap();
    Reference.group_sum_backward(&want, 0.25, &mut again).unwrap();
    assert_eq!(got, again, "group sum backward, {frames} frames");
    let mut seven = FrameBuffer::zeros(DType::F32, &[7], frames).unwrap();
    assert!(backend.group_sum(&o.x, 1.0, &mut seven).is_err());
}

#[test]
fn cpu_encodes_and_counts_like_the_reference() {
    for frames in [1, 63, 64, 65, 511, 513] {
        for &isa in Isa::available() {
            compare_ends(&Cpu::with(isa).unwrap(), frames);
        }
    }
}

#[test]
fn cpu_agrees_with_the_reference() {
    for &isa in Isa::available() {
        for case in cases() {
            compare(&Cpu::with(isa).unwrap(), &case);
            compare_calls(&Cpu::with(isa).unwrap(), &case);
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for frames in [1, 63, 65, 513] {
            compare_ends(&cuda, frames);
        }
        for case in cases().into_iter().filter(|case| case.frames != 64 && case.frames != 511) {
            compare(&cuda, &case);
            compare_calls(&cuda, &case);
        }
        compare(&cuda, &Case { share: 40, ..plain(6, 20, 2, 900) }); // tables split over blocks
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let case = plain(3, 5, 4, 9);
    let o = operands(&case);
    let slopes = Slopes { scale: &o.scale, offset: &o.offset, slopes: &o.slopes, folded: false };
    let few = Array::from(&o.slopes[1..]);
    let short = Slopes { slopes: &few, ..slopes };
    let other = FrameBuffer::zeros(DType::Bit, &[6], 9).unwrap();
    let mut y = FrameBuffer::zeros(DType::Bit, &[4], 9).unwrap();
    let mut late = FrameBuffer::zeros(DType::Bit, &[4], 10).unwrap();
    let cuda = &common::devices()[0];
    let backends: [&dyn Backend; 3] = [&Reference, &Cpu::new(), cuda];
    for b in backends {
        let w = o.sites(&case);
        let constants = Sites::shared(&o.wiring, 1, true).unwrap();
        assert!(b.pattern_counts(&o.x, constants, &mut [0; 32]).is_err());
        let pairs = Sites::shared(&o.wiring, 2, false).unwrap();
        assert!(b.pattern_counts(&o.x, pairs, &mut [0; 32]).is_err());
        let make: MakeEntries<'_> = &|_, _, _, _| {};
        let forward = |counts: &mut [u32], state: &mut [f32], y: &mut FrameBuffer| {
            b.counted_forward(&o.x, w, counts, state, make, y)
        };
        assert!(forward(&mut [0; 31], &mut [], &mut y).is_err());
        assert!(forward(&mut [0; 32], &mut [0.0; 3], &mut y).is_err());
        assert!(forward(&mut [0; 32], &mut [], &mut late).is_err());
        let mut sums = [0f32; 32];
        let mut odd = [0f32; 5];
        let (scale, offset, slopes_of, none) = (&mut [], &mut [], &mut [], &mut odd);
        let arrays =
            TableGradient { sums: &mut sums, scale, offset, slopes: slopes_of, parameters: none };
        assert!(b.summed_backward(&o.x, w, &o.dy, arrays, &|_, _| {}).is_err());
        assert!(b.pattern_counts(&other, w, &mut [0; 32]).is_err());
        assert!(b.pattern_counts(&o.dy, w, &mut [0; 32]).is_err());
        assert!(b.pattern_counts(&o.x, w, &mut [0; 31]).is_err());
        assert!(b.table_forward(&o.x, w, &o.tables[1..], &mut y).is_err());
        assert!(b.table_forward(&o.x, w, &o.tables, &mut late).is_err());
        assert!(b.pattern_sums(&o.x, w, &y, &mut [0.0; 32]).is_err());
        assert!(b.table_backward(&o.x, w, &o.dy, short, &mut o.dx.clone()).is_err());
        assert!(b.table_backward(&o.x, w, &o.dy, slopes, &mut o.dy.clone()).is_err());
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    threads_agree(&plain(6, 90, 77, 1300));
    threads_agree(&Case { share: 40, constants: true, ..plain(6, 90, 9, 700) });
}

fn threads_agree(case: &Case) {
    let o = operands(case);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut sums = vec![0f32; case.nodes << 6];
            let sites = o.sites(case);
            Cpu::new().pattern_sums(&o.x, sites, &o.dy, &mut sums).unwrap();
            let slopes =
                Slopes { scale: &o.scale, offset: &o.offset, slopes: &o.slopes, folded: false };
            let mut dx = o.dx.clone();
            Cpu::new().table_backward(&o.x, sites, &o.dy, slopes, &mut dx).unwrap();
            (sums, dx)
        })
    };
    assert_eq!(run(1), run(3));
}

/// Tables must not depend on the instruction set: the same bits, not just close values.
#[test]
fn mixing_gives_the_same_bits_everywhere() {
    for inputs in 1..=8 {
        let mut stream = rng::stream(3, &[inputs]);
        let table: Vec<f32> = (0..1 << inputs).map(|_| rng::normal(&mut stream)).collect();
        let mut want = table.clone();
        for i in 0..inputs {
            let before = want.clone();
            for (k, value) in want.iter_mut().enumerate() {
                *value = 0.7 * before[k] + 0.3 * before[k ^ 1 << i];
            }
        }
        for &isa in Isa::available() {
            let mut got = table.clone();
            isa.mix(&mut got, 0.7, 0.3);
            assert_eq!(got, want, "{inputs} inputs, {isa}");
        }
    }
}
