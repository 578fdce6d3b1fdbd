// Thresholds that are learned: from parameters to thresholds, and from the gradient of the bits to that of the
// parameters. See thresholds.rs of the backend for the formulas.
//
// make_thresholds costs a hundred f64 instructions a gap and input: far below a launch. window_sums moves 4 bytes
// (1 for u8) a number, from the caches for all levels but one, and 4 a bit of the gradient, for some 8
// instructions a bit: memory is the bound, 0.75 T bits/s. threshold_gradient moves 8 bytes an input and level.
//
// Sums are in f64 and in fixed order: lanes, then inputs.

// ln(1 + e^p).
__device__ __forceinline__ double softplus(double p) { return (p > 0 ? p : 0) + log1p(exp(-fabs(p))); }

// thresholds[input][level] of groups of `share` inputs. A thread an input.
KERNEL(64, make_thresholds, const float *first, const float *gaps, float width, u32 levels, u32 share, u32 inputs,
       float *thresholds) {
  u32 input = blockIdx.x * 64 + threadIdx.x, group = input / share;
  if (input >= inputs) return;
  float *own = thresholds + (u64)input * levels;
  const float *own_gaps = gaps + (u64)group * (levels - 1);
  double widths = (double)first[group];
  own[0] = (float)((double)width * widths);
  for (u32 level = 1; level < levels; level++) {
    widths += softplus((double)own_gaps[level - 1]);
    own[level] = (float)((double)width * widths);
  }
}

// sums[input][level] = Σ dy · max(0, 1 − |x − t| / width) over the frames. Blocks of four warps: (input, four
// levels), a level each.
template <class T>
__device__ __forceinline__ void window_sums(const T *x, u32 x_stride, u32 frames, const float *thresholds, float width,
                                            u32 levels, u32 points, const float *dy, u32 stride, double *sums) {
  u32 lane = threadIdx.x & 31, input = blockIdx.x, level = blockIdx.y * 4 + threadIdx.x / 32;
  if (level >= levels) return; // whole warps
  u32 channel = input / points, point = input - channel * points;
  const float *own_dy = at(dy, stride, (channel * levels + level) * points + point);
  const T *own = at(x, x_stride, input);
  float threshold = thresholds[(u64)input * levels + level], scale = 1.0f / width;
  double sum = 0;
  for (u32 frame = lane; frame < frames; frame += 32) {
    float window = 1.0f - fabsf(((float)own[frame] - threshold) * scale);
    sum += (double)(own_dy[frame] * (window > 0 ? window : 0.0f));
  }
  sum = warp_sum(sum);
  if (lane == 0) sums[(u64)input * levels + level] = sum;
}

KERNEL(128, window_sums_reals, const float *x, u32 x_stride, u32 frames, const float *thresholds, float width,
       u32 levels, u32 points, const float *dy, u32 stride, double *sums) {
  window_sums(x, x_stride, frames, thresholds, width, levels, points, dy, stride, sums);
}

KERNEL(128, window_sums_bytes, const u8 *x, u32 x_stride, u32 frames, const float *thresholds, float width,
       u32 levels, u32 points, const float *dy, u32 stride, double *sums) {
  window_sums(x, x_stride, frames, thresholds, width, levels, points, dy, stride, sums);
}

// Adds the gradient of the parameters of a group: each level moves all above it, so sums run down from the
// last. Blocks (group).
KERNEL(256, threshold_gradient, const double *sums, const float *gaps, u32 levels, u32 share, float *dfirst,
       float *dgaps) {
  SHARED(double, parts, 8);
  u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32, group = blockIdx.x;
  const double *own = sums + (u64)group * share * levels;
  double above = 0;
  for (u32 level = levels; level-- > 0;) {
    double sum = 0;
    for (u32 input = threadIdx.x; input < share; input += 256) sum += own[(u64)input * levels + level];
    sum = warp_sum(sum);
    __syncthreads(); // the sums of the level before have been read
    if (lane == 0) parts[warp] = sum;
    __syncthreads();
    if (threadIdx.x != 0) continue;
    for (u32 part = 0; part < 8; part++) above += parts[part];
    if (level == 0) dfirst[group] -= (float)above;
    if (level == 0) continue;
    u64 gap = (u64)group * (levels - 1) + level - 1;
    double slope = 1.0 / (1.0 + exp(-(double)gaps[gap]));
    dgaps[gap] -= (float)(slope * above);
  }
}
