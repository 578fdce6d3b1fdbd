//! The sums of candidates of every backend against the reference.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Backend, Cpu, Isa, Reference, Slopes};
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
        let (x, wiring, dy) = (&self.x, &self.wiring, &self.dy);
        backend.candidate_sums(x, wiring, dy, self.slopes(), &self.candidates, &mut sums).unwrap();
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
        for (fan_in, frames, count) in [(1, 1, 1), (3, 63, 0), (6, 65, 8), (6, 700, 19), (8, 33, 9)]
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

#[test]
fn operands_that_do_not_fit_are_refused() {
    let o = Operands::of(Case { fan_in: 2, sources: 5, nodes: 3, frames: 9, count: 4 });
    let other = FrameBuffer::zeros(DType::Bit, &[6], 9).unwrap();
    let late = FrameBuffer::zeros(DType::F32, &[3], 10).unwrap();
    let mut sums = o.sums.clone();
    let cuda = &common::devices()[0];
    let backends: [&dyn Backend; 3] = [&Reference, &Cpu::new(), cuda];
    for b in backends {
        let (x, w, dy, s, c) = (&o.x, &o.wiring, &o.dy, o.slopes(), &o.candidates);
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
