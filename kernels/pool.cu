// Pooling over windows of rows, windows[output][tap], and its gradients.
//
// Forward moves 4 bytes a tap and 4 an output (1 / 8 each for bits). Backward moves, for each row of
// x and each window it lies in, 4 bytes a tap and 4 of dy; 2 × 2 windows apart move 28 bytes a row.
// A few instructions each: 3 TB/s are the bound.
//
// Gradients are gathered: readers[first[source]] to readers[first[source + 1] - 1] are the windows a
// row lies in, as output and tap, in the order of outputs; no row of dx is written twice.

struct RealTap {
  const float *x;
  u32 stride;
  __device__ __forceinline__ float operator()(u32 source, u32 frame) const { return at(x, stride, source)[frame]; }
};

struct BitTap {
  const u32 *x;
  u32 stride;
  __device__ __forceinline__ float operator()(u32 source, u32 frame) const {
    return (float)(at(x, stride, source)[frame >> 5] >> (frame & 31) & 1);
  }
};

// The tap that counts: the first that is largest.
template <class Tap>
__device__ __forceinline__ u32 largest_tap(Tap value, const u32 *window, u32 taps, u32 frame, float *largest) {
  u32 best = NO_SOURCE;
  for (u32 tap = 0; tap < taps; tap++) {
    if (window[tap] == NO_SOURCE) continue;
    float here = value(window[tap], frame);
    if (best != NO_SOURCE && !(here > *largest)) continue;
    best = tap;
    *largest = here;
  }
  return best;
}

// The probability that no tap is 1, one of them left out.
template <class Tap>
__device__ __forceinline__ float none(Tap value, const u32 *window, u32 taps, u32 without, u32 frame) {
  float product = 1;
  for (u32 tap = 0; tap < taps; tap++) {
    if (tap != without && window[tap] != NO_SOURCE) product *= 1 - value(window[tap], frame);
  }
  return product;
}

// The OR of each window. Threads (word, output).
KERNEL(256, or_pool, const u32 *x, const u32 *windows, u32 taps, u32 outputs, u32 *y, u32 stride) {
  u32 output = row(), word = column();
  if (output >= outputs || word >= stride) return;
  const u32 *window = windows + (u64)output * taps;
  u32 out = 0;
  for (u32 tap = 0; tap < taps; tap++) {
    if (window[tap] != NO_SOURCE) out |= at(x, stride, window[tap])[word];
  }
  at(y, stride, output)[word] = out;
}

// Threads (frame, output), as below.
KERNEL(256, max_pool, const float *x, const u32 *windows, u32 taps, u32 outputs, u32 frames, float *y, u32 stride) {
  u32 output = row(), frame = column();
  if (output >= outputs || frame >= stride) return;
  float out = 0;
  if (frame < frames) largest_tap(RealTap{x, stride}, windows + (u64)output * taps, taps, frame, &out);
  at(y, stride, output)[frame] = out;
}

template <class Tap>
__device__ __forceinline__ void average_pool(Tap value, const u32 *windows, u32 taps, const float *scales,
                                             u32 outputs, u32 frames, float *y, u32 stride) {
  u32 output = row(), frame = column();
  if (output >= outputs || frame >= stride) return;
  const u32 *window = windows + (u64)output * taps;
  float sum = 0;
  for (u32 tap = 0; tap < taps && frame < frames; tap++) {
    if (window[tap] != NO_SOURCE) sum += value(window[tap], frame);
  }
  at(y, stride, output)[frame] = sum * scales[output];
}

KERNEL(256, average_pool_reals, const float *x, u32 x_stride, const u32 *windows, u32 taps, const float *scales,
       u32 outputs, u32 frames, float *y, u32 stride) {
  average_pool(RealTap{x, x_stride}, windows, taps, scales, outputs, frames, y, stride);
}

KERNEL(256, average_pool_bits, const u32 *x, u32 x_stride, const u32 *windows, u32 taps, const float *scales,
       u32 outputs, u32 frames, float *y, u32 stride) {
  average_pool(BitTap{x, x_stride}, windows, taps, scales, outputs, frames, y, stride);
}

KERNEL(256, stochastic_pool, const float *x, const u32 *windows, u32 taps, u32 outputs, u32 frames, float *y,
       u32 stride) {
  u32 output = row(), frame = column();
  if (output >= outputs || frame >= stride) return;
  float out = 0;
  if (frame < frames) out = 1 - none(RealTap{x, stride}, windows + (u64)output * taps, taps, NO_SOURCE, frame);
  at(y, stride, output)[frame] = out;
}

// Threads (frame, source), as below. A bit that is 0 gets nothing.
template <class Tap>
__device__ __forceinline__ void max_pool_backward(Tap value, bool ones_only, const u32 *first, const uint2 *readers,
                                                  const u32 *windows, u32 taps, const float *dy, u32 sources,
                                                  u32 frames, u32 stride, float *dx) {
  u32 source = row(), frame = column();
  if (source >= sources || frame >= frames) return;
  float *out = at(dx, stride, source) + frame;
  float total = *out;
  u32 end = first[source + 1];
  for (u32 reader = first[source]; reader < end; reader++) {
    uint2 use = readers[reader];
    float largest = 0;
    u32 best = largest_tap(value, windows + (u64)use.x * taps, taps, frame, &largest);
    if (best == use.y && (!ones_only || largest > 0)) total += at(dy, stride, use.x)[frame];
  }
  *out = total;
}

KERNEL(256, max_pool_backward_reals, const float *x, u32 x_stride, const u32 *first, const uint2 *readers,
       const u32 *windows, u32 taps, const float *dy, u32 sources, u32 frames, u32 stride, float *dx) {
  max_pool_backward(RealTap{x, x_stride}, false, first, readers, windows, taps, dy, sources,
                    frames, stride, dx);
}

KERNEL(256, max_pool_backward_bits, const u32 *x, u32 x_stride, const u32 *first, const uint2 *readers,
       const u32 *windows, u32 taps, const float *dy, u32 sources, u32 frames, u32 stride, float *dx) {
  max_pool_backward(BitTap{x, x_stride}, true, first, readers, windows, taps, dy, sources, frames, stride, dx);
}

template <class Tap>
__device__ __forceinline__ void stochastic_pool_backward(Tap value, const u32 *first, const uint2 *readers,
                                                         const u32 *windows, u32 taps, const float *dy, u32 sources,
                                                         u32 frames, u32 stride, float *dx) {
  u32 source = row(), frame = column();
  if (source >= sources || frame >= frames) return;
  float *out = at(dx, stride, source) + frame;
  float total = *out;
  u32 end = first[source + 1];
  for (u32 reader = first[source]; reader < end; reader++) {
    uint2 use = readers[reader];
    float others = none(value, windows + (u64)use.x * taps, taps, use.y, frame);
    total = fmaf(at(dy, stride, use.x)[frame], others, total);
  }
  *out = total;
}

KERNEL(256, stochastic_pool_backward_reals, const float *x, u32 x_stride, const u32 *first, const uint2 *readers,
       const u32 *windows, u32 taps, const float *dy, u32 sources, u32 frames, u32 stride, float *dx) {
  stochastic_pool_backward(RealTap{x, x_stride}, first, readers, windows, taps, dy, sources, frames, stride, dx);
}

KERNEL(256, stochastic_pool_backward_bits, const u32 *x, u32 x_stride, const u32 *first, const uint2 *readers,
       const u32 *windows, u32 taps, const float *dy, u32 sources, u32 frames, u32 stride, float *dx) {
  stochastic_pool_backward(BitTap{x, x_stride}, first, readers, windows, taps, dy, sources, frames, stride, dx);
}
