// sums[slot][c] += Σ g · (2 x_c − 1), g = slope_i[k] * error, for the candidate sources of each slot
// (node and input) of learned wiring, from the errors and patterns of table_errors.
//
// Moves 5 bytes for each slot and 1 / 8 for each candidate: 36 a frame and node of 6 inputs with 8
// candidates, from the caches. About 4 instructions a candidate and 12 a slot: 264 a frame and node,
// 0.11 T frames·nodes/s. So instructions are the bound.

#define CANDIDATES 8 // summed at a time

// Blocks of four warps, a slot each: (slots / 4, runs of candidates).
KERNEL(128, candidate_sums, const u32 *x, u32 x_stride, const u32 *candidates, u32 count, const float *errors,
       const u8 *patterns, const float *slopes, u32 fan_in, u32 slots, u32 frames, u32 stride, float *sums) {
  u32 lane = threadIdx.x & 31, slot = blockIdx.x * 4 + threadIdx.x / 32, c0 = blockIdx.y * CANDIDATES;
  if (slot >= slots) return;
  const float *own_errors = at(errors, stride, slot / fan_in);
  const u8 *own_patterns = at(patterns, stride, slot / fan_in);
  const float *own_slopes = slopes + ((u64)slot << fan_in);
  const u32 *rows[CANDIDATES];
  float sum[CANDIDATES];
#pragma unroll
  for (u32 c = 0; c < CANDIDATES; c++) {
    u32 last = c0 + c < count ? c0 + c : count - 1; // those past the end are not written
    rows[c] = at(x, x_stride, candidates[(u64)slot * count + last]);
    sum[c] = 0;
  }
  for (u32 frame = lane; frame < frames; frame += 32) {
    float g = own_slopes[own_patterns[frame]] * own_errors[frame];
#pragma unroll
    for (u32 c = 0; c < CANDIDATES; c++) sum[c] += rows[c][frame >> 5] >> lane & 1 ? g : -g;
  }
#pragma unroll
  for (u32 c = 0; c < CANDIDATES; c++) {
    float total = warp_sum(sum[c]);
    if (lane == 0 && c0 + c < count) sums[(u64)slot * count + c0 + c] += total;
  }
}
