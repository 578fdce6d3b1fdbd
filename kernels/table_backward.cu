// dx[source] += slope_i[k] * error over all inputs that read the source, from the errors and
// patterns of table_errors.
//
// Moves 5 bytes for each input, from the second-level cache where the batch fits it, and 8 a source:
// 30 a frame and node of 6 inputs, and a look-up of a slope in the first-level cache. About 10
// instructions an input, 60 a frame and node, 0.5 T frames·nodes/s; the caches' 5.5 TB/s allow
// 0.18 T. So the second-level cache is the bound.
//
// Gathered, not scattered: each row of dx is read and written once, and sums are in the order of
// places and inputs.

// Threads (frame, source). readers[first[source]] to readers[end[source] - 1] are the inputs
// that read the source: place, then row of the slopes (table * fan_in + input).
KERNEL(256, table_backward, const u32 *first, const u32 *end, const uint2 *readers, const float *errors,
       const u8 *patterns, const float *slopes, u32 fan_in, u32 sources, u32 frames, u32 stride, float *dx) {
  u32 source = row(), frame = column();
  if (source >= sources || frame >= frames) return;
  float total = 0;
  u32 last = end[source];
  for (u32 reader = first[source]; reader < last; reader++) {
    uint2 input = readers[reader];
    u32 k = at(patterns, stride, input.x)[frame];
    total = fmaf(slopes[((u64)input.y << fan_in) + k], at(errors, stride, input.x)[frame], total);
  }
  at(dx, stride, source)[frame] += total;
}
