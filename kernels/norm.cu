// Batch normalisation over groups of `share` nodes.
//
// moments reads 4 bytes a value from memory and again from the cache; normalise moves 8; the
// gradient's sums read 8 and its other half moves 12: memory is the bound of each. Sums are in f64
// and in fixed order: lane by lane, then over lanes and warps.

#define NORM_WARPS 8

// A block a group.
KERNEL(256, moments, const float *x, u32 stride, u32 share, u32 frames, float *mean, float *variance) {
  SHARED(double, shared, NORM_WARPS);
  double centre, spread;
  block_moments(at(x, stride, blockIdx.x * share), stride, share, frames, shared, &centre, &spread);
  if (threadIdx.x != 0) return;
  mean[blockIdx.x] = (float)centre;
  variance[blockIdx.x] = (float)spread;
}

// rstd = 1 / √(variance + epsilon), scale = rstd · γ. A thread a group.
KERNEL(256, norm_scale, const float *variance, double epsilon, const float *gamma, u32 groups, float *rstd,
       float *scale) {
  u32 group = blockIdx.x * 256 + threadIdx.x;
  if (group >= groups) return;
  float root = (float)(1.0 / sqrt((double)variance[group] + epsilon));
  rstd[group] = root;
  scale[group] = root * gamma[group];
}

// Running statistics keep `keep` of what they are and take the rest from the batch. A thread a group.
// The new ones are written beside the old, which whoever undoes a step still has.
KERNEL(256, keep_statistics, const float *mean, const float *variance, u32 groups, u32 known, float factor, float keep,
       const float *running_mean, const float *running_variance, float *next_mean, float *next_variance) {
  u32 group = blockIdx.x * 256 + threadIdx.x;
  if (group >= groups) return;
  next_mean[group] = running_mean[group] * keep + mean[group] * (1.0f - keep);
  float old = running_variance[group];
  next_variance[group] = known ? old * keep + variance[group] * factor * (1.0f - keep) : old;
}

// y = (x − centre) · scale + shift. Threads (frame, node).
KERNEL(256, normalise, const float *x, u32 share, const float *centre, const float *scale, const float *shift,
       u32 nodes, u32 frames, float *y, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  u32 group = node / share;
  float out = 0;
  if (frame < frames) out = fmaf(at(x, stride, node)[frame] - centre[group], scale[group], shift[group]);
  at(y, stride, node)[frame] = out;
}

// dgamma += Σ dy · x̂, dbeta += Σ dy, and both sums over n for what follows. A block a group.
KERNEL(256, norm_sums, const float *x, const float *dy, u32 stride, u32 share, u32 frames, const float *mean,
       const float *rstd, float *dgamma, float *dbeta, float2 *means) {
  SHARED(double, shared, NORM_WARPS);
  u32 group = blockIdx.x;
  const float *rows = at(x, stride, group * share), *gradients = at(dy, stride, group * share);
  double centre = (double)mean[group], scale = (double)rstd[group], total = 0, product = 0;
  for (u32 node = 0; node < share; node++) {
    for (u32 f = threadIdx.x; f < frames; f += 256) {
      double g = (double)at(gradients, stride, node)[f];
      total += g;
      product += g * (((double)at(rows, stride, node)[f] - centre) * scale);
    }
  }
  total = block_sum(total, shared);
  product = block_sum(product, shared);
  if (threadIdx.x != 0) return;
  double count = (double)share * (double)frames;
  dgamma[group] = (float)((double)dgamma[group] + product);
  dbeta[group] = (float)((double)dbeta[group] + total);
  means[group] = make_float2((float)(total / count), (float)(product / count));
}

// dx = γ · rstd · (dy − Σ dy / n − x̂ · Σ dy · x̂ / n). Threads (frame, node).
KERNEL(256, norm_backward, const float *x, const float *dy, u32 share, const float *mean, const float *rstd,
       const float *gamma, const float2 *means, u32 nodes, u32 frames, float *dx, u32 stride) {
  u32 node = row(), frame = column();
  if (node >= nodes || frame >= stride) return;
  u32 group = node / share;
  float out = 0;
  if (frame < frames) {
    float unit = (at(x, stride, node)[frame] - mean[group]) * rstd[group];
    float centred = at(dy, stride, node)[frame] - means[group].x - unit * means[group].y;
    out = gamma[group] * rstd[group] * centred;
  }
  at(dx, stride, node)[frame] = out;
}
