// What models of LUT nodes are made of. Each is a file of its own in models/, a struct NAME_model over
// TableModel with the parts below; the list is in src/headers.rs. A block sees to a node; all its threads
// come to every part, which may take any number of whole warps.
//
// values      writes the value of each pattern
// prepare     writes what slopes and gradient both need into work, of as many numbers as there are entries,
//             and into p, 16 numbers
// slopes      writes slopes[i][k], that along input i at pattern k
// gradient    adds the gradient of the parameters, from that of the values, which it may change
//
// Barriers stand between the parts. Sums over entries are in f64 and in eight parts, as on the host;
// products and sums are not fused, so that models made of these give the host's bits.

#define MOST_ENTRIES 256
#define MOST_INPUTS 8
#define PARTS 8
#define MOST_OWN 8 // entries of a thread, of blocks of a warp or more

// Settings of a model, of which what `first` and `second` are is said by its file.
struct Model {
  u32 kind, fan_in, entries, size;
  float first, second;
};

// The parts that a model has nothing to say about: slopes of zero, no parameters.
struct TableModel {
  static __device__ __forceinline__ void prepare(Model, const float *, float *, float *) {}
  static __device__ __forceinline__ void slopes(Model m, const float *, const float *, float *, float *slopes) {
    for (u32 at = threadIdx.x; at < m.fan_in * m.entries; at += blockDim.x) slopes[at] = 0;
  }
  static __device__ __forceinline__ void gradient(Model, const float *, float *, const float *, const float *,
                                                  float *) {}
};

// Calls each(k) for every pattern, one a thread.
template <class F>
__device__ __forceinline__ void each_entry(Model m, F each) {
  for (u32 k = threadIdx.x; k < m.entries; k += blockDim.x) each(k);
}

// slopes[i][k] = f(i, k).
template <class F>
__device__ __forceinline__ void each_slope(Model m, float *slopes, F f) {
  for (u32 at = threadIdx.x; at < m.fan_in * m.entries; at += blockDim.x) {
    slopes[at] = f(at >> m.fan_in, at & (m.entries - 1));
  }
}

// How much more a table has where input i is one than where it is zero.
__device__ __forceinline__ float difference(const float *table, u32 i, u32 k) {
  return table[k | 1u << i] - table[k & ~(1u << i)];
}

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

// The Walsh-Hadamard transform.
__device__ __forceinline__ void walsh(float *table, u32 fan_in) {
  for (u32 i = 0; i < fan_in; i++) {
    pass(table, 1u << fan_in, i, [](float own, float other, bool one) { return one ? other - own : own + other; });
  }
  __syncthreads();
}
