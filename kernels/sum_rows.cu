// y[o, f] = Σ weight · x[source, f] over the terms of sum o, for x of u8 or f32: filters whose taps
// are rows.
//
// Moves 4 bytes a result and 4 (1 for u8) a term, less what the cache has of rows that are read
// again, at 3 TB/s.

// Threads (frame, row of y). The terms of sum o are first[o] to first[o + 1] - 1. Frames past the
// last are zero.
template <class T>
__device__ __forceinline__ void sum(const u32 *first, const u32 *sources, const float *weights, const T *x,
                                    u32 x_stride, u32 rows, u32 frames, float *y, u32 stride) {
  u32 out = row(), frame = column();
  if (out >= rows || frame >= stride) return;
  float total = 0;
  if (frame < frames) {
    u32 end = first[out + 1];
    for (u32 term = first[out]; term < end; term++)
      total += weights[term] * (float)at(x, x_stride, sources[term])[frame];
  }
  at(y, stride, out)[frame] = total;
}

KERNEL(256, sum_reals, const u32 *first, const u32 *sources, const float *weights, const float *x, u32 x_stride,
       u32 rows, u32 frames, float *y, u32 stride) {
  sum(first, sources, weights, x, x_stride, rows, frames, y, stride);
}

KERNEL(256, sum_bytes, const u32 *first, const u32 *sources, const float *weights, const u8 *x, u32 x_stride,
       u32 rows, u32 frames, float *y, u32 stride) {
  sum(first, sources, weights, x, x_stride, rows, frames, y, stride);
}
