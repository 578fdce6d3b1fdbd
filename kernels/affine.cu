// Affine maps of real nodes, in groups: C = A B, in tiles of 64 × 64 results. What is made of weights and
// inputs (signs, rounded numbers, levels of bits) is made as tiles are loaded, and what becomes of a sum (bias,
// rounding, the windows of signs) as it is written.
//
// Costs 2 operations a weight and frame, 60 TFLOP/s without tensor cores; a tile reads 32 KiB of
// shared memory for 131 k operations and 8 KiB of memory for each 16 inputs, 16 operations a byte:
// with the second-level cache in between arithmetic is the bound from about 64 frames on. For every 256
// multiplications and additions a thread loads 4 numbers of each operand: a sign costs 2 instructions, a bit 4,
// rounding some 20, so up to 160 beside the 256 where both are rounded. Inputs of bits are an eighth of a byte
// instead of 4. Sums over inputs or frames are in their order, so results are the same bits each time.

#define TILE 64
#define DEPTH 16

// out(m, n, Σ_k a(m, k) b(k, n)) for all m and for n below `width`, where sums from n on are padding. What a
// is read by consecutive threads at consecutive k, or m when A_TURNED; b at consecutive n, or k when B_TURNED.
// Blocks (tile of n, tile of m, group) of 256 threads, 4 × 4 results each.
template <bool A_TURNED, bool B_TURNED, class A, class B, class Out>
__device__ __forceinline__ void product(u32 m, u32 n, u32 k, u32 width, A a, B b, Out out) {
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
#pragma unroll 2 // four at a time would spill where forms take registers
    for (u32 part = 0; part < DEPTH * TILE / 256; part++) {
      u32 index = part * 256 + thread;
      u32 am = A_TURNED ? index % TILE : index / DEPTH, ak = A_TURNED ? index / TILE : index % DEPTH;
      u32 bn = B_TURNED ? index / DEPTH : index % TILE, bk = B_TURNED ? index % DEPTH : index / TILE;
      a_tile[ak * TILE + am] = m0 + am < m && k0 + ak < k ? a(m0 + am, k0 + ak) : 0;
      b_tile[bk * TILE + bn] = n0 + bn < n && k0 + bk < k ? b(k0 + bk, n0 + bn) : 0;
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
      if (to_m < m && to_n < width) out(to_m, to_n, sums[i][j]);
    }
  }
}

// What is made of a node in a frame.
__device__ __forceinline__ float input(const void *x, u32 stride, u32 node, u32 frame, Form form) {
  if (form.kind != FORM_PACKED) return formed(form, at((const float *)x, stride, node)[frame]);
  return at((const u32 *)x, stride, node)[frame >> 5] >> (frame & 31) & 1 ? form.high : form.low;
}

// What is given for a sum: bias is added, if there is one, and the answer gets its form.
__device__ __forceinline__ float finished(float sum, const float *bias, u32 output, Form of_bias, Form of_y) {
  return formed(of_y, sum + (bias ? formed(of_bias, bias[output]) : 0));
}

// y = W x + bias.
KERNEL(256, affine_forward, const void *x, u32 x_stride, FORM(of_x), const float *weights, FORM(of_weights),
       const float *bias, FORM(of_bias), FORM(of_y), u32 inputs, u32 outputs, u32 frames, float *y, u32 stride) {
  u32 first = blockIdx.z * inputs, first_out = blockIdx.z * outputs;
  const float *own = at(weights, inputs, first_out);
  Form x_form = FORM_OF(of_x), form = FORM_OF(of_weights), bias_form = FORM_OF(of_bias), y_form = FORM_OF(of_y);
  product<false, false>(
      outputs, frames, inputs, stride, [=](u32 o, u32 i) { return formed(form, at(own, inputs, o)[i]); },
      [=](u32 i, u32 f) { return input(x, x_stride, first + i, f, x_form); },
      [=](u32 o, u32 f, float sum) {
        o += first_out;
        at(y, stride, o)[f] = f < frames ? finished(sum, bias, o, bias_form, y_form) : 0;
      });
}

// dx = slope Wᵀ dy, and zero outside of the window from -1 to 1 where x is given.
KERNEL(256, affine_backward_input, const float *dy, u32 stride, const float *weights, FORM(of_weights), float slope,
       const float *x, u32 inputs, u32 outputs, u32 frames, float *dx) {
  u32 first = blockIdx.z * inputs, first_out = blockIdx.z * outputs;
  const float *own = at(weights, inputs, first_out), *gradients = at(dy, stride, first_out);
  Form form = FORM_OF(of_weights);
  product<true, false>(
      inputs, frames, outputs, stride, [=](u32 i, u32 o) { return formed(form, at(own, inputs, o)[i]); },
      [=](u32 o, u32 f) { return at(gradients, stride, o)[f]; },
      [=](u32 i, u32 f, float sum) {
        i += first;
        bool passes = f < frames && (!x || fabsf(at(x, stride, i)[f]) <= 1.0f);
        at(dx, stride, i)[f] = passes ? sum * slope : 0;
      });
}

// dW += dy xᵀ, where the weight is from -1 to 1 if weights are given.
KERNEL(256, affine_backward_weights, const void *x, u32 x_stride, FORM(of_x), const float *dy, u32 stride,
       const float *weights, u32 inputs, u32 outputs, u32 frames, float *dweights) {
  u32 first = blockIdx.z * inputs, first_out = blockIdx.z * outputs;
  const float *gradients = at(dy, stride, first_out);
  Form x_form = FORM_OF(of_x);
  product<false, true>(
      outputs, inputs, frames, inputs, [=](u32 o, u32 f) { return at(gradients, stride, o)[f]; },
      [=](u32 f, u32 i) { return input(x, x_stride, first + i, f, x_form); },
      [=](u32 o, u32 i, float sum) {
        u64 weight = (u64)inputs * (first_out + o) + i;
        if (!weights || fabsf(weights[weight]) <= 1.0f) dweights[weight] += sum;
      });
}

// dbias[o] += Σ_f dy[o, f]. Blocks of a warp an output.
KERNEL(32, affine_backward_bias, const float *dy, u32 stride, u32 frames, float *dbias) {
  float sum = 0;
  for (u32 frame = threadIdx.x; frame < frames; frame += 32) sum += at(dy, stride, blockIdx.x)[frame];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) dbias[blockIdx.x] += sum;
}

// What is given for sums that another's product left in y; padding is zero. Threads (frame, output).
KERNEL(256, affine_finish, const float *bias, FORM(of_bias), FORM(of_y), u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float *to = at(y, stride, node) + frame;
  *to = frame < frames ? finished(*to, bias, node, FORM_OF(of_bias), FORM_OF(of_y)) : 0;
}
