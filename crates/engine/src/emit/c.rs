//! One file of C99.

use std::fmt::Write as _;

use super::Source;

/// What is the same in every file: rows of bits out of bytes, and results out of rows of bits.
const TAIL: &str = "\
}

enum {
    FRAMES = 8 * sizeof(W),
    /* 64 frames each. */
    LANES = sizeof(W) < 8 ? 1 : sizeof(W) / 8,
    /* Pixels that are compared at a time. */
    SIDE = LUTWEAVE_PIXELS < 64 ? LUTWEAVE_PIXELS : 64
};

#if defined(LUTWEAVE_WORD)
#define PUT(to, lanes) ((to) = (W)(lanes)[0])
#define GET(lanes, from) ((lanes)[0] = (uint64_t)(from))
#else
#define PUT(to, lanes) memcpy(&(to), (lanes), sizeof(W))
#define GET(lanes, from) memcpy((lanes), &(from), sizeof(W))
#endif

/* One bit a pixel: whether it is at least its threshold. */
static uint64_t lutweave_compare(const uint8_t *pixels, const struct lutweave_pass *pass)
{
#if LUTWEAVE_PIXELS >= 64 && defined(__GNUC__) && defined(__AVX512BW__)
    const __m512i x = _mm512_loadu_si512(pixels), mask = _mm512_loadu_si512(pass->mask);
    return _mm512_cmpge_epu8_mask(_mm512_and_si512(x, mask), _mm512_loadu_si512(pass->at_least));
#elif LUTWEAVE_PIXELS >= 64 && defined(__GNUC__) && defined(__AVX2__)
    uint64_t word = 0;
    int half;
    for (half = 0; half < 64; half += 32) {
        const __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(pass->mask + half));
        const __m256i least =
            _mm256_loadu_si256((const __m256i *)(const void *)(pass->at_least + half));
        const __m256i pixel = _mm256_loadu_si256((const __m256i *)(const void *)(pixels + half));
        const __m256i x = _mm256_and_si256(pixel, mask);
        const __m256i is = _mm256_cmpeq_epi8(_mm256_max_epu8(x, least), x);
        word |= (uint64_t)(uint32_t)_mm256_movemask_epi8(is) << half;
    }
    return word;
#elif LUTWEAVE_PIXELS >= 64 && defined(__GNUC__) && defined(__SSE2__)
    uint64_t word = 0;
    int part;
    for (part = 0; part < 64; part += 16) {
        const __m128i mask = _mm_loadu_si128((const __m128i *)(const void *)(pass->mask + part));
        const __m128i least =
            _mm_loadu_si128((const __m128i *)(const void *)(pass->at_least + part));
        const __m128i pixel = _mm_loadu_si128((const __m128i *)(const void *)(pixels + part));
        const __m128i x = _mm_and_si128(pixel, mask);
        const __m128i is = _mm_cmpeq_epi8(_mm_max_epu8(x, least), x);
        word |= (uint64_t)(uint32_t)_mm_movemask_epi8(is) << part;
    }
    return word;
#else
    /* Two loops, of which compilers can make vector instructions. */
    uint8_t is[SIDE];
    uint64_t word = 0;
    int i;
    for (i = 0; i < SIDE; i++)
        is[i] = (pixels[i] & pass->mask[i]) >= pass->at_least[i];
    for (i = 0; i < SIDE; i++)
        word |= (uint64_t)is[i] << i;
    return word;
#endif
}

/* Exchanges bit j of word i with bit i of word j, in every lane. */
static void lutweave_transpose(uint64_t (*a)[LANES])
{
    static const uint64_t masks[6] = {
        0x00000000ffffffffu, 0x0000ffff0000ffffu, 0x00ff00ff00ff00ffu,
        0x0f0f0f0f0f0f0f0fu, 0x3333333333333333u, 0x5555555555555555u};
    int level, step = 32, i, j, lane;
    for (level = 0; level < 6; level++, step /= 2)
        for (i = 0; i < 64; i += 2 * step)
            for (j = i; j < i + step; j++)
                for (lane = 0; lane < LANES; lane++) {
                    const uint64_t low = a[j][lane], high = a[j + step][lane];
                    const uint64_t moved = (low >> step ^ high) & masks[level];
                    a[j][lane] = low ^ moved << step;
                    a[j + step][lane] = high ^ moved;
                }
}

void lutweave_run(const uint8_t *pixels, size_t n, uint8_t *classes)
{
    static W x[LUTWEAVE_ROWS + 1], y[LUTWEAVE_BITS];
    static uint64_t bits[64][LANES];
    size_t start, f, r, k, p;
    for (start = 0; start < n; start += FRAMES) {
        const size_t count = n - start < FRAMES ? n - start : FRAMES;
        const uint8_t *from = pixels + start * LUTWEAVE_PIXELS;
        uint8_t *to = classes + start * LUTWEAVE_RESULTS;
        size_t bit = 0;
        for (p = 0; p < LUTWEAVE_PASSES; p++) {
            const struct lutweave_pass *pass = &lutweave_passes[p];
            if (count < FRAMES)
                memset(bits, 0, sizeof bits);
            for (f = 0; f < count; f++)
                bits[f % 64][f / 64] =
                    lutweave_compare(from + f * LUTWEAVE_PIXELS + pass->pixel, pass);
            lutweave_transpose(bits);
            for (k = pass->skip; k < SIDE; k++) {
                const size_t row = lutweave_first[pass->pixel + k] + pass->level;
                if (row < lutweave_first[pass->pixel + k + 1])
                    PUT(x[row], bits[k]);
            }
        }
        lutweave_run_packed(x, y);
        memset(to, 0, count * LUTWEAVE_RESULTS);
        for (r = 0; r < LUTWEAVE_RESULTS; r++)
            for (k = 0; k < lutweave_widths[r]; k++, bit++) {
                uint64_t lanes[LANES];
                GET(lanes, y[bit]);
                for (f = 0; f < count; f++)
                    to[f * LUTWEAVE_RESULTS + r] |=
                        (uint8_t)((lanes[f / 64] >> (f % 64) & 1) << k);
            }
    }
}
";

/// Comparisons of one row a pixel, for 64 pixels next to each other at most.
struct Pass {
    /// First pixel; the last pass of a level begins so that it ends with the frame.
    pixel: usize,
    /// Which of the rows of each pixel.
    level: usize,
    /// Pixels that the pass before has compared.
    skip: usize,
    masks: [u8; 64],
    at_least: [u8; 64],
}

/// The passes, and the first row of each pixel.
fn passes(source: &Source<'_>) -> (Vec<Pass>, Vec<usize>) {
    let words = source.words;
    let mut first: Vec<usize> = Vec::with_capacity(words + 1);
    for pixel in 0..=words {
        first.push(source.rows.partition_point(|row| (row.word as usize) < pixel));
    }
    let mut passes = Vec::new();
    for start in (0..words).step_by(64) {
        let end = (start + 64).min(words);
        let pixel = end.saturating_sub(64).min(start);
        let levels = (start..end).map(|pixel| first[pixel + 1] - first[pixel]).max().unwrap_or(0);
        for level in 0..levels {
            let mut pass = Pass {
                pixel,
                level,
                skip: start - pixel,
                masks: [u8::MAX; 64],
                at_least: [u8::MAX; 64],
            };
            for at in start..end {
                if let Some(row) = source.rows[first[at]..first[at + 1]].get(level) {
                    pass.masks[at - pixel] = row.mask;
                    pass.at_least[at - pixel] = row.at_least;
                }
            }
            passes.push(pass);
        }
    }
    (passes, first)
}

/// Numbers as the inside of braces, lines of twenty.
fn list(numbers: impl ExactSizeIterator<Item = usize>) -> String {
    let mut text = String::new();
    let count = numbers.len();
    for (index, number) in numbers.enumerate() {
        let after = if index + 1 == count { "" } else { "," };
        let line = if index % 20 == 0 { "\n    " } else { " " };
        let _ = write!(text, "{line}{number}{after}");
    }
    text
}

/// The text.
pub(super) fn print(source: &Source<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(source, &mut text);
    text
}

fn write(source: &Source<'_>, text: &mut String) -> std::fmt::Result {
    let (passes, first) = passes(source);
    let (flash, ram) = source.sizes();
    // The comparisons as passes, and their bits before they are rows.
    let flash = flash + passes.len() * size_of::<[u8; 140]>() + 4 * first.len();
    let ram = ram + 512;
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
#if defined(__GNUC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

#define LUTWEAVE_PIXELS {}
#define LUTWEAVE_RESULTS {results}
#define LUTWEAVE_ROWS {rows}
#define LUTWEAVE_BITS {bits}
#define LUTWEAVE_PASSES {}

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
extern const struct lutweave_row lutweave_rows[LUTWEAVE_ROWS + 1];

const struct lutweave_row lutweave_rows[LUTWEAVE_ROWS + 1] = {{
",
        source.gates,
        source.words,
        passes.len(),
        source.plan.state.max(1),
    )?;
    for row in source.rows {
        writeln!(text, "    {{{}, {}, {}}},", row.word, row.mask, row.at_least)?;
    }
    text.push_str(
        "    {0, 0, 0}\n};\n\n\
         /* The first row of each pixel, and the comparisons of neighbouring pixels: row `level` of\n \
         * each pixel from `pixel + skip` on. */\n\
         struct lutweave_pass { uint32_t pixel, level, skip; uint8_t mask[64], at_least[64]; };\n\n",
    );
    let count = list(first.iter().copied());
    writeln!(text, "static const uint32_t lutweave_first[LUTWEAVE_PIXELS + 1] = {{{count}}};\n")?;
    text.push_str("static const struct lutweave_pass lutweave_passes[LUTWEAVE_PASSES + 1] = {\n");
    for Pass { pixel, level, skip, masks, at_least } in &passes {
        let list = |bytes: &[u8]| list(bytes.iter().map(|&byte| byte.into()));
        let (masks, at_least) = (list(masks), list(at_least));
        writeln!(text, "    {{{pixel}, {level}, {skip}, {{{masks}}}, {{{at_least}}}}},")?;
    }
    text.push_str(
        "    {0, 0, 0, {0}, {0}}\n};\n\nstatic const uint8_t lutweave_widths[LUTWEAVE_RESULTS] = {",
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
    text.push_str(TAIL);
    Ok(())
}
