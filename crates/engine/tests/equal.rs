//! The engine computes what the plain evaluator computes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Numbers, bytes, netlist};
use lutweave_engine::{Engine, Error, Isa};
use lutweave_lut::{Evaluator, Netlist};
use proptest::prelude::*;

fn expected(netlist: &Netlist, x: &[u8]) -> Vec<u32> {
    let x: Vec<u64> = x.iter().map(|&x| x.into()).collect();
    let y = Evaluator::new(netlist).unwrap().frames(&x).unwrap();
    y.into_iter().map(|y| y as u32).collect()
}

/// The engine on `threads` threads.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// The engine on every instruction set, and as machine code where there is such.
fn all(engine: &Engine) -> Vec<Engine> {
    let on = |&isa: &Isa| engine.clone().on(isa).unwrap();
    let mut all: Vec<Engine> = Isa::available().iter().map(on).collect();
    let code = all.iter().filter_map(|engine| engine.clone().with_machine_code().ok());
    let code: Vec<Engine> = code.collect();
    all.extend(code);
    all
}

proptest! {
    #[test]
    fn numbers(seed: u64, cells in 0usize..200, frames in 1usize..1200, threads in 1usize..4) {
        let netlist = netlist(seed, cells);
        let x = bytes(&netlist, frames, seed);
        let expected = expected(&netlist, &x);
        let engine = Engine::compile(&netlist).unwrap();
        for engine in all(&engine) {
            let mut y = vec![u32::MAX; expected.len()];
            on_threads(threads, || engine.run_u8(&x, &mut y)).unwrap();
            prop_assert!(y == expected, "{} {:?}", engine.isa(), engine.machine_code_bytes());
        }
        for engine in all(&engine) {
            let mut y = vec![u32::MAX; engine.output_words()];
            engine.run_one(&x[..engine.input_words()], &mut y).unwrap();
            prop_assert_eq!(&y, &expected[..y.len()]);
        }
    }

    #[test]
    fn packed(seed: u64, cells in 0usize..200, frames in 1usize..5000, threads in 1usize..4, more in 0usize..9) {
        let netlist = netlist(seed, cells);
        let words = frames.div_ceil(64);
        let stride = words + more;
        let mut numbers = Numbers::new(seed);
        let x: Vec<u64> = (0..netlist.input_bits() * stride).map(|_| numbers.word()).collect();
        let engine = Engine::compile(&netlist).unwrap();
        let mut evaluator = Evaluator::new(&netlist).unwrap();
        let mut expected = vec![7; engine.output_bits() * stride];
        for word in 0..words {
            let inputs: Vec<u64> = x[word..].iter().step_by(stride).copied().collect();
            evaluator.settle(&inputs[..netlist.input_bits()]).unwrap();
            let bits = (0..netlist.outputs().len()).flat_map(|port| evaluator.output(port).collect::<Vec<_>>());
            let past = (64 * (word + 1)).saturating_sub(frames);
            for (row, bits) in bits.enumerate() {
                expected[row * stride + word] = bits & (u64::MAX >> past);
            }
        }
        for engine in all(&engine) {
            let mut y = vec![7; expected.len()];
            on_threads(threads, || engine.run_packed(&x, frames, &mut y)).unwrap();
            prop_assert!(y == expected, "{} {:?}", engine.isa(), engine.machine_code_bytes());
        }
    }
}

const SMALL: &str = "lutweave-netlist 1\nnetlist n\ninput x 2 x 3\ngroup g core\n";

#[test]
fn what_does_not_fit_is_an_error() {
    let netlist =
        Netlist::from_text(&format!("{SMALL}lut a 0x8 x[0][0] x[1][2]\noutput y 1 x 1 a\nend\n"));
    let engine = Engine::compile(&netlist.unwrap()).unwrap();
    let mut y = [0; 2];
    engine.run_u8(&[1, 4, 1, 3], &mut y).unwrap();
    assert_eq!(y, [1, 0]);
    let says = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        says(engine.run_u8(&[], &mut y)),
        "run on numbers: expected at least one frame, got none"
    );
    assert_eq!(says(engine.run_u8(&[1; 3], &mut y)), "run on numbers: expected 4 numbers, got 3");
    assert_eq!(says(engine.run_u8(&[1; 6], &mut y)), "run on numbers: expected 3 results, got 2");
    assert_eq!(
        says(engine.run_u8(&[1, 1, 8, 1], &mut y)),
        "run on numbers: value 8 at position 2 does not fit in 3 bits"
    );
    assert_eq!(
        says(engine.run_one(&[1; 4], &mut y)),
        "run on one frame: expected 2 numbers, got 4"
    );
    let mut y = [0; 2];
    assert_eq!(
        says(engine.run_packed(&[1; 6], 0, &mut y)),
        "run on packed frames: expected at least one frame, got none"
    );
    assert_eq!(
        says(engine.run_packed(&[1; 6], 65, &mut y)),
        "run on packed frames: expected 12 input words, got 6"
    );
    assert_eq!(
        says(engine.run_packed(&[1; 7], 64, &mut y)),
        "run on packed frames: expected 6 input words, got 7"
    );
    assert_eq!(
        says(engine.run_packed(&[1; 12], 65, &mut y[..1])),
        "run on packed frames: expected 2 output words, got 1"
    );
}

#[test]
fn a_register_that_feeds_back_is_refused() {
    let text = format!("{SMALL}lut n 0x1 q\nregister q n 1\noutput y 1 x 1 q\nend\n");
    let error = Engine::compile(&Netlist::from_text(&text).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "netlist `n`: register `q` feeds back");
}

#[test]
fn a_stream_is_read_in_parts() {
    let netlist = netlist(3, 40);
    let frames = 40_000;
    let x = bytes(&netlist, frames, 1);
    let engine = Engine::compile(&netlist).unwrap();
    let mut expected = vec![0; frames * engine.output_words()];
    engine.run_u8(&x, &mut expected).unwrap();
    let mut y = Vec::new();
    engine
        .run_stream(&mut &x[..], |part| {
            y.extend_from_slice(part);
            Ok(())
        })
        .unwrap();
    assert_eq!(y, expected);
    assert!(engine.run_stream(&mut &[][..], |_| Ok(())).is_err());
    if engine.input_words() > 1 {
        assert!(engine.run_stream(&mut &x[1..], |_| Ok(())).is_err());
    }
}
