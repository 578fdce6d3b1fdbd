// Batch norm of LUT nodes on rows of values, and the window that gradients pass through (real_rows.cuh).
//
// row_moments reads 4 bytes a value from memory and again from the cache; node_reals moves 8 and node_bits
// 4 and an eighth; row_slopes reads 8 and row_backward moves 12: memory is the bound of each, at 3 TB/s.
// Sums are in f64 and in fixed order: lane by lane, then over lanes and warps.
//
// Products and sums are not fused: what is given is what the CPU gives for the same statistics.

#define ROW_WARPS 8
#define ROW_LEAST 1e-5 // variance

// A block a node.
KERNEL(256, row_moments, const float *u, u32 stride, u32 share, u32 frames, float *mean, float *variance) {
  SHARED(double, shared, ROW_WARPS);
  double centre, spread;
  block_moments(at(u, stride, blockIdx.x * share), stride, share, frames, shared, &centre, &spread);
  if (threadIdx.x != 0) return;
  mean[blockIdx.x] = (float)centre;
  variance[blockIdx.x] = (float)(spread > ROW_LEAST ? spread : ROW_LEAST); // NaN too is the least
}

// v, or the value itself without a norm.
__device__ __forceinline__ float node_value(RowNorm norm, u32 stride, u32 share, u32 row, u32 frame) {
  float u = at(norm.u, stride, row)[frame];
  return norm.mean ? row_value(row_map(norm, row / share), u) : u;
}

// y = v from 0 to 1. Threads (frame, row).
KERNEL(256, node_reals, ROW_NORM(norm), u32 u_stride, u32 share, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float v = 0;
  if (frame < frames) {
    RowNorm norm = ROW_NORM_OF(norm);
    v = node_value(norm, u_stride, share, node, frame);
    if (v < 0.0f) v = 0.0f;
    if (v > 1.0f) v = 1.0f;
  }
  at(y, stride, node)[frame] = v;
}

// y = v > 0.5. A warp makes words by votes. Threads (frame, row).
KERNEL(256, node_bits, ROW_NORM(norm), u32 u_stride, u32 share, u32 nodes, u32 frames, u32 *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride * 32) return; // whole warps
  RowNorm norm = ROW_NORM_OF(norm);
  u32 word = __ballot_sync(ALL_LANES, frame < frames && node_value(norm, u_stride, share, node, frame) > 0.5f);
  if ((frame & 31) == 0) at(y, stride, node)[frame >> 5] = word;
}

// What goes through the statistics of each node, with g = γ · dy inside of the window:
//
//   slopes = −rstd Σ g / n, −rstd³ Σ g · (u − mean) / n
//
// Running averages take the statistics over, where there are any: r · keep + batch · (1 − keep) is written beside
// the old r. A block a node.
KERNEL(256, row_slopes, ROW_NORM(norm), u32 stride, u32 share, const float *dy, u32 frames, float2 *slopes, float keep,
       const float *running_mean, const float *running_variance, float *next_mean, float *next_variance) {
  SHARED(double, shared, ROW_WARPS);
  RowNorm norm = ROW_NORM_OF(norm);
  u32 node = blockIdx.x;
  RowMap map = row_map(norm, node);
  const float *rows = at(norm.u, stride, node * share), *gradients = at(dy, stride, node * share);
  double total = 0, product = 0;
  for (u32 place = 0; place < share; place++) {
    for (u32 f = threadIdx.x; f < frames; f += 256) {
      float own = at(rows, stride, place)[f];
      if (row_outside(map, own)) continue;
      double g = (double)at(gradients, stride, place)[f];
      total += g;
      product += g * ((double)own - (double)map.mean);
    }
  }
  total = block_sum(total, shared);
  product = block_sum(product, shared);
  if (threadIdx.x != 0) return;
  if (running_mean) {
    next_mean[node] = running_mean[node] * keep + norm.mean[node] * (1.0f - keep);
    next_variance[node] = running_variance[node] * keep + norm.variance[node] * (1.0f - keep);
  }
  double scale = -(double)map.gamma * (double)map.root / ((double)share * (double)frames);
  slopes[node] = make_float2((float)(scale * total), (float)(scale * product * (double)map.root * (double)map.root));
}

// du, for layers that do not make it as they go (real_backward.cu). Threads (frame, row).
KERNEL(256, row_backward, ROW_NORM(norm), u32 stride, u32 share, const float *dy, u32 nodes, u32 frames, float *du) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  RowNorm norm = ROW_NORM_OF(norm);
  float out = 0;
  if (frame < frames)
    out = row_gradient(row_map(norm, node / share), at(norm.u, stride, node)[frame], at(dy, stride, node)[frame]);
  at(du, stride, node)[frame] = out;
}
