// Gradients of multilinear tables and of what goes into them, from that of their nodes:
//
//   dtables[table][k] += Σ du · Π_i (k_i ? x_i : 1 − x_i) over the frames at all places of a table
//   slopes[place * fan_in + i] = du[place] · ∂u/∂x_i, which scatter_rows.cu adds up by source
//
// where du is dy, or what a norm makes of dy and u as both are loaded (real_rows.cuh). Blocks are of two kinds, those of
// tables and then those of slopes: neither waits for the other, and a thread has registers for one of the two.
//
// Tables move 4 (fan_in + 1) bytes a frame and node, slopes 4 (2 fan_in + 1), each 4 more with a norm: 88 for 6
// inputs, 34 G frames·nodes/s at 3 TB/s. Tables cost 62 products, 62 differences folded into them, and 64
// additions; slopes 183 interpolations and differences; the norm 10 operations for each: 640 operations, 94 G/s at
// 60 TFLOP/s. So memory is the bound.
//
// A lane keeps the sums of its frames in registers, 64 at most: of seven and eight inputs there are blocks for
// each combination of those past the sixth. Lanes, warps and splits are added in fixed order.

// sums[FIRST + k] += weight · Π (k_i ? x_i : 1 − x_i) over D inputs.
template <int D, int FIRST>
struct Spread {
  static __device__ __forceinline__ void add(float *sums, const float *x, float weight) {
    float one = weight * x[D - 1];
    Spread<D - 1, FIRST>::add(sums, x, weight - one);
    Spread<D - 1, FIRST + (1 << (D - 1))>::add(sums, x, one);
  }
};

template <int FIRST>
struct Spread<0, FIRST> {
  static __device__ __forceinline__ void add(float *sums, const float *, float weight) { sums[FIRST] += weight; }
};

// The gradient of a table, by one of `splits` blocks for each combination of the inputs past the sixth.
template <int N>
__device__ __forceinline__ void real_tables(const RealRows &rows, u32 table, u32 tables, u32 split, u32 splits,
                                            u32 combination, float *partial, u32 *tickets, float *dtables) {
  constexpr int LOW = N < 6 ? N : 6;
  constexpr u32 ENTRIES = 1 << LOW, COMBINATIONS = 1 << (N - LOW), THREADS = REAL_WARPS * 32;
  SHARED(float, columns, REAL_WARPS * ENTRIES * 32);
  SHARED(u32, last, 1);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  u32 words = (rows.frames + 31) / 32, units = rows.share * words;
  const u32 *sources = rows.wiring + (u64)table * rows.share * N;
  RowMap map = row_map(rows.norm, table);
  float sums[ENTRIES];
#pragma unroll
  for (u32 k = 0; k < ENTRIES; k++) sums[k] = 0;

  for (u32 number = split * REAL_WARPS + warp; number < units; number += splits * REAL_WARPS) {
    RealUnit unit = real_unit(number, words);
    if (unit.frame >= rows.frames) continue;
    float inputs[N], weight = real_gradient(rows, map, table * rows.share + unit.row, unit.frame);
#pragma unroll
    for (int i = 0; i < N; i++)
      inputs[i] = unit_input(rows.x, rows.x_stride, rows.nodes, sources[unit.row * N + i], unit.frame);
#pragma unroll
    for (int i = LOW; i < N; i++) weight *= combination >> (i - LOW) & 1 ? inputs[i] : 1 - inputs[i];
    Spread<LOW, 0>::add(sums, inputs, weight);
  }
#pragma unroll
  for (u32 k = 0; k < ENTRIES; k++) columns[(warp * ENTRIES + k) * 32 + lane] = sums[k];
  __syncthreads();
  u64 first = ((u64)table << N) + combination * ENTRIES, all = (u64)tables << N;
  float *out = partial + split * all + first;
  for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) {
    float total = column_sum(columns, REAL_WARPS, ENTRIES, k);
    if (splits == 1) dtables[first + k] += total;
    else out[k] = total;
  }
  if (splits == 1) return;
  if (!last_block(tickets + table * COMBINATIONS + combination, splits, last)) return;
  for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) {
    float total = 0;
    for (u32 part = 0; part < splits; part++) total += partial[part * all + first + k];
    dtables[first + k] += total;
  }
}

// The value of a table over D inputs, and its slopes along each.
template <int D>
struct Differentiate {
  static __device__ __forceinline__ float of(const float *table, bool bits, const float *x, float *slopes) {
    float others[D];
    float zero = Differentiate<D - 1>::of(table, bits, x, slopes);
    float one = Differentiate<D - 1>::of(table + (1 << (D - 1)), bits, x, others);
#pragma unroll
    for (int i = 0; i < D - 1; i++) slopes[i] = fmaf(x[D - 1], others[i] - slopes[i], slopes[i]);
    slopes[D - 1] = one - zero;
    return fmaf(x[D - 1], one - zero, zero);
  }
};

template <>
struct Differentiate<0> {
  static __device__ __forceinline__ float of(const float *table, bool bits, const float *, float *) {
    return table_entry(*table, bits);
  }
};

// The slopes of a unit of 32 frames, a warp each.
template <int N>
__device__ __forceinline__ void real_slopes(const RealRows &rows, u32 number, u32 places, const float *tables,
                                            bool bits, float *slopes) {
  RealUnit unit = real_unit(number, (rows.frames + 31) / 32);
  if (unit.row >= places || unit.frame >= rows.frames) return; // the padding is never read
  const u32 *sources = rows.wiring + (u64)unit.row * N;
  u32 table = unit.row / rows.share;
  float inputs[N], own[N];
#pragma unroll
  for (int i = 0; i < N; i++) inputs[i] = unit_input(rows.x, rows.x_stride, rows.nodes, sources[i], unit.frame);
  Differentiate<N>::of(tables + ((u64)table << N), bits, inputs, own);
  float g = real_gradient(rows, row_map(rows.norm, table), unit.row, unit.frame);
#pragma unroll
  for (int i = 0; i < N; i++) at(slopes, rows.stride, unit.row * N + i)[unit.frame] = g * own[i];
}

// Blocks: splits and combinations of all tables, then units of slopes where these are wanted. Tickets, one for each
// table and combination, are zero before and after.
#define REAL_BACKWARD(N)                                                                               \
  KERNEL(128, real_backward_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring,           \
         u32 share, u32 frames, const float *dy, u32 stride, ROW_NORM(norm), u32 count,                \
         const float *tables, u32 bits, u32 splits, float *partial, u32 *tickets, float *dtables,                \
         float *slopes) {                                                                              \
    constexpr u32 COMBINATIONS = N > 6 ? 1 << (N - 6) : 1;                                             \
    RealRows rows = {x, x_stride, nodes, wiring, share, frames, dy, stride, ROW_NORM_OF(norm)};        \
    u32 ahead = count * splits * COMBINATIONS, rest = blockIdx.x / count;                              \
    if (blockIdx.x < ahead) {                                                                          \
      real_tables<N>(rows, blockIdx.x - rest * count, count, rest / COMBINATIONS, splits,              \
                     rest % COMBINATIONS, partial, tickets, dtables);                                  \
    } else {                                                                                           \
      u32 number = (blockIdx.x - ahead) * REAL_WARPS + threadIdx.x / 32;                               \
      real_slopes<N>(rows, number, count * share, tables, bits, slopes);                                     \
    }                                                                                                  \
  }
FOR_FAN_INS(REAL_BACKWARD)
