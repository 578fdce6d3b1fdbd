// Parameters with noise: the draws of a stream for each node, which are those of the host.
//
// Moves 8 bytes a parameter. One thread of a node draws for all of it, since a stream has an order: some 200
// instructions a draw, mostly two logarithms in f64, which is the bound: 64 draws one after the other take
// about 20 us, for all nodes side by side, at 1.7 GHz.

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

// out = parameters + scale * noise, Gumbel's or logistic; with `transformed`, minus the Walsh-Hadamard
// transform of the noise divided by `size`, which divides 256. The key of a node takes in its number, then
// `parts` more. A thread a parameter.
KERNEL(256, add_noise, const float *parameters, u64 count, u32 size, u32 gumbel, u32 transformed, float scale, u64 key,
       u32 parts, u64 first, u64 second, u64 third, u64 fourth, float *out) {
  SHARED(float, drawn, 256);
  u64 at = (u64)blockIdx.x * 256 + threadIdx.x;
  if ((threadIdx.x & (size - 1)) == 0) {
    key = noise_mix(key ^ (at / size));
    if (parts > 0) key = noise_mix(key ^ first);
    if (parts > 1) key = noise_mix(key ^ second);
    if (parts > 2) key = noise_mix(key ^ third);
    if (parts > 3) key = noise_mix(key ^ fourth);
    u64 state[4];
    for (u32 i = 0; i < 4; i++) {
      state[i] = noise_mix(key);
      key += 0x9e3779b97f4a7c15ull;
    }
    for (u32 i = 0; i < size; i++) {
      double unit = ((double)(noise_next(state) >> 12) + 0.5) * 2.220446049250313e-16; // in (0, 1)
      float value = gumbel ? (float)-log(-log(unit)) : (float)(log(unit) - log1p(-unit));
      drawn[threadIdx.x + i] = scale * value;
    }
  }
  __syncthreads();
  float noise = drawn[threadIdx.x];
  if (transformed) {
    for (u32 half = 1; half < size; half *= 2) {
      __syncthreads();
      drawn[threadIdx.x] = noise;
      __syncthreads();
      float other = drawn[threadIdx.x ^ half];
      noise = threadIdx.x & half ? other - noise : noise + other;
    }
    noise = -(1.0f / (float)size * noise);
  }
  if (at < count) out[at] = parameters[at] + noise;
}
