// Binary codes and bit errors.
//
// bit_encode moves 4 bytes (1 for u8) a number and 1 / 8 a bit, for 4 instructions a bit: memory up
// to about 20 bits. bit_errors writes 1 / 8 byte a bit and draws 32 words for 64 of them: about 14
// instructions each, 7 a bit: instructions, at 4.1 T bits/s. apply_errors moves 3 / 8 byte a bit and
// its gradient 8.1: memory.

__device__ __forceinline__ u32 code(float value, u32 bits) {
  float clamped = value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;
  return (u32)(clamped * (float)((1u << bits) - 1));
}

__device__ __forceinline__ u32 code(u8 value, u32 bits) { return (u32)((u64)value * ((1u << bits) - 1) / 255); }

// Bit b of node n becomes node b · nodes + n. A warp makes words by votes. Threads (frame, node).
template <class T>
__device__ __forceinline__ void bit_encode(const T *x, u32 x_stride, u32 nodes, u32 frames, u32 bits, u32 *y,
                                           u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride * 32) return; // whole warps
  u32 own = frame < frames ? code(at(x, x_stride, node)[frame], bits) : 0;
  for (u32 bit = 0; bit < bits; bit++) {
    u32 word = __ballot_sync(ALL_LANES, own >> bit & 1);
    if ((frame & 31) == 0) at(y, stride, bit * nodes + node)[frame >> 5] = word;
  }
}

KERNEL(256, bit_encode_reals, const float *x, u32 x_stride, u32 nodes, u32 frames, u32 bits, u32 *y, u32 stride) {
  bit_encode(x, x_stride, nodes, frames, bits, y, stride);
}

KERNEL(256, bit_encode_bytes, const u8 *x, u32 x_stride, u32 nodes, u32 frames, u32 bits, u32 *y, u32 stride) {
  bit_encode(x, x_stride, nodes, frames, bits, y, stride);
}

// The generator of lutweave_tensor::rng: xoshiro256++, seeded by splitmix64 (Vigna).
__device__ __forceinline__ u64 mix(u64 z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

__device__ __forceinline__ u64 rotate(u64 value, int by) { return value << by | value >> (64 - by); }

// A bit is set when its 32-bit number, the digits of which are drawn the highest first, is below the
// limit. Threads (word of 64 frames, node).
KERNEL(256, bit_errors, u64 seed, u64 limit, u32 nodes, u32 frames, u64 *y, u32 stride) {
  const u64 STEP = 0x9e3779b97f4a7c15ull;
  u32 node = row(), word = column();
  if (node >= nodes || word >= stride) return;
  u64 key = mix((mix((mix(seed + STEP) ^ node) + STEP) ^ word) + STEP);
  u64 s0 = mix(key + STEP), s1 = mix(key + 2 * STEP), s2 = mix(key + 3 * STEP), s3 = mix(key + 4 * STEP);
  u64 below = 0, equal = ~0ull;
  for (int digit = 31; digit >= 0; digit--) {
    u64 drawn = rotate(s0 + s3, 23) + s0, t = s1 << 17, wanted = 0 - (limit >> digit & 1);
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 45);
    below |= equal & ~drawn & wanted;
    equal &= ~(drawn ^ wanted);
  }
  if (limit >> 32) below = ~0ull;
  u64 mask = (u64)frame_mask(frames, 2 * word) | (u64)frame_mask(frames, 2 * word + 1) << 32;
  at(y, stride, node)[word] = below & mask;
}

// y = x xor errors, or x and not errors. Threads (word, node).
KERNEL(256, apply_errors, const u32 *x, const u32 *errors, u32 clear, u32 nodes, u32 *y, u32 stride) {
  u32 node = row(), word = column();
  if (node >= nodes || word >= stride) return;
  u32 bits = at(x, stride, node)[word], wrong = at(errors, stride, node)[word];
  at(y, stride, node)[word] = clear ? bits & ~wrong : bits ^ wrong;
}

// dx = dy, −dy or 0. Threads (frame, node).
KERNEL(256, apply_errors_backward, const float *dy, const u32 *errors, u32 error_stride, u32 clear, u32 nodes,
       u32 frames, float *dx, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  float out = 0;
  if (frame < frames) {
    out = at(dy, stride, node)[frame];
    if (at(errors, error_stride, node)[frame >> 5] >> (frame & 31) & 1) out = clear ? 0 : -out;
  }
  at(dx, stride, node)[frame] = out;
}
