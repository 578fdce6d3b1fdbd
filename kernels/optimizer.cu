// One step of an optimizer: new values, clamped to their range, what is remembered, gradients zeroed.
//
// Moves 4 bytes a number for each array read and each written: 16 plain, 24 with one array remembered,
// 32 with two: 94 G numbers/s of Adam at 3 TB/s. About 15 instructions, a root and a division. So memory
// is the bound; clamp and clearing are in the same pass, which alone would be another 12 bytes.
//
// Where `held` is there and not zero, something in the step was not finite, and nothing changes. All threads
// read the same word, which is in the cache.
//
// Products and sums are not fused: the bits are those of the CPU.

// The number that a thread sees to.
__device__ __forceinline__ u32 number() { return blockIdx.x * 256 + threadIdx.x; }

__device__ __forceinline__ bool is_held(const u32 *held) { return held && *held != 0; }

// Within the range; NaN stays, so that it is seen.
__device__ __forceinline__ float within(float value, float low, float high) {
  if (value < low) value = low;
  return value > high ? high : value;
}

KERNEL(256, update_sgd, float *values, float *gradient, u32 count, float low, float high, float rate, float decay,
       const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float value = values[i];
  values[i] = within(value - rate * (gradient[i] + decay * value), low, high);
  gradient[i] = 0;
}

KERNEL(256, update_momentum, float *values, float *gradient, float *moments, u32 count, float low, float high,
       float rate, float decay, float momentum, u32 nesterov, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float value = values[i], g = gradient[i] + decay * value, m = momentum * moments[i] + g;
  values[i] = within(value - rate * (nesterov ? g + momentum * m : m), low, high);
  moments[i] = m;
  gradient[i] = 0;
}

KERNEL(256, update_ada_grad, float *values, float *gradient, float *squares, u32 count, float low, float high,
       float rate, float epsilon, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float value = values[i], g = gradient[i], h = squares[i] + g * g, root = sqrtf(h) + epsilon;
  values[i] = within(root > 0 ? value - rate * g / root : value, low, high);
  squares[i] = h;
  gradient[i] = 0;
}

KERNEL(256, update_adam, float *values, float *gradient, float *moments, float *squares, u32 count, float low,
       float high, float rate, float beta1, float beta2, float epsilon, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float g = gradient[i], m = moments[i], v = squares[i];
  m += (1.0f - beta1) * (g - m);
  v += (1.0f - beta2) * (g * g - v);
  values[i] = within(values[i] - rate * m / (sqrtf(v) + epsilon), low, high);
  moments[i] = m;
  squares[i] = v;
  gradient[i] = 0;
}

KERNEL(256, update_adam_w, float *values, float *gradient, float *moments, float *squares, u32 count, float low,
       float high, float keep, float rate, float root, float beta1, float beta2, float epsilon, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float g = gradient[i], m = moments[i], v = squares[i];
  m += (1.0f - beta1) * (g - m);
  v += (1.0f - beta2) * (g * g - v);
  values[i] = within(keep * values[i] - rate * m / (sqrtf(v) * root + epsilon), low, high);
  moments[i] = m;
  squares[i] = v;
  gradient[i] = 0;
}

// The power of two nearest to a positive number in logarithm: up from the first number above √2.
__device__ __forceinline__ float power_of_two(float x) {
  u32 bits = __float_as_uint(x), exponent = bits >> 23 & 0xff, up = (bits & 0x7fffffu) > 0x3504f3u;
  if (exponent == 0) return 0;
  return exponent == 0xff ? x : __uint_as_float((exponent + up) << 23);
}

KERNEL(256, update_shift_ada_max, float *values, float *gradient, float *moments, float *sizes, u32 count, float low,
       float high, float rate, float beta1, float beta2, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float value = values[i], g = gradient[i], m = beta1 * moments[i] + (1.0f - beta1) * g;
  float decayed = beta2 * sizes[i], size = fabsf(g), v = decayed > size ? decayed : size;
  values[i] = within(v > 0 ? value - rate * m / power_of_two(v) : value, low, high);
  moments[i] = m;
  sizes[i] = v;
  gradient[i] = 0;
}

// `low` and `high` are the two values that there are.
KERNEL(256, update_bop, float *values, float *gradient, float *moments, u32 count, float low, float high, float gamma,
       float threshold, const u32 *held) {
  u32 i = number();
  if (i >= count || is_held(held)) return;
  float value = values[i], m = (1.0f - gamma) * moments[i] + gamma * gradient[i];
  bool is_high = value - low >= high - value;
  float against = is_high ? m : -m;
  bool flips = against >= threshold && against > 0;
  values[i] = is_high == flips ? low : high;
  moments[i] = m;
  gradient[i] = 0;
}
