//! The table kernels on every instruction set: nanoseconds per LUT and frame.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macro; a benchmark may stop

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lutweave::backend::{Backend, Cpu, Isa, Sites, Slopes};
use lutweave::lut::Wiring;
use lutweave::tensor::{Array, DType, FrameBuffer, rng};

const SOURCES: usize = 784;
const NODES: usize = 2304;
const FRAMES: usize = 1024;

fn kernels(criterion: &mut Criterion) {
    for fan_in in [2, 4, 6] {
        let mut stream = rng::stream(1, &[fan_in as u64]);
        let bits: Vec<bool> =
            (0..SOURCES * FRAMES).map(|_| rng::uniform(&mut stream) < 0.3).collect();
        let x = FrameBuffer::from_frame_bits(&[SOURCES], &bits).unwrap();
        let mut below = |bound| rng::below(&mut stream, bound);
        let wiring = Wiring::random(SOURCES, NODES, fan_in, &mut below).unwrap();
        let sites = Sites::from(&wiring);
        let entries = NODES << fan_in;
        let mask = if fan_in == 6 { u64::MAX } else { (1 << (1 << fan_in)) - 1 };
        let tables: Vec<u64> = (0..NODES).map(|_| rng::word(&mut stream) & mask).collect();
        let dy: Vec<f32> = (0..NODES * FRAMES).map(|_| rng::normal(&mut stream)).collect();
        let dy = FrameBuffer::from_frames(&[NODES], &dy).unwrap();
        let ones = Array::from(vec![1f32; entries]);
        let slopes = Array::from(vec![0.5f32; entries * fan_in]);
        let slopes = Slopes { scale: &ones, offset: &ones, slopes: &slopes, folded: true };

        for &isa in Isa::available() {
            let cpu = Cpu::with(isa).unwrap();
            let backend: &dyn Backend = &cpu;
            let mut counts = vec![0u32; entries];
            let mut sums = vec![0f32; entries];
            let mut y = FrameBuffer::zeros(DType::Bit, &[NODES], FRAMES).unwrap();
            let mut dx = FrameBuffer::zeros(DType::F32, &[SOURCES], FRAMES).unwrap();
            let mut group = |name: &str, run: &mut dyn FnMut()| {
                let mut group = criterion.benchmark_group(name);
                group.throughput(Throughput::Elements((NODES * FRAMES) as u64)).sample_size(20);
                let id = BenchmarkId::new(isa.name(), format!("fan-in {fan_in}"));
                group.bench_function(id, |bencher| bencher.iter(&mut *run));
                group.finish();
            };
            group("pattern_counts", &mut || {
                backend.pattern_counts(black_box(&x), sites, &mut counts).unwrap();
            });
            group("table_forward", &mut || {
                backend.table_forward(black_box(&x), sites, &tables, &mut y).unwrap();
            });
            group("pattern_sums", &mut || {
                backend.pattern_sums(black_box(&x), sites, &dy, &mut sums).unwrap();
            });
            group("table_backward", &mut || {
                backend.table_backward(black_box(&x), sites, &dy, slopes, &mut dx).unwrap();
            });
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
