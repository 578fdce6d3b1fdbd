// counts[table][k]: the frames, at all places of a table, whose inputs show pattern k.
//
// Moves fan_in / 8 bytes a frame and node (0.75 for 6 inputs): 4.0 T frames·nodes/s at 3 TB/s. Costs
// per 32 frames and node, for 6 inputs: 7 logic operations and 2 popcounts a lane, with popcounts
// at a quarter of the rate: about 17 warp instructions, 1.7 T/s on 132 SMs at 1.7 GHz. So popcounts
// are the bound.
//
// Lane k sees to the patterns whose low five bits are k, for which it turns the words of inputs it
// wants zero, and ands all. Fewer than five inputs leave lanes over, which take other units. Counts
// are whole numbers, so the order of the atomics does not show.
//
// Where wiring is learned, the first warp of a table's blocks chooses what they count: 8 bytes a candidate, and
// some 50 instructions a slot that nothing hides but the blocks beside it. That is a launch less.

#define COUNT_WARPS 4

// `sources` are those of the table's places.
template <int N>
__device__ __forceinline__ void pattern_counts(const u32 *x, u32 stride, u32 nodes, const u32 *sources, u32 share,
                                               u32 frames, u32 *counts) {
  constexpr int LOW = N < 5 ? N : 5, HIGH = N - LOW, QUADS = 8;
  constexpr u32 GROUPS = 32 >> LOW;
  SHARED(uint4, tiles, COUNT_WARPS * (N + 1) * QUADS);
  SHARED(u32, total, 1 << N);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  u32 words = (frames + 31) / 32, units = share * words;
  uint4 *tile = tiles + warp * (N + 1) * QUADS;
  for (u32 k = threadIdx.x; k < 1u << N; k += COUNT_WARPS * 32) total[k] = 0;
  __syncthreads();

  u32 flip[LOW], count[1 << HIGH];
#pragma unroll
  for (int i = 0; i < LOW; i++) flip[i] = (lane >> i & 1) - 1;
#pragma unroll
  for (int h = 0; h < 1 << HIGH; h++) count[h] = 0;

  u32 step = gridDim.y * COUNT_WARPS * 32;
  for (u32 first = (blockIdx.y * COUNT_WARPS + warp) * 32; first < units; first += step) {
    u32 word = load_units<N>(x, stride, nodes, sources, words, units, first, (u32 *)tile);
    ((u32 *)tile)[N * 32 + lane] = first + lane < units ? frame_mask(frames, word) : 0;
    __syncwarp();
#pragma unroll 1
    for (u32 quad = lane >> LOW; quad < QUADS; quad += GROUPS) {
      uint4 there = tile[N * QUADS + quad];
#pragma unroll
      for (int i = 0; i < LOW; i++) {
        uint4 bits = tile[i * QUADS + quad];
        there.x &= bits.x ^ flip[i];
        there.y &= bits.y ^ flip[i];
        there.z &= bits.z ^ flip[i];
        there.w &= bits.w ^ flip[i];
      }
#pragma unroll
      for (int h = 0; h < 1 << HIGH; h++) {
        uint4 own = there;
#pragma unroll
        for (int i = 0; i < HIGH; i++) {
          uint4 bits = tile[(LOW + i) * QUADS + quad];
          u32 turn = (h >> i & 1) - 1;
          own.x &= bits.x ^ turn;
          own.y &= bits.y ^ turn;
          own.z &= bits.z ^ turn;
          own.w &= bits.w ^ turn;
        }
        count[h] += __popc(own.x) + __popc(own.y) + __popc(own.z) + __popc(own.w);
      }
    }
    __syncwarp();
  }
#pragma unroll
  for (int h = 0; h < 1 << HIGH; h++) atomicAdd(&total[h << LOW | (lane & ((1 << LOW) - 1))], count[h]);
  __syncthreads();
  u32 *own = counts + ((u64)blockIdx.x << N);
  for (u32 k = threadIdx.x; k < 1u << N; k += COUNT_WARPS * 32) {
    if (gridDim.y == 1) own[k] = total[k];
    else atomicAdd(&own[k], total[k]); // all zero before
  }
}

// Blocks (table, split).
#define PATTERN_COUNTS(N)                                                                        \
  KERNEL(COUNT_WARPS * 32, pattern_counts_##N, const u32 *x, u32 stride, u32 nodes,              \
         const u32 *wiring, u32 share, u32 frames, u32 *counts) {                                \
    pattern_counts<N>(x, stride, nodes, wiring + (u64)blockIdx.x * share * N, share, frames,     \
                      counts);                                                                   \
  }
FOR_FAN_INS(PATTERN_COUNTS)

// The same of a table of one place, by what its scores choose, which is written too: see choose.cu.
template <int N>
__device__ __forceinline__ void chosen_counts(const u32 *x, u32 stride, u32 nodes, const u32 *candidates,
                                              const float *scores, u32 count, u32 frames, u32 *counts, u32 *table,
                                              u32 *picked) {
  SHARED(u32, sources, N);
  u64 slot = (u64)blockIdx.x * N;
  if (threadIdx.x < 32) {
    uint2 own = choose_node(candidates + slot * count, scores + slot * count, count, N);
    if (threadIdx.x < N) {
      sources[threadIdx.x] = own.x;
      if (blockIdx.y == 0) {
        table[slot + threadIdx.x] = own.x;
        picked[slot + threadIdx.x] = own.y;
      }
    }
  }
  __syncthreads();
  pattern_counts<N>(x, stride, nodes, sources, 1, frames, counts);
}

#define CHOSEN_COUNTS(N)                                                                         \
  KERNEL(COUNT_WARPS * 32, chosen_counts_##N, const u32 *x, u32 stride, u32 nodes,               \
         const u32 *candidates, const float *scores, u32 count, u32 frames, u32 *counts,         \
         u32 *table, u32 *picked) {                                                              \
    chosen_counts<N>(x, stride, nodes, candidates, scores, count, frames, counts, table,         \
                     picked);                                                                    \
  }
FOR_FAN_INS(CHOSEN_COUNTS)
