// A network with one hidden layer of `first` units, whose function is number `second` of Unit, on inputs of ±1.
// Parameters: W0 [units][fan_in], b0 [units], W1 [units], b1.
//
// Costs about 2 fan_in + 8 operations a unit and pattern for values and as many more for each of slopes and
// gradient: 64 patterns of six inputs and 16 units take 20 thousand, 160 a thread. Sums over patterns are
// those of a warp, a unit each.

struct micro_mlp_model : TableModel {
  enum Unit { RELU, LEAKY_RELU, TANH, HARD_TANH, SIGMOID };

  // Where the parts of the parameters begin.
  static __device__ __forceinline__ u32 units(Model m) { return (u32)m.first; }
  static __device__ __forceinline__ u32 bias_of(Model m) { return units(m) * m.fan_in; }
  static __device__ __forceinline__ u32 weight_of(Model m) { return units(m) * (m.fan_in + 1); }

  // What a unit makes of pattern k: its inputs are summed as on the host, from all zeros up.
  static __device__ __forceinline__ float sum(Model m, const float *parameters, u32 unit, u32 k) {
    const float *weights = parameters + unit * m.fan_in;
    float all = 0;
    for (u32 i = 0; i < m.fan_in; i++) all += weights[i];
    float a = parameters[bias_of(m) + unit] - all;
    for (u32 i = 0; i < m.fan_in; i++) a = k >> i & 1 ? a + 2.0f * weights[i] : a;
    return a;
  }

  // f(a), and its slope.
  static __device__ __forceinline__ float2 unit_of(Model m, float a) {
    u32 kind = (u32)m.second;
    if (kind == TANH) {
      float h = tanhf(a);
      return make_float2(h, 1.0f - h * h);
    }
    if (kind == SIGMOID) {
      float h = squashed(a);
      return make_float2(h, h * (1.0f - h));
    }
    if (kind == HARD_TANH) {
      bool inside = a > -1.0f && a < 1.0f;
      return make_float2(a < -1.0f ? -1.0f : a > 1.0f ? 1.0f : a, inside ? 1.0f : 0.0f);
    }
    float leak = kind == LEAKY_RELU ? 0.01f : 0.0f;
    if (a > 0) return make_float2(a, 1.0f);
    return make_float2(kind == RELU ? 0.0f : leak * a, leak);
  }

  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    each_entry(m, [=](u32 k) {
      float value = parameters[m.size - 1];
#pragma unroll 1
      for (u32 unit = 0; unit < units(m); unit++) {
        value += parameters[weight_of(m) + unit] * unit_of(m, sum(m, parameters, unit, k)).x;
      }
      values[k] = value;
    });
  }

  static __device__ __forceinline__ void slopes(Model m, const float *parameters, const float *, float *,
                                                float *slopes) {
#pragma unroll 1
    for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) {
      float own[MOST_INPUTS];
#pragma unroll
      for (u32 i = 0; i < MOST_INPUTS; i++) own[i] = 0;
#pragma unroll 1
      for (u32 unit = 0; unit < units(m); unit++) {
        float slope = unit_of(m, sum(m, parameters, unit, k)).y, weight = 2.0f * parameters[weight_of(m) + unit];
#pragma unroll
        for (u32 i = 0; i < MOST_INPUTS; i++) {
          if (i < m.fan_in) own[i] += weight * parameters[unit * m.fan_in + i] * slope;
        }
      }
#pragma unroll
      for (u32 i = 0; i < MOST_INPUTS; i++) {
        if (i < m.fan_in) slopes[i * m.entries + k] = own[i];
      }
    }
  }

  static __device__ __forceinline__ void gradient(Model m, const float *parameters, float *gradient, const float *,
                                                  const float *, float *dparameters) {
    u32 lane = threadIdx.x & 31;
#pragma unroll 1
    for (u32 unit = threadIdx.x / 32; unit <= units(m); unit += blockDim.x / 32) {
      if (unit == units(m)) { // the bias of all
        float all = 0;
        for (u32 k = lane; k < m.entries; k += 32) all += gradient[k];
        all = warp_sum(all);
        if (lane == 0) dparameters[m.size - 1] += all;
        break;
      }
      float weight = parameters[weight_of(m) + unit], dweight = 0, dbias = 0, dweights[MOST_INPUTS];
#pragma unroll
      for (u32 i = 0; i < MOST_INPUTS; i++) dweights[i] = 0;
#pragma unroll 1
      for (u32 k = lane; k < m.entries; k += 32) {
        float2 own = unit_of(m, sum(m, parameters, unit, k));
        float e = gradient[k] * weight * own.y;
        dweight += gradient[k] * own.x;
        dbias += e;
#pragma unroll
        for (u32 i = 0; i < MOST_INPUTS; i++) dweights[i] += k >> i & 1 ? e : -e;
      }
      dweight = warp_sum(dweight);
      dbias = warp_sum(dbias);
      if (lane == 0) {
        dparameters[weight_of(m) + unit] += dweight;
        dparameters[bias_of(m) + unit] += dbias;
      }
#pragma unroll
      for (u32 i = 0; i < MOST_INPUTS; i++) {
        if (i >= m.fan_in) break;
        float all = warp_sum(dweights[i]);
        if (lane == 0) dparameters[unit * m.fan_in + i] += all;
      }
    }
  }
};
