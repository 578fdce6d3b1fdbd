// Numbers as they enter a product, where they are not made that as it loads them; and the gradient of
// weights on its way back through their signs, where another's product gave it.
//
// form_weights moves 8 bytes a number, pass_gradient 16: 0.19 to 0.38 T numbers/s at 3 TB/s, for a few
// instructions. So memory is the bound.

// out = factor * what is made of each weight.
KERNEL(256, form_weights, const float *weights, u64 count, FORM(of_weights), float factor, float *out) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  if (i < count) out[i] = formed(FORM_OF(of_weights), weights[i]) * factor;
}

// gradient += of_form where the weight is from -1 to 1.
KERNEL(256, pass_gradient, const float *weights, const float *of_form, u64 count, float *gradient) {
  u64 i = (u64)blockIdx.x * 256 + threadIdx.x;
  if (i < count && fabsf(weights[i]) <= 1.0f) gradient[i] += of_form[i];
}
