//! Tables on real inputs: the CPU and CUDA against the reference.
#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{
    Backend, Cpu, Isa, RealKernels, RealTables, Reference, RowGradient, RowNorm, RowNormKernels,
    RowPass, Running, Sites,
};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

/// Relative tolerance of f32 against the f64 reference.
const LOOSE: f32 = 1e-4;

/// The same for sums that a norm makes vanish, for each of the terms: what a node gives does not change when
/// all its values do alike.
const CLOSE: f32 = 1e-6;

fn close(what: &str, got: &[f32], want: &[f32], terms: usize) {
    let size = want.iter().fold(1e-3f32, |size, v| size.max(v.abs()));
    let most = (LOOSE * size).max(CLOSE * terms as f32);
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= most, "{what} at {i}: {got} {want}");
    }
}

/// The CPU with each instruction set, and CUDA.
fn backends() -> Vec<Box<dyn Backend>> {
    let mut all: Vec<Box<dyn Backend>> = Vec::new();
    for &isa in Isa::available() {
        all.push(Box::new(Cpu::with(isa).unwrap()));
    }
    for cuda in common::devices() {
        all.push(Box::new(cuda));
    }
    all
}

/// Tables at places, their operands, and what earlier calls left in the results.
struct Case {
    wiring: Wiring,
    share: usize,
    x: FrameBuffer,
    dy: FrameBuffer,
    tables: Array,
    /// Of the nodes, where there is a norm: whether statistics are constant.
    norm: Option<bool>,
}

/// What a backend gives: names, how many numbers each is a sum of, and values.
struct Results {
    bits: FrameBuffer,
    numbers: Vec<(&'static str, usize, Vec<f32>)>,
}

impl Case {
    fn new(fan_in: usize, frames: usize, share: usize, norm: Option<bool>) -> Self {
        const SOURCES: usize = 11;
        // Tables, and the places where they are used.
        let (tables, nodes) = (5, 5 * share);
        let mut stream = rng::stream(7, &[fan_in as u64, frames as u64]);
        let mut draw = |n: usize, scale: f32| -> Vec<f32> {
            (0..n).map(|_| 0.5 + scale * rng::normal(&mut stream)).collect()
        };
        let x = FrameBuffer::from_frames(&[SOURCES], &draw(SOURCES * frames, 0.4)).unwrap();
        let dy = FrameBuffer::from_frames(&[nodes], &draw(nodes * frames, 1.0)).unwrap();
        let tables = Array::from(draw(tables << fan_in, 0.3));
        let all = SOURCES + if share > 1 { 2 } else { 0 };
        let wiring = Wiring::random(all, nodes, fan_in, &mut |b| rng::below(&mut stream, b));
        Self { wiring: wiring.unwrap(), share, x, dy, tables, norm }
    }

    fn run(&self, backend: &dyn Backend) -> Results {
        let sites = Sites::shared(&self.wiring, self.share, self.share > 1).unwrap();
        let entries = RealTables { weights: &self.tables, binarize: sites.fan_in() % 2 == 0 };
        let (nodes, tables, frames) = (self.wiring.nodes(), sites.tables(), self.x.frames());
        let rows = || FrameBuffer::zeros(DType::F32, &[nodes], frames).unwrap();
        let mut u = rows();
        backend.real_forward(&self.x, sites, entries, &mut u).unwrap();
        let mut numbers = vec![("u", 1, u.rows::<f32>().unwrap().to_vec())];
        // The values of all backends are near those of the reference, and bits are of the same ones.
        let mut u = rows();
        Reference.real_forward(&self.x, sites, entries, &mut u).unwrap();
        let [mut mean, mut variance, mut averages, mut squares] =
            [0.5, 0.04, 0.2, 0.3].map(|value| Array::from(vec![value; tables]));
        if self.norm == Some(false) {
            backend.row_moments(&u, self.share, &mut mean, &mut variance).unwrap();
            numbers.extend([("mean", 1, mean.to_vec()), ("variance", 1, variance.to_vec())]);
        }
        // Bits and the window are of the very same statistics.
        if self.norm == Some(false) {
            Reference.row_moments(&u, self.share, &mut mean, &mut variance).unwrap();
        }
        let (share, gamma, beta) = (self.share, 0.3, 0.5);
        let norm = self.norm.map(|constant| {
            let (mean, variance) = (&mean, &variance);
            RowNorm { share, mean, variance, gamma, beta, constant }
        });
        let (mut y, mut bits) = (rows(), self.dy.to_bits(0.0).unwrap());
        backend.row_output(&u, norm, &mut y).unwrap();
        backend.row_output(&u, norm, &mut bits).unwrap();
        numbers.push(("y", 1, y.rows::<f32>().unwrap().to_vec()));
        if let Some(norm) = norm {
            let mut du = self.dy.clone();
            backend.row_backward(&u, norm, &self.dy, &mut du).unwrap();
            numbers.push(("du", 1, du.rows::<f32>().unwrap().to_vec()));
        }
        for wanted in [true, false] {
            let (mut dw, mut dx) = (Array::from(vec![0.5; self.tables.len()]), self.x.clone());
            let norm = norm.map(|norm| {
                let (mean, variance) = (&mut averages, &mut squares);
                let running = Running { mean, variance, keep: 0.75 };
                RowPass { u: &u, norm, running: (!norm.constant).then_some(running) }
            });
            let (back, dx_there) = (RowGradient { dy: &self.dy, norm }, wanted.then_some(&mut dx));
            backend.real_backward(&self.x, sites, entries, back, &mut dw, dx_there).unwrap();
            let terms = if self.norm.is_some() { share * frames } else { 1 };
            numbers.push(("dtables", terms, dw.to_vec()));
            numbers.push(("dx", 1, dx.rows::<f32>().unwrap().to_vec()));
            numbers.extend([("averages", 1, averages.to_vec()), ("squares", 1, squares.to_vec())]);
        }
        Results { bits, numbers }
    }
}

#[test]
fn backends_agree_with_the_reference() {
    for fan_in in 1..=8 {
        let sizes = [(1, 1), (15, 3), (16, 1), (17, 1), (64, 3), (513, 1), (1100, 2)];
        for (number, (frames, share)) in sizes.into_iter().enumerate() {
            if frames > 1000 && fan_in != 3 && fan_in != 7 {
                continue; // sums that are split over blocks, with and without inputs past the sixth
            }
            let norm = [Some(false), None, Some(true)][(fan_in + number) % 3];
            let case = Case::new(fan_in, frames, share, norm);
            let want = case.run(&Reference);
            for backend in backends() {
                let what = format!("{fan_in} {frames} {share} {norm:?} {backend:?}");
                let got = case.run(&*backend);
                assert!(got.bits == want.bits, "{what}");
                assert_eq!(got.numbers.len(), want.numbers.len());
                for (got, (name, terms, want)) in got.numbers.iter().zip(&want.numbers) {
                    close(&format!("{what}, {name}"), &got.2, want, *terms);
                }
            }
        }
    }
}

/// The sums of a norm, tables with slopes, and the gradient of the inputs.
#[test]
fn the_way_back_takes_three_launches() {
    let cuda = &common::devices()[0];
    for (norm, launches) in [(Some(false), 3), (Some(true), 2), (None, 2)] {
        let case = Case::new(6, 65, 3, norm);
        let sites = Sites::shared(&case.wiring, 3, true).unwrap();
        let u = FrameBuffer::zeros(DType::F32, &[case.wiring.nodes()], 65).unwrap();
        let [mut mean, mut variance] = [0.5, 0.04].map(|value| Array::from(vec![value; 5]));
        let (own_mean, own_variance) = (mean.clone(), variance.clone());
        let pass = norm.map(|constant| {
            let (mean, variance) = (&own_mean, &own_variance);
            let norm = RowNorm { share: 3, mean, variance, gamma: 0.3, beta: 0.5, constant };
            RowPass { u: &u, norm, running: None }
        });
        let pass = pass.map(|pass| {
            let running = Running { mean: &mut mean, variance: &mut variance, keep: 0.5 };
            RowPass { running: (norm == Some(false)).then_some(running), ..pass }
        });
        let (mut dw, mut dx) = (Array::zeros(case.tables.len()).unwrap(), case.x.clone());
        let (back, before) = (RowGradient { dy: &case.dy, norm: pass }, cuda.traffic());
        cuda.real_backward(&case.x, sites, (&case.tables).into(), back, &mut dw, Some(&mut dx))
            .unwrap();
        assert_eq!((cuda.traffic() - before).launches, launches, "{norm:?}");
    }
}

#[test]
fn norms_that_do_not_fit_are_refused() {
    let case = Case::new(2, 17, 2, None);
    let sites = Sites::shared(&case.wiring, 2, true).unwrap();
    let u = case.dy.clone();
    let refused = |share: usize, nodes: usize, averages: usize| {
        let [mean, variance] = [nodes; 2].map(|nodes| Array::from(vec![0.5; nodes]));
        let norm = RowNorm {
            share,
            mean: &mean,
            variance: &variance,
            gamma: 1.0,
            beta: 0.0,
            constant: false,
        };
        let [mut own_mean, mut own_variance] = [averages; 2].map(|n| Array::from(vec![0.5; n]));
        backends()
            .into_iter()
            .chain([Box::new(Reference) as Box<dyn Backend>])
            .map(|backend| {
                let running =
                    Running { mean: &mut own_mean, variance: &mut own_variance, keep: 0.5 };
                let pass = RowPass { u: &u, norm, running: Some(running) };
                let back = RowGradient { dy: &case.dy, norm: Some(pass) };
                let mut dw = Array::zeros(case.tables.len()).unwrap();
                let done = backend.real_backward(
                    &case.x,
                    sites,
                    (&case.tables).into(),
                    back,
                    &mut dw,
                    None,
                );
                done.is_err()
            })
            .collect::<Vec<bool>>()
    };
    assert!(refused(2, 5, 5).iter().all(|refused| !refused));
    for (share, nodes, averages) in [(1, 10, 10), (2, 4, 4), (2, 5, 4), (0, 5, 5), (3, 5, 5)] {
        assert!(refused(share, nodes, averages).iter().all(|&refused| refused), "{share} {nodes}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut stream = rng::stream(8, &[]);
    let mut draw = |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
    let x = FrameBuffer::from_frames(&[9], &draw(9 * 1500)).unwrap();
    let dy = FrameBuffer::from_frames(&[6], &draw(6 * 1500)).unwrap();
    let tables = Array::from(draw(6 << 4));
    let wiring = Wiring::serial(9, 6, 4).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut dw = Array::zeros(tables.len()).unwrap();
            let mut dx = FrameBuffer::zeros(DType::F32, &[9], 1500).unwrap();
            let cpu = Cpu::new();
            let back = RowGradient { dy: &dy, norm: None };
            cpu.real_backward(&x, (&wiring).into(), (&tables).into(), back, &mut dw, Some(&mut dx))
                .unwrap();
            (dw, dx)
        })
    };
    assert_eq!(run(1), run(3));
}
