// Values of the model, batch norm, and what is looked up, on 2^n numbers a table; before them the noise of the
// parameters, where the model has some. Then slopes of the same where no gradient is taken of the parameters.
//
// Moves 12 bytes an entry, 768 a table of 6 inputs, where the passes over 1,024 frames move 46 kB; with noise 8
// more a parameter. About 20 instructions an entry and input: memory is the bound of large layers, the launch
// that of small ones. Noise adds some 30 instructions a parameter by one thread, which draws words, and two
// logarithms in f64 by all: 2 us for 64 parameters.

// Parameters of a node with noise.
__device__ __forceinline__ const float *noisy_parameters(NoiseArguments a, u32 node, u32 size, u32 fan_in,
                                                         const float *own, u64 *words, float *drawn) {
  float *out = a.noisy + (u64)node * size;
  if (threadIdx.x == 0) draw_words(a, node, size, words);
  __syncthreads();
  for (u32 k = threadIdx.x; k < size; k += blockDim.x) drawn[k] = noise_of(a, words[k]);
  if (a.transformed) walsh(drawn, fan_in); // of as many as there are entries
  for (u32 k = threadIdx.x; k < size; k += blockDim.x) {
    out[k] = own[k] + (a.transformed ? -(1.0f / (float)size * drawn[k]) : drawn[k]);
  }
  __syncthreads();
  return out;
}

// Values and moments of every table, and what is looked up: bits, or values clamped to 0 to 1. Statistics are
// those of the batch, or constants where `means` and `variances` are given. Blocks (table).
KERNEL(64, table_values, u32 fan_in, u32 kind, u32 size, float first, float second, const float *parameters,
       const u32 *counts, const float *means, const float *variances, u32 normed, float gamma, float beta,
       float *state, u32 *tables, float *entries_out, NOISE_ARGUMENTS) {
  SHARED(float, values, MOST_ENTRIES);
  SHARED(u64, words_drawn, MOST_ENTRIES);
  SHARED(double, parts, PARTS);
  SHARED(float, p, 16);
  u32 table = blockIdx.x, entries = 1u << fan_in;
  Model m = {kind, fan_in, entries, size, first, second};
  const float *own = parameters + (u64)table * size;
  if (draw != NO_NOISE) own = noisy_parameters(NOISE, table, size, fan_in, own, words_drawn, values);
  model_values(m, own, values, p);
  float *own_state = state + (u64)table * (entries + 2), mean = 0, variance = 0;
  if (normed && means) {
    mean = means[table];
    variance = variances[table];
  } else if (normed) {
    const u32 *own_counts = counts + (u64)table * entries;
    double frames = part_sum(entries, parts, [=](u32 k) { return (double)own_counts[k]; });
    double centre =
        part_sum(entries, parts, [=](u32 k) { return (double)own_counts[k] * (double)values[k]; }) / frames;
    double spread = part_sum(entries, parts, [=](u32 k) {
      double off = (double)values[k] - centre;
      return (double)own_counts[k] * (off * off);
    }) / frames;
    mean = (float)centre;
    variance = (float)(spread > 1e-5 ? spread : 1e-5);
  }
  Norm norm = norm_of(normed, mean, variance, gamma, beta);
  u32 words = entries < 64 ? 2 : entries / 32, lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  for (u32 word = warp; word < words; word += blockDim.x / 32) {
    u32 k = word * 32 + lane;
    float value = k < entries ? norm.of(values[k]) : 0;
    if (k < entries) own_state[k] = values[k];
    if (entries_out && k < entries) {
      entries_out[(u64)table * entries + k] = value < 0 ? 0 : value > 1 ? 1 : value;
    }
    u32 bits = __ballot_sync(ALL_LANES, k < entries && value > 0.5f);
    if (tables && lane == 0) tables[(u64)table * words + word] = bits;
  }
  if (threadIdx.x == 0) {
    own_state[entries] = mean;
    own_state[entries + 1] = variance;
  }
}

// How dy becomes the gradient of the inputs where statistics are constants and parameters do not learn:
// scale, an offset of zero, and slopes, from the state that table_values wrote. Blocks (table).
KERNEL(64, table_slopes, u32 fan_in, u32 kind, u32 size, float first, float second, const float *parameters,
       u32 normed, float gamma, float beta, const float *state, float *scale, float *offset, float *slopes) {
  SHARED(float, values, MOST_ENTRIES);
  SHARED(float, work, MOST_ENTRIES);
  SHARED(float, p, 16);
  u32 table = blockIdx.x, entries = 1u << fan_in;
  Model m = {kind, fan_in, entries, size, first, second};
  const float *own = parameters + (u64)table * size, *own_state = state + (u64)table * (entries + 2);
  u64 at_entry = (u64)table * entries;
  Norm norm = norm_of(normed, own_state[entries], own_state[entries + 1], gamma, beta);
  for (u32 k = threadIdx.x; k < entries; k += blockDim.x) {
    float v = norm.of(own_state[k]);
    values[k] = own_state[k];
    scale[at_entry + k] = !normed ? 1.0f : v > 0 && v < 1 ? gamma * norm.rstd : 0.0f;
    offset[at_entry + k] = 0;
  }
  __syncthreads();
  float *own_slopes = slopes + at_entry * fan_in;
#define MODEL_SLOPES(number, name) \
  if (kind == number) model_backward<name##_model>(m, own, values, 0, work, p, own_slopes, 0);
  FOR_MODELS(MODEL_SLOPES)
}
