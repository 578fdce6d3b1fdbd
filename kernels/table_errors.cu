// patterns[place] = k(frame) and errors[place] = scale[table][k] * dy[place] + offset[table][k]:
// what every input of a place needs in the backward pass, once a place rather than once an input.
//
// Moves fan_in / 8 + 4 bytes in and 5 out a frame and node (9.75 for 6 inputs): 0.31 T frames·nodes/s
// at 3 TB/s, for about 35 instructions, 0.82 T/s. So memory is the bound.

template <int N>
__device__ __forceinline__ void table_errors(const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,
                                             u32 places, u32 share, u32 frames, const float *dy,
                                             u32 stride, const float *scale, const float *offset,
                                             float *errors, u8 *patterns) {
  u32 place = row(), frame = column();
  if (place >= places || frame >= frames) return; // the padding is never read
  u32 k = pattern<N>(x, x_stride, nodes, wiring + (u64)place * N, frame);
  u64 entry = ((u64)(place / share) << N) + k;
  at(patterns, stride, place)[frame] = (u8)k;
  at(errors, stride, place)[frame] = fmaf(scale[entry], at(dy, stride, place)[frame], offset[entry]);
}

// Threads (frame, place).
#define TABLE_ERRORS(N)                                                                          \
  KERNEL(256, table_errors_##N, const u32 *x, u32 x_stride, u32 nodes, const u32 *wiring,        \
         u32 places, u32 share, u32 frames, const float *dy, u32 stride, const float *scale,     \
         const float *offset, float *errors, u8 *patterns) {                                     \
    table_errors<N>(x, x_stride, nodes, wiring, places, share, frames, dy, stride, scale,        \
                    offset, errors, patterns);                                                   \
  }
FOR_FAN_INS(TABLE_ERRORS)
