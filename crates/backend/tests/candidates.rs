//! Choices among candidates and their sums: every backend against the reference.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, BatchState, CandidateGradient, CandidateKernels, Candidates, Choice, Cpu, Isa,
    ModelKernels, Nodes, Reference, Sites, Slopes, TableKernels, TableModel,
};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};
use proptest::prelude::*;

/// Relative tolerance of f32 sums against the f64 reference.
const LOOSE: f32 = 1e-4;

#[derive(Debug, Clone, Copy)]
struct Case {
    fan_in: usize,
    sources: usize,
    nodes: usize,
    frames: usize,
    count: usize,
}

/// Operands, from a seed that is the case.
struct Operands {
    x: FrameBuffer,
    wiring: Wiring,
    dy: FrameBuffer,
    scale: Array,
    offset: Array,
    slopes: Array,
    candidates: Vec<u32>,
    sums: Array,
}

impl Operands {
    fn of(case: Case) -> Self {
        let Case { fan_in, sources, nodes, frames, count } = case;
        let path = [fan_in, sources, nodes, frames, count].map(|v| v as u64);
        let mut stream = rng::stream(4, &path);
        let bits: Vec<bool> =
            (0..sources * frames).map(|_| rng::uniform(&mut stream) < 0.4).collect();
        let x = FrameBuffer::from_frame_bits(&[sources], &bits).unwrap();
        let mut below = |bound| rng::below(&mut stream, bound);
        let wiring = Wiring::random(sources, nodes, fan_in, &mut below).unwrap();
        let candidates = (0..nodes * fan_in * count).map(|_| below(sources) as u32).collect();
        let mut normals = |n: usize| (0..n).map(|_| rng::normal(&mut stream)).collect::<Array>();
        let dy = FrameBuffer::from_frames(&[nodes], &normals(nodes * frames)).unwrap();
        let values = nodes << fan_in;
        let (scale, offset, slopes) = (normals(values), normals(values), normals(values * fan_in));
        let sums = normals(nodes * fan_in * count);
        Self { x, wiring, dy, scale, offset, slopes, candidates, sums }
    }

    fn slopes(&self) -> Slopes<'_> {
        let Self { scale, offset, slopes, .. } = self;
        Slopes { scale, offset, slopes, folded: false }
    }

    fn run(&self, backend: &dyn Backend) -> Array {
        let mut sums = self.sums.clone();
        let (x, sites, dy) = (&self.x, Sites::from(&self.wiring), &self.dy);
        backend.candidate_sums(x, sites, dy, self.slopes(), &self.candidates, &mut sums).unwrap();
        sums
    }
}

fn close(case: Case, got: &[f32], want: &[f32]) {
    let size = want.iter().fold(1e-3f32, |size, sum| size.max(sum.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= LOOSE * size, "{case:?} at {i}: {got} {want}");
    }
}

fn compare(case: Case) {
    let operands = Operands::of(case);
    let want = operands.run(&Reference);
    let portable = operands.run(&Cpu::with(Isa::Portable).unwrap());
    close(case, &portable, &want);
    for &isa in Isa::available() {
        assert_eq!(operands.run(&Cpu::with(isa).unwrap()), portable, "{case:?} on {isa}");
    }
}

#[test]
fn cpu_agrees_with_the_reference() {
    for fan_in in 1..=8 {
        for frames in [1, 63, 64, 65, 511, 513, 1100] {
            compare(Case { fan_in, sources: 17, nodes: 5, frames, count: 3 });
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for (fan_in, frames, count) in
            [(1, 1, 1), (3, 63, 0), (6, 65, 8), (6, 1100, 19), (8, 33, 9)]
        {
            let case = Case { fan_in, sources: 17, nodes: 5, frames, count };
            let operands = Operands::of(case);
            close(case, &operands.run(&cuda), &operands.run(&Reference));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 48 }))]
    #[test]
    fn any_size_agrees(
        fan_in in 1usize..=8, sources in 1usize..40, nodes in 1usize..9, frames in 1usize..700,
        count in 0usize..9,
    ) {
        compare(Case { fan_in, sources, nodes, frames, count });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let operands = Operands::of(Case { fan_in: 6, sources: 60, nodes: 50, frames: 900, count: 8 });
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| operands.run(&Cpu::new()))
    };
    assert_eq!(run(1), run(3));
}

/// Candidates of some nodes, distinct within a slot, and scores of few values, some of them NaN.
fn scored(fan_in: usize, nodes: usize, count: usize, seed: u64) -> (Vec<u32>, Array) {
    let mut stream = rng::stream(seed, &[fan_in as u64, nodes as u64, count as u64]);
    let (mut candidates, mut scores) = (Vec::new(), Vec::new());
    for slot in 0..nodes * fan_in {
        let mut sources: Vec<u32> = (0..=count as u32).collect();
        rng::shuffle(&mut stream, &mut sources);
        candidates.extend_from_slice(&sources[..count]);
        scores.extend((0..count).map(|_| rng::below(&mut stream, 5) as f32));
        if slot % 7 == 3 {
            scores[slot * count + slot % count] = f32::NAN;
        }
    }
    (candidates, scores.into())
}

fn choose(backend: &dyn Backend, (of_slots, scores): &(Vec<u32>, Array), fan_in: usize) -> Choice {
    let count = of_slots.iter().max().map_or(1, |&most| most as usize);
    backend.choose(Candidates { sources: count + 1, fan_in, count, of_slots, scores }).unwrap()
}

#[test]
fn every_backend_chooses_the_same() {
    for (fan_in, nodes, count) in [(1, 1, 1), (2, 70, 2), (6, 130, 9), (8, 3, 40)] {
        let scored = scored(fan_in, nodes, count, 1);
        let want = choose(&Reference, &scored, fan_in);
        assert_eq!(choose(&Cpu::new(), &scored, fan_in).fetch(), want.fetch(), "{fan_in}");
        for cuda in common::devices() {
            assert_eq!(choose(&cuda, &scored, fan_in).fetch(), want.fetch(), "{fan_in} {cuda:?}");
            cuda.synchronise().unwrap();
        }
    }
    // Everything is taken: the first candidate.
    let scores = Array::from(vec![1.0, 2.0]);
    let candidates =
        Candidates { sources: 4, fan_in: 2, count: 1, of_slots: &[3, 3], scores: &scores };
    for backend in [&Cpu::new() as &dyn Backend, &Reference, &common::devices()[0]] {
        assert_eq!(backend.choose(candidates).unwrap().fetch().unwrap(), [3, 3]);
        let refused = |candidates| backend.choose(candidates).unwrap_err().to_string();
        let error = refused(Candidates { sources: 3, ..candidates });
        assert_eq!(error, "choose: index 3 is past the 3 there are");
        assert!(refused(Candidates { count: 0, ..candidates }).contains("1 candidates, got 0"));
        assert!(refused(Candidates { fan_in: 9, ..candidates }).contains("8 inputs, got 9"));
        assert!(refused(Candidates { of_slots: &[1, 2, 3], ..candidates }).contains("got 3"));
        assert!(
            refused(Candidates { of_slots: &[1; 4], ..candidates }).contains("4 values, got 2")
        );
    }
}

/// A layer that reads what was chosen, by every kernel that training has of it: the same as with this
/// wiring, and on a device nothing of the wiring crosses.
#[test]
fn a_choice_is_read_as_a_wiring_is() {
    let case = Case { fan_in: 3, sources: 9, nodes: 20, frames: 70, count: 8 };
    let (operands, scored) = (Operands::of(case), scored(3, 20, 8, 2));
    let run = |backend: &dyn Backend, sites: Sites<'_>| {
        let (x, dy, slopes) = (&operands.x, &operands.dy, operands.slopes());
        let mut y = FrameBuffer::zeros(DType::Bit, &[20], 70).unwrap();
        backend.table_forward(x, sites, &[0b1001_0110; 20], &mut y).unwrap();
        let mut counts = vec![0; 20 * 8];
        backend.pattern_counts(x, sites, &mut counts).unwrap();
        let mut dx = FrameBuffer::zeros(DType::F32, &[9], 70).unwrap();
        backend.table_backward(x, sites, dy, slopes, &mut dx).unwrap();
        let mut sums = operands.sums.clone();
        backend.candidate_sums(x, sites, dy, slopes, &scored.0, &mut sums).unwrap();
        (y, counts, dx, sums)
    };
    let devices = common::devices();
    let backends: Vec<&dyn Backend> = devices.iter().map(|cuda| cuda as &dyn Backend).collect();
    for backend in [&Cpu::new() as &dyn Backend, &Reference].into_iter().chain(backends) {
        let choice = choose(backend, &scored, 3);
        let got = run(backend, (&choice).into());
        let wiring = Wiring::explicit(9, 3, choice.fetch().unwrap().to_vec()).unwrap();
        assert!(got == run(backend, (&wiring).into()), "{backend:?}");
    }
}

/// A whole layer of learned wiring, forward and backward: chosen, counted and looked up in one, errors,
/// sums and the gradient of the inputs in one, where a backend has that, against the kernels one by one.
#[test]
fn a_layer_that_chooses_is_its_kernels_one_by_one() {
    for (fan_in, nodes, frames, count) in [(1, 3, 33, 40), (3, 20, 70, 8), (6, 9, 1100, 9)] {
        let case = Case { fan_in, sources: count + 1, nodes, frames, count };
        let (operands, scored) = (Operands::of(case), scored(fan_in, nodes, count, 2));
        let (of_slots, scores) = (&scored.0[..], &scored.1);
        let candidates = Candidates { sources: count + 1, fan_in, count, of_slots, scores };
        let parameters: Array = operands.scale.iter().map(|w| w.abs().min(1.0)).collect();
        let model = TableModel::Smoothed { bias: 0.25, binarize_table: false };
        let nodes_of = Nodes { model, parameters: &parameters, norm: Some((0.3, 0.5)) };
        let (x, dy, slopes) = (&operands.x, &operands.dy, operands.slopes());
        let down = |backend: &dyn Backend, choice: &Choice| {
            let mut sums = operands.sums.clone();
            let mut dx = FrameBuffer::zeros(DType::F32, &[count + 1], frames).unwrap();
            let scores = CandidateGradient { of_slots, sums: &mut sums };
            let sites = Sites::from(choice);
            backend.candidate_backward(x, sites, dy, slopes, scores, Some(&mut dx)).unwrap();
            (sums, dx)
        };
        for cuda in common::devices() {
            let forward = |apart: bool| {
                let (mut counts, mut state) = (Array::default(), Array::default());
                let mut y = FrameBuffer::zeros(DType::Bit, &[nodes], frames).unwrap();
                let own = BatchState { counts: &mut counts, state: &mut state };
                let choice = if apart {
                    let choice = cuda.choose(candidates).unwrap();
                    let sites = Sites::from(&choice);
                    assert!(cuda.model_forward(x, sites, nodes_of, None, own, &mut y).unwrap());
                    choice
                } else {
                    let made = cuda.learned_forward(x, candidates, nodes_of, None, own, &mut y);
                    made.unwrap().unwrap()
                };
                (choice, counts, state, y)
            };
            let (apart, one) = (forward(true), forward(false));
            assert_eq!(one.0.fetch(), Reference.choose(candidates).unwrap().fetch());
            assert_eq!(one.0.fetch(), apart.0.fetch());
            assert!((&one.1, &one.2, &one.3) == (&apart.1, &apart.2, &apart.3), "{case:?}");
            // The choice as it is after either, and as one of the host's.
            let want = down(&Reference, &one.0);
            let got = down(&cuda, &one.0);
            close(case, &got.0, &want.0);
            close(case, got.1.rows::<f32>().unwrap(), want.1.rows::<f32>().unwrap());
            assert!(got == down(&cuda, &apart.0), "{case:?} {cuda:?}");
            let wiring = one.0.fetch().unwrap().to_vec();
            let wiring = Wiring::explicit(count + 1, fan_in, wiring).unwrap();
            assert!(got == down(&cuda, &wiring.into()), "{case:?} {cuda:?}");
            let mut dx = FrameBuffer::zeros(DType::F32, &[count + 1], frames).unwrap();
            cuda.table_backward(x, (&one.0).into(), dy, slopes, &mut dx).unwrap();
            assert!(dx == got.1, "{case:?} {cuda:?}");
            cuda.synchronise().unwrap();
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let o = Operands::of(Case { fan_in: 2, sources: 5, nodes: 3, frames: 9, count: 4 });
    let other = FrameBuffer::zeros(DType::Bit, &[6], 9).unwrap();
    let late = FrameBuffer::zeros(DType::F32, &[3], 10).unwrap();
    let mut sums = o.sums.clone();
    let cuda = &common::devices()[0];
    let backends: [&dyn Backend; 3] = [&Reference, &Cpu::new(), cuda];
    for b in backends {
        let (x, w, dy) = (&o.x, Sites::from(&o.wiring), &o.dy);
        let (s, c) = (o.slopes(), &o.candidates);
        assert!(b.candidate_sums(&other, w, dy, s, c, &mut sums).is_err());
        assert!(b.candidate_sums(dy, w, dy, s, c, &mut sums).is_err());
        assert!(b.candidate_sums(x, w, &late, s, c, &mut sums).is_err());
        let mut few = Array::from(&sums[1..]);
        assert!(b.candidate_sums(x, w, dy, s, &c[1..], &mut few).is_err());
        assert!(b.candidate_sums(x, w, dy, s, c, &mut few).is_err());
        let slopes = &Array::from(&s.slopes[1..]);
        let short = Slopes { slopes, ..s };
        assert!(b.candidate_sums(x, w, dy, short, c, &mut sums).is_err());
        let wrong = vec![5; c.len()];
        let error = b.candidate_sums(x, w, dy, s, &wrong, &mut sums).unwrap_err();
        assert_eq!(error.to_string(), "candidate sums: index 5 is past the 5 there are");
    }
    assert_eq!(sums, o.sums);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]
    /// Whatever the scores are, sources are distinct, and the best score is served.
    #[test]
    fn no_node_reads_a_source_twice(
        fan_in in 1usize..=8, extra in 0usize..5, seed: u64, values in 1usize..6, odd: bool,
    ) {
        let count = fan_in + extra;
        let mut stream = rng::stream(seed, &[]);
        let (mut candidates, mut scores) = (Vec::new(), Vec::new());
        for _ in 0..fan_in {
            let mut sources: Vec<u32> = (0..=count as u32).collect();
            rng::shuffle(&mut stream, &mut sources);
            candidates.extend_from_slice(&sources[..count]);
            scores.extend((0..count).map(|_| rng::below(&mut stream, values) as f32));
        }
        if odd {
            scores[seed as usize % (fan_in * count)] = f32::NAN;
        }
        let scores = Array::from(scores);
        let (sources, of_slots) = (count + 1, &candidates[..]);
        let choice = Candidates { sources, fan_in, count, of_slots, scores: &scores };
        let chosen = Cpu::new().choose(choice).unwrap();
        let want = Reference.choose(choice).unwrap();
        prop_assert_eq!(chosen.fetch(), want.fetch());
        let chosen = chosen.fetch().unwrap();
        for (slot, source) in chosen.iter().enumerate() {
            prop_assert!(candidates[slot * count..][..count].contains(source));
            prop_assert!(!chosen[..slot].contains(source));
        }
        let best = scores.iter().copied().fold(0f32, f32::max);
        let served = chosen.iter().enumerate().any(|(slot, source)| {
            let at = slot * count..(slot + 1) * count;
            let place = candidates[at.clone()].iter().position(|other| other == source).unwrap();
            scores[at][place] >= best
        });
        prop_assert!(odd || served);
    }
}
