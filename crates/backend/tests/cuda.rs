//! What is CUDA's own: schedules that do not show, numbers that stay on the device, words for what is
//! missing.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    ActivationKernels, Affine, Backend, Cuda, Forms, GroupMap, Reference, RowGradient, Schedule,
    Sites, Slopes,
};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

fn reals(nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    let values: Vec<f32> = (0..nodes * frames).map(|_| rng::normal(&mut stream)).collect();
    FrameBuffer::from_frames(&[nodes], &values).unwrap()
}

/// Sums of every kernel that adds up over frames, blocks or readers.
fn sums(backend: &dyn Backend) -> (Vec<Array>, Vec<FrameBuffer>) {
    const SHARE: usize = 40;
    let (frames, fan_in, tables, sources) = (900, 6, 3, 30);
    let mut stream = rng::stream(5, &[]);
    let wiring = Wiring::random(sources + 2, tables * SHARE, fan_in, &mut |bound| {
        rng::below(&mut stream, bound)
    })
    .unwrap();
    let sites = Sites::shared(&wiring, SHARE, true).unwrap();
    let (x, dy) = (reals(sources, frames, 1), reals(tables * SHARE, frames, 2));
    let bits = x.to_bits(0.3).unwrap();
    let mut draw = |n: usize| (0..n).map(|_| rng::normal(&mut stream)).collect::<Array>();
    let entries = tables << fan_in;
    let (scale, offset, slopes) = (draw(entries), draw(entries), draw(entries * fan_in));

    let mut by_pattern = vec![0f32; entries];
    backend.pattern_sums(&bits, sites, &dy, &mut by_pattern).unwrap();
    let own = Slopes { scale: &scale, offset: &offset, slopes: &slopes, folded: false };
    let mut dx = x.clone();
    backend.table_backward(&bits, sites, &dy, own, &mut dx).unwrap();
    let (mut dtables, mut dreal) = (scale.clone(), x.clone());
    let back = RowGradient { dy: &dy, norm: None };
    backend
        .real_backward(&x, sites, (&scale).into(), back, &mut dtables, Some(&mut dreal))
        .unwrap();
    let (mut mean, mut variance) = (Array::zeros(10).unwrap(), Array::zeros(10).unwrap());
    backend.moments(&x, 3, &mut mean, &mut variance).unwrap();
    let lengths = [sources * tables * SHARE, dy.nodes()];
    let [mut dweights, mut dbias] = lengths.map(|length| Array::zeros(length).unwrap());
    let (forms, bias) = (Forms::default(), None);
    let map = Affine { groups: 1, weights: &dweights.clone(), bias, forms };
    backend.affine_backward_weights(&x, &dy, map, &mut dweights, Some(&mut dbias)).unwrap();
    (vec![Array::from(by_pattern), dtables, mean, variance, dweights, dbias], vec![dx, dreal])
}

#[test]
fn schedules_do_not_change_a_bit() {
    let run = |schedule, threads| sums(&Cuda::emulated(schedule, threads).unwrap());
    let first = run(Schedule::Rising, 1);
    assert!(first == run(Schedule::Falling, 1));
    assert!(first == run(Schedule::Shuffled(11), 3));
    assert!(first == sums(&Cuda::emulated_lists(Schedule::Rising, 1).unwrap()));
}

/// Work waits until an answer is wanted; a list that comes again is known again.
#[test]
fn launches_are_handed_over_in_lists() {
    let cuda = Cuda::emulated_lists(Schedule::Falling, 1).unwrap();
    let x = reals(5, 70, 1);
    for round in 0..3u64 {
        let before = cuda.traffic();
        let (mut y, mut z) = (x.clone(), x.clone());
        cuda.clamp(&x, -0.5, 0.5, &mut y).unwrap();
        cuda.clamp(&y, 0.0, 1.0, &mut z).unwrap();
        drop(y); // memory that is given back stays until nothing waits for it
        let waiting = cuda.traffic() - before;
        assert_eq!((waiting.launches, waiting.lists), (2, 0));
        let want = x.rows::<f32>().unwrap().iter().map(|x| x.clamp(0.0, 0.5));
        assert!(z.rows::<f32>().unwrap().iter().copied().eq(want));
        let handed = cuda.traffic() - before;
        assert_eq!((handed.lists, handed.repeated), (1, u64::from(round > 0)));
    }
    cuda.synchronise().unwrap();
}

/// A batch is sent while earlier work waits, and its memory is not given to another before that is done.
#[test]
fn batches_are_sent_ahead() {
    let cuda = Cuda::emulated_lists(Schedule::Rising, 1).unwrap();
    let batches: Vec<FrameBuffer> = (0..6).map(|seed| reals(4, 33, seed)).collect();
    let mut answers = Vec::new();
    for batch in &batches {
        let x = batch.clone();
        cuda.prefetch(&x).unwrap();
        let sent = cuda.traffic().sent;
        let mut y = x.clone();
        cuda.clamp(&x, -1.0, 1.0, &mut y).unwrap();
        assert_eq!(cuda.traffic().sent, sent, "it is there");
        answers.push(y);
    }
    assert_eq!(cuda.traffic().lists, 0, "sending ahead waits for nothing");
    for (batch, answer) in batches.iter().zip(answers) {
        let want = batch.rows::<f32>().unwrap().iter().map(|x| x.clamp(-1.0, 1.0));
        assert!(answer.rows::<f32>().unwrap().iter().copied().eq(want));
    }
}

/// A chain of kernels as a layer and its head run them: nothing comes to the host in between.
#[test]
fn numbers_stay_on_the_device_until_they_are_read() {
    for cuda in common::devices() {
        let x = reals(12, 70, 3);
        let wiring = Wiring::serial(12, 20, 3).unwrap();
        let tables: Vec<u64> = (0..20).map(|table| (table * 37) % 256).collect();
        let run = |backend: &dyn Backend| {
            let zeros = |dtype, nodes| FrameBuffer::zeros(dtype, &[nodes], 70).unwrap();
            let mut bits = zeros(DType::Bit, 12);
            backend.binarize(&x, 0.1, &mut bits).unwrap();
            let mut y = zeros(DType::Bit, 20);
            backend.table_forward(&bits, (&wiring).into(), &tables, &mut y).unwrap();
            let mut scores = zeros(DType::F32, 5);
            backend.group_sum(&y, 0.5, &mut scores).unwrap();
            let mut unit = zeros(DType::F32, 5);
            let [ones, halves] = [1.0f32, 0.5].map(|number| Array::from(vec![number; 5]));
            let map = GroupMap { share: 1, centre: &ones, scale: &halves, shift: &ones };
            backend.normalise(&scores, map, &mut unit).unwrap();
            // A sum into a buffer of zeros, twice; the copy keeps the first.
            let mut sum = zeros(DType::F32, 3);
            backend.scatter_rows(&unit, &[2, 0, 1, 2, 2], &mut sum).unwrap();
            let copy = sum.clone();
            backend.scatter_rows(&unit, &[2, 0, 1, 2, 2], &mut sum).unwrap();
            [bits, y, scores, unit, copy, sum]
        };
        let (got, want) = (run(&cuda), run(&Reference));
        assert!(got.iter().all(|buffer| buffer.remote().is_some()), "{cuda:?}");
        assert!(got == want, "{cuda:?}");
        assert!(got.iter().all(|buffer| buffer.remote().is_some()), "reading leaves them there");
        cuda.synchronise().unwrap();
    }
}

/// What one device has the other fetches through the host.
#[test]
fn devices_take_each_others_numbers() {
    let [a, b] = [1, 2].map(|seed| Cuda::emulated(Schedule::Shuffled(seed), 1).unwrap());
    let x = reals(3, 65, 4);
    let (mut y, mut z) = (x.clone(), x.clone());
    a.clamp(&x, -0.5, 0.5, &mut y).unwrap();
    b.clamp(&y, 0.0, 1.0, &mut z).unwrap();
    let want: Vec<f32> =
        x.to_frames::<f32>().unwrap().iter().map(|x| x.clamp(-0.5, 0.5).clamp(0.0, 1.0)).collect();
    assert_eq!(z.to_frames::<f32>().unwrap(), want);
}

#[test]
fn what_is_missing_is_said() {
    match Cuda::new(usize::MAX) {
        Ok(cuda) => panic!("{cuda:?}"),
        Err(error) => assert!(error.to_string().starts_with("CUDA is not available: "), "{error}"),
    }
    let (one, all) = (Cuda::new(0), Cuda::devices());
    assert_eq!(one.is_ok(), all.as_ref().is_ok_and(|all| !all.is_empty()), "{one:?} {all:?}");
}
