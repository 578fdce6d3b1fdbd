// Weights as they enter a product, and the gradient on its way back through that.
//
// form_weights moves 8 bytes a number, pass_gradient 16: 0.19 to 0.38 T numbers/s at 3 TB/s, for a few
// instructions. So memory is the bound.

// out = factor * w, * the sign of w (that of NaN is -1), * w rounded to a multiple of a step, or * whether it
// is above 0.5.
KERNEL(256, form_weights, const float *weights, u64 count, u32 form, float step, float low, float high, float factor,
       float *out) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  if (i >= count) return;
  float value = weights[i];
  if (form == 1) {
    value = value >= 0.0f ? 1.0f : -1.0f;
  } else if (form == 2) {
    if (value < low) value = low;
    if (value > high) value = high;
    value = floorf(value / step + 0.5f) * step;
  } else if (form == 3) {
    value = value > 0.5f ? 1.0f : 0.0f;
  }
  out[i] = value * factor;
}

// gradient += of_form where the weight is from -1 to 1.
KERNEL(256, pass_gradient, const float *weights, const float *of_form, u64 count, float *gradient) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  if (i < count && fabsf(weights[i]) <= 1.0f) gradient[i] += of_form[i];
}
