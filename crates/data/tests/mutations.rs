//! Ten thousand altered files of every format: each gives a data set or an error, within bounded
//! memory.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

#[allow(dead_code, missing_docs, unreachable_pub)] // shared with the fuzz targets
#[path = "fuzz/bodies.rs"]
mod bodies;

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};

const MUTATIONS: usize = if cfg!(miri) { 20 } else { 10_000 };
/// Most bytes that the whole test program may ever hold.
const MEMORY: usize = 256 << 20;

/// A file with some bytes changed, taken out, doubled or put in.
fn mutated(file: &[u8], rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=rng::below(rng, 4) {
        let at = rng::below(rng, bytes.len() + 1);
        let end = (at + 1 + rng::below(rng, 16)).min(bytes.len());
        match rng::below(rng, 6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => bytes.insert(at, rng::word(rng) as u8),
            4 if at < bytes.len() => bytes[at] ^= 1 << rng::below(rng, 8),
            _ if at < bytes.len() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b','][rng::below(rng, 7)];
            }
            _ => {}
        }
    }
    bytes
}

/// Reads mutations of a file; the file itself must be right.
fn hammer(name: u64, file: &[u8], read: impl Fn(&[u8]) -> bool) {
    assert!(read(file), "the file before it is altered");
    let mut rng = rng::stream(1, &[name]);
    let good = (0..MUTATIONS).filter(|_| read(&mutated(file, &mut rng))).count();
    assert!(good < MUTATIONS, "no mutation was noticed");
    if let Some(peak) = peak_memory() {
        assert!(peak < MEMORY, "{peak} bytes held");
    }
}

/// The most memory that this program has held, where the system tells.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

#[test]
fn altered_files_of_every_format() {
    for (number, (format, body, file)) in (1..).zip(bodies::seeds()) {
        println!("{format}, file {number}");
        hammer(number, &file, body);
    }
}

/// The header of a picture with other numbers, its checksum right.
#[test]
fn any_header_of_a_picture() {
    let file = bodies::picture(png::ColorType::Grayscale, 1);
    let mut rng = rng::stream(2, &[]);
    for _ in 0..MUTATIONS {
        let mut header = file.clone();
        for (at, byte) in header.iter_mut().enumerate().take(29).skip(16) {
            if rng::below(&mut rng, 3) == 0 {
                let most = if matches!(at, 16..18 | 20..22) { 1 } else { 17 };
                *byte = rng::below(&mut rng, most) as u8;
            }
        }
        let _ = bodies::png_header(&header);
    }
}
