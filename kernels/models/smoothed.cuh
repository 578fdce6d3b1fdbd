// Multilinear on bits that are 0.5 ± first; where second is set, of what side of 0.5 the entries are on.

struct smoothed_model : TableModel {
  static __device__ __forceinline__ void mix(float *table, Model m) {
    float near = 0.5f + m.first, far = 0.5f - m.first;
    for (u32 i = 0; i < m.fan_in; i++) {
      pass(table, m.entries, i, [=](float own, float other, bool) { return near * own + far * other; });
    }
    __syncthreads();
  }

  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    each_entry(m, [=](u32 k) {
      float w = parameters[k];
      values[k] = m.second == 0 ? w : w > 0.5f ? 1.0f : 0.0f;
    });
    mix(values, m);
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *values, float *, float *slopes) {
    float scale = 1.0f / (2.0f * m.first);
    each_slope(m, slopes, [=](u32 i, u32 k) { return difference(values, i, k) * scale; });
  }

  static __device__ __forceinline__ void gradient(Model m, const float *, float *gradient, const float *,
                                                  const float *, float *dparameters) {
    mix(gradient, m);
    each_entry(m, [=](u32 k) { dparameters[k] += gradient[k]; });
  }
};
