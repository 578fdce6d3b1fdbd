// The mean of the inputs. No parameters.

struct average_model : TableModel {
  static __device__ __forceinline__ void values(Model m, const float *, float *values, float *) {
    each_entry(m, [=](u32 k) { values[k] = (float)__popc(k) / (float)m.fan_in; });
  }

  static __device__ __forceinline__ void slopes(Model m, const float *, const float *, float *, float *slopes) {
    each_slope(m, slopes, [=](u32, u32) { return 1.0f / (float)m.fan_in; });
  }
};
