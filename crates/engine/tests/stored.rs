//! The stored form: it comes back, and no bytes make it panic.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Numbers, bytes, netlist};
use lutweave_engine::{Engine, Error};
use proptest::prelude::*;

fn run(engine: &Engine, x: &[u8]) -> (Result<Vec<u32>, String>, Vec<u64>) {
    let frames = x.len() / engine.input_words().max(1);
    let mut y = vec![0; frames * engine.output_words()];
    let result = engine.run_u8(x, &mut y).map_err(|error| error.to_string());
    let mut one = vec![0; engine.output_words()];
    let _ = engine.run_one(&x[..engine.input_words().min(x.len())], &mut one);
    let bits = vec![0x1234_5678_9abc_def1; engine.input_bits()];
    let mut packed = vec![0; engine.output_bits()];
    engine.run_packed(&bits, 40, &mut packed).unwrap();
    (result.map(|()| y), packed)
}

proptest! {
    #[test]
    fn comes_back(seed: u64, cells in 0usize..60) {
        let netlist = netlist(seed, cells);
        let engine = Engine::compile(&netlist).unwrap();
        let stored = engine.to_bytes().unwrap();
        let again = Engine::from_bytes(&stored).unwrap();
        prop_assert_eq!(again.to_bytes().unwrap(), stored);
        let x = bytes(&netlist, 70, seed);
        prop_assert_eq!(run(&again, &x), run(&engine, &x));
    }

    #[test]
    fn a_strangers_bytes_give_an_engine_or_an_error(seed: u64, changes in 1usize..6, cut in any::<bool>()) {
        let netlist = netlist(seed, 12);
        let mut stored = Engine::compile(&netlist).unwrap().to_bytes().unwrap();
        let mut numbers = Numbers::new(seed);
        let lengths = 16..stored.len();
        for _ in 0..changes {
            // Small numbers reach more places than random bytes do.
            stored[lengths.start + numbers.below(lengths.len())] = numbers.pick(&[0, 1, 2, 3, 5, 255]);
        }
        if cut {
            stored.truncate(16 + numbers.below(lengths.len()));
        }
        prop_assert!(Engine::from_bytes(&stored).is_err() || changes < 6, "the checksum");
        let sum = crc32fast::hash(&stored[16..]);
        stored[12..16].copy_from_slice(&sum.to_le_bytes());
        if let Ok(engine) = Engine::from_bytes(&stored)
            && engine.input_words() < 10_000
        {
            let x = vec![1; 70 * engine.input_words()];
            let _ = run(&engine, &x);
        }
    }
}

#[test]
fn says_what_is_wrong() {
    let stored = Engine::compile(&netlist(1, 5)).unwrap().to_bytes().unwrap();
    let says = |bytes: &[u8]| match Engine::from_bytes(bytes) {
        Err(Error::Format { what }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(says(b"something"), "these bytes are no stored program");
    let mut other = stored.clone();
    other[8] = 2;
    assert_eq!(says(&other), "it has version 2, expected 1");
    let mut other = stored.clone();
    other[40] ^= 1;
    assert_eq!(says(&other), "its checksum is wrong");
    assert_eq!(says(&stored[..10]), "it ends too early");
}
