//! One file of C99.

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
/* A network of look-up tables, written by lutweave. C99, no dependencies.
 *
 * void lutweave_run(const uint8_t *pixels, size_t n, uint8_t *classes);
 *     n frames of LUTWEAVE_PIXELS bytes each, one frame after the other; LUTWEAVE_RESULTS bytes a
 *     frame come back.
 *
 * void lutweave_run_packed(const lutweave_word *x, lutweave_word *y);
 *     As many frames as a word has bits, one bit a frame. Row r of x, LUTWEAVE_ROWS in all, is the
 *     comparison lutweave_rows[r]: (pixels[pixel] & mask) >= at_least. y gets LUTWEAVE_BITS rows:
 *     the results one after the other, least significant bit first.
 *
 * A word is a vector register where GCC or Clang are told of one (-march=native), else uint64_t;
 * -DLUTWEAVE_WORD=uint32_t chooses another unsigned type.
 *
 * {} gates of two or three operands. About {flash} bytes of flash and {ram} bytes of RAM on a
 * 32-bit core with words of 32 bits (an estimate: four bytes for each operation, read and write).
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LUTWEAVE_PIXELS {}
#define LUTWEAVE_RESULTS {results}
#define LUTWEAVE_ROWS {rows}
#define LUTWEAVE_BITS {bits}

#if defined(LUTWEAVE_WORD)
typedef LUTWEAVE_WORD lutweave_word;
#elif defined(__GNUC__) && defined(__AVX512F__)
typedef uint64_t lutweave_word __attribute__((vector_size(64)));
#elif defined(__GNUC__) && defined(__AVX2__)
typedef uint64_t lutweave_word __attribute__((vector_size(32)));
#else
typedef uint64_t lutweave_word;
#endif

typedef lutweave_word W;
#define ZERO ((W){{0}})
#define STATE {}

void lutweave_run(const uint8_t *pixels, size_t n, uint8_t *classes);
void lutweave_run_packed(const lutweave_word *x, lutweave_word *y);

struct lutweave_row {{ uint32_t pixel; uint8_t mask, at_least; }};

static const struct lutweave_row lutweave_rows[LUTWEAVE_ROWS + 1] = {{
",
        source.gates,
        source.words,
        source.plan.state.max(1),
    )?;
    for row in source.rows {
        writeln!(text, "    {{{}, {}, {}}},", row.word, row.mask, row.at_least)?;
    }
    text.push_str(
        "    {0, 0, 0}\n};\n\nstatic const uint8_t lutweave_widths[LUTWEAVE_RESULTS] = {",
    );
    for (index, width) in source.widths.iter().enumerate() {
        write!(text, "{}{width}", if index == 0 { "" } else { ", " })?;
    }
    text.push_str("};\n");
    for (index, lines) in source.plan.functions.iter().enumerate() {
        let unused = "(void)x; (void)s; (void)y;";
        let head = "(const W *restrict x, W *restrict s, W *restrict y)";
        writeln!(text, "\nstatic void f{index}{head}\n{{\n    {unused}")?;
        for line in lines {
            writeln!(text, "    {line}")?;
        }
        text.push_str("}\n");
    }
    text.push_str("\nvoid lutweave_run_packed(const lutweave_word *x, lutweave_word *y)\n{\n");
    text.push_str("    W s[STATE];\n");
    for index in 0..source.plan.functions.len() {
        writeln!(text, "    f{index}(x, s, y);")?;
    }
    text.push_str(
        "\
}

/* Exchanges bit j of word i with bit i of word j. */
static void lutweave_transpose(uint64_t *a)
{
    static const uint64_t masks[6] = {
        0x00000000ffffffffu, 0x0000ffff0000ffffu, 0x00ff00ff00ff00ffu,
        0x0f0f0f0f0f0f0f0fu, 0x3333333333333333u, 0x5555555555555555u};
    int level, step = 32, i, j;
    for (level = 0; level < 6; level++, step /= 2)
        for (i = 0; i < 64; i += 2 * step)
            for (j = i; j < i + step; j++) {
                const uint64_t moved = (a[j] >> step ^ a[j + step]) & masks[level];
                a[j] ^= moved << step;
                a[j + step] ^= moved;
            }
}

void lutweave_run(const uint8_t *pixels, size_t n, uint8_t *classes)
{
    enum { FRAMES = 8 * sizeof(W) };
    static W x[LUTWEAVE_ROWS + 1], y[LUTWEAVE_BITS];
    size_t start, f, r, k;
    for (start = 0; start < n; start += FRAMES) {
        const size_t count = n - start < FRAMES ? n - start : FRAMES;
        const uint8_t *from = pixels + start * LUTWEAVE_PIXELS;
        memset(x, 0, sizeof x);
        for (f = 0; f < count; f += 64) {
            const size_t some = count - f < 64 ? count - f : 64;
            for (r = 0; r < LUTWEAVE_ROWS; r += 64) {
                const size_t here = LUTWEAVE_ROWS - r < 64 ? LUTWEAVE_ROWS - r : 64;
                uint64_t bits[64] = {0};
                for (k = 0; k < some; k++) {
                    const uint8_t *frame = from + (f + k) * LUTWEAVE_PIXELS;
                    uint64_t word = 0;
                    size_t i;
                    for (i = 0; i < here; i++) {
                        const struct lutweave_row *row = &lutweave_rows[r + i];
                        word |= (uint64_t)((frame[row->pixel] & row->mask) >= row->at_least) << i;
                    }
                    bits[k] = word;
                }
                lutweave_transpose(bits);
                for (k = 0; k < here; k++) {
                    size_t b;
                    uint8_t *to = (uint8_t *)&x[r + k];
                    for (b = 0; b < 8 && f / 8 + b < sizeof(W); b++)
                        to[f / 8 + b] = (uint8_t)(bits[k] >> (8 * b));
                }
            }
        }
        lutweave_run_packed(x, y);
        for (f = 0; f < count; f++) {
            size_t bit = 0;
            for (r = 0; r < LUTWEAVE_RESULTS; r++) {
                unsigned value = 0;
                for (k = 0; k < lutweave_widths[r]; k++, bit++)
                    value |= (unsigned)(((const uint8_t *)&y[bit])[f / 8] >> (f % 8) & 1) << k;
                classes[(start + f) * LUTWEAVE_RESULTS + r] = (uint8_t)value;
            }
        }
    }
}
",
    );
    Ok(())
}
