// The sigmoid of each entry; where first is set, (1 + sin w) / 2.

struct light_model : TableModel {
  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    each_entry(m, [=](u32 k) {
      float w = parameters[k], sine = m.first != 0 ? sinf(w) : 0;
      values[k] = m.first != 0 ? decided(0.5f + 0.5f * sine, sine > 0) : decided(squashed(w), w > 0);
    });
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *values, float *, float *slopes) {
    each_slope(m, slopes, [=](u32 i, u32 k) { return difference(values, i, k); });
  }

  static __device__ __forceinline__ void gradient(Model m, const float *parameters, float *gradient, const float *,
                                                  const float *, float *dparameters) {
    each_entry(m, [=](u32 k) {
      float w = parameters[k];
      dparameters[k] += gradient[k] * (m.first != 0 ? 0.5f * cosf(w) : squashed_slope(w));
    });
  }
};
