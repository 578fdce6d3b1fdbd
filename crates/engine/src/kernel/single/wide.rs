//! One frame at a time with AVX-512: 512 tables in the time of one.
//!
//! Bits lie 64 to a word. What tables of one depth read is gathered by byte permutes, 64 bits at a
//! time; their entries lie transposed, entry `k` of 512 tables on one line, so that a tree of
//! multiplexers looks up all of them at once.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpge_epu8_mask, _mm512_load_si512, _mm512_loadu_si512,
    _mm512_mask2_permutex2var_epi8, _mm512_maskz_loadu_epi8, _mm512_setzero_si512,
    _mm512_store_si512, _mm512_ternarylogic_epi64, _mm512_test_epi8_mask,
};

use crate::Isa;
use crate::rows::Line;

/// 64 comparisons of neighbouring bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Test {
    pub(crate) masks: [u8; 64],
    pub(crate) at_least: [u8; 64],
}

/// 64 bits from anywhere.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Gather {
    /// The byte that each is in, from the first byte of its segment.
    pub(crate) byte: [u8; 64],
    /// The bit of that byte, alone.
    pub(crate) bit: [u8; 64],
    /// Its segments: `segments[start..end]`.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Two lines of bits, and which of the bits of a gather are in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) line: u32,
    pub(crate) bits: u64,
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn line(from: &Line) -> __m512i {
    // SAFETY: a line is 64 bytes, and aligned to as many.
    unsafe { _mm512_load_si512(std::ptr::from_ref(from).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn bytes(from: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// Compares the bytes of a frame, `tests` being whole rounds over them; the bits go to the words of
/// `lines` from word `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn compare(x: &[u8], tests: &[Test], lines: &mut [Line], first: usize) {
    let words = lines.iter_mut().flat_map(|line| &mut line.0).skip(first);
    let chunks = x.chunks(64).cycle();
    for ((test, x), word) in tests.iter().zip(chunks).zip(words) {
        let here = u64::MAX >> (64 - x.len());
        // SAFETY: only the bytes of the chunk are read.
        let x = unsafe { _mm512_maskz_loadu_epi8(here, x.as_ptr().cast()) };
        let x = _mm512_and_si512(x, bytes(&test.masks));
        *word = _mm512_cmpge_epu8_mask(x, bytes(&test.at_least)) & here;
    }
}

/// The 64 bits of a gather.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn gather(gather: &Gather, segments: &[Segment], lines: &[Line]) -> u64 {
    // An index is replaced by its byte when the segment that it is in comes.
    let mut made = bytes(&gather.byte);
    for segment in &segments[gather.start as usize..gather.end as usize] {
        let lines = &lines[segment.line as usize..segment.line as usize + 2];
        made = _mm512_mask2_permutex2var_epi8(line(&lines[0]), made, segment.bits, line(&lines[1]));
    }
    _mm512_test_epi8_mask(made, bytes(&gather.bit))
}

/// Looks up a block of tables of `inputs.len()` inputs, 3 to 6: `entries` are `2^inputs` lines.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(inputs: &[Line], entries: &[Line], made: &mut Line) {
    let select = |select: __m512i, pair: &[__m512i; 2]| {
        // The first operand is the high bit of the index.
        _mm512_ternarylogic_epi64::<0xca>(select, pair[1], pair[0])
    };
    let zero = _mm512_setzero_si512();
    let [a, b, c, rest @ ..] = inputs else { return };
    let (a, b, c) = (line(a), line(b), line(c));
    let mut eights = [zero; 8];
    for (made, entries) in eights.iter_mut().zip(entries.as_chunks::<8>().0) {
        let mut four = [zero; 4];
        for (made, pair) in four.iter_mut().zip(entries.as_chunks::<2>().0) {
            *made = select(a, &[line(&pair[0]), line(&pair[1])]);
        }
        let two = [select(b, &[four[0], four[1]]), select(b, &[four[2], four[3]])];
        *made = select(c, &two);
    }
    for input in rest {
        let input = line(input);
        for pair in 0..4 {
            eights[pair] = select(input, &[eights[2 * pair], eights[2 * pair + 1]]);
        }
    }
    // SAFETY: a line is 64 bytes, and aligned to as many.
    unsafe { _mm512_store_si512(std::ptr::from_mut(made).cast(), eights[0]) };
}

/// A step of a plan; bits are numbered over all lines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A block of tables: for each input, gathers for `words` words; then the entries.
    Tables { inputs: u32, words: u32, gathers: u32, entries: u32, line: u32 },
    /// How many bits of these gathers are set, as a number of `width` bits.
    Sum { gathers: u32, count: u32, target: u32, width: u32 },
    /// The place of the largest of numbers of `bits` bits; `sources` are places in the list of them.
    Largest { sources: u32, count: u32, bits: u32, target: u32, width: u32 },
    /// Whether a number reaches a threshold.
    AtLeast { sources: u32, count: u32, threshold: u32, target: u32 },
}

/// A netlist for one frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Bytes of a frame.
    pub(crate) words: usize,
    /// Comparisons, whole rounds over the bytes; their bits begin with word 1.
    pub(crate) tests: Vec<Test>,
    pub(crate) gathers: Vec<Gather>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) entries: Vec<Line>,
    pub(crate) steps: Vec<Step>,
    /// Bits that steps read one by one.
    pub(crate) sources: Vec<u32>,
    /// Lines of bits, one more than are used: segments have two.
    pub(crate) lines: usize,
    /// Where each output bit is.
    pub(crate) outputs: Vec<u32>,
}

/// A bit of the lines.
pub(crate) fn bit(lines: &[Line], at: u32) -> u8 {
    (lines[at as usize / 512].0[at as usize / 64 % 8] >> (at % 64) & 1) as u8
}

/// The number that these bits make.
fn number(lines: &[Line], sources: &[u32]) -> u32 {
    let bits = sources.iter().enumerate();
    bits.fold(0, |sum, (place, &at)| sum | u32::from(bit(lines, at)) << place)
}

/// Puts a number of `width` bits in place, which are all in one word.
fn put(lines: &mut [Line], at: u32, width: u32, value: u32) {
    let word = &mut lines[at as usize / 512].0[at as usize / 64 % 8];
    let mask = ((1 << width) - 1) << (at % 64);
    *word = *word & !mask | u64::from(value) << (at % 64) & mask;
}

/// Computes all bits of a frame of `plan.words` bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vpopcntdq,popcnt")]
fn run_avx512(plan: &Plan, x: &[u8], lines: &mut [Line]) {
    // Bit 1 is one.
    lines[0].0[0] = 2;
    if !x.is_empty() {
        compare(x, &plan.tests, lines, 1);
    }
    for step in &plan.steps {
        match *step {
            Step::Tables { inputs, words, gathers, entries, line } => {
                let (inputs, words) = (inputs as usize, words as usize);
                let mut read = [Line::default(); 6];
                let gathers = plan.gathers[gathers as usize..].chunks(words);
                for (read, gathers) in read[..inputs].iter_mut().zip(gathers) {
                    for (word, one) in read.0.iter_mut().zip(gathers) {
                        *word = gather(one, &plan.segments, lines);
                    }
                }
                let entries = &plan.entries[entries as usize..][..1 << inputs];
                look_up(&read[..inputs], entries, &mut lines[line as usize]);
            }
            Step::Sum { gathers, count, target, width } => {
                let gathers = &plan.gathers[gathers as usize..][..count as usize];
                let ones = |one| gather(one, &plan.segments, lines).count_ones();
                let sum = gathers.iter().map(ones).sum();
                put(lines, target, width, sum);
            }
            Step::Largest { sources, count, bits, target, width } => {
                let sources = &plan.sources[sources as usize..][..count as usize];
                let mut best = (0, 0);
                for (index, word) in sources.chunks(bits as usize).enumerate() {
                    let value = number(lines, word);
                    if index == 0 || value > best.1 {
                        best = (index as u32, value);
                    }
                }
                put(lines, target, width, best.0);
            }
            Step::AtLeast { sources, count, threshold, target } => {
                let value = number(lines, &plan.sources[sources as usize..][..count as usize]);
                put(lines, target, 1, u32::from(value >= threshold));
            }
        }
    }
}

/// Computes one frame, as long as the plan says, and returns the lines that its bits are in; `memory`
/// is used for them.
///
/// # Panics
///
/// If this machine does not have AVX-512, or the frame has another length.
pub(crate) fn run<'a>(plan: &Plan, x: &[u8], memory: &'a mut Vec<Line>) -> &'a mut [Line] {
    assert!(Isa::Avx512.is_available(), "this machine does not have avx512");
    assert_eq!(x.len(), plan.words, "bytes of a frame");
    if memory.len() < plan.lines {
        memory.resize(plan.lines, Line::default());
    }
    // SAFETY: the machine has the instruction set, as asserted.
    unsafe { run_avx512(plan, x, memory) };
    memory
}
