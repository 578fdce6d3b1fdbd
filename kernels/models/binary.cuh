// Whether the entry is above 0.5. Not trained.

struct binary_model : TableModel {
  static __device__ __forceinline__ void values(Model m, const float *parameters, float *values, float *) {
    each_entry(m, [=](u32 k) { values[k] = parameters[k] > 0.5f ? 1.0f : 0.0f; });
  }
};
