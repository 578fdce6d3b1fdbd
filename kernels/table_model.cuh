// What a layer of LUTs does on 2^n numbers a table, around its passes over frames: values of the model, batch
// norm, gradients, slopes. Shared by table_values, which follows the counts of patterns, and pattern_sums,
// whose last block of each table goes on with its sums.
//
// Sums over entries are in f64 and in eight parts, as on the host; products and sums are not fused, so that
// models made of these give the host's bits. Blocks may have any number of whole warps.

#define MOST_ENTRIES 256
#define PARTS 8
#define MOST_OWN 8 // entries of a thread, of blocks of a warp or more

enum { SMOOTHED, HARD_TABLE, LIGHT, WALSH, GATE_MIXTURE, BINARY, AVERAGE, MAX, NO_MODEL };

// Settings of a model: bias and whether entries are bits; α and β; whether it is a sine; τ; τ and
// whether it is hard.
struct Model {
  u32 kind, fan_in, entries, size;
  float first, second;
};

// The value, on the side of the threshold 0.5 that `one` says.
__device__ __forceinline__ float decided(float value, bool one) {
  const float above = 0.50000006f; // the next number after 0.5
  if (one) return value > above ? value : above;
  return value < 0.5f ? value : 0.5f;
}

__device__ __forceinline__ float squashed(float z) { return 1.0f / (1.0f + expf(-z)); }

__device__ __forceinline__ float squashed_slope(float z) { return squashed(z) * squashed(-z); }

// The sum of f(k) over all entries: PARTS threads sum every PARTS-th, whose sums are added in order.
// All threads get it.
template <class F>
__device__ __forceinline__ double part_sum(u32 entries, double *parts, F f) {
  __syncthreads(); // what f reads has been written, the last sum has been read
  if (threadIdx.x < PARTS) {
    double sum = 0;
    for (u32 k = threadIdx.x; k < entries; k += PARTS) sum += f(k);
    parts[threadIdx.x] = sum;
  }
  __syncthreads();
  double total = 0;
  for (u32 part = 0; part < PARTS; part++) total += parts[part];
  return total;
}

// One pass over pairs of entries that differ in input i alone; each(own, other, is_one) is the new entry.
template <class F>
__device__ __forceinline__ void pass(float *table, u32 entries, u32 i, F each) {
  u32 bit = 1u << i;
  float own[MOST_OWN];
  __syncthreads();
#pragma unroll
  for (u32 part = 0; part < MOST_OWN; part++) {
    u32 k = part * blockDim.x + threadIdx.x;
    own[part] = k < entries ? each(table[k], table[k ^ bit], (k & bit) != 0) : 0;
  }
  __syncthreads();
#pragma unroll
  for (u32 part = 0; part < MOST_OWN; part++) {
    u32 k = part * blockDim.x + threadIdx.x;
    if (k < entries) table[k] = own[part];
  }
}

// The smoothing of bits that are 0.5 ± bias.
__device__ __forceinline__ void mix(float *table, Model m) {
  float near = 0.5f + m.first, far = 0.5f - m.first;
  for (u32 i = 0; i < m.fan_in; i++) {
    pass(table, m.entries, i, [=](float own, float other, bool) { return near * own + far * other; });
  }
  __syncthreads();
}

// The Walsh-Hadamard transform.
__device__ __forceinline__ void walsh(float *table, Model m) {
  for (u32 i = 0; i < m.fan_in; i++) {
    pass(table, m.entries, i, [](float own, float other, bool one) { return one ? other - own : own + other; });
  }
  __syncthreads();
}

// z of each pattern, from coefficients.
__device__ __forceinline__ void logits(float *table, const float *parameters, Model m) {
  for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) table[k] = parameters[k];
  walsh(table, m);
  for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) table[k] /= -m.first;
  __syncthreads();
}

// The probabilities of the gates, and the outputs of their mixture.
__device__ __forceinline__ void gates(const float *parameters, float temperature, float *p, float *values) {
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

// Writes the value of each pattern where all threads can read it.
__device__ __forceinline__ void model_values(Model m, const float *parameters, float *values, float *p) {
  if (m.kind == WALSH) logits(values, parameters, m);
  if (m.kind == GATE_MIXTURE) {
    if (threadIdx.x == 0) {
      u32 best = 0;
      for (u32 g = 1; g < 16; g++) best = parameters[g] > parameters[best] ? g : best;
      gates(parameters, m.first, p, values);
      for (u32 k = 0; k < 4 && m.second != 0; k++) values[k] = (float)(best >> k & 1);
    }
    __syncthreads();
    return;
  }
  for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) {
    float w = m.size ? parameters[k] : 0, value = w;
    if (m.kind == SMOOTHED && m.second != 0) value = w > 0.5f ? 1.0f : 0.0f;
    if (m.kind == HARD_TABLE) value = decided(0.5f + 0.5f * w, w > 0);
    if (m.kind == LIGHT) {
      float sine = m.first != 0 ? sinf(w) : 0;
      value = m.first != 0 ? decided(0.5f + 0.5f * sine, sine > 0) : decided(squashed(w), w > 0);
    }
    if (m.kind == WALSH) value = decided(squashed(values[k]), values[k] > 0);
    if (m.kind == BINARY) value = w > 0.5f ? 1.0f : 0.0f;
    if (m.kind == AVERAGE) value = (float)__popc(k) / (float)m.fan_in;
    if (m.kind == MAX) value = k != 0 ? 1.0f : 0.0f;
    values[k] = value;
  }
  __syncthreads();
  if (m.kind == SMOOTHED) mix(values, m);
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

// Slopes along input i, from the values or for some models from what lies behind them.
__device__ __forceinline__ void model_slopes(Model m, const float *parameters, const float *values, float *work,
                                             u32 i, float *slopes) {
  u32 bit = 1u << i;
  if (m.kind == HARD_TABLE) {
    __syncthreads();
    for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) {
      work[k] = m.first * (parameters[k | bit] - parameters[k & ~bit]);
    }
    float beta = m.second;
    for (u32 other = 0; other < m.fan_in; other++) {
      if (other != i) pass(work, m.entries, other, [=](float own, float far, bool) { return own + beta * far; });
    }
    __syncthreads();
  }
  float scale = m.kind == SMOOTHED ? 1.0f / (2.0f * m.first) : 1.0f;
  for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) {
    float slope = 0;
    if (m.kind == SMOOTHED || m.kind == LIGHT) slope = (values[k | bit] - values[k & ~bit]) * scale;
    if (m.kind == GATE_MIXTURE) slope = work[k | bit] - work[k & ~bit];
    if (m.kind == HARD_TABLE) slope = work[k];
    if (m.kind == WALSH) slope = (work[k | bit] - work[k & ~bit]) * squashed_slope(work[k]);
    if (m.kind == AVERAGE) slope = 1.0f / (float)m.fan_in;
    if (m.kind == MAX) slope = i == (k == 0 ? 0 : __ffs((int)k) - 1) ? 1.0f : 0.0f;
    slopes[k] = slope;
  }
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
  float first = a.first, gamma = a.gamma;
  float *values = memory->values, *gradient = memory->gradient, *work = memory->work, *p = memory->p;
  double *parts = memory->parts;
  u64 at_entry = (u64)table * entries;
  Model m = {kind, fan_in, entries, size, first, a.second};
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

  if (kind == WALSH) logits(work, own, m);
  if (kind == GATE_MIXTURE && threadIdx.x == 0) {
    gates(own, first, p, work);
#pragma unroll 1
    for (u32 g = 0; g < 16; g++) {
      float sum = 0;
      for (u32 k = 0; k < 4; k++) sum += gradient[k] * ((float)(g >> k & 1) - work[k]);
      own_gradient[g] += p[g] * sum / first;
    }
  }
  __syncthreads();
  // Slopes first: what follows changes the gradient in place.
  for (u32 i = 0; a.slopes && i < fan_in; i++) {
    model_slopes(m, own, values, work, i, a.slopes + (at_entry * fan_in + (u64)i * entries));
  }
  __syncthreads();
  if (kind == SMOOTHED) mix(gradient, m);
  if (kind == WALSH) {
    for (u32 k = threadIdx.x; k < entries; k += blockDim.x) {
      gradient[k] = gradient[k] * squashed_slope(work[k]) / -first;
    }
    walsh(gradient, m);
  }
  if (kind > WALSH) return;
  for (u32 k = threadIdx.x; k < entries; k += blockDim.x) {
    float d = gradient[k];
    if (kind == LIGHT) d = d * (first != 0 ? 0.5f * cosf(own[k]) : squashed_slope(own[k]));
    own_gradient[k] += d;
  }
}
