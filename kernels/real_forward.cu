// y[place] = Σ_k table[k] Π_i (k_i ? x_i : 1 − x_i), inputs clamped to [0, 1]: a multilinear table.
//
// Moves 4 (fan_in + 1) bytes a frame and node (28 for 6 inputs), 4 of them to memory where x stays
// in the second-level cache: 0.1 T frames·nodes/s from memory at 3 TB/s. Costs 63 interpolations,
// 189 operations: 0.32 T/s at 60 TFLOP/s. So memory is the bound, arithmetic not far from it.

// The table over D inputs; depth first, so that few registers are alive.
template <int D>
struct Multilinear {
  static __device__ __forceinline__ float of(const float *table, bool bits, const float *x) {
    float zero = Multilinear<D - 1>::of(table, bits, x);
    float one = Multilinear<D - 1>::of(table + (1 << (D - 1)), bits, x);
    return fmaf(x[D - 1], one - zero, zero);
  }
};

template <>
struct Multilinear<0> {
  static __device__ __forceinline__ float of(const float *table, bool bits, const float *) {
    return table_entry(*table, bits);
  }
};

template <>
struct Multilinear<2> {
  static __device__ __forceinline__ float of(const float *table, bool bits, const float *x) {
    float4 four = *(const float4 *)table;
    four.x = table_entry(four.x, bits), four.y = table_entry(four.y, bits);
    four.z = table_entry(four.z, bits), four.w = table_entry(four.w, bits);
    float zero = fmaf(x[0], four.y - four.x, four.x), one = fmaf(x[0], four.w - four.z, four.z);
    return fmaf(x[1], one - zero, zero);
  }
};

template <int N>
__device__ __forceinline__ void real_forward(const float *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                             u32 places, u32 share, u32 frames, const float *tables, bool bits,
                                             float *y, u32 stride) {
  u32 place = row(), frame = column();
  if (place >= places || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    const u32 *sources = wiring + (u64)place * N;
    float inputs[N];
#pragma unroll
    for (int i = 0; i < N; i++) inputs[i] = unit_input(x, x_stride, nodes, sources[i], frame);
    out = Multilinear<N>::of(tables + ((u64)(place / share) << N), bits, inputs);
  }
  at(y, stride, place)[frame] = out;
}

// Threads (frame, place).
#define REAL_FORWARD(N)                                                                          \
  KERNEL(256, real_forward_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring,      \
         u32 places, u32 share, u32 frames, const float *tables, u32 bits, float *y,             \
         u32 stride) {                                                                           \
    real_forward<N>(x, x_stride, nodes, wiring, places, share, frames, tables, bits, y, stride); \
  }
FOR_FAN_INS(REAL_FORWARD)
