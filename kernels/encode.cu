// The two ends of a network: numbers to bits, and bits to scores.
//
// threshold moves 4 bytes (1 for u8) a number and 1 / 8 a level, for 5 instructions a level: from
// about 20 levels on instructions are the bound, else memory. group_sum moves 1 / 8 byte a bit, for
// 3 instructions a bit and lane: instructions, at 9 T bits/s. group_sum_backward writes 4 bytes a
// bit: 0.75 T/s.

// y[(c · levels + l) · points + p] = x[c · points + p] > thresholds[c · points + p][l]. A warp makes
// words by votes. Threads (frame, node).
template <class T>
__device__ __forceinline__ void threshold(const T *x, u32 x_stride, u32 nodes, u32 frames, const float *thresholds,
                                          u32 levels, u32 points, u32 *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride * 32) return; // whole warps
  float value = 0;
  if (frame < frames) value = (float)at(x, x_stride, node)[frame];
  u32 channel = node / points, point = node - channel * points;
  for (u32 level = 0; level < levels; level++) {
    bool above = frame < frames && value > thresholds[(u64)node * levels + level];
    u32 word = __ballot_sync(ALL_LANES, above);
    if ((frame & 31) == 0) at(y, stride, (channel * levels + level) * points + point)[frame >> 5] = word;
  }
}

KERNEL(256, threshold_reals, const float *x, u32 x_stride, u32 nodes, u32 frames, const float *thresholds,
       u32 levels, u32 points, u32 *y, u32 stride) {
  threshold(x, x_stride, nodes, frames, thresholds, levels, points, y, stride);
}

KERNEL(256, threshold_bytes, const u8 *x, u32 x_stride, u32 nodes, u32 frames, const float *thresholds,
       u32 levels, u32 points, u32 *y, u32 stride) {
  threshold(x, x_stride, nodes, frames, thresholds, levels, points, y, stride);
}

// y[g] = scale · the ones of rows g · size to (g + 1) · size − 1. Blocks (group, word of 32 frames) of
// eight warps, which share the rows.
KERNEL(256, group_sum, const u32 *x, u32 x_stride, u32 size, u32 frames, float scale, float *y, u32 stride) {
  SHARED(u32, counts, 8 * 32);
  u32 group = blockIdx.x, word = blockIdx.y, lane = threadIdx.x & 31, warp = threadIdx.x / 32, count = 0;
  if (word * 32 < frames) {
    for (u32 n = warp; n < size; n += 8) count += at(x, x_stride, group * size + n)[word] >> lane & 1;
  }
  counts[warp * 32 + lane] = count;
  __syncthreads();
  if (warp != 0) return;
  for (u32 other = 1; other < 8; other++) count += counts[other * 32 + lane];
  u32 frame = word * 32 + lane;
  at(y, stride, group)[frame] = frame < frames ? scale * (float)count : 0;
}

// dx[n] = scale · dy[n / size]. Threads (frame, node).
KERNEL(256, group_sum_backward, const float *dy, u32 nodes, u32 size, u32 frames, float scale, float *dx, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  at(dx, stride, node)[frame] = frame < frames ? scale * at(dy, stride, node / size)[frame] : 0;
}
