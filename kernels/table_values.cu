// Values of the model, batch norm, and what is looked up, on 2^n numbers a table.
//
// Moves 12 bytes an entry, 768 a table of 6 inputs, where the passes over 1,024 frames move 46 kB. About 20
// instructions an entry and input: memory is the bound of large layers, the launch that of small ones.

// A block a table.
// Values and moments of every table, and what is looked up: bits, or values clamped to 0 to 1.
KERNEL(64, table_values, u32 fan_in, u32 kind, u32 size, float first, float second, const float *parameters,
       const u32 *counts, u32 normed, float gamma, float beta, float *state, u32 *tables, float *entries_out) {
  SHARED(float, values, MOST_ENTRIES);
  SHARED(double, parts, PARTS);
  SHARED(float, p, 16);
  u32 table = blockIdx.x, entries = 1u << fan_in;
  Model m = {kind, fan_in, entries, size, first, second};
  model_values(m, parameters + (u64)table * size, values, p);
  const u32 *own_counts = counts + (u64)table * entries;
  float *own_state = state + (u64)table * (entries + 2), mean = 0, variance = 0;
  if (normed) {
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
