// What a layer of LUTs does on 2^n numbers a table, around its passes over frames: values of the model, batch
// norm, gradients, slopes. Shared by table_values, which follows the counts of patterns, and pattern_sums,
// whose last block of each table goes on with its sums.

// The value of each pattern, where all threads can read it.
__device__ __forceinline__ void model_values(Model m, const float *parameters, float *values, float *p) {
#define MODEL_VALUES(number, name) \
  if (m.kind == number) name##_model::values(m, parameters, values, p);
  FOR_MODELS(MODEL_VALUES)
  __syncthreads();
}

// Slopes and the gradient of the parameters of one model, each where it is wanted. Slopes first: the gradient
// is changed in place.
template <class M>
__device__ __forceinline__ void model_backward(Model m, const float *parameters, const float *values, float *gradient,
                                               float *work, float *p, float *slopes, float *dparameters) {
  M::prepare(m, parameters, work, p);
  __syncthreads();
  if (slopes) M::slopes(m, parameters, values, work, slopes);
  __syncthreads();
  if (dparameters) M::gradient(m, parameters, gradient, work, p, dparameters);
}

// (value − mean) · rstd · γ + β.
struct Norm {
  float mean, rstd, gamma, beta;
  __device__ __forceinline__ float of(float value) const { return (value - mean) * rstd * gamma + beta; }
};

// The map of no batch norm passes a value through.
__device__ __forceinline__ Norm norm_of(u32 normed, float mean, float variance, float gamma, float beta) {
  if (!normed) return {0, 1, 1, 0};
  return {mean, (float)(1.0 / sqrt((double)variance)), gamma, beta};
}

// From the sums of dy by pattern: e = scale · dy + offset, the gradient of the parameters, added to what
// is there, and the slopes, where they are wanted. Running averages take over the batch's, the new ones beside
// the old.
struct GradientArguments {
  u32 kind, size;
  float first, second;
  const float *parameters;
  const u32 *counts;
  u32 normed;
  float gamma, beta;
  const float *state;
  float *scale, *offset, *slopes, *dparameters;
  const float *running_mean, *running_variance;
  float keep, *next_mean, *next_variance;
};

// The same as arguments of a kernel.
#define GRADIENT_ARGUMENTS                                                                                   \
  u32 kind, u32 size, float first, float second, const float *parameters, const u32 *counts, u32 normed,     \
      float gamma, float beta, const float *state, float *scale, float *offset, float *slopes,               \
      float *dparameters, const float *running_mean, const float *running_variance, float keep,              \
      float *next_mean, float *next_variance
#define GRADIENT                                                                                             \
  GradientArguments {                                                                                        \
    kind, size, first, second, parameters, counts, normed, gamma, beta, state, scale, offset, slopes,        \
        dparameters, running_mean, running_variance, keep, next_mean, next_variance                          \
  }

// Where a block works on a table.
struct GradientMemory {
  float values[MOST_ENTRIES], gradient[MOST_ENTRIES], work[MOST_ENTRIES], p[16];
  double parts[PARTS];
};

// `sums` are those of the table.
__device__ __forceinline__ void table_gradient(GradientArguments a, u32 table, u32 fan_in, const float *sums,
                                               GradientMemory *memory) {
  u32 entries = 1u << fan_in, kind = a.kind, size = a.size, normed = a.normed;
  float gamma = a.gamma;
  float *values = memory->values, *gradient = memory->gradient, *work = memory->work, *p = memory->p;
  double *parts = memory->parts;
  u64 at_entry = (u64)table * entries;
  Model m = {kind, fan_in, entries, size, a.first, a.second};
  const float *own = a.parameters + (u64)table * size, *own_state = a.state + (u64)table * (entries + 2);
  float *own_gradient = a.dparameters + (u64)table * size;
  Norm norm = norm_of(normed, own_state[entries], own_state[entries + 1], gamma, a.beta);
  float open = gamma * norm.rstd;
  for (u32 k = threadIdx.x; k < entries; k += blockDim.x) {
    float v = norm.of(own_state[k]), sum = sums[k];
    bool inside = !normed || (v > 0 && v < 1);
    values[k] = own_state[k];
    gradient[k] = inside ? sum : 0;
    a.scale[at_entry + k] = !normed ? 1.0f : inside ? open : 0.0f;
    if (!normed) a.offset[at_entry + k] = 0;
  }
  if (normed) {
    const u32 *own_counts = a.counts + at_entry;
    double mean = (double)norm.mean, rstd = (double)norm.rstd, wide = (double)gamma;
    double frames = part_sum(entries, parts, [=](u32 k) { return (double)own_counts[k]; });
    double total = wide * part_sum(entries, parts, [=](u32 k) { return (double)gradient[k]; });
    double product = wide * part_sum(entries, parts, [=](u32 k) {
      return (double)gradient[k] * ((double)values[k] - mean);
    });
    double dvar = -rstd * rstd * rstd * product;
    double constant = (-rstd * total - mean * dvar) / frames, slope = dvar / frames;
    __syncthreads();
    for (u32 k = threadIdx.x; k < entries; k += blockDim.x) {
      double shift = constant + (double)values[k] * slope;
      a.offset[at_entry + k] = (float)shift;
      gradient[k] = (float)((double)a.scale[at_entry + k] * (double)gradient[k] + shift * (double)own_counts[k]);
    }
    if (threadIdx.x == 0 && a.running_mean) {
      a.next_mean[table] = a.running_mean[table] * a.keep + norm.mean * (1.0f - a.keep);
      a.next_variance[table] = a.running_variance[table] * a.keep + own_state[entries + 1] * (1.0f - a.keep);
    }
  }
  __syncthreads();

  float *own_slopes = a.slopes ? a.slopes + at_entry * fan_in : 0;
#define MODEL_BACKWARD(number, name)                                                                      \
  if (kind == number) {                                                                                   \
    model_backward<name##_model>(m, own, values, gradient, work, p, own_slopes, own_gradient);            \
  }
  FOR_MODELS(MODEL_BACKWARD)
}
