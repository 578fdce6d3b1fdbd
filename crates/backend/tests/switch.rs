//! Switch sums of the CPU against the reference.

#![allow(clippy::unwrap_used)]

use lutweave_backend::{Cpu, Isa, Reference, SwitchKernels};
use lutweave_tensor::rng;
use proptest::prelude::*;

fn sums(
    kernels: &dyn SwitchKernels,
    (inputs, frames, patterns): (usize, usize, usize),
    seed: u64,
) -> Vec<f32> {
    let mut stream = rng::stream(seed, &[]);
    let words = inputs.div_ceil(64);
    let mut x: Vec<u64> = (0..frames * words).map(|_| rng::word(&mut stream)).collect();
    if inputs % 64 > 0 {
        x.chunks_mut(words).for_each(|frame| frame[words - 1] &= (1 << (inputs % 64)) - 1);
    }
    let seen: Vec<u8> = (0..frames).map(|_| rng::below(&mut stream, patterns) as u8).collect();
    let values: Vec<f32> = (0..frames).map(|_| rng::normal(&mut stream)).collect();
    let mut sums = vec![f32::NAN; patterns * inputs];
    kernels.switch_sums(&x, inputs, &seen, &values, &mut sums).unwrap();
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_instruction_set_adds_up_the_same(
        inputs in 1usize..600, frames in 0usize..300, fan_in in 1usize..=8, seed: u64,
    ) {
        let size = (inputs, frames, 1 << fan_in);
        let (want, portable) = (sums(&Reference, size, seed), sums(&Cpu::with(Isa::Portable).unwrap(), size, seed));
        for (want, got) in want.iter().zip(&portable) {
            prop_assert!((want - got).abs() < 1e-3, "{want}, {got}");
        }
        for &isa in Isa::available() {
            prop_assert_eq!(&sums(&Cpu::with(isa).unwrap(), size, seed), &portable, "{:?}", isa);
        }
    }
}

#[test]
fn blocks_add_up() {
    let size = (70, 20_000, 4);
    let (want, got) = (sums(&Reference, size, 1), sums(&Cpu::new(), size, 1));
    for (want, got) in want.iter().zip(&got) {
        assert!((want - got).abs() < 0.01 * want.abs().max(1.0), "{want}, {got}");
    }
}

#[test]
fn sizes_that_do_not_agree_are_named() {
    let cpu = Cpu::new();
    let mut out = vec![0.0; 4 * 10];
    for (x, patterns, values) in [(3, 4, 4), (4, 3, 4), (4, 4, 5)] {
        let (x, patterns, values) = (vec![0; x], vec![0; patterns], vec![0.0; values]);
        assert!(cpu.switch_sums(&x, 10, &patterns, &values, &mut out).is_err());
    }
    let error = cpu.switch_sums(&[0], 10, &[4], &[1.0], &mut out).unwrap_err().to_string();
    assert!(error.contains("patterns"), "{error}");
    assert!(cpu.switch_sums(&[0], 10, &[3], &[1.0], &mut out[..39]).is_err());
}
