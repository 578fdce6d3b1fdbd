//! Ten thousand changed files of each format: none makes a reader panic or take much memory.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, unreachable_pub)] // shared with the fuzz targets
#[path = "fuzz/bodies.rs"]
mod bodies;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};

const TIMES: u64 = if cfg!(miri) { 10 } else { 10_000 };
/// Most memory that reading any of the files may take: the files have a few thousand bytes, and a
/// size in their settings may be some thousands more than what they hold.
const MEMORY: usize = 64 << 20;

/// Counts what is allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator as they come.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc`, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Changes a few bytes: other values, a cut, an insertion, a larger digit in the settings.
fn mutate(bytes: &mut Vec<u8>, stream: &mut Xoshiro256PlusPlus) {
    for _ in 0..=rng::below(stream, 3) {
        let at = rng::below(stream, bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match rng::below(stream, 5) {
            0 => bytes[at] = rng::word(stream) as u8,
            1 => bytes[at] ^= 1 << rng::below(stream, 8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, rng::word(stream) as u8),
            _ => {
                let digits: Vec<usize> =
                    (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    bytes[digits[rng::below(stream, digits.len())]] = b'9';
                }
            }
        }
    }
}

#[test]
fn no_file_panics_or_takes_much_memory() {
    let [model, checkpoint, tensors] = bodies::seeds();
    bodies::model(model);
    bodies::checkpoint(checkpoint);
    bodies::safetensors(tensors);
    MOST.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let before = NOW.load(Ordering::Relaxed);
    for number in 0..TIMES {
        let mut stream = rng::stream(number, &[]);
        // Every other time inside the header, its checksum put right.
        let inside = number % 2 == 0;
        for (file, body) in [(model, bodies::model as fn(&[u8])), (checkpoint, bodies::checkpoint)]
        {
            let mut part = if inside { bodies::header_of(file).to_vec() } else { file.clone() };
            mutate(&mut part, &mut stream);
            body(&if inside { bodies::with_header(file, &part) } else { part });
        }
        let mut part = tensors.clone();
        mutate(&mut part, &mut stream);
        bodies::safetensors(&part);
        let most = MOST.load(Ordering::Relaxed) - before;
        assert!(most < MEMORY, "{most} bytes after the files of seed {number}");
    }
}
