//! Weighted sums of rows: every backend against the reference, bit for bit.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Cpu, Isa, Reference, RowSums, SumKernels};
use lutweave_tensor::{DType, FrameBuffer, rng};

fn batch(dtype: DType, nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    let values: Vec<f32> =
        (0..nodes * frames).map(|_| rng::below(&mut stream, 256) as f32 / 3.0).collect();
    FrameBuffer::from_frames(&[nodes], &values).unwrap().convert(dtype).unwrap()
}

/// Up to six terms a sum, some sums of none; weights that are no whole numbers.
fn sums(count: usize, rows: usize, seed: u64) -> RowSums {
    let mut stream = rng::stream(seed, &[7]);
    let mut draw = |below| rng::below(&mut stream, below);
    let sums: Vec<Vec<(u32, f32)>> = (0..count)
        .map(|_| (0..draw(7)).map(|_| (draw(rows) as u32, draw(9) as f32 * 0.3 - 1.0)).collect())
        .collect();
    RowSums::new(sums).unwrap()
}

#[test]
fn backends_agree_with_the_reference() {
    let devices = common::devices();
    for (frames, rows, count) in [(1, 1, 1), (63, 5, 3), (64, 7, 1), (65, 7, 40), (513, 90, 30)] {
        let sums = sums(count, rows, frames as u64);
        for dtype in [DType::U8, DType::F32] {
            let x = batch(dtype, rows, frames, 1);
            let mut want = batch(DType::F32, count, frames, 2);
            Reference.sum_rows(&x, &sums, &mut want).unwrap();
            for &isa in Isa::available() {
                let mut got = batch(DType::F32, count, frames, 3);
                Cpu::with(isa).unwrap().sum_rows(&x, &sums, &mut got).unwrap();
                assert!(got == want, "{isa}, {dtype}, {count} of {rows} rows, {frames} frames");
            }
            for cuda in &devices {
                let mut got = batch(DType::F32, count, frames, 3);
                cuda.sum_rows(&x, &sums, &mut got).unwrap();
                assert!(got == want, "cuda, {dtype}, {count} of {rows} rows, {frames} frames");
            }
        }
    }
}

#[test]
fn transposed_sums_are_the_gradient() {
    let sums = sums(20, 9, 4);
    let back = sums.transposed(9).unwrap();
    assert_eq!((back.len(), back.terms()), (9, sums.terms()));
    let entries = |sums: &RowSums, turn: bool| {
        let of = |row| sums.of(row).map(move |(source, weight)| (row, source, weight));
        let all = (0..sums.len()).flat_map(of);
        let turned = all.map(|(a, b, weight)| if turn { (b, a, weight) } else { (a, b, weight) });
        let mut all: Vec<_> = turned.collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all
    };
    assert_eq!(entries(&back, true), entries(&sums, false));
}

#[test]
fn wrong_operands_are_named() {
    let sums = RowSums::new([vec![(0, 1.0), (2, -1.0)], vec![]]).unwrap();
    let error = |nodes: usize, dtype: DType, y: usize| {
        let (x, mut y) = (batch(dtype, nodes, 3, 1), batch(DType::F32, y, 3, 1));
        let got = Cpu::new().sum_rows(&x, &sums, &mut y).unwrap_err().to_string();
        assert_eq!(got, Reference.sum_rows(&x, &sums, &mut y).unwrap_err().to_string());
        got
    };
    assert_eq!(error(2, DType::U8, 2), "sum of rows: entry 1 of the table is row 2 of 2");
    assert_eq!(error(3, DType::U8, 3), "sum of rows: expected y to have 2 nodes, got 3");
    assert_eq!(error(3, DType::Bit, 2), "sum of rows: expected x of f32, got bit");
    assert!(sums.transposed(2).is_err());
}
