// Gradients kept from being too large: by their norm over all arrays, or each number by itself.
//
// Moves 4 bytes a number for the norm, and 8 where gradients are scaled or clamped: 0.25 T numbers/s at
// 3 TB/s. Two to five instructions a number, so memory is the bound. Sums are in f64 and in fixed order:
// by thread, over lanes and warps, then over blocks, array by array.

#define CLIP_WARPS 8
#define CLIP_EACH 16 // numbers of a thread

// The sum over a block, in thread 0.
__device__ __forceinline__ double clip_sum(double value, double *shared) {
  value = warp_sum(value);
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  double total = 0;
  for (u32 i = 0; i < CLIP_WARPS; i++) total += shared[i];
  return total;
}

// partial[block] = the sum of the squares of the block's numbers.
KERNEL(256, square_sums, const float *x, u64 count, double *partial) {
  SHARED(double, shared, CLIP_WARPS);
  u64 first = (u64)blockIdx.x * 256 * CLIP_EACH + threadIdx.x;
  double sum = 0;
  for (u32 n = 0; n < CLIP_EACH; n++) {
    u64 i = first + (u64)n * 256;
    if (i < count) sum += (double)x[i] * (double)x[i];
  }
  sum = clip_sum(sum, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// What all gradients are multiplied with: limit / norm where the norm is above the limit, and 1 where it
// is not, or is no number: that is seen elsewhere. One block.
KERNEL(256, clip_factor, const double *partial, u32 count, float limit, float *factor) {
  SHARED(double, shared, CLIP_WARPS);
  double sum = 0;
  for (u32 i = threadIdx.x; i < count; i += 256) sum += partial[i];
  double norm = sqrt(clip_sum(sum, shared));
  if (threadIdx.x == 0) *factor = norm > (double)limit && norm < 1e300 ? (float)((double)limit / norm) : 1.0f;
}

KERNEL(256, clip_norm, float *x, u64 count, const float *factor) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  float by = *factor;
  if (i < count && by != 1.0f) x[i] *= by;
}

// NaN stays as it is.
KERNEL(256, clip_value, float *x, u64 count, float limit) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  if (i >= count) return;
  float value = x[i];
  if (value < -limit) value = -limit;
  x[i] = value > limit ? limit : value;
}
