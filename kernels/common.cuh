// What all kernels share. NVRTC has no headers: each program is this text, then that of one file.
//
// Rows are those of a frame buffer: frames of a node, padded with zeros. A packed row is read as
// words of 32 frames, frame f in bit f % 32 of word f / 32, which is how its 64-bit words lie in
// memory. A stride counts elements of a row, or its words of 32 frames.
//
// Threads of a kernel over rows lie in blocks (columns, rows): row() and column() say where one is,
// and block z is free. Everything a kernel writes it writes in full, padding included, or adds to.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef KERNEL // the host has its own
#define KERNEL(threads, name, ...) \
  extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)
#define SHARED(type, name, count) __shared__ type name[count]
#endif

// Makes the kernels name_1 to name_8 from a template over the fan-in.
#define FOR_FAN_INS(MAKE) MAKE(1) MAKE(2) MAKE(3) MAKE(4) MAKE(5) MAKE(6) MAKE(7) MAKE(8)

#define NO_SOURCE 0xffffffffu
#define ALL_LANES 0xffffffffu
#define MOST_LANES 32

__device__ __forceinline__ u32 row() { return blockIdx.x * blockDim.y + threadIdx.y; }

__device__ __forceinline__ u32 column() { return blockIdx.y * blockDim.x + threadIdx.x; }

// Where a row begins; rows of large batches lie past 2^32 elements.
template <class T>
__device__ __forceinline__ T *at(T *rows, u32 stride, u32 number) {
  return rows + (u64)stride * number;
}

// The frames of a word of 32 that are no padding.
__device__ __forceinline__ u32 frame_mask(u32 frames, u32 word) {
  u32 first = word * 32;
  if (first >= frames) return 0;
  return frames - first >= 32 ? 0xffffffffu : (1u << (frames - first)) - 1;
}

// `count` bits of a row, from bit `first` on, at most 32.
__device__ __forceinline__ u32 row_bits(const u32 *row, u32 first, u32 count) {
  u32 word = first >> 5, shift = first & 31;
  u32 bits = row[word] >> shift;
  if (shift + count > 32) bits |= row[word + 1] << (32 - shift);
  return count == 32 ? bits : bits & ((1u << count) - 1);
}

// A word of a source: of a row of x, or of the constants that follow them, zeros and ones. The ones
// go on through the padding.
__device__ __forceinline__ u32 source_word(const u32 *x, u32 stride, u32 nodes, u32 source, u32 word) {
  if (source < nodes) return at(x, stride, source)[word];
  return source == nodes ? 0 : 0xffffffffu;
}

// The pattern of frame `column` at the place whose sources are given: input i in bit i.
template <int N>
__device__ __forceinline__ u32 pattern(const u32 *x, u32 stride, u32 nodes, const u32 *sources, u32 frame) {
  u32 k = 0;
#pragma unroll
  for (int i = 0; i < N; i++) {
    u32 word = source_word(x, stride, nodes, sources[i], frame >> 5);
    k |= (word >> (frame & 31) & 1) << i;
  }
  return k;
}

// A real input clamped to [0, 1], NaN as it is; those past the rows of x are the constants 0 and 1.
__device__ __forceinline__ float unit_input(const float *x, u32 stride, u32 nodes, u32 source, u32 frame) {
  if (source >= nodes) return source == nodes ? 0.0f : 1.0f;
  float value = at(x, stride, source)[frame];
  return value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
}

// x to the nearest multiple of a step, from low to high; NaN as it is.
__device__ __forceinline__ float rounded(float x, float step, float low, float high) {
  if (x < low) x = low;
  if (x > high) x = high;
  return floorf(x / step + 0.5f) * step;
}

// What is made of a number before it is multiplied: itself, its sign (that of NaN is -1), the number
// rounded, or whether it is above 0.5. Packed bits count as low and high.
#define FORM_SIGN 1u
#define FORM_ROUNDED 2u
#define FORM_BIT 3u
#define FORM_PACKED 4u
struct Form {
  u32 kind;
  float step, low, high;
};

// A form among the arguments of a kernel, and what they are together.
#define FORM(name) u32 name##_kind, float name##_step, float name##_low, float name##_high
#define FORM_OF(name) Form{name##_kind, name##_step, name##_low, name##_high}

__device__ __forceinline__ float formed(Form form, float value) {
  if (form.kind == FORM_SIGN) return value >= 0.0f ? 1.0f : -1.0f;
  if (form.kind == FORM_ROUNDED) return rounded(value, form.step, form.low, form.high);
  if (form.kind == FORM_BIT) return value > 0.5f ? 1.0f : 0.0f;
  return value;
}

// An entry of a table of numbers, or of bits.
__device__ __forceinline__ float table_entry(float weight, bool bits) {
  return !bits ? weight : weight > 0.5f ? 1.0f : 0.0f;
}

// The sum over the lanes of a warp, in all of them; its order is that of the lanes.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (u32 far = 16; far > 0; far /= 2) value += __shfl_xor_sync(ALL_LANES, value, far);
  return value;
}

// The sum over a block of whole warps, 32 at most, in all threads; its order is that of lanes, then warps.
// `shared` is a number a warp.
__device__ __forceinline__ double block_sum(double value, double *shared) {
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  value = warp_sum(value);
  __syncthreads(); // the last sum has been read
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  double total = 0;
  for (u32 i = 0; i < blockDim.x / 32; i++) total += shared[i];
  return total;
}

// Mean and variance over some rows of frames, in all threads of a block.
__device__ __forceinline__ void block_moments(const float *x, u32 stride, u32 rows, u32 frames, double *shared,
                                              double *mean, double *variance) {
  double count = (double)rows * (double)frames, sum = 0, squares = 0;
  for (u32 row = 0; row < rows; row++) {
    for (u32 f = threadIdx.x; f < frames; f += blockDim.x) sum += (double)at(x, stride, row)[f];
  }
  double centre = block_sum(sum, shared) / count;
  for (u32 row = 0; row < rows; row++) {
    for (u32 f = threadIdx.x; f < frames; f += blockDim.x) {
      double off = (double)at(x, stride, row)[f] - centre;
      squares += off * off;
    }
  }
  *mean = centre;
  *variance = block_sum(squares, shared) / count;
}

// Units of work of a table: unit u is word u % words of its place u / words. The words of every
// source of 32 units, one unit a lane, are put where all lanes can read them: tile[i * 32 + j] is
// source i of unit j. Gives the word that the lane's own unit is.
template <int N>
__device__ __forceinline__ u32 load_units(const u32 *x, u32 stride, u32 nodes, const u32 *sources,
                                          u32 words, u32 units, u32 first, u32 *tile) {
  u32 lane = threadIdx.x & 31, unit = first + lane;
  u32 place = unit / words, word = unit - place * words;
#pragma unroll
  for (int i = 0; i < N; i++) {
    u32 value = 0;
    if (unit < units) value = source_word(x, stride, nodes, sources[place * N + i], word);
    tile[i * 32 + lane] = value;
  }
  return word;
}

// Adds up numbers that lie in columns of 32 lanes, one block of columns a warp: the sum of entry k
// over lanes, then warps, in that order. Lanes begin at different columns, which spreads them over
// the banks of shared memory.
__device__ __forceinline__ float column_sum(const float *columns, u32 warps, u32 entries, u32 k) {
  float total = 0;
  for (u32 warp = 0; warp < warps; warp++) {
    const float *own = columns + ((u64)warp * entries + k) * 32;
    float sum = 0;
    for (u32 j = 0; j < 32; j++) sum += own[(k + j) & 31];
    total += sum;
  }
  return total;
}

// Says whether this block is the last of `blocks` to come here, with what all others wrote before
// visible; the ticket is left as it was found, at zero.
__device__ __forceinline__ bool last_block(u32 *ticket, u32 blocks, u32 *shared) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    *shared = atomicAdd(ticket, 1u) == blocks - 1;
    if (*shared) *ticket = 0;
  }
  __syncthreads();
  if (*shared) __threadfence();
  return *shared != 0;
}
