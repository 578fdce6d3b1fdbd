// y[place] = values[table][k(frame)] of f32.
//
// Moves fan_in / 8 + 4 bytes a frame and node (4.75 for 6 inputs): 0.63 T frames·nodes/s at 3 TB/s,
// for about 30 instructions a thread and frame, 0.96 T/s. So memory, the writing of y, is the bound.

template <int N>
__device__ __forceinline__ void value_forward(const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                              u32 places, u32 share, u32 frames, const float *values,
                                              float *y, u32 stride) {
  u32 place = row(), frame = column();
  if (place >= places || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    u32 k = pattern<N>(x, x_stride, nodes, wiring + (u64)place * N, frame);
    out = values[((u64)(place / share) << N) + k];
  }
  at(y, stride, place)[frame] = out;
}

// Threads (frame, place).
#define VALUE_FORWARD(N)                                                                         \
  KERNEL(256, value_forward_##N, const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,       \
         u32 places, u32 share, u32 frames, const float *values, float *y, u32 stride) {         \
    value_forward<N>(x, x_stride, nodes, wiring, places, share, frames, values, y, stride);      \
  }
FOR_FAN_INS(VALUE_FORWARD)
