// sums[table][k]: the sum of dy over the frames, at all places of a table, with pattern k.
//
// Moves fan_in / 8 + 4 bytes a frame and node (4.75 for 6 inputs): 0.63 T frames·nodes/s at 3 TB/s.
// Costs about 25 instructions a thread and frame, 1.1 T/s. So memory, the reading of dy, is the bound.
//
// The block that is done last with a table goes on with its sums to the gradients of its parameters, where
// its model is one of models/; columns are then its memory. That is a launch less.
//
// Each lane adds to a column of its own in shared memory, where no two meet and no two are in one
// bank; columns are added up in fixed order. Splits of a table are added up, in order, by the block
// that is done last. So no float is ever added atomically, and the result is the same bits each time.

template <int N>
__device__ __forceinline__ void pattern_sums(const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                             u32 share, u32 frames, const float *dy, u32 stride,
                                             float *partial, u32 *tickets, float *sums, GradientArguments then) {
  constexpr u32 ENTRIES = 1 << N, WARPS = N < 7 ? 4 : N == 7 ? 2 : 1, THREADS = WARPS * 32;
  constexpr u32 NEEDED = (u32)sizeof(GradientMemory) / 8, COLUMNS = WARPS * ENTRIES * 16;
  SHARED(double, memory, (COLUMNS > NEEDED ? COLUMNS : NEEDED));
  float *columns = (float *)memory;
  SHARED(u32, tiles, WARPS * N * 32);
  SHARED(u32, last, 1);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  u32 words = (frames + 31) / 32, units = share * words;
  const u32 *sources = wiring + (u64)blockIdx.x * share * N;
  const float *own_dy = at(dy, stride, blockIdx.x * share);
  u32 *tile = tiles + warp * N * 32;
  float *own = columns + warp * ENTRIES * 32 + lane;
  for (u32 k = 0; k < ENTRIES; k++) own[k * 32] = 0;

  u32 step = gridDim.y * WARPS * 32;
  for (u32 first = (blockIdx.y * WARPS + warp) * 32; first < units; first += step) {
    load_units<N>(x, x_stride, nodes, sources, words, units, first, tile);
    __syncwarp();
    u32 place = first / words, word = first - place * words;
    for (u32 j = 0; j < 32 && first + j < units; j++) {
      u32 frame = word * 32 + lane, k = 0;
      if (frame < frames) {
#pragma unroll
        for (int i = 0; i < N; i++) k |= (tile[i * 32 + j] >> lane & 1) << i;
        own[k * 32] += at(own_dy, stride, place)[frame];
      }
      if (++word == words) {
        word = 0;
        place++;
      }
    }
    __syncwarp();
  }
  __syncthreads();
  u64 first = (u64)blockIdx.x << N, all = (u64)gridDim.x << N;
  float *out = gridDim.y == 1 ? sums + first : partial + blockIdx.y * all + first;
  for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) out[k] = column_sum(columns, WARPS, ENTRIES, k);
  if (gridDim.y > 1) {
    if (!last_block(tickets + blockIdx.x, gridDim.y, last)) return;
    for (u32 k = threadIdx.x; k < ENTRIES; k += THREADS) {
      float total = 0;
      for (u32 split = 0; split < gridDim.y; split++) total += partial[split * all + first + k];
      sums[first + k] = total;
    }
  }
  if (then.kind == NO_MODEL) return;
  __syncthreads(); // the sums are there, and nobody reads columns
  table_gradient(then, blockIdx.x, N, sums + first, (GradientMemory *)memory);
}

// Blocks (table, split); tickets, one a table, are zero before and after.
#define PATTERN_SUMS(N)                                                                          \
  KERNEL((N < 7 ? 4 : N == 7 ? 2 : 1) * 32, pattern_sums_##N, const u32 *x, u32 x_stride,        \
         u32 nodes, const u32 *wiring, u32 share, u32 frames, const float *dy, u32 stride,       \
         float *partial, u32 *tickets, float *sums, GRADIENT_ARGUMENTS) {                        \
    pattern_sums<N>(x, x_stride, nodes, wiring, share, frames, dy, stride, partial, tickets,     \
                    sums, GRADIENT);                                                             \
  }
FOR_FAN_INS(PATTERN_SUMS)
