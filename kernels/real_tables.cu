// dtables[table][k] += Σ dy · Π_i (k_i ? x_i : 1 − x_i) over the frames at all places of a table.
//
// Moves 4 (fan_in + 1) bytes a frame and node (28 for 6 inputs): 0.1 T frames·nodes/s at 3 TB/s.
// Costs 62 products, 62 differences folded into them, and 64 additions: 190 operations, 0.3 T/s. So
// memory is the bound.
//
// A lane keeps the sums of its frames in registers, 64 at most: of seven and eight inputs block z
// sees to one combination of those past the sixth. Lanes, warps and splits are added in fixed order.

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

template <int N>
__device__ __forceinline__ void real_tables(const float *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                            u32 share, u32 frames, const float *dy, u32 stride,
                                            float *partial, u32 *tickets, float *dtables) {
  constexpr int LOW = N < 6 ? N : 6;
  constexpr u32 ENTRIES = 1 << LOW, WARPS = 4, THREADS = 128;
  SHARED(float, columns, WARPS * ENTRIES * 32);
  SHARED(u32, last, 1);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  u32 words = (frames + 31) / 32, units = share * words;
  const u32 *sources = wiring + (u64)blockIdx.x * share * N;
  const float *own_dy = at(dy, stride, blockIdx.x * share);
  float sums[ENTRIES];
#pragma unroll
  for (u32 k = 0; k < ENTRIES; k++) sums[k] = 0;

  for (u32 unit = blockIdx.y * WARPS + warp; unit < units; unit += gridDim.y * WARPS) {
    u32 place = unit / words, frame = (unit - place * words) * 32 + lane;
    if (frame >= frames) continue;
    float inputs[N], weight = at(own_dy, stride, place)[frame];
#pragma unroll
    for (int i = 0; i < N; i++) inputs[i] = unit_input(x, x_stride, nodes, sources[place * N + i], frame);
#pragma unroll
    for (int i = LOW; i < N; i++) weight *= blockIdx.z >> (i - LOW) & 1 ? inputs[i] : 1 - inputs[i];
    Spread<LOW, 0>::add(sums, inputs, weight);
  }
#pragma unroll
  for (u32 k = 0; k < ENTRIES; k++) columns[(warp * ENTRIES + k) * 32 + lane] = sums[k];
  __syncthreads();
  u64 first = ((u64)blockIdx.x << N) + blockIdx.z * ENTRIES, all = (u64)gridDim.x << N;
  float *out = partial + blockIdx.y * all + first;
  for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) {
    float total = column_sum(columns, WARPS, ENTRIES, k);
    if (gridDim.y == 1) dtables[first + k] += total;
    else out[k] = total;
  }
  if (gridDim.y == 1) return;
  if (!last_block(tickets + blockIdx.x * gridDim.z + blockIdx.z, gridDim.y, last)) return;
  for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) {
    float total = 0;
    for (u32 split = 0; split < gridDim.y; split++) total += partial[split * all + first + k];
    dtables[first + k] += total;
  }
}

// Blocks (table, split, combination of the inputs past the sixth); tickets, one for each table and
// combination, are zero before and after.
#define REAL_TABLES(N)                                                                           \
  KERNEL(128, real_tables_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring,       \
         u32 share, u32 frames, const float *dy, u32 stride, float *partial, u32 *tickets,       \
         float *dtables) {                                                                       \
    real_tables<N>(x, x_stride, nodes, wiring, share, frames, dy, stride, partial, tickets,      \
                   dtables);                                                                     \
  }
FOR_FAN_INS(REAL_TABLES)
