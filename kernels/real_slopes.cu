// slopes[place * fan_in + i] = dy[place] · ∂y/∂x_i of a multilinear table: the gradient that each
// input of each place sends back. scatter_rows.cu adds them up by source.
//
// Moves 4 (2 fan_in + 1) bytes a frame and node (52 for 6 inputs): 58 G frames·nodes/s at 3 TB/s.
// Costs 183 interpolations and differences, about 430 operations: 0.14 T/s at 60 TFLOP/s. So memory
// is the bound.

// The value of a table over D inputs, and its slopes along each.
template <int D>
struct Differentiate {
  static __device__ __forceinline__ float of(const float *table, const float *x, float *slopes) {
    float others[D];
    float zero = Differentiate<D - 1>::of(table, x, slopes);
    float one = Differentiate<D - 1>::of(table + (1 << (D - 1)), x, others);
#pragma unroll
    for (int i = 0; i < D - 1; i++) slopes[i] = fmaf(x[D - 1], others[i] - slopes[i], slopes[i]);
    slopes[D - 1] = one - zero;
    return fmaf(x[D - 1], one - zero, zero);
  }
};

template <>
struct Differentiate<0> {
  static __device__ __forceinline__ float of(const float *table, const float *, float *) { return *table; }
};

template <int N>
__device__ __forceinline__ void real_slopes(const float *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                            u32 places, u32 share, u32 frames, const float *tables,
                                            const float *dy, u32 stride, float *slopes) {
  u32 place = row(), frame = column();
  if (place >= places || frame >= frames) return; // the padding is never read
  const u32 *sources = wiring + (u64)place * N;
  float inputs[N], own[N];
#pragma unroll
  for (int i = 0; i < N; i++) inputs[i] = unit_input(x, x_stride, nodes, sources[i], frame);
  Differentiate<N>::of(tables + ((u64)(place / share) << N), inputs, own);
  float g = at(dy, stride, place)[frame];
#pragma unroll
  for (int i = 0; i < N; i++) at(slopes, stride, place * N + i)[frame] = g * own[i];
}

// Threads (frame, place).
#define REAL_SLOPES(N)                                                                           \
  KERNEL(256, real_slopes_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring,       \
         u32 places, u32 share, u32 frames, const float *tables, const float *dy, u32 stride,    \
         float *slopes) {                                                                        \
    real_slopes<N>(x, x_stride, nodes, wiring, places, share, frames, tables, dy, stride,        \
                   slopes);                                                                      \
  }
FOR_FAN_INS(REAL_SLOPES)
