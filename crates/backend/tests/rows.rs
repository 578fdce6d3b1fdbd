//! Rows moved by a table: the CPU against the reference, bit for bit.

#![allow(clippy::unwrap_used)]

mod common;

use lutweave_backend::{Cpu, Isa, Reference, RowKernels};
use lutweave_lut::NO_SOURCE;
use lutweave_tensor::{DType, FrameBuffer, rng};
use proptest::prelude::*;

/// Numbers of any type, small whole ones; bits at random.
fn batch(dtype: DType, nodes: usize, frames: usize, seed: u64) -> FrameBuffer {
    let mut stream = rng::stream(seed, &[nodes as u64, frames as u64]);
    let values: Vec<f32> =
        (0..nodes * frames).map(|_| rng::below(&mut stream, 99) as f32).collect();
    let numbers = FrameBuffer::from_frames(&[nodes], &values).unwrap();
    if dtype == DType::Bit {
        numbers.to_bits(50.0).unwrap()
    } else {
        numbers.convert(dtype).unwrap()
    }
}

fn table(entries: usize, rows: usize, seed: u64) -> Vec<u32> {
    let mut stream = rng::stream(seed, &[7]);
    let draw = |_| match rng::below(&mut stream, rows + 2) {
        row if row < rows => row as u32,
        _ => NO_SOURCE,
    };
    let mut table: Vec<u32> = (0..entries).map(draw).collect();
    // Rows that follow one another.
    for (entry, row) in table.iter_mut().skip(1).take(rows.min(5)).enumerate() {
        *row = entry as u32;
    }
    table
}

#[test]
fn cpu_agrees_with_the_reference() {
    for frames in [1, 63, 64, 65, 513] {
        for (rows, entries) in [(1, 1), (5, 3), (7, 40), (90, 300)] {
            let table = table(entries, rows, frames as u64);
            for dtype in DType::ALL {
                for fill in [0.0, 3.0] {
                    let x = batch(dtype, rows, frames, 1);
                    let (mut got, mut want) =
                        (batch(dtype, entries, frames, 2), batch(dtype, entries, frames, 3));
                    Cpu::new().gather_rows(&x, &table, fill, &mut got).unwrap();
                    Reference.gather_rows(&x, &table, fill, &mut want).unwrap();
                    assert!(got == want, "{dtype}, {entries} of {rows} rows, {frames} frames");
                }
            }
            let (dy, dx) =
                (batch(DType::F32, entries, frames, 4), batch(DType::F32, rows, frames, 5));
            let mut want = dx.clone();
            Reference.scatter_rows(&dy, &table, &mut want).unwrap();
            for &isa in Isa::available() {
                let mut got = dx.clone();
                Cpu::with(isa).unwrap().scatter_rows(&dy, &table, &mut got).unwrap();
                assert!(got == want, "{isa}, {entries} of {rows} rows, {frames} frames");
            }
        }
    }
}

#[test]
fn cuda_agrees_with_the_reference() {
    for cuda in common::devices() {
        for (frames, rows, entries) in [(1, 1, 1), (63, 5, 3), (65, 7, 40), (513, 9, 30)] {
            let table = table(entries, rows, frames as u64);
            for dtype in DType::ALL {
                let x = batch(dtype, rows, frames, 1);
                let (mut got, mut want) =
                    (batch(dtype, entries, frames, 2), batch(dtype, entries, frames, 3));
                cuda.gather_rows(&x, &table, 3.0, &mut got).unwrap();
                Reference.gather_rows(&x, &table, 3.0, &mut want).unwrap();
                assert!(got == want, "{dtype}, {entries} of {rows} rows, {frames} frames");
            }
            let (dy, dx) =
                (batch(DType::F32, entries, frames, 4), batch(DType::F32, rows, frames, 5));
            let (mut got, mut want) = (dx.clone(), dx.clone());
            cuda.scatter_rows(&dy, &table, &mut got).unwrap();
            Reference.scatter_rows(&dy, &table, &mut want).unwrap();
            assert!(got == want, "{entries} of {rows} rows, {frames} frames");
        }
    }
}

#[test]
fn wrong_tables_are_named() {
    let x = batch(DType::F32, 3, 2, 1);
    let mut y = batch(DType::F32, 2, 2, 1);
    let error = |table: &[u32], y: &mut FrameBuffer| {
        let got = Cpu::new().gather_rows(&x, table, 0.0, y).unwrap_err().to_string();
        assert_eq!(got, Reference.gather_rows(&x, table, 0.0, y).unwrap_err().to_string());
        got
    };
    assert_eq!(error(&[2, 3], &mut y), "gather rows: entry 1 of the table is row 3 of 3");
    assert_eq!(error(&[2], &mut y), "gather rows: expected y to have 1 nodes, got 2");
    let mut bits = batch(DType::Bit, 2, 2, 1);
    assert_eq!(error(&[0, 1], &mut bits), "gather rows: expected y of f32, got bit");
    assert!(Cpu::new().scatter_rows(&bits, &[0, 1], &mut y).is_err());
}

proptest! {
    #[test]
    fn no_arguments_panic(
        types in prop::array::uniform3(0usize..13), rows in 1usize..4, entries in 1usize..4,
        frames in 1usize..70, more in 0usize..2, fill: f64,
        table in prop::collection::vec(prop_oneof![0u32..4, Just(NO_SOURCE), any::<u32>()], 0..4),
    ) {
        let types = types.map(|index| DType::ALL[index]);
        let x = batch(types[0], rows, frames, 1);
        let mut y = batch(types[1], entries, frames + more, 1);
        let got = Cpu::new().gather_rows(&x, &table, fill, &mut y).is_ok();
        prop_assert_eq!(got, Reference.gather_rows(&x, &table, fill, &mut y).is_ok());
        let got = Cpu::new().scatter_rows(&x, &table, &mut y).is_ok();
        prop_assert_eq!(got, Reference.scatter_rows(&x, &table, &mut y).is_ok());
    }
}
