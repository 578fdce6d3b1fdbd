// Whether any input is one. No parameters; the slope is that of the first that is, or of the first.

struct max_model : TableModel {
  static __device__ __forceinline__ void values(Model m, const float *, float *values, float *) {
    each_entry(m, [=](u32 k) { values[k] = k != 0 ? 1.0f : 0.0f; });
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *, float *, float *slopes) {
    each_slope(m, slopes, [=](u32 i, u32 k) { return i == (k == 0 ? 0 : __ffs((int)k) - 1) ? 1.0f : 0.0f; });
  }
};
