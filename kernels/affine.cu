// Affine maps of real nodes, in groups: C = A B, in tiles of 64 × 64 results.
//
// Costs 2 operations a weight and frame, 60 TFLOP/s without tensor cores; a tile reads 32 KiB of
// shared memory for 131 k operations and 8 KiB of memory for each 16 inputs, 16 operations a byte:
// with the second-level cache in between arithmetic is the bound from about 64 frames on. Sums over
// inputs or frames are in their order, so results are the same bits each time.

#define TILE 64
#define DEPTH 16

// C[m][n] += or = Σ_k A[m][k] B[k][n]. A is [M][K], or [K][M] when A_TURNED; B is [K][N], or [N][K]
// when B_TURNED. Blocks (tile of n, tile of m, group) of 256 threads, 4 × 4 results each. Columns
// from `columns` to the end of a row of C are padding.
template <bool A_TURNED, bool B_TURNED, bool ADD>
__device__ __forceinline__ void product(const float *a, u32 a_stride, const float *b, u32 b_stride, const float *bias,
                                        u32 m, u32 n, u32 k, float *c, u32 c_stride, u32 c_width) {
  SHARED(float, a_tile, DEPTH * TILE);
  SHARED(float, b_tile, DEPTH * TILE);
  u32 thread = threadIdx.x, m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE;
  u32 across = thread % 16, down = thread / 16;
  float sums[4][4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) sums[i][j] = 0;
  }
  for (u32 k0 = 0; k0 < k; k0 += DEPTH) {
#pragma unroll
    for (u32 part = 0; part < DEPTH * TILE / 256; part++) {
      u32 index = part * 256 + thread;
      u32 am = A_TURNED ? index % TILE : index / DEPTH, ak = A_TURNED ? index / TILE : index % DEPTH;
      u32 bn = B_TURNED ? index / DEPTH : index % TILE, bk = B_TURNED ? index % DEPTH : index / TILE;
      float from_a = 0, from_b = 0;
      if (m0 + am < m && k0 + ak < k) {
        from_a = A_TURNED ? at(a, a_stride, k0 + ak)[m0 + am] : at(a, a_stride, m0 + am)[k0 + ak];
      }
      if (n0 + bn < n && k0 + bk < k) {
        from_b = B_TURNED ? at(b, b_stride, n0 + bn)[k0 + bk] : at(b, b_stride, k0 + bk)[n0 + bn];
      }
      a_tile[ak * TILE + am] = from_a;
      b_tile[bk * TILE + bn] = from_b;
    }
    __syncthreads();
#pragma unroll
    for (u32 step = 0; step < DEPTH; step++) {
      float left[4], right[4];
#pragma unroll
      for (u32 i = 0; i < 4; i++) left[i] = a_tile[step * TILE + down * 4 + i];
#pragma unroll
      for (u32 j = 0; j < 4; j++) right[j] = b_tile[step * TILE + across + 16 * j];
#pragma unroll
      for (u32 i = 0; i < 4; i++) {
#pragma unroll
        for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
      u32 to_m = m0 + down * 4 + i, to_n = n0 + across + 16 * j;
      if (to_m >= m || to_n >= c_width) continue;
      float out = to_n < n ? sums[i][j] + (bias ? bias[to_m] : 0) : 0;
      float *to = at(c, c_stride, to_m) + to_n;
      *to = ADD ? *to + out : out;
    }
  }
}

// y = W x + bias.
KERNEL(256, affine_forward, const float *x, u32 stride, const float *weights, const float *bias, u32 inputs,
       u32 outputs, u32 frames, float *y) {
  u64 group = blockIdx.z;
  product<false, false, false>(weights + group * inputs * outputs, inputs, x + group * inputs * stride, stride,
                               bias + group * outputs, outputs, frames, inputs, y + group * outputs * stride, stride,
                               stride);
}

// dx = Wᵀ dy.
KERNEL(256, affine_backward_input, const float *dy, u32 stride, const float *weights, u32 inputs, u32 outputs,
       u32 frames, float *dx) {
  u64 group = blockIdx.z;
  product<true, false, false>(weights + group * inputs * outputs, inputs, dy + group * outputs * stride, stride,
                              nullptr, inputs, frames, outputs, dx + group * inputs * stride, stride, stride);
}

// dW += dy xᵀ.
KERNEL(256, affine_backward_weights, const float *x, const float *dy, u32 stride, u32 inputs, u32 outputs, u32 frames,
       float *dweights) {
  u64 group = blockIdx.z;
  product<false, true, true>(dy + group * outputs * stride, stride, x + group * inputs * stride, stride, nullptr,
                             outputs, inputs, frames, dweights + group * inputs * outputs, inputs, inputs);
}

// dbias[o] += Σ_f dy[o, f]. Blocks of a warp an output.
KERNEL(32, affine_backward_bias, const float *dy, u32 stride, u32 frames, float *dbias) {
  float sum = 0;
  for (u32 frame = threadIdx.x; frame < frames; frame += 32) sum += at(dy, stride, blockIdx.x)[frame];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) dbias[blockIdx.x] += sum;
}

// y[o, f] = bias[o], for products that are added to it; padding is zero. Threads (frame, output).
KERNEL(256, fill_bias, const float *bias, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  at(y, stride, node)[frame] = frame < frames ? bias[node] : 0.0f;
}
