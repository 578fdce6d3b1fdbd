//! Stored programs: the bytes as a file, and as what follows a checksum that is right. What is read
//! is run.
#![no_main]

use lutweave_engine::Engine;

/// Words of input above which a program is not run: it would only take long.
const MOST: usize = 10_000;

fn run(bytes: &[u8]) {
    let Ok(engine) = Engine::from_bytes(bytes) else { return };
    if engine.input_words() > MOST || engine.output_words() > MOST {
        return;
    }
    let x = vec![1; 70 * engine.input_words()];
    let _ = engine.run_u8(&x, &mut vec![0; 70 * engine.output_words()]);
    let _ = engine.run_one(&x[..engine.input_words()], &mut vec![0; engine.output_words()]);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    run(bytes);
    let sum = crc32fast::hash(bytes).to_le_bytes();
    run(&[&b"LWENGINE\x01\0\0\0"[..], &sum, bytes].concat());
});
