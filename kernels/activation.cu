// Functions of one element, softmax, and masks.
//
// Each moves 4 bytes an element in for each operand and 4 out (1 / 8 for bits), for few instructions:
// 8 to 12 bytes, 0.25 to 0.38 T elements/s at 3 TB/s. Softmax reads its scores three times, the
// second and third from the caches.

// y = x > threshold. A warp makes words by votes. Threads (frame, node).
KERNEL(256, binarize, const float *x, u32 x_stride, u32 nodes, u32 frames, float threshold, u32 *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride * 32) return; // whole warps
  bool above = frame < frames && at(x, x_stride, node)[frame] > threshold;
  u32 word = __ballot_sync(ALL_LANES, above);
  if ((frame & 31) == 0) at(y, stride, node)[frame >> 5] = word;
}

// y = x > threshold ? high : low. Threads (frame, node), as in all that follow.
KERNEL(256, levels_reals, const float *x, float threshold, float low, float high, u32 nodes, u32 frames, float *y,
       u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) out = at(x, stride, node)[frame] > threshold ? high : low;
  at(y, stride, node)[frame] = out;
}

KERNEL(256, levels_bits, const u32 *x, u32 x_stride, float low, float high, u32 nodes, u32 frames, float *y,
       u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) out = at(x, x_stride, node)[frame >> 5] >> (frame & 31) & 1 ? high : low;
  at(y, stride, node)[frame] = out;
}

KERNEL(256, clamp, const float *x, float low, float high, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    out = at(x, stride, node)[frame];
    if (out < low) out = low;
    if (out > high) out = high;
  }
  at(y, stride, node)[frame] = out;
}

KERNEL(256, window_backward, const float *x, const float *dy, float low, float high, float slope, u32 nodes,
       u32 frames, float *dx, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    float here = at(x, stride, node)[frame];
    if (here > low && here < high) out = slope * at(dy, stride, node)[frame];
  }
  at(dx, stride, node)[frame] = out;
}

KERNEL(256, sigmoid, const float *x, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  at(y, stride, node)[frame] = frame < frames ? 1.0f / (1.0f + expf(-at(x, stride, node)[frame])) : 0;
}

KERNEL(256, sigmoid_backward, const float *y, const float *dy, u32 nodes, u32 frames, float *dx, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    float here = at(y, stride, node)[frame];
    out = at(dy, stride, node)[frame] * (1.0f - here) * here;
  }
  at(dx, stride, node)[frame] = out;
}

// Over the channels of each point. Threads (frame, point).
KERNEL(256, softmax, const float *x, u32 channels, u32 points, u32 frames, float *y, u32 stride) {
  u32 point = row(), frame = column();
  if (point >= points || frame >= stride) return;
  float largest = __int_as_float(0xff800000), sum = 0;
  for (u32 c = 0; c < channels; c++) largest = fmaxf(largest, at(x, stride, c * points + point)[frame]);
  for (u32 c = 0; c < channels; c++) sum += expf(at(x, stride, c * points + point)[frame] - largest);
  for (u32 c = 0; c < channels; c++) {
    float power = expf(at(x, stride, c * points + point)[frame] - largest);
    at(y, stride, c * points + point)[frame] = frame < frames ? power / sum : 0;
  }
}

KERNEL(256, softmax_backward, const float *y, const float *dy, u32 channels, u32 points, u32 frames, float *dx,
       u32 stride) {
  u32 point = row(), frame = column();
  if (point >= points || frame >= stride) return;
  float mean = 0;
  for (u32 c = 0; c < channels; c++) {
    u32 node = c * points + point;
    mean = fmaf(at(y, stride, node)[frame], at(dy, stride, node)[frame], mean);
  }
  for (u32 c = 0; c < channels; c++) {
    u32 node = c * points + point;
    float out = (at(dy, stride, node)[frame] - mean) * at(y, stride, node)[frame];
    at(dx, stride, node)[frame] = frame < frames ? out : 0;
  }
}

// floor(min(max(x, low), high) / step + 0.5) · step.
KERNEL(256, quantise, const float *x, float step, float low, float high, u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) out = rounded(at(x, stride, node)[frame], step, low, high);
  at(y, stride, node)[frame] = out;
}

// Zero where `dropped` is 1; a mask of one frame serves them all.
KERNEL(256, dropout, const float *x, const u32 *dropped, u32 mask_stride, u32 each, float scale, u32 nodes, u32 frames,
       float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    u32 bit = each ? frame : 0;
    bool gone = at(dropped, mask_stride, node)[bit >> 5] >> (bit & 31) & 1;
    if (!gone) out = scale * at(x, stride, node)[frame];
  }
  at(y, stride, node)[frame] = out;
}
