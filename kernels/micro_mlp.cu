// Nodes that are micro-MLPs, on inputs that are real numbers. On bits they are tables: see models/micro_mlp.cuh.
//
// Each costs about 2 fan_in + 8 instructions a unit, frame and node, and fan_in + 2 loads of parameters that all
// lanes share: 16 units of six inputs take 450, 64 G frames·nodes/s forward, half of it for slopes, as much
// again for the gradient of the parameters. micro_forward moves 4 (fan_in + 1) bytes a frame and node,
// slopes 4 (2 fan_in + 1), gradients 4 (fan_in + 1) for each four units, from the caches: 112 for 16; 4 more each
// with a norm. So instructions are the bound.

#define UNITS 4 // of a block of micro_gradient

// The inputs of a place, as they are; those past the rows of x are the constants 0 and 1.
template <int N>
__device__ __forceinline__ void micro_inputs(const float *x, u32 stride, u32 nodes, const u32 *sources, u32 frame,
                                             float *inputs) {
#pragma unroll
  for (int i = 0; i < N; i++) {
    u32 source = sources[i];
    inputs[i] = source < nodes ? at(x, stride, source)[frame] : source == nodes ? 0.0f : 1.0f;
  }
}

// What a unit makes of its inputs: the sum of products, in their order, after the bias.
template <int N>
__device__ __forceinline__ float2 micro_unit(Model m, const float *parameters, u32 unit, const float *inputs) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < N; i++) sum += parameters[unit * N + i] * inputs[i];
  return micro_mlp_model::unit_of(m, parameters[micro_mlp_model::bias_of(m) + unit] + sum);
}

__device__ __forceinline__ Model micro_model(u32 fan_in, u32 units, u32 function) {
  return {0, fan_in, 1u << fan_in, units * (fan_in + 2) + 1, (float)units, (float)function};
}

template <int N>
__device__ __forceinline__ void micro_forward(const float *x, u32 x_stride, u32 nodes, const u32 *wiring, u32 places,
                                              u32 share, u32 frames, const float *parameters, u32 units, u32 function,
                                              float *y, u32 stride) {
  u32 place = row(), frame = column();
  if (place >= places || frame >= stride) return;
  float value = 0; // of padding
  if (frame < frames) {
    Model m = micro_model(N, units, function);
    const float *own = parameters + (u64)(place / share) * m.size;
    float inputs[N];
    micro_inputs<N>(x, x_stride, nodes, wiring + (u64)place * N, frame, inputs);
    value = own[m.size - 1];
#pragma unroll 1
    for (u32 unit = 0; unit < units; unit++) {
      value += own[micro_mlp_model::weight_of(m) + unit] * micro_unit<N>(m, own, unit, inputs).x;
    }
  }
  at(y, stride, place)[frame] = value;
}

// slopes[place * N + i] = du[place] · ∂u/∂x_i, for a unit of 32 frames, a warp each.
template <int N>
__device__ __forceinline__ void micro_slopes(const RealRows &rows, u32 number, u32 places, const float *parameters,
                                             Model m, float *slopes) {
  RealUnit unit = real_unit(number, (rows.frames + 31) / 32);
  if (unit.row >= places || unit.frame >= rows.frames) return; // the padding is never read
  u32 table = unit.row / rows.share;
  const float *own = parameters + (u64)table * m.size;
  float inputs[N], slope[N], g = real_gradient(rows, row_map(rows.norm, table), unit.row, unit.frame);
  micro_inputs<N>(rows.x, rows.x_stride, rows.nodes, rows.wiring + (u64)unit.row * N, unit.frame, inputs);
#pragma unroll
  for (int i = 0; i < N; i++) slope[i] = 0;
#pragma unroll 1
  for (u32 unit = 0; unit < micro_mlp_model::units(m); unit++) {
    float e = g * own[micro_mlp_model::weight_of(m) + unit] * micro_unit<N>(m, own, unit, inputs).y;
#pragma unroll
    for (int i = 0; i < N; i++) slope[i] += e * own[unit * N + i];
  }
#pragma unroll
  for (int i = 0; i < N; i++) at(slopes, rows.stride, unit.row * N + i)[unit.frame] = slope[i];
}

// Adds the gradient of the parameters of some units of a node, over the frames at all its places.
template <int N>
__device__ __forceinline__ void micro_gradient(const RealRows &rows, u32 table, u32 first, const float *parameters,
                                               Model m, float *dparameters) {
  constexpr u32 SUMS = UNITS * (N + 2) + 1, WARPS = 4;
  SHARED(float, parts, SUMS * WARPS);
  u32 warp = threadIdx.x / 32, units = micro_mlp_model::units(m);
  u32 weights = micro_mlp_model::weight_of(m), biases = micro_mlp_model::bias_of(m);
  const float *own = parameters + (u64)table * m.size;
  float *out = dparameters + (u64)table * m.size;
  RowMap map = row_map(rows.norm, table);
  float dweights[UNITS][N], dbias[UNITS], dweight[UNITS], all = 0;
#pragma unroll
  for (int u = 0; u < UNITS; u++) {
    dbias[u] = dweight[u] = 0;
#pragma unroll
    for (int i = 0; i < N; i++) dweights[u][i] = 0;
  }
  for (u32 p = 0; p < rows.share; p++) {
    u32 place = table * rows.share + p;
    for (u32 frame = threadIdx.x; frame < rows.frames; frame += 128) {
      float inputs[N], g = real_gradient(rows, map, place, frame);
      micro_inputs<N>(rows.x, rows.x_stride, rows.nodes, rows.wiring + (u64)place * N, frame, inputs);
      all += g;
#pragma unroll
      for (int u = 0; u < UNITS; u++) {
        u32 unit = first + u < units ? first + u : units - 1; // those past the end are not written
        float2 h = micro_unit<N>(m, own, unit, inputs);
        float e = g * own[weights + unit] * h.y;
        dweight[u] += g * h.x;
        dbias[u] += e;
#pragma unroll
        for (int i = 0; i < N; i++) dweights[u][i] += e * inputs[i];
      }
    }
  }
  // Lanes, then warps, in order: of each unit weight, bias and weights of inputs, then the bias of all.
  auto keep = [&](u32 number, float value) {
    float sum = warp_sum(value);
    if ((threadIdx.x & 31) == 0) parts[number * WARPS + warp] = sum;
  };
#pragma unroll
  for (int u = 0; u < UNITS; u++) {
    keep(u * (N + 2), dweight[u]);
    keep(u * (N + 2) + 1, dbias[u]);
#pragma unroll
    for (int i = 0; i < N; i++) keep(u * (N + 2) + 2 + i, dweights[u][i]);
  }
  keep(SUMS - 1, all);
  __syncthreads();
  u32 number = threadIdx.x, unit = first + number / (N + 2), part = number % (N + 2);
  if (number >= SUMS) return;
  const float *sums = parts + number * WARPS;
  float sum = sums[0] + sums[1] + sums[2] + sums[3];
  if (number == SUMS - 1) {
    if (first == 0) out[m.size - 1] += sum;
  } else if (unit < units) {
    out[part == 0 ? weights + unit : part == 1 ? biases + unit : unit * N + part - 2] += sum;
  }
}

// Threads (frame, place). On the way back blocks of four units of each table, then units of slopes where these
// are wanted.
#define MICRO_MLP(N)                                                                                         \
  KERNEL(256, micro_forward_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring, u32 places,     \
         u32 share, u32 frames, const float *parameters, u32 units, u32 function, float *y, u32 stride) {    \
    micro_forward<N>(x, x_stride, nodes, wiring, places, share, frames, parameters, units, function, y,      \
                     stride);                                                                                \
  }                                                                                                          \
  KERNEL(128, micro_backward_##N, const float *x, u32 x_stride, u32 nodes, const u32 *wiring, u32 share,     \
         u32 frames, const float *dy, u32 stride, ROW_NORM(norm), u32 count, const float *parameters,        \
         u32 units, u32 function, float *dparameters, float *slopes) {                                       \
    RealRows rows = {x, x_stride, nodes, wiring, share, frames, dy, stride, ROW_NORM_OF(norm)};              \
    Model m = micro_model(N, units, function);                                                               \
    u32 ahead = count * ((units + UNITS - 1) / UNITS), part = blockIdx.x / count;                            \
    if (blockIdx.x < ahead) {                                                                                \
      micro_gradient<N>(rows, blockIdx.x - part * count, part * UNITS, parameters, m, dparameters);          \
    } else {                                                                                                 \
      u32 number = (blockIdx.x - ahead) * REAL_WARPS + threadIdx.x / 32;                                     \
      micro_slopes<N>(rows, number, count * share, parameters, m, slopes);                                   \
    }                                                                                                        \
  }
FOR_FAN_INS(MICRO_MLP)
