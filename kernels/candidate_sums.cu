// sums[slot][c] += Σ g · (2 x_c − 1), g = slope_i[k] * error, for the candidate sources of each slot
// (node and input) of learned wiring, with error = scale[k] * dy + offset[k]. On the way errors and patterns
// are written as by table_errors, where the gradient goes further down, and blocks past the last node
// turn the choice around for it: see choose.cuh. That is two launches less.
//
// Moves fan_in / 8 + 4 bytes in and 5 out a frame and node (9.75 for 6 inputs), and 1 / 8 for each candidate from
// the caches: 6 for 6 inputs with 8. About 35 instructions for the error, 12 a slot and 4 a candidate: 300 a
// frame and node, 0.1 T frames·nodes/s. So instructions are the bound.
//
// A block owns a node, each of its warps a slot: all make the errors of some frames, then each warp
// sums for its slot. Lanes are added in fixed order, and runs of frames after one another.

#define CANDIDATES 8    // summed at a time
#define RUN_FRAMES 1024 // whose errors a block keeps; part of the numeric contract

// What a node of learned wiring is given.
struct NodeArguments {
  const u32 *x;
  u32 x_stride, inputs;
  const u32 *wiring, *candidates;
  u32 count;
  const float *dy;
  u32 stride;
  const float *scale, *offset, *slopes;
  u32 nodes, frames;
  float *sums, *errors;
  u8 *patterns;
};

template <int N>
__device__ __forceinline__ void candidate_sums(NodeArguments a, Turning turning) {
  SHARED(float, errors, RUN_FRAMES);
  SHARED(u8, patterns, RUN_FRAMES);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32, node = blockIdx.x;
  if (node >= a.nodes) {
    u32 source = (node - a.nodes) * N + warp;
    if (source < turning.sources) turn_source(turning, source);
    return;
  }
  const u32 *sources = a.wiring + (u64)node * N;
  const float *own_scale = a.scale + ((u64)node << N), *own_offset = a.offset + ((u64)node << N);
  u64 slot = (u64)node * N + warp, candidate = slot * a.count;
  const float *own_slopes = a.slopes + (slot << N);
  for (u32 first = 0; first < a.frames; first += RUN_FRAMES) {
    u32 run = a.frames - first < RUN_FRAMES ? a.frames - first : RUN_FRAMES;
    __syncthreads(); // the run before has been read
    for (u32 frame = threadIdx.x; frame < run; frame += N * 32) {
      u32 k = pattern<N>(a.x, a.x_stride, a.inputs, sources, first + frame);
      float error = fmaf(own_scale[k], at(a.dy, a.stride, node)[first + frame], own_offset[k]);
      errors[frame] = error;
      patterns[frame] = (u8)k;
      if (a.errors) {
        at(a.errors, a.stride, node)[first + frame] = error;
        at(a.patterns, a.stride, node)[first + frame] = (u8)k;
      }
    }
    __syncthreads();
    for (u32 c0 = 0; c0 < a.count; c0 += CANDIDATES) {
      const u32 *rows[CANDIDATES];
      float sum[CANDIDATES];
#pragma unroll
      for (u32 c = 0; c < CANDIDATES; c++) {
        u32 last = c0 + c < a.count ? c0 + c : a.count - 1; // those past the end are not written
        rows[c] = at(a.x, a.x_stride, a.candidates[candidate + last]) + first / 32;
        sum[c] = 0;
      }
      for (u32 frame = lane; frame < run; frame += 32) {
        float g = own_slopes[patterns[frame]] * errors[frame];
#pragma unroll
        for (u32 c = 0; c < CANDIDATES; c++) sum[c] += rows[c][frame >> 5] >> lane & 1 ? g : -g;
      }
#pragma unroll
      for (u32 c = 0; c < CANDIDATES; c++) {
        float total = warp_sum(sum[c]);
        if (lane == 0 && c0 + c < a.count) a.sums[candidate + c0 + c] += total;
      }
    }
  }
}

// Blocks of a warp for each input: a node each, then as many sources each as there are warps.
#define CANDIDATE_SUMS(N)                                                                              \
  KERNEL(N * 32, candidate_sums_##N, const u32 *x, u32 x_stride, u32 inputs, const u32 *wiring,        \
         const u32 *candidates, u32 count, const float *dy, u32 stride, const float *scale,            \
         const float *offset, const float *slopes, u32 nodes, u32 frames, float *sums, float *errors,  \
         u8 *patterns, TURNING_ARGUMENTS) {                                                            \
    candidate_sums<N>({x, x_stride, inputs, wiring, candidates, count, dy, stride, scale, offset,      \
                       slopes, nodes, frames, sums, errors, patterns},                                 \
                      TURNING);                                                                        \
  }
FOR_FAN_INS(CANDIDATE_SUMS)
