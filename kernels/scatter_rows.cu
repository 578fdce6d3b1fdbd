// dx[source, f] += Σ dy[row, first frame + f] · scale[row] over all that was copied from the source:
// the gradient of any copying of rows or parts of rows, and of average pooling.
//
// Moves 4 bytes for each copy and 8 for each source, at 3 TB/s.
//
// Gathered: sums are in the order of the readers, and each row of dx is read and written once.

// Threads (frame, source). readers[first[source]] to readers[first[source + 1] - 1]: row of dy, then
// its first frame. Without scales each is one.
KERNEL(256, scatter_rows, const u32 *first, const uint2 *readers, const float *scales, const float *dy,
       u32 dy_stride, u32 sources, u32 frames, float *dx, u32 stride) {
  u32 source = row(), frame = column();
  if (source >= sources || frame >= frames) return;
  float *out = at(dx, stride, source) + frame;
  float total = *out;
  u32 end = first[source + 1];
  for (u32 reader = first[source]; reader < end; reader++) {
    uint2 from = readers[reader];
    float g = at(dy, dy_stride, from.x)[from.y + frame];
    total += scales ? g * scales[from.x] : g;
  }
  *out = total;
}
