// A softmax of temperature first over the 16 functions of two inputs; where second is set, values are those
// of the likeliest. p holds the probabilities.

struct gate_mixture_model : TableModel {
  static __device__ __forceinline__ void mixture(const float *parameters, float temperature, float *p,
                                                 float *values) {
    float most = parameters[0], sum = 0;
#pragma unroll 1
    for (u32 g = 1; g < 16; g++) most = fmaxf(most, parameters[g]);
#pragma unroll 1
    for (u32 g = 0; g < 16; g++) sum += p[g] = expf((parameters[g] - most) / temperature);
#pragma unroll 1
    for (u32 g = 0; g < 16; g++) p[g] /= sum;
    for (u32 k = 0; k < 4; k++) {
      float value = 0;
#pragma unroll 1
      for (u32 g = 0; g < 16; g++) value += p[g] * (float)(g >> k & 1);
      values[k] = value;
    }
  }

  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *p) {
    if (threadIdx.x != 0) return;
    u32 best = 0;
    for (u32 g = 1; g < 16; g++) best = parameters[g] > parameters[best] ? g : best;
    mixture(parameters, m.first, p, values);
    for (u32 k = 0; k < 4 && m.second != 0; k++) values[k] = (float)(best >> k & 1);
  }

  static __device__ __forceinline__ void prepare(Model m, const float *parameters, float *work, float *p) {
    if (threadIdx.x == 0) mixture(parameters, m.first, p, work);
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *, float *work, float *slopes) {
    each_slope(m, slopes, [=](u32 i, u32 k) { return difference(work, i, k); });
  }

  static __device__ __forceinline__ void gradient(Model m, const float *, float *gradient, const float *work,
                                                  const float *p, float *dparameters) {
    u32 g = threadIdx.x;
    if (g >= 16) return;
    float sum = 0;
    for (u32 k = 0; k < 4; k++) sum += gradient[k] * ((float)(g >> k & 1) - work[k]);
    dparameters[g] += p[g] * sum / m.first;
  }
};
