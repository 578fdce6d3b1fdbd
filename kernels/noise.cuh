// Noise of the parameters of a node: the draws of its random stream, which are those of the host.

// What is drawn: nothing, Gumbel's noise or logistic. With `transformed`, minus the Walsh-Hadamard transform
// of the draws divided by their number is what is added.
enum { NO_NOISE, GUMBEL, LOGISTIC };

// The key of a node takes in its number, then `parts` more.
struct NoiseArguments {
  u32 draw, transformed;
  float scale;
  u64 key;
  u32 parts;
  u64 first, second, third, fourth;
  float *noisy;
};

// The same as arguments of a kernel.
#define NOISE_ARGUMENTS                                                                                      \
  u32 draw, u32 transformed, float noise_scale, u64 key, u32 key_parts, u64 part_1, u64 part_2, u64 part_3, \
      u64 part_4, float *noisy
#define NOISE                                                                                                \
  NoiseArguments { draw, transformed, noise_scale, key, key_parts, part_1, part_2, part_3, part_4, noisy }

__device__ __forceinline__ u64 noise_mix(u64 value) {
  u64 z = value + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

__device__ __forceinline__ u64 noise_turn(u64 value, u32 by) { return (value << by) | (value >> (64 - by)); }

// The next word of Blackman and Vigna's xoshiro256++.
__device__ __forceinline__ u64 noise_next(u64 *s) {
  u64 word = noise_turn(s[0] + s[3], 23) + s[0], shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = noise_turn(s[3], 45);
  return word;
}

// The words that a node draws. A stream has an order, so one thread draws them.
__device__ __forceinline__ void draw_words(NoiseArguments a, u32 node, u32 count, u64 *words) {
  u64 key = noise_mix(a.key ^ node), state[4];
  if (a.parts > 0) key = noise_mix(key ^ a.first);
  if (a.parts > 1) key = noise_mix(key ^ a.second);
  if (a.parts > 2) key = noise_mix(key ^ a.third);
  if (a.parts > 3) key = noise_mix(key ^ a.fourth);
  for (u32 i = 0; i < 4; i++) {
    state[i] = noise_mix(key);
    key += 0x9e3779b97f4a7c15ull;
  }
  for (u32 i = 0; i < count; i++) words[i] = noise_next(state);
}

// The noise that a word is.
__device__ __forceinline__ float noise_of(NoiseArguments a, u64 word) {
  double unit = ((double)(word >> 12) + 0.5) * 2.220446049250313e-16; // in (0, 1)
  return a.scale * (a.draw == GUMBEL ? (float)-log(-log(unit)) : (float)(log(unit) - log1p(-unit)));
}
