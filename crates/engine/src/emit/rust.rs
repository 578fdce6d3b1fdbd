//! One Rust module.

use std::fmt::Write as _;

use super::Source;

/// The text.
pub(super) fn print(source: &Source<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(source, &mut text);
    text
}

fn write(source: &Source<'_>, text: &mut String) -> std::fmt::Result {
    let (flash, ram) = source.sizes();
    let (rows, bits, results) = (source.rows.len(), source.bits(), source.widths.len());
    write!(
        text,
        "\
// A network of look-up tables, written by lutweave. No dependencies; fit for `no_std`.
//
// {} gates of two or three operands. About {flash} bytes of flash and {ram} bytes of RAM on a 32-bit
// core with words of 32 bits (an estimate: four bytes for each operation, read and write).

/// Bytes of a frame.
pub const PIXELS: usize = {};
/// Bytes of the results of a frame.
pub const RESULTS: usize = {results};
/// Rows of bits that the gates read.
pub const ROWS: usize = {rows};
/// Rows of bits that come out.
pub const BITS: usize = {bits};

const STATE: usize = {};
#[allow(dead_code)]
const ZERO: u64 = 0;

/// What makes each row: `pixels[pixel] & mask >= at_least`, as (pixel, mask, at_least).
pub static COMPARISONS: [(u32, u8, u8); ROWS] = [
",
        source.gates,
        source.words,
        source.plan.state.max(1),
    )?;
    for row in source.rows {
        writeln!(text, "    ({}, {}, {}),", row.word, row.mask, row.at_least)?;
    }
    write!(text, "];\n\nstatic WIDTHS: [usize; RESULTS] = {:?};\n", source.widths)?;
    for (index, lines) in source.plan.functions.iter().enumerate() {
        let head = "(x: &[u64; ROWS], s: &mut [u64; STATE], y: &mut [u64; BITS])";
        writeln!(text, "\n#[allow(unused_variables, unused_parens)]\nfn f{index}{head} {{")?;
        for line in lines {
            writeln!(text, "    {line}")?;
        }
        text.push_str("}\n");
    }
    text.push_str(
        "
/// Runs on 64 frames, one bit a frame: `x` are the rows that `COMPARISONS` describes, `y` the results
/// one after the other, least significant bit first.
pub fn run_packed(x: &[u64; ROWS], y: &mut [u64; BITS]) {
    let mut s = [0u64; STATE];
",
    );
    for index in 0..source.plan.functions.len() {
        writeln!(text, "    f{index}(x, &mut s, y);")?;
    }
    text.push_str(
        "\
}

/// Runs on frames of `PIXELS` bytes, and writes `RESULTS` bytes for each. Returns the number of frames
/// done: as many as both slices have room for.
pub fn run(pixels: &[u8], classes: &mut [u8]) -> usize {
    let frames = (pixels.len() / PIXELS).min(classes.len() / RESULTS);
    let mut x = [0u64; ROWS];
    let mut y = [0u64; BITS];
    let mut start = 0;
    while start < frames {
        let count = if frames - start < 64 { frames - start } else { 64 };
        for (row, &(pixel, mask, at_least)) in x.iter_mut().zip(&COMPARISONS) {
            *row = 0;
            for f in 0..count {
                let value = pixels[(start + f) * PIXELS + pixel as usize];
                *row |= ((value & mask >= at_least) as u64) << f;
            }
        }
        run_packed(&x, &mut y);
        for f in 0..count {
            let mut bit = 0;
            for (r, &width) in WIDTHS.iter().enumerate() {
                let mut value = 0;
                for k in 0..width {
                    value |= ((y[bit] >> f & 1) as u8) << k;
                    bit += 1;
                }
                classes[(start + f) * RESULTS + r] = value;
            }
        }
        start += count;
    }
    frames
}
",
    );
    Ok(())
}
