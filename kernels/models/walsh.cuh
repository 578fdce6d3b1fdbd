// The sigmoid of z = −WHT(θ) / first, of coefficients θ.

struct walsh_model : TableModel {
  // z of each pattern.
  static __device__ __forceinline__ void logits(float *table, const float *parameters, Model m) {
    each_entry(m, [=](u32 k) { table[k] = parameters[k]; });
    walsh(table, m.fan_in);
    each_entry(m, [=](u32 k) { table[k] /= -m.first; });
    __syncthreads();
  }

  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    logits(values, parameters, m);
    each_entry(m, [=](u32 k) { values[k] = decided(squashed(values[k]), values[k] > 0); });
  }

  static __device__ __forceinline__ void prepare(Model m, const float *parameters, float *work, float *) {
    logits(work, parameters, m);
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *, float *work, float *slopes) {
    each_slope(m, slopes, [=](u32 i, u32 k) { return difference(work, i, k) * squashed_slope(work[k]); });
  }

  static __device__ __forceinline__ void gradient(Model m, const float *, float *gradient, const float *work,
                                                  const float *, float *dparameters) {
    each_entry(m, [=](u32 k) { gradient[k] = gradient[k] * squashed_slope(work[k]) / -m.first; });
    walsh(gradient, m.fan_in);
    each_entry(m, [=](u32 k) { dparameters[k] += gradient[k]; });
  }
};
