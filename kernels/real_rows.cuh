// LUT layers on real numbers: batch norm of their rows, and what a pass back through them reads.

// The norm of LUT nodes on rows of values u (row_norm.cu), and what goes through its statistics: for each node
// Σ g / n and Σ g · (u − mean) / n, each times what the gradient has of it. None without u or mean.
struct RowNorm {
  const float *u, *mean, *variance;
  float gamma, beta;
  const float2 *slopes; // none where statistics are constant
};

// A norm among the arguments of a kernel, and what they are together.
#define ROW_NORM(name)                                                                                     \
  const float *name##_u, const float *name##_mean, const float *name##_variance, float name##_gamma,       \
      float name##_beta, const float2 *name##_slopes
#define ROW_NORM_OF(name) \
  { name##_u, name##_mean, name##_variance, name##_gamma, name##_beta, name##_slopes }

// The same for one node.
struct RowMap {
  float mean, root, gamma, beta, shift, slope;
};

__device__ __forceinline__ RowMap row_map(RowNorm norm, u32 node) {
  RowMap map = {0, 1, norm.gamma, norm.beta, 0, 0};
  if (!norm.mean) return map;
  map.mean = norm.mean[node];
  map.root = (float)(1.0 / sqrt((double)norm.variance[node]));
  if (norm.slopes) map.shift = norm.slopes[node].x, map.slope = norm.slopes[node].y;
  return map;
}

// v of a value: the roundings of the CPU, in its order.
__device__ __forceinline__ float row_value(RowMap map, float u) {
  return (u - map.mean) * map.root * map.gamma + map.beta;
}

// Whether v lies outside of the window that gradients pass.
__device__ __forceinline__ bool row_outside(RowMap map, float u) {
  float v = row_value(map, u);
  return v <= 0.0f || v >= 1.0f;
}

// The gradient of a value from that of what the node gives.
__device__ __forceinline__ float row_gradient(RowMap map, float u, float dy) {
  float g = row_outside(map, u) ? 0 : map.gamma * map.root * dy;
  return g + map.shift + (u - map.mean) * map.slope;
}

#define REAL_WARPS 4

// What a layer reads, and the gradient that comes to it.
struct RealRows {
  const float *x;
  u32 x_stride, nodes;
  const u32 *wiring;
  u32 share, frames;
  const float *dy;
  u32 stride;
  RowNorm norm;
};

// The gradient of the value of a row and frame.
__device__ __forceinline__ float real_gradient(const RealRows &rows, RowMap map, u32 row, u32 frame) {
  float g = at(rows.dy, rows.stride, row)[frame];
  return rows.norm.u ? row_gradient(map, at(rows.norm.u, rows.stride, row)[frame], g) : g;
}

// Sites of 32 frames: unit u is word u % words of row u / words.
struct RealUnit {
  u32 row, frame;
};

__device__ __forceinline__ RealUnit real_unit(u32 unit, u32 words) {
  u32 row = unit / words;
  return {row, (unit - row * words) * 32 + (threadIdx.x & 31)};
}
