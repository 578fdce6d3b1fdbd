// Losses of answers, with their gradients, and how many answers are right.
//
// softmax_loss reads the scores of a frame three times, once from memory, and writes their gradients: 8
// bytes an answer, about 40 instructions; element_loss moves as many; right_answers reads 4. So memory is
// the bound, and for the few answers of a classifier the launch. Sums are in f64, thread by thread,
// then over the threads of a block, then over blocks by the block that is done last, in fixed order.

// Adds up what all threads bring; the block that is done last writes the sum, and sets `held`, if that is
// there, where the loss, sum / divisor, is not finite as f32. 256 threads.
__device__ __forceinline__ void loss_sum(double own, double divisor, double *partial, u32 *ticket, double *out,
                                         u32 *held) {
  SHARED(double, sums, 256);
  SHARED(u32, last, 1);
  u32 thread = threadIdx.x;
  for (u32 round = 0; round < 2; round++) {
    sums[thread] = own;
    __syncthreads();
    for (u32 half = 128; half > 0; half /= 2) {
      if (thread < half) sums[thread] += sums[thread + half];
      __syncthreads();
    }
    if (round == 1) break;
    if (thread == 0) partial[blockIdx.x] = sums[0];
    if (!last_block(ticket, gridDim.x, last)) return;
    own = 0;
    for (u32 block = thread; block < gridDim.x; block += 256) own += partial[block];
  }
  if (thread != 0) return;
  *out = sums[0];
  // Not below the largest number: infinite, or none.
  if (held && !(fabs(sums[0] / divisor) < 3.4028235677973366e38)) *held = 1;
}

// Where the thread's row and frame are; rows lie one after the other.
__device__ __forceinline__ u32 loss_row(u32 stride, u32 *frame) {
  u64 number = (u64)blockIdx.x * 256 + threadIdx.x;
  u64 line = number / stride;
  *frame = (u32)(number - line * stride);
  return (u32)line;
}

#define UNLABELLED 0xffffffffu

// Either labels, a row a position, or targets, a row a node; weights may be missing. Threads
// (position, frame), padding included.
KERNEL(256, softmax_loss, const float *y, u32 stride, u32 classes, u32 positions, u32 frames, const u32 *labels,
       u32 label_stride, const float *targets, u32 target_stride, const float *weights, float divisor, float *dy,
       double *partial, u32 *ticket, double *out, u32 *held) {
  u32 frame, position = loss_row(stride, &frame);
  double loss = 0;
  if (position < positions && frame < frames) {
    float most = __int_as_float(0xff800000), sum = 0, total = 0;
    u32 label = labels ? at(labels, label_stride, position)[frame] : 0;
    bool labelled = !labels || label != UNLABELLED;
    if (labels && labelled) total = weights ? weights[label] : 1.0f;
    for (u32 c = 0; c < classes; c++) {
      u32 node = c * positions + position;
      float score = at(y, stride, node)[frame];
      if (score > most) most = score;
      if (!labels) total += (weights ? weights[c] : 1.0f) * at(targets, target_stride, node)[frame];
    }
    for (u32 c = 0; c < classes; c++) sum += expf(at(y, stride, c * positions + position)[frame] - most);
    double log_sum = log((double)sum);
    for (u32 c = 0; c < classes; c++) {
      u32 node = c * positions + position;
      float score = at(y, stride, node)[frame], t = weights ? weights[c] : 1.0f, slope = 0;
      t *= labels ? (label == c ? 1.0f : 0.0f) : at(targets, target_stride, node)[frame];
      if (labelled) {
        slope = (total * (expf(score - most) / sum) - t) / divisor;
        if (t != 0) loss += (double)t * (log_sum - ((double)score - (double)most));
      }
      at(dy, stride, node)[frame] = slope;
    }
  } else if (position < positions) {
    for (u32 c = 0; c < classes; c++) at(dy, stride, c * positions + position)[frame] = 0;
  }
  loss_sum(loss, (double)divisor, partial, ticket, out, held);
}

// Σ e^((x − most) / temperature) over the classes of a position, and the largest.
__device__ __forceinline__ float2 softmax_sum(const float *x, u32 stride, u32 classes, u32 positions, u32 position,
                                              u32 frame, float temperature) {
  float most = __int_as_float(0xff800000), sum = 0;
  for (u32 c = 0; c < classes; c++) {
    float score = at(x, stride, c * positions + position)[frame];
    if (score > most) most = score;
  }
  for (u32 c = 0; c < classes; c++) sum += expf((at(x, stride, c * positions + position)[frame] - most) / temperature);
  return make_float2(most, sum);
}

// dy = keep · dy + scale · (q − p), the loss Σ p (ln p − ln q). Threads (position, frame).
KERNEL(256, distillation, const float *y, u32 stride, u32 classes, u32 positions, u32 frames, const float *teacher,
       float temperature, float keep, float scale, float *dy, double *partial, u32 *ticket, double *out, u32 *held) {
  u32 frame, position = loss_row(stride, &frame);
  double loss = 0;
  if (position < positions && frame < frames) {
    float2 own = softmax_sum(y, stride, classes, positions, position, frame, temperature);
    float2 taught = softmax_sum(teacher, stride, classes, positions, position, frame, temperature);
    double own_log = log((double)own.y), taught_log = log((double)taught.y);
    for (u32 c = 0; c < classes; c++) {
      u32 node = c * positions + position;
      float score = at(y, stride, node)[frame], taught_score = at(teacher, stride, node)[frame];
      float q = expf((score - own.x) / temperature) / own.y;
      float p = expf((taught_score - taught.x) / temperature) / taught.y;
      float *to = at(dy, stride, node) + frame;
      *to = *to * keep + scale * (q - p);
      if (p != 0) {
        double log_p = ((double)taught_score - (double)taught.x) / (double)temperature - taught_log;
        double log_q = ((double)score - (double)own.x) / (double)temperature - own_log;
        loss += (double)p * (log_p - log_q);
      }
    }
  }
  loss_sum(loss, (double)positions * (double)frames, partial, ticket, out, held);
}

// The probability, at least the floor; NaN stays.
__device__ __forceinline__ float floored(float probability) { return probability < 1e-7f ? 1e-7f : probability; }

// kind: 0 squared error, 1 squared hinge, 2 cross-entropy of a sigmoid, 3 cross-entropy, 4 binary
// cross-entropy. Threads (node, frame), padding included.
KERNEL(256, element_loss, u32 kind, const float *y, u32 stride, u32 nodes, u32 positions, u32 frames,
       const u32 *labels, u32 label_stride, const float *targets, u32 target_stride, float no, float yes,
       float divisor, float *dy, double *partial, u32 *ticket, double *out, u32 *held) {
  u32 frame, node = loss_row(stride, &frame);
  double loss = 0;
  if (node < nodes) {
    float t = 0, slope = 0;
    bool labelled = frame < frames;
    if (labelled && labels) {
      u32 label = at(labels, label_stride, node % positions)[frame];
      labelled = label != UNLABELLED;
      t = label == node / positions ? yes : no;
    } else if (labelled) {
      t = at(targets, target_stride, node)[frame];
    }
    if (labelled) {
      float answer = at(y, stride, node)[frame];
      double wide = (double)answer, wanted = (double)t;
      if (kind == 0) {
        loss = (wide - wanted) * (wide - wanted);
        slope = 2.0f * (answer - t);
      } else if (kind == 1) {
        double missing = 1.0 - wanted * wide;
        if (missing < 0) missing = 0;
        loss = missing * missing;
        slope = -2.0f * t * (float)missing;
      } else if (kind == 2) {
        float little = expf(-fabsf(answer));
        loss = (wide > 0 ? wide : 0) - wide * wanted + log1p((double)little);
        slope = (answer >= 0 ? 1.0f : little) / (1.0f + little) - t;
      } else if (kind == 3) {
        if (t != 0) {
          float yes_floored = floored(answer);
          loss = -wanted * log((double)yes_floored);
          slope = -t / yes_floored;
        }
      } else {
        float yes_floored = floored(answer), no_floored = floored(1.0f - answer);
        loss = -wanted * log((double)yes_floored) - (1.0 - wanted) * log((double)no_floored);
        slope = (1.0f - t) / no_floored - t / yes_floored;
      }
      slope /= divisor;
    }
    at(dy, stride, node)[frame] = slope;
  }
  loss_sum(loss, (double)divisor, partial, ticket, out, held);
}

// counts[0] += labelled frames and positions, counts[1] += those whose best score is the wanted class's.
// Threads (position, frame).
KERNEL(256, right_answers, const float *y, u32 stride, u32 classes, u32 positions, u32 frames, const u32 *labels,
       u32 label_stride, const float *targets, u32 target_stride, u32 *counts) {
  u32 frame, position = loss_row(stride, &frame);
  if (position >= positions || frame >= frames) return;
  u32 own = labels ? at(labels, label_stride, position)[frame] : UNLABELLED, best = 0;
  float most = at(y, stride, position)[frame], largest = 0;
  for (u32 c = 0; c < classes; c++) {
    u32 node = c * positions + position;
    float score = at(y, stride, node)[frame];
    if (score > most) {
      most = score;
      best = c;
    }
    if (!labels) {
      float t = at(targets, target_stride, node)[frame];
      if (t > largest) {
        largest = t;
        own = c;
      }
    }
  }
  if (own == UNLABELLED) return;
  atomicAdd(counts, 1u);
  if (own == best) atomicAdd(counts + 1, 1u);
}
