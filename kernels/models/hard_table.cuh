// (1 + w) / 2 of each entry; slopes are extended finite differences of scale first and decay second.

struct hard_table_model : TableModel {
  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    each_entry(m, [=](u32 k) { values[k] = decided(0.5f + 0.5f * parameters[k], parameters[k] > 0); });
  }

  static __device__ __forceinline__ void slopes(Model m, const float *parameters, const float *, float *work,
                                                float *slopes) {
    float beta = m.second;
    for (u32 i = 0; i < m.fan_in; i++) {
      __syncthreads();
      each_entry(m, [=](u32 k) { work[k] = m.first * difference(parameters, i, k); });
      for (u32 other = 0; other < m.fan_in; other++) {
        if (other != i) pass(work, m.entries, other, [=](float own, float far, bool) { return own + beta * far; });
      }
      __syncthreads();
      each_entry(m, [=](u32 k) { slopes[i * m.entries + k] = work[k]; });
    }
  }

  static __device__ __forceinline__ void gradient(Model m, const float *, float *gradient, const float *,
                                                  const float *, float *dparameters) {
    each_entry(m, [=](u32 k) { dparameters[k] += gradient[k]; });
  }
};
