// Batch norm of LUT nodes on rows of values, and the window that gradients pass through.
//
// row_moments reads 4 bytes a value from memory and again from the cache; node_reals moves 8 and node_bits
// 4 and an eighth; row_slopes reads 8 and row_backward moves 12: memory is the bound of each, at 3 TB/s.
// Sums are in f64 and in fixed order: lane by lane, then over lanes and warps.
//
// Products and sums are not fused: what is given is what the CPU gives for the same statistics.

#define ROW_WARPS 8
#define ROW_LEAST 1e-5 // variance

// The sum over a block, in all threads.
__device__ __forceinline__ double row_sum(double value, double *shared) {
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  value = warp_sum(value);
  __syncthreads(); // the last sum has been read
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  double total = 0;
  for (u32 i = 0; i < ROW_WARPS; i++) total += shared[i];
  return total;
}

__device__ __forceinline__ float row_root(float variance) { return (float)(1.0 / sqrt((double)variance)); }

// v of a value.
__device__ __forceinline__ float row_value(float u, const float *mean, const float *variance, u32 group, float gamma,
                                           float beta) {
  if (!mean) return u;
  return (u - mean[group]) * row_root(variance[group]) * gamma + beta;
}

// A block a node.
KERNEL(256, row_moments, const float *u, u32 stride, u32 share, u32 frames, float *mean, float *variance) {
  SHARED(double, shared, ROW_WARPS);
  const float *rows = at(u, stride, blockIdx.x * share);
  double count = (double)share * (double)frames, sum = 0;
  for (u32 place = 0; place < share; place++) {
    for (u32 f = threadIdx.x; f < frames; f += 256) sum += (double)at(rows, stride, place)[f];
  }
  double centre = row_sum(sum, shared) / count;
  sum = 0;
  for (u32 place = 0; place < share; place++) {
    for (u32 f = threadIdx.x; f < frames; f += 256) {
      double off = (double)at(rows, stride, place)[f] - centre;
      sum += off * off;
    }
  }
  sum = row_sum(sum, shared) / count;
  if (threadIdx.x != 0) return;
  mean[blockIdx.x] = (float)centre;
  variance[blockIdx.x] = (float)(sum > ROW_LEAST ? sum : ROW_LEAST); // NaN too is the least
}

// y = v from 0 to 1. Threads (frame, row).
KERNEL(256, node_reals, const float *u, u32 u_stride, u32 share, const float *mean, const float *variance, float gamma,
       float beta, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float v = 0;
  if (frame < frames) {
    v = row_value(at(u, u_stride, node)[frame], mean, variance, node / share, gamma, beta);
    if (v < 0.0f) v = 0.0f;
    if (v > 1.0f) v = 1.0f;
  }
  at(y, stride, node)[frame] = v;
}

// y = v > 0.5. A warp makes words by votes. Threads (frame, row).
KERNEL(256, node_bits, const float *u, u32 u_stride, u32 share, const float *mean, const float *variance, float gamma,
       float beta, u32 nodes, u32 frames, u32 *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride * 32) return; // whole warps
  bool above = false;
  if (frame < frames)
    above = row_value(at(u, u_stride, node)[frame], mean, variance, node / share, gamma, beta) > 0.5f;
  u32 word = __ballot_sync(ALL_LANES, above);
  if ((frame & 31) == 0) at(y, stride, node)[frame >> 5] = word;
}

// slopes = dmean, dvar / n of each node. A block a node.
KERNEL(256, row_slopes, const float *u, u32 stride, u32 share, const float *mean, const float *variance, float gamma,
       float beta, const float *dy, u32 frames, double *slopes) {
  SHARED(double, shared, ROW_WARPS);
  u32 node = blockIdx.x;
  const float *rows = at(u, stride, node * share), *gradients = at(dy, stride, node * share);
  double centre = (double)mean[node], root = (double)row_root(variance[node]), total = 0, product = 0;
  for (u32 place = 0; place < share; place++) {
    for (u32 f = threadIdx.x; f < frames; f += 256) {
      float own = at(rows, stride, place)[f], v = row_value(own, mean, variance, node, gamma, beta);
      if (v <= 0.0f || v >= 1.0f) continue;
      double g = (double)at(gradients, stride, place)[f];
      total += g;
      product += g * ((double)own - centre);
    }
  }
  total = (double)gamma * row_sum(total, shared);
  product = (double)gamma * row_sum(product, shared);
  if (threadIdx.x != 0) return;
  double count = (double)share * (double)frames, dvar = -root * root * root * product;
  slopes[2 * node] = (-root * total - centre * dvar) / count;
  slopes[2 * node + 1] = dvar / count;
}

// Threads (frame, row).
KERNEL(256, row_backward, const float *u, u32 stride, u32 share, const float *mean, const float *variance, float gamma,
       float beta, const float *dy, u32 constant, const double *slopes, u32 nodes, u32 frames, float *du) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    u32 group = node / share;
    float own = at(u, stride, node)[frame], v = row_value(own, mean, variance, group, gamma, beta);
    float inside = v <= 0.0f || v >= 1.0f ? 0.0f : at(dy, stride, node)[frame], root = row_root(variance[group]);
    if (constant) {
      out = inside * (v > 0.0f && v < 1.0f ? gamma * root : 0.0f);
    } else {
      double scaled = (double)gamma * (double)root * (double)inside;
      out = (float)(scaled + slopes[2 * group] + (double)own * slopes[2 * group + 1]);
    }
  }
  at(du, stride, node)[frame] = out;
}
