// Modulation: numbers spread over several frames and nodes, and means of them.
//
// Moves 4 bytes (1 for u8) a number and 1 / 8 a bit of the result; about 10 instructions a bit, 30 G
// warp instructions for 10^12 bits: instructions are the bound, at 2.9 T bits/s. Integration moves
// 1 / 8 byte a bit and 4 a mean: memory, at 24 T bits/s. What is divided and rounded is part of the
// contract of the kernels, so nothing may be fused here.

// Clamped to [0, 1]; NaN becomes 0.
__device__ __forceinline__ float unit(float value) { return value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f; }

// The part of a number that its node at `depth` shows.
__device__ __forceinline__ float part(float x, float low, float high, u32 depth, u32 depths) {
  float size = (float)depths;
  return ((x - low) / (high - low) - (float)depth / size) * size;
}

// The share of it that frame k shows.
__device__ __forceinline__ float ramp(float part, u32 k, u32 frames) {
  float size = (float)frames;
  return unit((part - (float)k / size) * size);
}

#define LEVELS_RAMP 0
#define LEVELS_GIVEN 1
#define LEVELS_DIFFUSION 2

// Where a row of y comes from, and thresholds: [node, or one][frame of y, or of one number].
struct Spreading {
  u32 frames, depth, points;
  float low, high;
  u32 levels;
  const float *thresholds;
  u64 node_step;
  u32 per_frame;
};

template <class T>
__device__ __forceinline__ void modulate(const T *x, u32 x_stride, u32 x_frames, Spreading s, u32 rows, u32 *y,
                                         u32 stride) {
  u32 number = row(), word = column();
  if (number >= rows || word >= stride) return;
  u32 group = number / s.points, point = number - group * s.points;
  u32 channel = group / s.depth, d = group - channel * s.depth, node = channel * s.points + point;
  const T *values = at(x, x_stride, node);
  const float *thresholds = s.thresholds + s.node_step * node;
  u32 first = word * 32, end = x_frames * s.frames, out = 0;
  u32 frame = first / s.frames, k = first - frame * s.frames;
  float own = 0, error = 0;
  if (first < end) own = part((float)values[frame], s.low, s.high, d, s.depth);
  if (s.levels == LEVELS_DIFFUSION && first < end) {
    for (u32 before = 0; before < k; before++) { // what the frames in the word before carried over
      float sum = unit(own) + error;
      error = sum > 0.5f ? sum - 1.0f : sum;
    }
  }
  for (u32 bit = 0; bit < 32 && first + bit < end; bit++) {
    bool set;
    if (s.levels == LEVELS_RAMP) {
      set = ramp(own, k, s.frames) > 0.5f;
    } else if (s.levels == LEVELS_GIVEN) {
      set = own > thresholds[s.per_frame ? first + bit : k];
    } else {
      float sum = unit(own) + error;
      set = sum > 0.5f;
      error = set ? sum - 1.0f : sum;
    }
    out |= (u32)set << bit;
    if (++k == s.frames) {
      k = 0;
      error = 0;
      if (++frame < x_frames) own = part((float)values[frame], s.low, s.high, d, s.depth);
    }
  }
  at(y, stride, number)[word] = out;
}

// Threads (word of y, node of y).
KERNEL(256, modulate_reals, const float *x, u32 x_stride, u32 x_frames, u32 frames, u32 depth, u32 points, float low,
       float high, u32 levels, const float *thresholds, u64 node_step, u32 per_frame, u32 rows, u32 *y, u32 stride) {
  Spreading s = {frames, depth, points, low, high, levels, thresholds, node_step, per_frame};
  modulate(x, x_stride, x_frames, s, rows, y, stride);
}

KERNEL(256, modulate_bytes, const u8 *x, u32 x_stride, u32 x_frames, u32 frames, u32 depth, u32 points, float low,
       float high, u32 levels, const float *thresholds, u64 node_step, u32 per_frame, u32 rows, u32 *y, u32 stride) {
  Spreading s = {frames, depth, points, low, high, levels, thresholds, node_step, per_frame};
  modulate(x, x_stride, x_frames, s, rows, y, stride);
}

// The ramp's own numbers, without a threshold.
template <class T>
__device__ __forceinline__ void ramps(const T *x, u32 x_stride, u32 x_frames, u32 frames, u32 depth, u32 points,
                                      float low, float high, u32 rows, float *y, u32 stride) {
  u32 number = row(), to = column();
  if (number >= rows || to >= stride) return;
  float out = 0;
  u32 frame = to / frames;
  if (frame < x_frames) {
    u32 group = number / points, point = number - group * points, channel = group / depth, d = group - channel * depth;
    float value = (float)at(x, x_stride, channel * points + point)[frame];
    out = ramp(part(value, low, high, d, depth), to - frame * frames, frames);
  }
  at(y, stride, number)[to] = out;
}

// Threads (frame of y, node of y).
KERNEL(256, ramps_reals, const float *x, u32 x_stride, u32 x_frames, u32 frames, u32 depth, u32 points, float low,
       float high, u32 rows, float *y, u32 stride) {
  ramps(x, x_stride, x_frames, frames, depth, points, low, high, rows, y, stride);
}

KERNEL(256, ramps_bytes, const u8 *x, u32 x_stride, u32 x_frames, u32 frames, u32 depth, u32 points, float low,
       float high, u32 rows, float *y, u32 stride) {
  ramps(x, x_stride, x_frames, frames, depth, points, low, high, rows, y, stride);
}

// y[o, f]: the mean over rows o, o + outputs, … and frames f · frames to (f + 1) · frames − 1.
// Threads (frame of y, output).
KERNEL(256, integrate_bits, const u32 *x, u32 x_stride, u32 nodes, u32 frames, u32 outputs, u32 y_frames, float *y,
       u32 stride) {
  u32 output = row(), frame = column();
  if (output >= outputs || frame >= stride) return;
  float out = 0;
  if (frame < y_frames) {
    u64 count = 0;
    for (u32 node = output; node < nodes; node += outputs) {
      const u32 *bits = at(x, x_stride, node);
      for (u32 done = 0; done < frames; done += 32) {
        count += __popc(row_bits(bits, frame * frames + done, min(32u, frames - done)));
      }
    }
    out = (float)((double)count / (double)((u64)(nodes / outputs) * frames));
  }
  at(y, stride, output)[frame] = out;
}

KERNEL(256, integrate_reals, const float *x, u32 x_stride, u32 nodes, u32 frames, u32 outputs, u32 y_frames, float *y,
       u32 stride) {
  u32 output = row(), frame = column();
  if (output >= outputs || frame >= stride) return;
  float out = 0;
  if (frame < y_frames) {
    double sum = 0;
    for (u32 node = output; node < nodes; node += outputs) {
      for (u32 k = 0; k < frames; k++) sum += (double)at(x, x_stride, node)[frame * frames + k];
    }
    out = (float)(sum / (double)((u64)(nodes / outputs) * frames));
  }
  at(y, stride, output)[frame] = out;
}

// Its gradient. Threads (frame of dx, node of dx).
KERNEL(256, integrate_backward, const float *dy, u32 dy_stride, u32 outputs, u32 dy_frames, u32 frames, float values,
       u32 nodes, float *dx, u32 stride) {
  u32 node = row(), to = column();
  if (node >= nodes || to >= stride) return;
  u32 frame = to / frames;
  at(dx, stride, node)[to] = frame < dy_frames ? at(dy, dy_stride, node % outputs)[frame] / values : 0;
}
