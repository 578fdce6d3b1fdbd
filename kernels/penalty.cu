// Terms of the loss that depend on parameters alone: their gradients.
//
// walsh_penalty moves 12 bytes an entry for 2n additions of a table of n inputs in shared memory and as many
// barriers: 0.25 T entries/s at 3 TB/s, so memory is the bound. encoder_cost moves 8 bytes a candidate for
// the choice and 12 for the gradient, and counts readers in the second-level cache; memory again.
//
// Products and sums are not fused: the bits are those of the CPU.

// The Walsh-Hadamard transform of every run of `entries` numbers of a block, one number a thread.
__device__ __forceinline__ float walsh_transform(float value, u32 entries, float *table) {
  for (u32 half = 1; half < entries; half *= 2) {
    __syncthreads(); // the last stage has been read
    table[threadIdx.x] = value;
    __syncthreads();
    float other = table[threadIdx.x ^ half];
    value = threadIdx.x & half ? other - value : value + other;
  }
  return value;
}

// gradient += the gradient of lambda * Σ |S| W_S² over the Walsh coefficients W_S of all tables, whose
// parameters are entries or, with `coefficients`, W_S themselves. `entries` divides 256.
KERNEL(256, walsh_penalty, const float *values, u64 count, u32 entries, u32 coefficients, float lambda,
       float *gradient) {
  SHARED(float, table, 256);
  u64 at = (u64)blockIdx.x * 256 + threadIdx.x;
  float degree = (float)__popc(threadIdx.x & (entries - 1)), value = at < count ? values[at] : 0.0f, slope;
  if (coefficients) {
    slope = 2.0f * lambda * degree * value;
  } else {
    value = walsh_transform(value, entries, table) * (degree / (float)entries);
    slope = 2.0f * lambda / (float)entries * walsh_transform(value, entries, table);
  }
  if (at < count) gradient[at] += slope;
}

// The candidate of every slot with the best score, the first of equals, and how many slots read each source.
// A thread a slot.
KERNEL(256, count_readers, const u32 *candidates, const float *scores, u32 count, u32 slots, u32 *choice,
       u32 *readers) {
  u32 slot = blockIdx.x * 256 + threadIdx.x;
  if (slot >= slots) return;
  const float *own = scores + (u64)slot * count;
  u32 best = 0;
  for (u32 c = 1; c < count; c++) {
    if (own[c] > own[best]) best = c;
  }
  choice[slot] = best;
  atomicAdd(&readers[candidates[(u64)slot * count + best]], 1u);
}

// gradient += lambda / the readers that the candidate's source would have if it were read. A thread a
// candidate.
KERNEL(256, encoder_cost, const u32 *candidates, const u32 *choice, const u32 *readers, u32 count, u32 all,
       float lambda, float *gradient) {
  u32 i = blockIdx.x * 256 + threadIdx.x;
  if (i >= all) return;
  u32 slot = i / count, others = i - slot * count != choice[slot];
  gradient[i] += lambda / (float)(readers[candidates[i]] + others);
}
